//! A strategy that does as the scenario tells it, through words that both share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, Ordering::Relaxed};

use interlock::event::{Claim, OrderSpec, Quote};
use interlock::strategy::context::limit;
use interlock::strategy::{Context, Strategy};
use interlock::types::{Price, Qty, Side, TimeInForce};

/// What the scenario wants.
#[derive(Debug, Default)]
pub(crate) struct Wants {
    /// So many entries more.
    pub(crate) entries: AtomicU32,
    /// An entry whenever none of its orders may be open, without end.
    pub(crate) eager: AtomicBool,
    /// Sell what is held, at once, until nothing can be sold.
    pub(crate) exit: AtomicBool,
    /// Sell what is held by an order that waits above the market.
    pub(crate) exit_waits: AtomicBool,
    /// Cancel what works.
    pub(crate) cancel: AtomicBool,
    /// Quantity of an entry; 0 = 0.001.
    pub(crate) qty_units: AtomicI64,
    /// How often an order was asked for.
    pub(crate) asked: AtomicU64,
}

pub(crate) struct Puppet {
    pub(crate) wants: Arc<Wants>,
    pub(crate) turn: i64,
}

const CENT: i64 = Price::ONE.units() / 100;

impl Puppet {
    fn entry(&mut self, bid: Price) -> OrderSpec {
        self.turn += 1;
        let qty = self.wants.qty_units.load(Relaxed);
        let qty = if qty == 0 { Qty::ONE.units() / 1_000 } else { qty };
        // Each at another price, so that none is taken for the same order again.
        let price = Price::from_units(bid.units() - (100 + self.turn % 400) * CENT);
        limit(Side::Buy, TimeInForce::Gtc, price, Qty::from_units(qty))
    }

    fn act(&mut self, context: &mut Context<'_>) {
        let wants = Arc::clone(&self.wants);
        let Some(bid) = context.quote.map(|q| q.bid.price) else { return };
        if wants.cancel.load(Relaxed) {
            let working: Vec<_> = context.working().map(|order| order.client).collect();
            for client in working {
                context.cancel(client);
            }
        }
        let sells = context.working().any(|order| order.side == Side::Sell);
        if wants.exit.load(Relaxed)
            && !sells
            && let Some(spec) = context.sellable(bid).and_then(|qty| context.sell_now(qty, 20))
        {
            wants.asked.fetch_add(u64::from(context.exit(spec)), Relaxed);
        }
        // Asked for again and again, whatever works already: that no more is sold than is held is risk's matter.
        if wants.exit_waits.load(Relaxed) {
            self.turn += 1;
            let price = Price::from_units(bid.units() + (100 + self.turn % 400) * CENT);
            if let Some(qty) = context.sellable(price) {
                let spec = limit(Side::Sell, TimeInForce::Gtc, price, qty);
                wants.asked.fetch_add(u64::from(context.exit(spec)), Relaxed);
            }
        }
        let wanted = wants.entries.load(Relaxed);
        let eager = wants.eager.load(Relaxed) && context.is_idle();
        if wanted > 0 || eager {
            let spec = self.entry(bid);
            if context.enter(spec, Claim::NONE) {
                wants.asked.fetch_add(1, Relaxed);
                wants.entries.store(wanted.saturating_sub(1), Relaxed);
            }
        }
    }
}

impl Strategy for Puppet {
    fn on_quote(&mut self, context: &mut Context<'_>, _quote: &Quote) {
        self.act(context);
    }
    fn on_timer(&mut self, context: &mut Context<'_>) {
        self.act(context);
    }
}

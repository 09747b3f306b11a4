//! Order flow imbalance on ticks: buys when what happens at the best prices leans to buying, and leaves by target, stop or
//! time. Long-only, as spot is.
//!
//! One entry at a time: a post-only order at the bid follows it while the imbalance lasts and is cancelled when it fades or
//! grows old; a marketable one expires at once. An exit takes what the bid gives and is tried again until the position is
//! gone; entries that still work are cancelled before, so that it can't meet one of our own.

use crate::event::{Claim, OrderSpec, Quote, Tracked};
use crate::types::{Cash, Instrument, OrderState, Price, Qty};

use super::context::{EXIT_RETRY_NS, has_passed, shifted};
use super::indicator::{OrderFlow, microprice};
use super::{Context, OrderNews, Own, ParamError, ParamSpec, Params, Strategy, StrategyEntry};

pub(super) const ENTRY: StrategyEntry = StrategyEntry {
    name: "order_flow_imbalance",
    help: "buys when the flow at the best prices leans to buying; leaves by target, stop or time",
    params: PARAMS,
    make,
};

const PARAMS: &[ParamSpec] = &[
    ParamSpec::int("half_life_ms", (1, 600_000), 1_000, "how fast old flow fades"),
    ParamSpec::int(
        "enter_centisigma",
        (1, 1_000),
        150,
        "enter at this many hundredths of a standard deviation",
    ),
    ParamSpec::int("keep_centisigma", (-1_000, 1_000), -50, "below this a waiting entry is cancelled"),
    ParamSpec::int("events_min", (1, 1_000_000), 20, "changes to see before the first entry"),
    ParamSpec::int("spread_max_bp", (1, 1_000), 10, "no entry into a wider spread"),
    ParamSpec::choice(
        "entry",
        &["passive", "marketable"],
        "passive: a post-only order at the bid; marketable: a limit order at the ask that expires at once",
    ),
    ParamSpec::cash("notional", (1, 1_000_000), 50, "value of an entry, in the quote currency"),
    ParamSpec::int("margin_bp", (0, 100), 2, "how far a marketable order goes beyond the best price"),
    ParamSpec::int("entry_life_ms", (50, 600_000), 3_000, "a waiting entry is cancelled after this long"),
    ParamSpec::int("reprice_ms", (10, 600_000), 500, "a waiting entry follows the bid at most this often"),
    ParamSpec::int("target_bp", (1, 10_000), 5, "profit at which to leave"),
    ParamSpec::int("stop_bp", (1, 10_000), 10, "loss at which to leave"),
    ParamSpec::int("hold_ms", (50, 86_400_000), 5_000, "leave after this long whatever the profit"),
    ParamSpec::int("cooldown_ms", (0, 86_400_000), 1_000, "between two entries"),
];

fn make(params: &Params, _instrument: &Instrument) -> Result<Box<dyn Strategy>, ParamError> {
    let (enter, keep) = (params.int("enter_centisigma")?, params.int("keep_centisigma")?);
    params.require(keep <= enter, "keep_centisigma must not be above enter_centisigma")?;
    Ok(Box::new(OrderFlowImbalance {
        flow: OrderFlow::new(params.ms("half_life_ms")?),
        enter_centisigma: enter,
        keep_centisigma: keep,
        events_min: params.int("events_min")?,
        spread_max_bp: params.int("spread_max_bp")?,
        passive: params.choice("entry")? == "passive",
        notional: params.cash("notional")?,
        margin_bp: params.int("margin_bp")?,
        entry_life_ns: params.ms("entry_life_ms")?,
        reprice_ns: params.ms("reprice_ms")?,
        target_bp: params.int("target_bp")?,
        stop_bp: params.int("stop_bp")?,
        hold_ns: params.ms("hold_ms")?,
        cooldown_ns: params.ms("cooldown_ms")?,
        held_since_ns: 0,
        entered_ns: 0,
        exit_tried_ns: 0,
        leaving: false,
    }))
}

#[derive(Debug)]
struct OrderFlowImbalance {
    flow: OrderFlow,
    enter_centisigma: i64,
    keep_centisigma: i64,
    events_min: i64,
    spread_max_bp: i64,
    passive: bool,
    notional: Cash,
    margin_bp: i64,
    entry_life_ns: i64,
    reprice_ns: i64,
    target_bp: i64,
    stop_bp: i64,
    hold_ns: i64,
    cooldown_ns: i64,
    /// When a position that can be sold was first seen; 0 = none.
    held_since_ns: i64,
    entered_ns: i64,
    exit_tried_ns: i64,
    /// An exit is wanted until the position is gone.
    leaving: bool,
}

impl OrderFlowImbalance {
    /// One look at where things stand; at most one thing is asked for.
    fn act(&mut self, context: &mut Context<'_>) {
        let Some(quote) = context.quote else { return };
        let (bid, ask) = (quote.bid.price, quote.ask.price);
        if bid <= Price::ZERO || ask <= bid {
            return;
        }
        if let Some(qty) = context.sellable(bid) {
            if self.held_since_ns == 0 {
                self.held_since_ns = context.now_ns;
            }
            self.leaving = self.leaving || self.wants_out(context, bid);
            if self.leaving {
                self.leave(context, qty);
                return;
            }
        } else {
            (self.held_since_ns, self.leaving) = (0, false);
        }
        let first = context.working().find(|order| !order.reduce_only).copied();
        match first {
            Some(order) => self.tend(context, &order),
            None if self.held_since_ns == 0 => self.consider(context, quote),
            None => {}
        }
    }

    fn wants_out(&self, context: &Context<'_>, bid: Price) -> bool {
        let Some(paid) = context.position.average_price() else { return false };
        let target = shifted(paid, self.target_bp);
        let stop = shifted(paid, -self.stop_bp);
        target.is_some_and(|target| bid >= target)
            || stop.is_none_or(|stop| bid <= stop)
            || has_passed(context.now_ns, self.held_since_ns, self.hold_ns)
    }

    fn leave(&mut self, context: &mut Context<'_>, qty: Qty) {
        let first = context.working().next().map(|order| (order.client, order.reduce_only));
        match first {
            // An entry that still works goes first; an exit that works is waited for.
            Some((client, false)) => {
                context.cancel(client);
            }
            None if has_passed(context.now_ns, self.exit_tried_ns, EXIT_RETRY_NS) => {
                if let Some(spec) = context.sell_now(qty, self.margin_bp)
                    && context.exit(spec)
                {
                    self.exit_tried_ns = context.now_ns;
                }
            }
            Some((_, true)) | None => {}
        }
    }

    /// A waiting entry: cancelled when it is old or the flow has turned, moved when the bid has.
    fn tend(&mut self, context: &mut Context<'_>, order: &Tracked<Own>) {
        let age_from_ns = self.entered_ns;
        if has_passed(context.now_ns, age_from_ns, self.entry_life_ns)
            || !self.flow.at_least(self.keep_centisigma)
        {
            context.cancel(order.client);
            return;
        }
        let follows = has_passed(context.now_ns, order.extra.raised_ns, self.reprice_ns)
            && order.filled.is_zero()
            && order.state == OrderState::Acknowledged;
        if !follows {
            return;
        }
        if let Some(spec) = context.buy_at_bid(self.notional)
            && spec.price > order.price
        {
            context.replace(order.client, spec, self.claim(&spec));
        }
    }

    fn consider(&mut self, context: &mut Context<'_>, quote: &Quote) {
        let leans = microprice(quote.bid, quote.ask).is_some_and(|micro| {
            micro.units() >= i64::midpoint(quote.bid.price.units(), quote.ask.price.units())
        });
        let ready = context.is_idle()
            && has_passed(context.now_ns, self.entered_ns, self.cooldown_ns)
            && i64::from(self.flow.events()) >= self.events_min
            && self.flow.at_least(self.enter_centisigma)
            && self.is_narrow(quote)
            && leans;
        if ready
            && let Some(spec) = self.entry(context)
            && context.enter(spec, self.claim(&spec))
        {
            self.entered_ns = context.now_ns;
        }
    }

    /// The target if the flow means what it seems to, the stop if it does not, weighed by how unlikely such a flow is when
    /// both sides are alike.
    fn claim(&self, spec: &OrderSpec) -> Claim {
        let confidence_bp = self.flow.confidence_bp();
        let right = i64::from(confidence_bp);
        // Both are at most 10,000 bp, so the sum of products is far inside; 10,000 parts to hundredths of a basis point.
        let gain = (right * self.target_bp - (10_000 - right) * self.stop_bp) / 100;
        Claim {
            stop: shifted(spec.price, -self.stop_bp).unwrap_or_default(),
            gain_centi_bp: i32::try_from(gain).unwrap_or(i32::MIN),
            confidence_bp,
        }
    }

    fn entry(&self, context: &Context<'_>) -> Option<OrderSpec> {
        if self.passive {
            context.buy_at_bid(self.notional)
        } else {
            context.buy_now(self.notional, self.margin_bp)
        }
    }

    fn is_narrow(&self, quote: &Quote) -> bool {
        let (bid, ask) = (i128::from(quote.bid.price.units()), i128::from(quote.ask.price.units()));
        (ask - bid) * 10_000 <= bid * i128::from(self.spread_max_bp)
    }
}

impl Strategy for OrderFlowImbalance {
    fn on_quote(&mut self, context: &mut Context<'_>, quote: &Quote) {
        self.flow.update(quote, context.now_ns);
        self.act(context);
    }
    fn on_order(&mut self, context: &mut Context<'_>, _news: &OrderNews) {
        self.act(context);
    }
    fn on_timer(&mut self, context: &mut Context<'_>) {
        self.act(context);
    }
    fn on_market_cut(&mut self) {
        self.flow.reset();
    }
}

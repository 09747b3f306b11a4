//! A strategy that does what a test says, and a venue that answers at once.
#![expect(clippy::disallowed_types, reason = "a test looks into a strategy that the signal owns")]

use std::sync::{Arc, Mutex};

use interlock::event::{Action, Bar, Body, Fact, Intent, Quote, ReplyKind};
use interlock::signal::{Running, Signal};
use interlock::strategy::{Context, OrderNews, Strategy};
use interlock::types::{InstrumentId, OrderState, OrderType, Price, Qty, Side, StrategyId};

use crate::market::{Facts, Placed};

/// What a scripted strategy does on each quote and timer.
pub(crate) type Script = fn(&mut Context<'_>);

#[derive(Default)]
pub(crate) struct Heard {
    pub(crate) bars: Vec<Bar>,
    pub(crate) history: Vec<Bar>,
    pub(crate) news: Vec<OrderNews>,
    pub(crate) books: usize,
    pub(crate) cuts: usize,
}

pub(crate) struct Scripted {
    script: Script,
    interval_ns: Option<i64>,
    heard: Arc<Mutex<Heard>>,
}

impl Strategy for Scripted {
    fn bar_interval_ns(&self) -> Option<i64> {
        self.interval_ns
    }
    fn on_history(&mut self, bar: &Bar) {
        self.heard.lock().unwrap().history.push(*bar);
    }
    fn on_quote(&mut self, context: &mut Context<'_>, _quote: &Quote) {
        (self.script)(context);
    }
    fn on_book(&mut self, _context: &mut Context<'_>, _book: &interlock::types::Book) {
        self.heard.lock().unwrap().books += 1;
    }
    fn on_bar(&mut self, _context: &mut Context<'_>, bar: &Bar) {
        self.heard.lock().unwrap().bars.push(*bar);
    }
    fn on_order(&mut self, _context: &mut Context<'_>, news: &OrderNews) {
        self.heard.lock().unwrap().news.push(*news);
    }
    fn on_timer(&mut self, context: &mut Context<'_>) {
        (self.script)(context);
    }
    fn on_market_cut(&mut self) {
        self.heard.lock().unwrap().cuts += 1;
    }
}

pub(crate) fn scripted(
    id: u8,
    instrument: InstrumentId,
    interval_ns: Option<i64>,
    script: Script,
) -> (Running, Arc<Mutex<Heard>>) {
    let heard = Arc::new(Mutex::new(Heard::default()));
    let strategy = Box::new(Scripted { script, interval_ns, heard: Arc::clone(&heard) });
    (Running { id: StrategyId(id), instrument, strategy }, heard)
}

/// One scripted strategy on the first instrument.
pub(crate) fn one(script: Script) -> (Signal, Arc<Mutex<Heard>>) {
    let (running, heard) = scripted(0, crate::market::BTC, None, script);
    (Signal::new(1, &crate::market::table(), vec![running]).unwrap(), heard)
}

/// The intents that a fact causes.
pub(crate) fn caused(signal: &mut Signal, fact: &Fact) -> Vec<Intent> {
    let mut out = Vec::new();
    signal.on_fact(fact, &mut |intent| {
        out.push(*intent);
        true
    });
    out
}

/// A venue that answers every intent at once: what crosses the quote is filled, what does not waits or expires. Gives the
/// facts in which it answers.
#[derive(Default)]
pub(crate) struct Echo {
    working: Vec<(Placed, bool)>,
    trades: u64,
    pub(crate) quotes: std::collections::BTreeMap<InstrumentId, (Price, Price)>,
}

impl Echo {
    pub(crate) fn see(&mut self, fact: &Fact) {
        if let Body::Quote(quote) = &fact.body {
            self.quotes.insert(quote.instrument, (quote.bid.price, quote.ask.price));
        }
    }

    pub(crate) fn answer(&mut self, facts: &mut Facts, intent: &Intent) -> Vec<Fact> {
        match intent.action {
            Action::Place(spec) => {
                self.place(facts, Placed { client: intent.client, instrument: intent.instrument, spec })
            }
            Action::Cancel { target } => self.cancel(facts, |placed| placed.client == target),
            Action::Replace { target, spec } => {
                let mut out = self.cancel(facts, |placed| placed.client == target);
                let placed = Placed { client: intent.client, instrument: intent.instrument, spec };
                out.extend(self.place(facts, placed));
                out
            }
            Action::CancelAll => {
                let instrument = intent.instrument;
                self.cancel(facts, |placed| placed.instrument == instrument)
            }
        }
    }

    fn cancel(&mut self, facts: &mut Facts, which: impl Fn(&Placed) -> bool) -> Vec<Fact> {
        let (gone, stay) = self.working.drain(..).partition::<Vec<_>, _>(|(placed, _)| which(placed));
        self.working = stay;
        let ended =
            |(placed, _): (Placed, bool)| facts.order(&placed, OrderState::Cancelled, Qty::ZERO, false);
        gone.into_iter().map(ended).collect()
    }

    fn place(&mut self, facts: &mut Facts, placed: Placed) -> Vec<Fact> {
        let mut out = vec![
            facts.reply(ReplyKind::Sent, placed.client, false),
            facts.order(&placed, OrderState::Acknowledged, Qty::ZERO, false),
        ];
        let spec = placed.spec;
        let best = self.quotes.get(&placed.instrument).map(|&(bid, ask)| match spec.side {
            Side::Buy => (ask, spec.price >= ask),
            Side::Sell => (bid, spec.price <= bid),
        });
        match best {
            Some((at, true)) if spec.order_type != OrderType::LimitMaker => {
                self.trades += 1;
                out.push(facts.fill(&placed, at, self.trades, spec.qty, spec.qty));
            }
            _ if spec.time_in_force == interlock::types::TimeInForce::Gtc => {
                self.working.push((placed, true));
            }
            _ => out.push(facts.order(&placed, OrderState::Expired, Qty::ZERO, false)),
        }
        out
    }

    /// Fills what waits and is now crossed.
    pub(crate) fn match_waiting(&mut self, facts: &mut Facts) -> Vec<Fact> {
        let quotes = &self.quotes;
        let crossed = |placed: &Placed| {
            quotes.get(&placed.instrument).is_some_and(|&(bid, ask)| match placed.spec.side {
                Side::Buy => ask <= placed.spec.price,
                Side::Sell => bid >= placed.spec.price,
            })
        };
        let (done, stay) = self.working.drain(..).partition::<Vec<_>, _>(|(placed, _)| crossed(placed));
        self.working = stay;
        let mut out = Vec::new();
        for (placed, _) in done {
            self.trades += 1;
            out.push(facts.fill(&placed, placed.spec.price, self.trades, placed.spec.qty, placed.spec.qty));
        }
        out
    }
}

//! Moving average crossover on bars: long while the fast average is above the slow one. Long-only, as spot is.
//!
//! The cross itself is the signal: it is acted on once, at the bar that shows it. An exit, once wanted, is tried again until
//! the position is gone. The first relation of the two averages is no cross, so a start never buys at once.

use crate::event::{Bar, Claim, OrderSpec, Quote};
use crate::types::time::NS_PER_S;
use crate::types::{Cash, Instrument};

use super::context::{EXIT_RETRY_NS, has_passed, shifted};
use super::indicator::{Average, Exponential, Simple};
use super::{Context, OrderNews, ParamError, ParamSpec, Params, Strategy, StrategyEntry};

pub(super) const ENTRY: StrategyEntry = StrategyEntry {
    name: "ma_crossover",
    help: "long while the fast moving average of bar closes is above the slow one",
    params: PARAMS,
    make,
};

const PARAMS: &[ParamSpec] = &[
    ParamSpec::int("interval_s", (1, 86_400), 1, "length of a bar; must divide a day"),
    ParamSpec::choice("average", &["ema", "sma"], "kind of both averages"),
    ParamSpec::int("fast_bars", (1, 1_000), 2, "length of the fast average; below slow_bars"),
    ParamSpec::int("slow_bars", (2, 10_000), 5, "length of the slow average"),
    ParamSpec::cash("notional", (1, 1_000_000), 50, "value of an entry, in the quote currency"),
    ParamSpec::choice(
        "entry",
        &["marketable", "passive"],
        "marketable: a limit order at the ask that expires at once; passive: a post-only order at the bid",
    ),
    ParamSpec::int("margin_bp", (0, 100), 2, "how far a marketable order goes beyond the best price"),
    ParamSpec::int("entry_life_ms", (100, 3_600_000), 3_000, "a passive entry is cancelled after this long"),
    ParamSpec::int("cooldown_ms", (0, 86_400_000), 1_000, "between two entries"),
    ParamSpec::int(
        "stop_bp",
        (1, 5_000),
        100,
        "loss at which the trade has failed; what an entry is sized by",
    ),
    ParamSpec::int("gain_bp", (0, 10_000), 60, "what a trade gains on average before costs, as tested"),
    ParamSpec::int("confidence_percent", (0, 100), 60, "share of crosses that were right, as tested"),
];

fn make(params: &Params, _instrument: &Instrument) -> Result<Box<dyn Strategy>, ParamError> {
    let (fast, slow) = (params.count("fast_bars")?, params.count("slow_bars")?);
    params.require(fast < slow, "fast_bars must be below slow_bars")?;
    let interval_s = params.int("interval_s")?;
    params.require(86_400 % interval_s == 0, "interval_s must divide a day (86400)")?;
    let average = |length| -> Result<Average, ParamError> {
        Ok(match params.choice("average")? {
            "sma" => Average::Simple(Simple::new(length)),
            _ => Average::Exponential(Exponential::new(length)),
        })
    };
    Ok(Box::new(MaCrossover {
        interval_ns: interval_s * NS_PER_S,
        fast: average(fast)?,
        slow: average(slow)?,
        notional: params.cash("notional")?,
        passive: params.choice("entry")? == "passive",
        margin_bp: params.int("margin_bp")?,
        entry_life_ns: params.ms("entry_life_ms")?,
        cooldown_ns: params.ms("cooldown_ms")?,
        stop_bp: params.int("stop_bp")?,
        gain_bp: params.int("gain_bp")?,
        confidence_percent: params.int("confidence_percent")?,
        above: None,
        leaving: false,
        entered_ns: 0,
        exit_tried_ns: 0,
    }))
}

#[derive(Debug)]
struct MaCrossover {
    interval_ns: i64,
    fast: Average,
    slow: Average,
    notional: Cash,
    passive: bool,
    margin_bp: i64,
    entry_life_ns: i64,
    cooldown_ns: i64,
    stop_bp: i64,
    gain_bp: i64,
    confidence_percent: i64,
    /// Where the fast average stood when they last differed; `None` while warming up.
    above: Option<bool>,
    /// An exit is wanted until the position is gone.
    leaving: bool,
    entered_ns: i64,
    exit_tried_ns: i64,
}

impl MaCrossover {
    /// Adds a close; the new relation if the averages crossed.
    fn crossed(&mut self, bar: &Bar) -> Option<bool> {
        self.fast.update(bar.close);
        self.slow.update(bar.close);
        let (fast, slow) = (self.fast.value()?, self.slow.value()?);
        if fast == slow {
            return None;
        }
        let above = fast > slow;
        let before = self.above.replace(above);
        before.is_some_and(|before| before != above).then_some(above)
    }

    fn enter(&mut self, context: &mut Context<'_>) {
        let Some(quote) = context.quote else { return };
        let held = context.sellable(quote.bid.price).is_some();
        if held || !context.is_idle() || !has_passed(context.now_ns, self.entered_ns, self.cooldown_ns) {
            return;
        }
        let spec = if self.passive {
            context.buy_at_bid(self.notional)
        } else {
            context.buy_now(self.notional, self.margin_bp)
        };
        if let Some(spec) = spec
            && context.enter(spec, self.claim(&spec))
        {
            self.entered_ns = context.now_ns;
        }
    }

    /// What was found in tests, as configured: a cross has no strength of its own.
    fn claim(&self, spec: &OrderSpec) -> Claim {
        Claim {
            stop: shifted(spec.price, -self.stop_bp).unwrap_or_default(),
            gain_centi_bp: i32::try_from(self.gain_bp * 100).unwrap_or(0),
            confidence_bp: u16::try_from(self.confidence_percent * 100).unwrap_or(0),
        }
    }

    /// What was begun is brought to its end: an old entry is cancelled, a wanted exit tried again.
    fn tend(&mut self, context: &mut Context<'_>) {
        if context.is_idle() && !self.leaving {
            return;
        }
        let mut stale = [None; 2];
        let entries = context.working().filter(|order| !order.reduce_only);
        let old = |raised_ns| has_passed(context.now_ns, raised_ns, self.entry_life_ns);
        let ending = entries.filter(|order| self.leaving || old(order.extra.raised_ns));
        for (slot, order) in stale.iter_mut().zip(ending) {
            *slot = Some(order.client);
        }
        for client in stale.into_iter().flatten() {
            context.cancel(client);
        }
        if self.leaving && context.is_idle() {
            self.leave(context);
        }
    }

    fn leave(&mut self, context: &mut Context<'_>) {
        let Some(quote) = context.quote else { return };
        let Some(qty) = context.sellable(quote.bid.price) else {
            self.leaving = false;
            return;
        };
        if has_passed(context.now_ns, self.exit_tried_ns, EXIT_RETRY_NS)
            && let Some(spec) = context.sell_now(qty, self.margin_bp)
            && context.exit(spec)
        {
            self.exit_tried_ns = context.now_ns;
        }
    }
}

impl Strategy for MaCrossover {
    fn bar_interval_ns(&self) -> Option<i64> {
        Some(self.interval_ns)
    }
    fn on_history(&mut self, bar: &Bar) {
        self.crossed(bar);
    }
    fn on_bar(&mut self, context: &mut Context<'_>, bar: &Bar) {
        match self.crossed(bar) {
            Some(true) => {
                self.leaving = false;
                self.enter(context);
            }
            Some(false) => self.leaving = true,
            None => {}
        }
        self.tend(context);
    }
    fn on_quote(&mut self, context: &mut Context<'_>, _quote: &Quote) {
        self.tend(context);
    }
    fn on_order(&mut self, context: &mut Context<'_>, _news: &OrderNews) {
        self.tend(context);
    }
    fn on_timer(&mut self, context: &mut Context<'_>) {
        self.tend(context);
    }
}

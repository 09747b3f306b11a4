//! The limits that look beyond the single order (R-LIM-6, 7, 10; C4, C9, C16, C36): what happened lately decides what may happen
//! now. Each is a fold of facts and approvals, and a check that only compares.
//!
//! None of them binds an exit or a cancel: they hold entries back and nothing else. What they need and don't know counts
//! against the entry.

mod calm;
pub(super) mod checks;
pub(super) mod config;
mod fan_out;
mod groups;
mod moves;
mod pace;
mod repeat;
mod window;

use crate::event::{Carry, Change, Intent, OrderSpec, Quote, Tracked};
use crate::types::{
    Cash, Instrument, InstrumentId, InstrumentTable, Position, Price, Qty, Reason, StrategyId,
};

use super::config::{RiskConfig, RiskConfigError};
use calm::Calm;
use config::SymbolLimits;
use fan_out::FanOut;
use groups::Groups;
use moves::Moves;
use pace::Pace;
use repeat::Repeat;

/// What the limits keep of one instrument.
#[derive(Clone, Debug)]
pub(super) struct Own {
    pub(super) collar_bp: i64,
    pub(super) value_max: Cash,
    exposure_max: i128,
    position_max: Option<Qty>,
    calm: Calm,
    pace: Pace,
}

/// What the limits keep.
#[derive(Clone, Debug)]
pub(super) struct Lately {
    owns: Box<[Own]>,
    groups: Groups,
    moves: Moves,
    pub(super) repeat: Repeat,
    fan_out: FanOut,
    collar_period_bp: i128,
    /// Orders that were executed, at least in part (R-LIM-11).
    executed: u64,
}

impl Lately {
    pub(super) fn new(config: &RiskConfig, table: &InstrumentTable) -> Result<Self, RiskConfigError> {
        let own = |instrument: &Instrument| -> Result<Own, RiskConfigError> {
            let symbol = instrument.symbol.as_str();
            let base = table.assets().get(instrument.base.index()).map_or("", |asset| asset.as_str());
            let limits: SymbolLimits = config.symbols.get(symbol).copied().unwrap_or_default();
            let turnover = &config.turnover;
            let pace = turnover.figures(symbol, base);
            let wide = i128::from(i64::MAX);
            Ok(Own {
                collar_bp: limits.collar_bp.unwrap_or(config.collar_bp).min(config.collar_bp).into(),
                value_max: limits
                    .order_value_max
                    .unwrap_or(config.order_value_max)
                    .min(config.order_value_max),
                exposure_max: limits.exposure_max.map_or(wide, |max| max.units().into()),
                position_max: limits.position_max,
                calm: Calm::new(&config.no_trade, config.collar_period_s, symbol)?,
                pace: Pace::new(&pace, turnover.fees_centi_bp, turnover.apply.holds()),
            })
        };
        Ok(Self {
            owns: table.all().iter().map(own).collect::<Result<_, _>>()?,
            groups: Groups::new(&config.correlation, table),
            moves: Moves::new(&config.correlation, table.all().len()),
            repeat: Repeat::new(&config.repeat),
            fan_out: FanOut::new(&config.fan_out),
            collar_period_bp: config.collar_period_bp.into(),
            executed: 0,
        })
    }

    /// The limits of an instrument that is in the table.
    #[inline]
    pub(super) fn own(&self, instrument: InstrumentId) -> Result<&Own, Reason> {
        self.owns.get(instrument.index()).ok_or(Reason::UnknownInstrument)
    }
    pub(super) const fn executed(&self) -> u64 {
        self.executed
    }

    #[inline]
    pub(super) fn on_time(&mut self, now_ns: i64) {
        self.fan_out.on_time(now_ns);
    }
    #[inline]
    pub(super) fn on_quote(&mut self, quote: &Quote, now_ns: i64) {
        let Some(own) = self.owns.get_mut(quote.instrument.index()) else { return };
        own.calm.on_quote(quote.bid.price, quote.ask.price, now_ns);
        if quote.conflated {
            own.calm.on_fault(now_ns);
        }
    }
    /// Time passes: at least every 100 ms, and never with a quote. `middle` gives an instrument's last one, if it stands.
    pub(super) fn on_timer(&mut self, now_ns: i64, middle: impl Fn(usize) -> Option<Price>) {
        if self.moves.is_due(now_ns) {
            self.moves.sample(now_ns, middle);
        }
    }
    pub(super) fn on_book_status(&mut self, instrument: InstrumentId, valid: bool, now_ns: i64) {
        if let Some(own) = self.owns.get_mut(instrument.index()) {
            own.calm.on_book_status(valid, now_ns);
        }
    }
    pub(super) fn on_market_cut(&mut self, now_ns: i64) {
        for own in &mut self.owns {
            own.calm.on_cut(now_ns);
        }
    }
    #[inline]
    pub(super) fn on_exposure(&mut self, instrument: InstrumentId, delta: i128) {
        self.groups.add(instrument, delta);
    }

    /// An order's fill was booked: an execution if it is its first, and perhaps the end of a trade.
    pub(super) fn on_fill<X>(
        &mut self,
        change: &Change,
        order: &Tracked<X>,
        held: (&Position, &Instrument),
        now_ns: i64,
    ) {
        let Some(fill) = change.fill.filter(|fill| !fill.qty.is_zero()) else { return };
        if order.filled == fill.qty {
            self.executed += 1;
            if !order.reduce_only && order.strategy != StrategyId::OPERATOR {
                self.repeat.on_execution(order.strategy, now_ns);
            }
        }
        if let Some(own) = self.owns.get_mut(change.instrument.index()) {
            own.pace.on_position(held.0, held.1, now_ns);
        }
    }
    pub(super) fn on_carried(&mut self, instrument: InstrumentId, position: &Position) {
        if let Some(own) = self.owns.get_mut(instrument.index()) {
            own.pace.on_carried(position);
        }
    }

    /// What an earlier session left of decisions, executions and latches.
    pub(super) fn on_carry(&mut self, carry: &Carry) {
        match carry {
            Carry::Pace(pace) => {
                if let Some(own) = self.owns.get_mut(pace.instrument.index()) {
                    own.pace.restore(pace);
                }
            }
            Carry::Latch(latch) => self.repeat.latch(*latch),
            Carry::Executed(times) => self.repeat.restore_executed(times),
            Carry::VenueRefused(times) => self.repeat.restore_refused(times),
            Carry::Begin(_) | Carry::Net(_) | Carry::Own(_) | Carry::Account(_) | Carry::Strategy(_) => {}
        }
    }
    /// What the next session has to know of it; nothing of what is as at the beginning.
    pub(super) fn carried(&self, now_ns: i64) -> impl Iterator<Item = Carry> + '_ {
        let ids = (0u16..).map(InstrumentId);
        let paces = ids.zip(self.owns.iter()).filter_map(|(id, own)| own.pace.carried(id));
        paces.map(Carry::Pace).chain(self.repeat.carried(now_ns))
    }

    /// An entry was approved.
    pub(super) fn on_entry(&mut self, intent: &Intent, value: Cash, decision: bool, now_ns: i64) {
        self.fan_out.on_approval(intent.cause_seq, value, now_ns);
        if decision && let Some(own) = self.owns.get_mut(intent.instrument.index()) {
            own.pace.on_decision(now_ns);
        }
    }
}

/// Whether an order would leave the position within a bound of its quantity, everything on its side filled.
fn within(position: Qty, working: Qty, spec: &OrderSpec, max: Qty) -> bool {
    let added = i128::from(working.units()) + i128::from(spec.qty.units());
    let after = i128::from(position.units()) + added * i128::from(spec.side.sign());
    // What only brings a position nearer to flat is within every bound.
    after.abs() <= i128::from(max.units()) || after.abs() <= i128::from(position.units()).abs()
}

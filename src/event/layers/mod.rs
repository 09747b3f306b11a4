//! What do fills, prices and time say of our losses? The one fold behind the protective layers, shared by signal (which
//! sizes and closes by it), risk (which refuses by it) and the cold fold that rebuilds it from a journal, so that no two of
//! them can disagree.
//!
//! Money: the *result* is what was realised less fees, and what open positions would bring at the middle of the last quote;
//! equity is the configured capital and the result. Everything is measured in results, so that a changed capital moves no
//! peak. Sums that leave their range stay at its end, on the losing side.
//!
//! | layer | what it does | how it ends |
//! |---|---|---|
//! | L1 trade risk | an entry may lose at most a share of equity (checked by risk) | with the order |
//! | L2 daily loss | no entries, what works is cancelled | at midnight UTC, never earlier |
//! | L3 circuit breaker | a strategy with so many losses in a row enters nothing | a named person enables it |
//! | L4 emergency stop | everything stops, positions are closed | a named person resets it |
//! | capital preservation | smaller entries by drawdown, none in lockdown | by itself, after hours without a new low |
//! | weights | a strategy's size; moves by a step a day | - |
//! | ramp | entries a day, tighter L1 and L2 | another stage is another configuration |
//!
//! What it refuses: to lower anything by hand that is to recover by itself, and to forget anything at a restart.

mod account;
mod config;
mod streak;

use crate::event::{CarriedAccount, CarriedStrategy, Carry, Change, Command, CommandKind, Fill, Tracked};
use crate::limits::STRATEGIES_MAX;
use crate::types::time::NS_PER_DAY;
use crate::types::{Cash, Instrument, InstrumentId, Position, Price, StrategyId, TradeId};

use account::Account;
use streak::Streaks;

pub use account::{Level, Mark};
pub use config::{FULL_BP, LayersConfig, LayersError, PreservationConfig, RampConfig, RampStage};

/// What came about since it was last asked for; each is told once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Alarm {
    /// L2 acted: cancel what works.
    pub day_stop: bool,
    /// L4 acted: trip, and close if configured.
    pub emergency: bool,
}

/// A fill as the layers need it.
#[derive(Clone, Copy, Debug)]
pub struct Booking<'a> {
    /// Whose position it changes.
    pub owner: StrategyId,
    /// On what.
    pub instrument: &'a Instrument,
    /// The fill.
    pub fill: &'a Fill,
    /// The venue's number of it.
    pub trade: TradeId,
    /// Whether it is the first of an order that may add to a position: one entry of the day.
    pub starts_entry: bool,
}

/// The fold.
#[derive(Clone, Debug)]
pub struct Layers {
    account: Account,
    streaks: Streaks,
    flatten_on_emergency: bool,
    trade_bp: u32,
    weight_step_bp: u32,
    entries_max: Option<u32>,
    /// Nothing that time alone brings about happens before this.
    next_look_ns: i64,
    alarm: Alarm,
}

impl Layers {
    /// For the instruments of a session.
    pub fn new(config: &LayersConfig, instruments: usize) -> Self {
        Self {
            account: Account::new(config, instruments),
            streaks: Streaks::new(config, instruments),
            flatten_on_emergency: config.flatten_on_emergency,
            trade_bp: config.trade_bp(),
            weight_step_bp: config.weight_step_bp,
            entries_max: config.entries_max(),
            next_look_ns: i64::MIN,
            alarm: Alarm::default(),
        }
    }

    /// What an earlier session left.
    pub fn on_carry(&mut self, carry: &Carry) {
        match carry {
            Carry::Net(net) => self.account.restore(net),
            Carry::Own(own) => self.streaks.restore(own),
            Carry::Account(account) => {
                self.account.restore_account(account);
                // It outlives the process: whatever was begun is begun again.
                self.alarm.emergency |= account.emergency;
            }
            Carry::Strategy(strategy) => self.streaks.restore_strategy(strategy),
            // The head; and what is risk's own.
            Carry::Begin(_)
            | Carry::Pace(_)
            | Carry::Latch(_)
            | Carry::Executed(_)
            | Carry::VenueRefused(_) => {}
        }
        self.next_look_ns = i64::MIN;
    }

    /// Time has come this far. Cheap unless something is due.
    #[inline]
    pub fn on_time(&mut self, now_ns: i64) {
        if now_ns >= self.next_look_ns {
            self.look(now_ns);
        }
    }

    #[cold]
    fn look(&mut self, now_ns: i64) {
        let day = day_of(now_ns);
        if self.account.begin_day(day) {
            self.streaks.begin_day(day, self.weight_step_bp);
        }
        self.account.recover(now_ns);
        self.settle(now_ns);
        let midnight_ns = i64::from(day + 1).saturating_mul(NS_PER_DAY);
        self.next_look_ns = midnight_ns.min(self.account.next_look_ns(now_ns));
    }

    /// The middle of a quote.
    #[inline]
    pub fn on_middle(&mut self, instrument: InstrumentId, middle: Price, now_ns: i64) {
        if self.account.mark(instrument, middle) {
            self.settle(now_ns);
        }
    }

    /// An order's change: books its fill, if it has one.
    pub fn on_change<X>(
        &mut self,
        (change, trade): (&Change, TradeId),
        order: &Tracked<X>,
        owner: StrategyId,
        instrument: &Instrument,
        now_ns: i64,
    ) {
        let Some(fill) = &change.fill else { return };
        // What the venue told of first is nobody's.
        let owner = if order.adopted { StrategyId::OPERATOR } else { owner };
        let first = order.filled == fill.qty && !fill.qty.is_zero();
        let starts_entry = first && !order.reduce_only;
        self.book(&Booking { owner, instrument, fill, trade, starts_entry }, now_ns);
    }

    /// Books a fill.
    pub fn book(&mut self, booking: &Booking<'_>, now_ns: i64) {
        self.on_time(now_ns);
        if let Some(ended) = self.streaks.book(booking) {
            self.account.count_trade(ended);
        }
        self.account.book(booking);
        self.settle(now_ns);
    }

    fn settle(&mut self, now_ns: i64) {
        let alarm = self.account.settle(now_ns);
        self.alarm.day_stop |= alarm.day_stop;
        self.alarm.emergency |= alarm.emergency;
        if self.account.is_confirming() || self.account.level() != Level::Normal {
            self.next_look_ns = self.next_look_ns.min(self.account.next_look_ns(now_ns));
        }
    }

    /// What came about, once.
    #[inline]
    pub const fn take_alarm(&mut self) -> Alarm {
        core::mem::replace(&mut self.alarm, Alarm { day_stop: false, emergency: false })
    }

    /// What people decided about layers: a reset of L4, a strategy's switch.
    pub fn on_command(&mut self, command: &Command, now_ns: i64) {
        match command.kind {
            CommandKind::ResetEmergency => {
                self.account.reset_emergency();
                self.settle(now_ns);
                self.next_look_ns = i64::MIN;
            }
            CommandKind::EnableStrategy => self.streaks.enable(command.strategy),
            CommandKind::DisableStrategy => self.streaks.disable(command.strategy),
            _ => {}
        }
    }

    /// Whether L4 closes positions.
    pub const fn flattens(&self) -> bool {
        self.flatten_on_emergency
    }

    /// Whether L4 is in force.
    #[inline]
    pub const fn is_emergency(&self) -> bool {
        self.account.holds_emergency()
    }
    /// Whether L2 is in force.
    #[inline]
    pub const fn is_day_stopped(&self) -> bool {
        self.account.holds_day()
    }
    /// Whether a strategy is disabled by L3, or by a person.
    #[inline]
    pub fn is_disabled(&self, strategy: StrategyId) -> bool {
        self.streaks.is_disabled(strategy)
    }
    /// The preservation level.
    #[inline]
    pub const fn level(&self) -> Level {
        self.account.level()
    }
    /// What one entry may lose now (L1, ramp); never negative.
    #[inline]
    pub fn trade_risk_max(&self) -> Cash {
        let equity = i128::from(self.account.equity()).max(0);
        Cash::from_units(i64::try_from(equity * i128::from(self.trade_bp) / 10_000).unwrap_or(i64::MAX))
    }
    /// Size of entries at the preservation level, in percent.
    pub fn size_percent(&self) -> u32 {
        self.account.size_percent()
    }
    /// Size of a strategy's entries, in hundredths of a percent of what it asks for: weight and preservation together.
    #[inline]
    pub fn size_bp(&self, strategy: StrategyId) -> u32 {
        self.streaks.weight_bp(strategy) * self.account.size_percent() / 100
    }
    /// Entries that the ramp still lets in today, of which `unfilled` work already; `None` = no bound.
    #[inline]
    pub const fn entries_left(&self) -> Option<u32> {
        match self.entries_max {
            None => None,
            Some(max) => Some(max.saturating_sub(self.account.day_entries())),
        }
    }

    /// The account, as it is carried over.
    pub fn account(&self) -> CarriedAccount {
        self.account.carried()
    }
    /// Equity: capital and result.
    pub const fn equity(&self) -> Cash {
        Cash::from_units(self.account.equity())
    }
    /// What the day has brought so far.
    pub const fn day_result(&self) -> Cash {
        self.account.day_result()
    }
    /// What the day may lose.
    pub const fn day_loss_max(&self) -> Cash {
        self.account.day_loss_max()
    }
    /// Drawdown from the peak, in hundredths of a percent.
    pub fn drawdown_bp(&self) -> u32 {
        self.account.drawdown_bp()
    }
    /// Each strategy's state, by id, as it is carried over.
    pub fn strategies(&self) -> impl Iterator<Item = CarriedStrategy> + '_ {
        self.streaks.carried()
    }
    /// A strategy's own position on an instrument, and the result when its open trade began.
    pub fn own(&self, strategy: StrategyId, instrument: InstrumentId) -> Option<(Position, Cash)> {
        self.streaks.own(strategy, instrument)
    }
    /// The net position on an instrument.
    pub fn net(&self, instrument: InstrumentId) -> Option<Mark> {
        self.account.net(instrument)
    }
}

/// The day of a time, counted from the epoch, UTC.
pub fn day_of(ns: i64) -> i32 {
    i32::try_from(ns.div_euclid(NS_PER_DAY)).unwrap_or(i32::MAX - 1)
}

const _: () = assert!(STRATEGIES_MAX < 255, "255 is the operator, who has no streak");

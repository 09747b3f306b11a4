//! The account's result and what is measured on it: the day (L2), the drawdown (L4), capital preservation.

use crate::event::layers::config::{LayersConfig, PreservationConfig};
use crate::event::layers::{Alarm, Booking};
use crate::event::{CarriedAccount, CarriedPosition};
use crate::types::time::{NS_PER_MS, NS_PER_S};
use crate::types::{Cash, InstrumentId, Position, Price, TradeId};

/// Capital preservation (R-LIM-8).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
#[repr(u8)]
pub enum Level {
    /// Full size.
    #[default]
    Normal = 0,
    /// A drawdown has begun.
    Cautious = 1,
    /// It goes on.
    Defensive = 2,
    /// Hardly any new risk.
    Crisis = 3,
    /// None.
    Lockdown = 4,
}

impl Level {
    /// Every level, in order.
    pub const ALL: [Self; 5] = [Self::Normal, Self::Cautious, Self::Defensive, Self::Crisis, Self::Lockdown];

    /// From a stored number; what is unknown is lockdown.
    pub const fn of(number: u8) -> Self {
        match number {
            0 => Self::Normal,
            1 => Self::Cautious,
            2 => Self::Defensive,
            3 => Self::Crisis,
            _ => Self::Lockdown,
        }
    }
    /// As shown.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Cautious => "cautious",
            Self::Defensive => "defensive",
            Self::Crisis => "crisis",
            Self::Lockdown => "lockdown",
        }
    }
}

/// An instrument's net position as it is valued.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    /// The position.
    pub position: Position,
    /// The middle that it was last valued at; zero before the first.
    pub price: Price,
    /// The venue's highest trade number booked in it.
    pub last_trade: TradeId,
    /// Its part of the result.
    part: i64,
}

/// A drawdown that was served raises the level again only when it is deeper by this.
const RELAPSE_BP: u32 = 100;
const HOUR_NS: i64 = 3_600 * NS_PER_S;

/// The account.
#[derive(Clone, Debug)]
pub(super) struct Account {
    capital: i64,
    day_bp: i64,
    day_max: i64,
    drawdown_bp: i64,
    confirm_ns: i64,
    preservation: PreservationConfig,
    marks: Box<[Mark]>,
    settled: i64,
    result: i64,
    peak: i64,
    /// Lowest result since the peak.
    worst: i64,
    day: i32,
    day_start: i64,
    day_entries: u32,
    trades: u32,
    day_stopped: bool,
    emergency: bool,
    level: Level,
    level_ns: i64,
    served_bp: u32,
    /// At or below this result the day is over ...
    day_floor: i64,
    /// ... and here everything.
    emergency_floor: i64,
    /// Since when the day's loss, or the drawdown, is there without having been confirmed; 0 = it is not.
    day_since_ns: i64,
    emergency_since_ns: i64,
}

impl Account {
    pub(super) fn new(config: &LayersConfig, instruments: usize) -> Self {
        let mut account = Self {
            capital: config.capital.units(),
            day_bp: i64::from(config.day_bp()),
            day_max: if config.daily_loss_max.is_zero() { i64::MAX } else { config.daily_loss_max.units() },
            drawdown_bp: i64::from(config.drawdown_bp),
            confirm_ns: i64::from(config.confirm_ms) * NS_PER_MS,
            preservation: config.preservation.clone(),
            marks: vec![Mark::default(); instruments].into_boxed_slice(),
            settled: 0,
            result: 0,
            peak: 0,
            worst: 0,
            day: i32::MIN,
            day_start: 0,
            day_entries: 0,
            trades: 0,
            day_stopped: false,
            emergency: false,
            level: Level::Normal,
            level_ns: 0,
            served_bp: 0,
            day_floor: i64::MIN,
            emergency_floor: i64::MIN,
            day_since_ns: 0,
            emergency_since_ns: 0,
        };
        account.set_floors();
        account
    }

    pub(super) fn restore(&mut self, net: &CarriedPosition) {
        let Some(mark) = self.marks.get_mut(net.instrument.index()) else { return };
        mark.position = net.position.into();
        (mark.price, mark.last_trade) = (net.mark, net.last_trade);
        self.value(net.instrument);
    }

    pub(super) fn restore_account(&mut self, carried: &CarriedAccount) {
        self.settled = carried.settled.units();
        self.peak = carried.peak.units();
        self.worst = carried.worst.units();
        self.day = carried.day;
        self.day_start = carried.day_start.units();
        (self.day_entries, self.trades) = (carried.day_entries, carried.trades);
        (self.day_stopped, self.emergency) = (carried.day_stopped, carried.emergency);
        (self.level, self.level_ns) = (Level::of(carried.preservation), carried.preservation_ns);
        self.served_bp = carried.served_bp;
        self.sum();
        self.set_floors();
    }

    pub(super) fn carried(&self) -> CarriedAccount {
        let cash = Cash::from_units;
        CarriedAccount {
            settled: cash(self.settled),
            result: cash(self.result),
            peak: cash(self.peak),
            worst: cash(self.worst),
            day: self.day,
            day_start: cash(self.day_start),
            day_entries: self.day_entries,
            trades: self.trades,
            day_stopped: self.day_stopped,
            emergency: self.emergency,
            preservation: self.level as u8,
            preservation_ns: self.level_ns,
            served_bp: self.served_bp,
        }
    }

    /// Values an instrument at a new middle; whether the result changed.
    #[inline]
    pub(super) fn mark(&mut self, instrument: InstrumentId, middle: Price) -> bool {
        let Some(mark) = self.marks.get_mut(instrument.index()) else { return false };
        if mark.price == middle {
            return false;
        }
        mark.price = middle;
        if mark.position.qty.is_zero() {
            return false;
        }
        let before = self.result;
        self.value(instrument);
        self.result != before
    }

    /// Brings an instrument's part of the result up to date.
    fn value(&mut self, instrument: InstrumentId) {
        let Some(mark) = self.marks.get_mut(instrument.index()) else { return };
        let position = &mark.position;
        let open = if mark.price.is_zero() { Cash::ZERO } else { position.unrealised(mark.price) };
        let part = position.realised().units().saturating_sub(position.fees.units());
        let part = part.saturating_add(open.units());
        // Parts saturate each by itself; their sum is rebuilt where it can't be moved.
        let before = core::mem::replace(&mut mark.part, part);
        if let Some(result) = self.result.checked_sub(before).and_then(|rest| rest.checked_add(part)) {
            self.result = result;
        } else {
            self.sum();
        }
    }

    fn sum(&mut self) {
        let sum: i128 = self.marks.iter().map(|mark| i128::from(mark.part)).sum();
        let sum = sum + i128::from(self.settled);
        self.result = i64::try_from(sum).unwrap_or(if sum < 0 { i64::MIN } else { i64::MAX });
    }

    pub(super) fn book(&mut self, booking: &Booking<'_>) {
        self.day_entries = self.day_entries.saturating_add(u32::from(booking.starts_entry));
        let id = booking.instrument.id;
        let Some(mark) = self.marks.get_mut(id.index()) else { return };
        // A sum that left its range stays as it was; risk freezes the instrument over the same fill.
        let _overflow = booking.fill.book(&mut mark.position, booking.instrument);
        mark.last_trade = mark.last_trade.max(booking.trade);
        if mark.price.is_zero() {
            mark.price = booking.fill.price;
        }
        self.value(id);
    }

    pub(super) const fn count_trade(&mut self, count: u32) {
        self.trades = self.trades.saturating_add(count);
    }

    /// A new day: what the last one lost is over. Whether it is new.
    pub(super) fn begin_day(&mut self, day: i32) -> bool {
        // A clock that goes back a day gives no second chance.
        if day <= self.day {
            return false;
        }
        self.day = day;
        self.day_start = self.result;
        (self.day_entries, self.day_stopped, self.day_since_ns) = (0, false, 0);
        self.set_floors();
        true
    }

    fn set_floors(&mut self) {
        let share = |base: i64, bp: i64| {
            let equity = (i128::from(self.capital) + i128::from(base)).max(0);
            i64::try_from(equity * i128::from(bp) / 10_000).unwrap_or(i64::MAX)
        };
        let day = share(self.day_start, self.day_bp).min(self.day_max);
        self.day_floor = self.day_start.saturating_sub(day);
        self.emergency_floor = self.peak.saturating_sub(share(self.peak, self.drawdown_bp));
    }

    /// Looks at the result: peak, lows, floors.
    #[inline]
    pub(super) fn settle(&mut self, now_ns: i64) -> Alarm {
        if self.result > self.peak {
            self.rise();
        } else if self.result < self.worst {
            self.sink(now_ns);
        }
        let mut alarm = Alarm::default();
        if self.result <= self.day_floor || self.day_since_ns != 0 {
            alarm.day_stop = self.judge_day(now_ns);
        }
        if self.result <= self.emergency_floor || self.emergency_since_ns != 0 {
            alarm.emergency = self.judge_emergency(now_ns);
        }
        alarm
    }

    /// A new peak: whatever drawdown there was is over. A level that is in force still takes its hours.
    fn rise(&mut self) {
        (self.peak, self.worst) = (self.result, self.result);
        if self.level == Level::Normal {
            self.served_bp = 0;
        }
        self.set_floors();
    }

    /// A new low: the time of recovery begins anew, and the level may rise.
    fn sink(&mut self, now_ns: i64) {
        self.worst = self.result;
        let drawdown = self.drawdown_bp();
        if drawdown < self.preservation.drawdown_bp[0] {
            return;
        }
        self.level_ns = now_ns;
        let served = self.served_bp;
        if served > 0 && drawdown < served.saturating_add(RELAPSE_BP) {
            return;
        }
        let reached = self.preservation.drawdown_bp.iter().filter(|&&from| drawdown >= from).count();
        self.level = self.level.max(Level::of(u8::try_from(reached).unwrap_or(u8::MAX)));
    }

    fn judge_day(&mut self, now_ns: i64) -> bool {
        let stands =
            confirmed(self.result <= self.day_floor, &mut self.day_since_ns, now_ns, self.confirm_ns);
        let acts = stands && !self.day_stopped;
        self.day_stopped |= stands;
        acts
    }

    fn judge_emergency(&mut self, now_ns: i64) -> bool {
        let breached = self.result <= self.emergency_floor;
        let stands = confirmed(breached, &mut self.emergency_since_ns, now_ns, self.confirm_ns);
        let acts = stands && !self.emergency;
        self.emergency |= stands;
        acts
    }

    pub(super) fn reset_emergency(&mut self) {
        self.emergency = false;
        self.emergency_since_ns = 0;
        // From here the drawdown is measured anew; preservation keeps what it knows of the old one.
        self.peak = self.result;
        self.worst = self.result;
        self.set_floors();
    }

    /// One level down, when its hours have passed without a new low.
    pub(super) fn recover(&mut self, now_ns: i64) {
        let Some(hours) = self.hours() else { return };
        if now_ns.saturating_sub(self.level_ns) >= hours.saturating_mul(HOUR_NS) {
            self.level = Level::of(self.level as u8 - 1);
            self.level_ns = now_ns;
            self.served_bp = self.served_bp.max(self.drawdown_of(self.worst));
        }
    }

    fn hours(&self) -> Option<i64> {
        let at = (self.level as usize).checked_sub(1)?;
        self.preservation.recovery_h.get(at).map(|&hours| i64::from(hours))
    }

    /// When time alone may bring something about.
    pub(super) fn next_look_ns(&self, now_ns: i64) -> i64 {
        let recovery = self.hours().map(|hours| self.level_ns.saturating_add(hours.saturating_mul(HOUR_NS)));
        let confirm =
            if self.is_confirming() { now_ns.saturating_add(self.confirm_ns / 8) } else { i64::MAX };
        recovery.unwrap_or(i64::MAX).min(confirm)
    }

    #[inline]
    pub(super) const fn is_confirming(&self) -> bool {
        (self.day_since_ns != 0 && !self.day_stopped) || (self.emergency_since_ns != 0 && !self.emergency)
    }

    #[inline]
    pub(super) const fn holds_emergency(&self) -> bool {
        self.emergency || self.emergency_since_ns != 0
    }
    #[inline]
    pub(super) const fn holds_day(&self) -> bool {
        self.day_stopped || self.day_since_ns != 0
    }
    #[inline]
    pub(super) const fn level(&self) -> Level {
        self.level
    }
    #[inline]
    pub(super) fn size_percent(&self) -> u32 {
        match (self.level as usize).checked_sub(1) {
            None => 100,
            Some(at) => self.preservation.size_percent.get(at).copied().unwrap_or(0),
        }
    }
    #[inline]
    pub(super) const fn equity(&self) -> i64 {
        self.capital.saturating_add(self.result)
    }
    pub(super) const fn day_entries(&self) -> u32 {
        self.day_entries
    }
    pub(super) const fn day_result(&self) -> Cash {
        Cash::from_units(self.result.saturating_sub(self.day_start))
    }
    pub(super) const fn day_loss_max(&self) -> Cash {
        Cash::from_units(self.day_start.saturating_sub(self.day_floor))
    }
    pub(super) fn drawdown_bp(&self) -> u32 {
        self.drawdown_of(self.result)
    }
    /// Drawdown at a result, rounded against us; whatever there is when nothing was left at the peak is all of it.
    fn drawdown_of(&self, result: i64) -> u32 {
        let lost = i128::from(self.peak) - i128::from(result);
        let equity = i128::from(self.capital) + i128::from(self.peak);
        if lost <= 0 {
            return 0;
        }
        if equity <= 0 {
            return 10_000;
        }
        u32::try_from((lost * 10_000 + equity - 1) / equity).unwrap_or(u32::MAX)
    }
    pub(super) fn net(&self, instrument: InstrumentId) -> Option<Mark> {
        self.marks.get(instrument.index()).copied()
    }
}

/// Whether something that is so now has been so for as long as it must. `since_ns` is 0 while it is not so.
fn confirmed(is_so: bool, since_ns: &mut i64, now_ns: i64, confirm_ns: i64) -> bool {
    if !is_so {
        *since_ns = 0;
        return false;
    }
    if *since_ns == 0 {
        *since_ns = now_ns.max(1);
    }
    now_ns.saturating_sub(*since_ns) >= confirm_ns
}

//! What the gateway does of its own accord: reading account and open orders at each start of the session, carrying out a
//! halt until the venue says that nothing is open, asking about orders whose outcome is unknown, reconciling.
//!
//! All of it is pulled: [`Upkeep::next_request`] names the next request that is due, and the stage sends it from the
//! reserved share of the budgets. Nothing here ends by a timer; timers only say when to ask again.
//!
//! The rule of a halt at cancel-all or above: cancel all on every instrument that may have an order open, list what is
//! open, again at a growing pace (at most [`PAUSE_LONGEST_NS`]) until the venue answers an empty list that was asked for when no
//! order of ours could still arrive (its receive window is over, or its outcome known). Only then is the halt silent.

use crate::event::fact::LinkId;
use crate::event::{Command, CommandKind, LinkStatus};
use crate::gateway::door::Request;
use crate::gateway::table::OrderTable;
use crate::limits::INSTRUMENTS_MAX;
use crate::shared::{HaltLevel, HaltView};
use crate::types::order::OrderState;
use crate::types::time::NS_PER_S;
use crate::types::{InstrumentId, Now, Reason};

/// Longest pause between two rounds of a sweep, or two asks of the same thing. A list of all open orders costs 80 of the
/// venue's 6,000 a minute.
pub const PAUSE_LONGEST_NS: i64 = 2 * NS_PER_S;

/// Something that is asked of the venue, again until it is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ask {
    wanted: bool,
    outstanding: Option<Now>,
    /// When the last answered one was asked.
    answered: Option<Now>,
    next_mono_ns: i64,
    pause_ns: i64,
    first_ns: i64,
    timeout_ns: i64,
}

impl Ask {
    const fn new(first_ns: i64, timeout_ns: i64) -> Self {
        Self {
            wanted: false,
            outstanding: None,
            answered: None,
            next_mono_ns: i64::MIN,
            pause_ns: first_ns,
            first_ns,
            timeout_ns,
        }
    }
    /// Asks as soon as the pace allows.
    pub fn want(&mut self, now: Now) {
        if !self.wanted {
            self.wanted = true;
            self.next_mono_ns = self.next_mono_ns.min(now.mono_ns + self.pause_ns);
        }
    }
    fn want_at_once(&mut self, now: Now) {
        self.wanted = true;
        self.pause_ns = self.first_ns;
        self.next_mono_ns = now.mono_ns;
    }
    fn is_due(&self, now: Now) -> bool {
        let is_free = self.outstanding.is_none_or(|at| now.mono_ns - at.mono_ns >= self.timeout_ns);
        self.wanted && is_free && now.mono_ns >= self.next_mono_ns
    }
    fn asked(&mut self, now: Now) {
        self.outstanding = Some(now);
        self.next_mono_ns = now.mono_ns + self.pause_ns;
        self.pause_ns = (self.pause_ns * 2).min(PAUSE_LONGEST_NS);
    }
    /// The answer came.
    pub fn answered(&mut self, _now: Now) {
        self.answered = self.outstanding.take();
        self.wanted = false;
    }
    fn failed(&mut self) {
        self.outstanding = None;
    }
    fn reset(&mut self) {
        *self = Self::new(self.first_ns, self.timeout_ns);
    }
    fn answered_since(&self, mono_ns: i64) -> bool {
        self.answered.is_some_and(|at| at.mono_ns >= mono_ns)
    }
}

/// A halt that is being carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Sweep {
    epoch: u64,
    since_mono_ns: i64,
    /// Instruments that are to be cancelled in this round, as bits.
    cancels: u32,
}

/// A reconcile under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Reconcile {
    epoch: u64,
    since_mono_ns: i64,
}

/// The order session, as the engine sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Session {
    Down,
    /// Logged on; account and open orders are being read.
    Starting { since_mono_ns: i64 },
    Up,
}

/// What the gateway does by itself.
#[derive(Debug)]
pub struct Upkeep {
    session: Session,
    /// Balances.
    pub account: Ask,
    /// Everything that is open.
    pub listing: Ask,
    /// Number of the listing whose answer is being read or was read last.
    generation: u32,
    in_listing: bool,
    /// Instruments on which the running listing named an open order, and those on which one may have come to stand since.
    open_on: u32,
    sweep: Option<Sweep>,
    swept_epoch: Option<u64>,
    reconcile: Option<Reconcile>,
    seen: Option<(u64, HaltLevel)>,
    cancel_command: u32,
    query_cursor: usize,
}

/// What [`Upkeep::settle`] found to have come about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settled {
    /// The session may be used for orders from now on.
    pub session_up: bool,
    /// This halt epoch is silent; nanoseconds since it was seen.
    pub silent: Option<(u64, i64)>,
    /// Our orders were found to agree with the venue's within this halt epoch.
    pub reconciled: Option<u64>,
}

impl Upkeep {
    /// With nothing known. `pause_ns` is the first pause between two asks, `timeout_ns` how long an answer may take.
    pub fn new(pause_ns: i64, timeout_ns: i64) -> Self {
        let ask = Ask::new(pause_ns, timeout_ns);
        Self {
            session: Session::Down,
            account: ask,
            listing: ask,
            generation: 0,
            in_listing: false,
            open_on: 0,
            sweep: None,
            swept_epoch: None,
            reconcile: None,
            seen: None,
            cancel_command: 0,
            query_cursor: 0,
        }
    }

    /// Whether orders may use the session.
    #[inline]
    pub const fn is_session_up(&self) -> bool {
        matches!(self.session, Session::Up)
    }

    /// Whether a halt is being carried out: the session must come back fast.
    pub const fn is_sweeping(&self) -> bool {
        self.sweep.is_some()
    }

    /// Number of the current listing.
    pub const fn generation(&self) -> u32 {
        self.generation
    }

    /// The page was read. `true`: a state that was not seen before.
    #[inline]
    pub fn watch(&mut self, view: HaltView, table: &OrderTable, now: Now) -> bool {
        if self.seen == Some((view.epoch, view.level)) {
            return false;
        }
        self.seen_anew(view, table, now);
        true
    }

    #[cold]
    fn seen_anew(&mut self, view: HaltView, table: &OrderTable, now: Now) {
        self.seen = Some((view.epoch, view.level));
        if view.level >= HaltLevel::CancelAll {
            self.start_sweep(view.epoch, table, now);
        } else {
            self.sweep = None; // armed again: whoever armed saw it silent, or chose to
        }
        if view.is_tripped() {
            self.start_reconcile(view.epoch, now);
        } else {
            self.reconcile = None;
        }
    }

    fn start_sweep(&mut self, epoch: u64, table: &OrderTable, now: Now) {
        let since_mono_ns = match self.sweep {
            Some(sweep) => sweep.since_mono_ns,
            None => now.mono_ns,
        };
        let open = table.iter().filter(|live| live.may_be_open()).fold(0, |bits, live| bits | bit(live.instrument));
        self.sweep = Some(Sweep { epoch, since_mono_ns, cancels: open | self.open_on });
        self.listing.want_at_once(now);
    }

    fn start_reconcile(&mut self, epoch: u64, now: Now) {
        self.reconcile = Some(Reconcile { epoch, since_mono_ns: now.mono_ns });
        self.account.want(now);
        self.listing.want(now);
    }

    /// Logged on: read everything before orders may use the session.
    pub fn session_ready(&mut self, now: Now) {
        self.session = Session::Starting { since_mono_ns: now.mono_ns };
        self.account.reset();
        self.listing.reset();
        self.account.want_at_once(now);
        self.listing.want_at_once(now);
    }

    /// The session is gone. The status that the line is to hear.
    pub fn session_lost(&mut self, reason: Reason, attempts: u32) -> Option<LinkStatus> {
        self.session = Session::Down;
        self.in_listing = false;
        self.account.failed();
        self.listing.failed();
        Some(LinkStatus { link: LinkId::Orders, up: false, reason, attempts })
    }

    /// A private stream that comes back may have missed fills.
    pub fn link_changed(&mut self, status: &LinkStatus, now: Now) {
        if status.link == LinkId::Account && status.up {
            self.account.want(now);
            self.listing.want(now);
        }
    }

    /// The operator wants something.
    pub fn command(&mut self, command: &Command, now: Now) {
        match command.kind {
            CommandKind::Reconcile => {
                let epoch = self.seen.map_or(0, |(epoch, _)| epoch);
                self.start_reconcile(epoch, now);
            }
            CommandKind::CancelAll => {
                let all = command.instrument == crate::event::command::ALL_INSTRUMENTS;
                self.cancel_command |= if all { u32::MAX } else { bit(command.instrument) };
                self.listing.want(now);
            }
            _ => {}
        }
    }

    /// An answer to the listing begins.
    pub fn listing_begins(&mut self) {
        self.generation = self.generation.wrapping_add(1);
        self.in_listing = true;
        self.open_on = 0;
    }

    /// A listing, or a query, named an order.
    pub fn listed(&mut self, instrument: InstrumentId, state: OrderState) {
        if state.may_be_open() {
            self.open_on |= bit(instrument);
        }
    }

    /// An order came into the venue's book. If the halt was silent already, it is not any more.
    pub fn order_opened(&mut self, instrument: InstrumentId) {
        self.open_on |= bit(instrument);
        if self.sweep.is_none() && self.swept_epoch.is_some() && self.is_halted() {
            self.swept_epoch = None;
        }
    }

    fn is_halted(&self) -> bool {
        self.seen.is_some_and(|(_, level)| level >= HaltLevel::CancelAll)
    }

    /// The listing is complete. When it was asked for (wall clock); `None` if nobody had asked.
    pub fn listing_ended(&mut self, count: usize, now: Now) -> Option<i64> {
        self.in_listing = false;
        self.listing.answered(now);
        let asked = self.listing.answered?;
        if let Some(sweep) = &mut self.sweep {
            if asked.mono_ns >= sweep.since_mono_ns {
                sweep.cancels = self.open_on;
                if count > 0 {
                    self.listing.want(now);
                }
            }
        }
        self.last_count = count;
        Some(asked.ns)
    }

    /// A query failed: everything that is wanted is asked again at its pace.
    pub fn query_failed(&mut self, _now: Now) {
        self.account.failed();
        self.listing.failed();
    }
}

const fn bit(instrument: InstrumentId) -> u32 {
    if instrument.index() < INSTRUMENTS_MAX { 1 << instrument.index() } else { 0 }
}

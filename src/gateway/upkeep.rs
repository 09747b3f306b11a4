//! What the gateway does of its own accord: reading account and open orders at each start of the session, carrying out a
//! halt until the venue says that nothing is open, asking about orders whose outcome is unknown, reconciling.
//!
//! All of it is pulled: [`Upkeep::next_request`] names the next request that is due, and the stage sends it from the reserved
//! share of the budgets. Nothing here ends by a timer; timers only say when to ask again.
//!
//! The rule of a halt at cancel-all or above: cancel all on every instrument that may have an order open, list what is
//! open, again at a slowing pace, until the venue answers an empty list that was asked for when no order of ours could still
//! arrive (its outcome known, or its receive window over). Only then is the halt silent.

use crate::event::fact::LinkId;
use crate::event::{Command, CommandKind, LinkStatus};
use crate::gateway::ask::Ask;
use crate::gateway::config::GatewayConfig;
use crate::gateway::door::Request;
use crate::gateway::orders::{Orders, is_accounted, may_be_open};
use crate::limits::INSTRUMENTS_MAX;
use crate::shared::{HaltLevel, HaltView};
use crate::types::time::NS_PER_MS;
use crate::types::{InstrumentId, Now};

/// After a request could not leave (budget, full socket), nothing is tried for so long.
const HOLD_NS: i64 = 20 * NS_PER_MS;

/// A halt that is being carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Sweep {
    epoch: u64,
    since_mono_ns: i64,
    /// Instruments still to be cancelled in this round, as bits.
    cancels: u32,
    /// The round's cancels were set out; its listing comes after them.
    is_round_open: bool,
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
    Starting {
        since_mono_ns: i64,
    },
    Up,
}

/// What the gateway does by itself.
#[derive(Debug)]
pub struct Upkeep {
    session: Session,
    account: Ask,
    listing: Ask,
    /// Number of the listing that was asked for last.
    generation: u32,
    /// How many orders the last complete listing named.
    listed_count: u32,
    /// Instruments on which an order was named or came to stand since the last listing was asked for.
    open_on: u32,
    sweep: Option<Sweep>,
    reconcile: Option<Reconcile>,
    seen: Option<(u64, HaltLevel)>,
    /// An order came to stand although the halt was silent.
    is_stirred: bool,
    /// Some order may have to be asked about, or owes a cancel: spares the walk over all of them otherwise.
    has_inquiries: bool,
    hold_until_mono_ns: i64,
}

/// What [`Upkeep::settle`] found to have come about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settled {
    /// The session may be used for orders from now on.
    pub session_up: bool,
    /// This halt epoch is silent, so long after it was seen.
    pub silent: Option<(u64, i64)>,
    /// Our orders were found to agree with the venue's within this halt epoch.
    pub reconciled: Option<u64>,
}

impl Upkeep {
    /// With nothing known.
    pub fn new(config: &GatewayConfig) -> Self {
        let ask = Ask::new(config.sweep_pause_ns, config.answer_timeout_ns);
        Self {
            session: Session::Down,
            account: ask,
            listing: ask,
            generation: 0,
            listed_count: 0,
            open_on: 0,
            sweep: None,
            reconcile: None,
            seen: None,
            is_stirred: false,
            has_inquiries: false,
            hold_until_mono_ns: i64::MIN,
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
    pub fn watch(&mut self, view: HaltView, now: Now) -> bool {
        if self.seen == Some((view.epoch, view.level)) {
            return false;
        }
        self.see(view, now);
        true
    }

    #[cold]
    fn see(&mut self, view: HaltView, now: Now) {
        self.seen = Some((view.epoch, view.level));
        self.is_stirred = false;
        if view.level >= HaltLevel::CancelAll {
            self.start_sweep(view.epoch, now);
        } else {
            self.sweep = None; // lowered: whoever did so had its own preconditions
        }
        if view.is_tripped() {
            self.start_reconcile(view.epoch, now);
        } else {
            self.reconcile = None;
        }
    }

    fn start_sweep(&mut self, epoch: u64, now: Now) {
        let since_mono_ns = self.sweep.map_or(now.mono_ns, |running| running.since_mono_ns);
        self.sweep = Some(Sweep { epoch, since_mono_ns, cancels: 0, is_round_open: false });
        self.listing.want_at_once(now);
    }

    fn start_reconcile(&mut self, epoch: u64, now: Now) {
        self.reconcile = Some(Reconcile { epoch, since_mono_ns: now.mono_ns });
        self.account.want();
        self.listing.want();
    }

    /// Logged on: read everything before orders may use the session.
    pub fn session_ready(&mut self, now: Now) {
        self.session = Session::Starting { since_mono_ns: now.mono_ns };
        self.account.want_at_once(now);
        self.listing.want_at_once(now);
        self.hold_until_mono_ns = i64::MIN;
    }

    /// The session is gone.
    pub fn session_lost(&mut self) {
        self.session = Session::Down;
        self.account.lost();
        self.listing.lost();
        if let Some(sweep) = &mut self.sweep {
            sweep.is_round_open = false;
        }
    }

    /// A private stream that comes back may have missed fills: a reconcile, because an answer to a question from before it came
    /// back would not tell of them (F14).
    pub fn link_changed(&mut self, status: LinkStatus, now: Now) {
        if status.link == LinkId::Account && status.up {
            let epoch = self.seen.map_or(0, |(epoch, _)| epoch);
            self.start_reconcile(epoch, now);
        }
    }

    /// The operator wants something. Cancels and closes are signal's to raise; asking the venue is ours.
    pub fn command(&mut self, command: &Command, now: Now) {
        if command.kind == CommandKind::Reconcile {
            let epoch = self.seen.map_or(0, |(epoch, _)| epoch);
            self.start_reconcile(epoch, now);
        }
    }

    /// Some order is to be asked about, or owes a cancel.
    pub fn inquire(&mut self) {
        self.has_inquiries = true;
    }

    /// A list of everything open is wanted.
    pub fn want_listing(&mut self) {
        self.listing.want();
    }

    /// The venue named an order that may be open.
    pub fn named(&mut self, instrument: InstrumentId) {
        self.open_on |= bit(instrument);
    }

    /// An order of ours came into the venue's book. If the halt was silent already, it is not any more.
    pub fn order_opened(&mut self, instrument: InstrumentId) {
        self.named(instrument);
        self.is_stirred |= self.sweep.is_none();
    }

    /// The account was read.
    pub fn account_read(&mut self) {
        self.account.answered();
        self.account.rest();
    }

    /// The listing is complete. When it was asked for; `None` if nobody had asked.
    pub fn listing_ended(&mut self, count: u32) -> Option<Now> {
        let asked = self.listing.answered()?;
        self.listed_count = count;
        if self.sweep.is_some() {
            self.listing.want(); // until `settle` finds the halt silent
        } else {
            self.listing.rest();
        }
        Some(asked)
    }

    /// A query came to nothing: what is wanted is asked again at its pace.
    pub fn query_failed(&mut self) {
        self.account.failed();
        self.listing.failed();
        if let Some(sweep) = &mut self.sweep {
            sweep.is_round_open = false;
        }
    }

    /// The next request that is due.
    pub fn next_request(&mut self, orders: &mut Orders, config: &GatewayConfig, now: Now) -> Option<Request> {
        if self.session == Session::Down || now.mono_ns < self.hold_until_mono_ns {
            return None;
        }
        if let Some(instrument) = self.next_cancel_all(orders, now) {
            return Some(Request::CancelAll(instrument));
        }
        if self.listing.is_due(now) {
            self.listing.asked(now);
            self.generation = self.generation.wrapping_add(1);
            self.open_on = 0;
            if let Some(sweep) = &mut self.sweep {
                sweep.is_round_open = false;
            }
            return Some(Request::OpenOrders);
        }
        if self.account.is_due(now) {
            self.account.asked(now);
            return Some(Request::Account);
        }
        if !self.has_inquiries {
            return None;
        }
        let (found, more) = next_inquiry(orders, config, now);
        self.has_inquiries = more;
        found
    }

    /// The next cancel of the sweep's round. A round opens when its listing falls due, so cancels are repeated at the
    /// listing's pace for as long as the venue names anything, or does not answer.
    fn next_cancel_all(&mut self, orders: &Orders, now: Now) -> Option<InstrumentId> {
        let sweep = self.sweep.as_mut()?;
        if !sweep.is_round_open {
            if !self.listing.is_due(now) {
                return None;
            }
            let live = orders.iter().filter(|live| may_be_open(live));
            sweep.cancels = live.fold(self.open_on, |bits, live| bits | bit(live.instrument));
            sweep.is_round_open = true;
        }
        if sweep.cancels == 0 {
            return None;
        }
        let at = sweep.cancels.trailing_zeros();
        sweep.cancels &= sweep.cancels - 1;
        u16::try_from(at).ok().map(InstrumentId)
    }

    /// A request that [`Upkeep::next_request`] named could not leave.
    pub fn could_not_leave(&mut self, request: &Request, orders: &mut Orders, now: Now) {
        self.hold_until_mono_ns = now.mono_ns + HOLD_NS;
        match *request {
            Request::CancelAll(instrument) => {
                if let Some(sweep) = &mut self.sweep {
                    sweep.cancels |= bit(instrument);
                }
            }
            Request::OpenOrders => self.listing.not_asked(),
            Request::Account => self.account.not_asked(),
            Request::OrderStatus { client, .. } => {
                if let Some(extra) = orders.extra_mut(client) {
                    extra.inquiry.asked_mono_ns = None;
                }
            }
            Request::Cancel { client, .. } => {
                if let Some(extra) = orders.extra_mut(client) {
                    extra.is_cancel_owed = true;
                }
                self.has_inquiries = true;
            }
            Request::Order(_) => {}
        }
    }

    /// Looks whether something has come about.
    pub fn settle(&mut self, orders: &Orders, config: &GatewayConfig, now: Now) -> Settled {
        let mut settled = Settled::default();
        if let Session::Starting { since_mono_ns } = self.session {
            let is_read = self.account.answered_since(since_mono_ns).is_some()
                && self.listing.answered_since(since_mono_ns).is_some();
            if is_read {
                self.session = Session::Up;
                settled.session_up = true;
            }
        }
        if let Some(sweep) = self.sweep {
            let asked = self.listing.answered_since(sweep.since_mono_ns).filter(|_| self.listed_count == 0);
            if asked.is_some_and(|asked| proves_silence(orders, config, asked.ns)) {
                self.sweep = None;
                self.is_stirred = false;
                self.listing.rest();
                settled.silent = Some((sweep.epoch, now.mono_ns - sweep.since_mono_ns));
            }
        } else if core::mem::take(&mut self.is_stirred)
            && let Some((epoch, HaltLevel::CancelAll | HaltLevel::Stopped)) = self.seen
        {
            self.start_sweep(epoch, now);
        }
        if let Some(reconcile) = self.reconcile {
            // An answer to a question from before the reconcile began is none to it, but it has ended the want. Without asking
            // again a reconcile that begins while a query is under way would wait for ever.
            if self.account.answered_since(reconcile.since_mono_ns).is_none() {
                self.account.want();
            }
            if self.listing.answered_since(reconcile.since_mono_ns).is_none() {
                self.listing.want();
            }
            let is_read = self.account.answered_since(reconcile.since_mono_ns).is_some()
                && self.listing.answered_since(reconcile.since_mono_ns).is_some();
            if is_read && orders.iter().all(is_accounted) {
                self.reconcile = None;
                settled.reconciled = Some(reconcile.epoch);
            }
        }
        settled
    }
}

/// Whether an empty list that was asked for at `asked_ns` proves that nothing is open: no order of ours could arrive after it.
fn proves_silence(orders: &Orders, config: &GatewayConfig, asked_ns: i64) -> bool {
    let arrival_ns = config.arrival_ns();
    !orders.iter().any(|live| {
        may_be_open(live) && (live.extra.is_confirmed || asked_ns <= live.extra.written_ns + arrival_ns)
    })
}

/// The next question about a single order, or the next cancel that is owed; and whether there is any, due or not.
fn next_inquiry(orders: &mut Orders, config: &GatewayConfig, now: Now) -> (Option<Request>, bool) {
    let (mut found, mut any) = (None, false);
    orders.for_each(|live, extra| {
        any |= extra.inquiry.is_wanted || extra.is_cancel_owed;
        if found.is_some() {
            return;
        }
        let (client, instrument) = (live.client, live.instrument);
        let inquiry = &mut extra.inquiry;
        let is_free =
            inquiry.asked_mono_ns.is_none_or(|asked| now.mono_ns - asked >= config.answer_timeout_ns);
        if !is_free || now.mono_ns < inquiry.next_mono_ns {
            return;
        }
        if inquiry.is_wanted {
            // An answer is taken as that to the first asking that has had none: never as newer evidence than it is.
            if inquiry.asked_mono_ns.is_none() {
                inquiry.asked_ns = now.ns;
            }
            inquiry.asked_mono_ns = Some(now.mono_ns);
            found = Some(Request::OrderStatus { client, instrument });
        } else if extra.is_cancel_owed && live.state.may_be_open() {
            extra.is_cancel_owed = false;
            found = Some(Request::Cancel { client, instrument });
        } else {
            return;
        }
        inquiry.pause_ns = (inquiry.pause_ns * 2).clamp(config.query_first_ns, config.query_longest_ns);
        inquiry.next_mono_ns = now.mono_ns + inquiry.pause_ns;
    });
    (found, any)
}

const fn bit(instrument: InstrumentId) -> u32 {
    if instrument.index() < INSTRUMENTS_MAX { 1 << instrument.index() } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::command::ALL_INSTRUMENTS;
    use crate::types::StrategyId;

    fn at(ms: i64) -> Now {
        Now { ns: ms * NS_PER_MS, mono_ns: ms * NS_PER_MS }
    }

    /// Sends what is due, and answers it.
    fn round(upkeep: &mut Upkeep, config: &GatewayConfig, now: Now) -> usize {
        let mut orders = Orders::default();
        let mut sent = 0;
        while let Some(request) = upkeep.next_request(&mut orders, config, now) {
            sent += 1;
            match request {
                Request::OpenOrders => {
                    upkeep.listing_ended(0);
                }
                Request::Account => upkeep.account_read(),
                other => panic!("{other:?}"),
            }
        }
        sent
    }

    #[test]
    fn r_ord_3_a_reconcile_that_begins_while_a_query_is_under_way_asks_again() {
        let (config, mut orders) = (GatewayConfig::default(), Orders::default());
        let mut upkeep = Upkeep::new(&config);
        let tripped = HaltView { level: HaltLevel::RiskOff, epoch: 1, lease_valid: false };
        upkeep.watch(tripped, at(0));
        upkeep.session_ready(at(0));
        // Both questions leave, and before their answers come the operator asks for a reconcile.
        while upkeep.next_request(&mut orders, &config, at(0)).is_some() {}
        let command = Command {
            kind: CommandKind::Reconcile,
            instrument: ALL_INSTRUMENTS,
            uid: 0,
            ticket: 1,
            halt_epoch: 1,
            strategy: StrategyId::OPERATOR,
        };
        upkeep.command(&command, at(1));
        upkeep.account_read();
        upkeep.listing_ended(0);
        let settled = upkeep.settle(&orders, &config, at(2));
        assert!(settled.session_up && settled.reconciled.is_none(), "those answers are older than it");
        assert_eq!(round(&mut upkeep, &config, at(5_000)), 2, "so both are asked again");
        assert_eq!(upkeep.settle(&orders, &config, at(5_001)).reconciled, Some(1));
    }
}

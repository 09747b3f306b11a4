//! What the order session awaits, and what answers mean for it.

use crate::event::{Body, ClockOffset, Reply, ReplyKind, SentKind};
use crate::types::{ClientOrderId, InstrumentId, InstrumentTable, Now, Reason, VenueOrderId};
use crate::venue::Malformed;
use crate::venue::binance::balances::read_balances;
use crate::venue::binance::fields::Fields;
use crate::venue::binance::names::Names;
use crate::venue::binance::orders::{EncodeError, OrderSessionEvent, RateUsage};
use crate::venue::binance::reply::{
    CODE_NO_SUCH_ORDER, CODE_UNKNOWN_ORDER, Outcome, Refusal, code_value, half, order_snapshot, read_usage,
};
use crate::venue::binance::request::{Letter, RequestId};
use crate::venue::binance::venue_time_ns;
use crate::wire::json::Value;

/// Requests that may wait for an answer at once, and those whose time ran out but whose answer may still come.
const PENDING_MAX: usize = 256;

/// A request whose answer is awaited.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pending {
    pub(super) id: RequestId,
    pub(super) client: ClientOrderId,
    pub(super) target: ClientOrderId,
    pub(super) instrument: Option<InstrumentId>,
    pub(super) sent: Now,
    /// Its outcome was already told as unknown.
    pub(super) timed_out: bool,
}

/// Where the session stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Closed,
    /// Open; the logon has not been sent.
    LogonDue,
    LogonSent,
    Ready,
}

/// The awaited requests and what answers have told so far.
#[derive(Debug)]
pub(super) struct Answers {
    names: Names,
    table: InstrumentTable,
    pub(super) state: State,
    pending: Vec<Pending>,
    pub(super) usage: RateUsage,
    pub(super) retry_after_ns: i64,
    pub(super) refusal: Refusal,
}

impl Answers {
    pub(super) fn new(table: &InstrumentTable) -> Self {
        Self {
            names: Names::new(table),
            table: table.clone(),
            state: State::Closed,
            pending: Vec::with_capacity(PENDING_MAX),
            usage: RateUsage::default(),
            retry_after_ns: 0,
            refusal: Refusal::NONE,
        }
    }

    pub(super) fn handle_closed(&mut self, reason: Reason, out: &mut impl FnMut(Body)) {
        self.state = State::Closed;
        for pending in self.awaited() {
            tell(pending, Outcome { kind: ReplyKind::Unknown, reason, code: 0 }, None, 0, out);
        }
        self.pending.clear();
    }

    /// The requests that still wait for an answer.
    pub(super) fn awaited(&self) -> impl Iterator<Item = &Pending> {
        self.pending.iter().filter(|p| !p.timed_out)
    }

    /// Whether a request may be sent now.
    #[inline]
    pub(super) fn check(&self, id: RequestId) -> Result<(), EncodeError> {
        if self.state != State::Ready {
            return Err(EncodeError::NotReady);
        }
        let mut awaited = 0;
        for pending in &self.pending {
            if pending.id == id {
                return Err(EncodeError::Duplicate);
            }
            awaited += usize::from(!pending.timed_out);
        }
        if awaited == PENDING_MAX { Err(EncodeError::PendingFull) } else { Ok(()) }
    }

    pub(super) fn await_answer(&mut self, pending: Pending) {
        if self.pending.len() == PENDING_MAX {
            // `check` made sure that not all of them are still awaited: the oldest late one makes room.
            let late = self.pending.iter().position(|p| p.timed_out).unwrap_or(0);
            self.pending.remove(late);
        }
        self.pending.push(pending);
    }

    pub(super) fn poll_timeout(&mut self, timeout_ns: i64, now: Now, out: &mut impl FnMut(Body)) -> usize {
        let mut late = 0;
        for pending in &mut self.pending {
            if !pending.timed_out && now.mono_ns - pending.sent.mono_ns >= timeout_ns {
                pending.timed_out = true;
                late += 1;
                let outcome = Outcome { kind: ReplyKind::Unknown, reason: Reason::Timeout, code: 0 };
                tell(pending, outcome, None, 0, out);
            }
        }
        late
    }

    pub(super) fn handle_value(
        &mut self,
        root: Value<'_>,
        now: Now,
        out: &mut impl FnMut(Body),
    ) -> Result<OrderSessionEvent, Malformed> {
        let fields = Fields::new("answer", root);
        if let Some(event) = root.get("event") {
            let shutdown = event.get("e").and_then(Value::as_str) == Some("serverShutdown");
            return Ok(if shutdown { OrderSessionEvent::ServerShutdown } else { OrderSessionEvent::Ignored });
        }
        let status = fields.i64("status")?;
        read_usage(root, &mut self.usage);
        let error = root.get("error").filter(|e| e.is_object());
        let code = error.and_then(|e| e.get("code")).and_then(code_value).unwrap_or(0);
        if let Some(error) = error {
            self.refusal.set(error.get("msg").and_then(Value::as_str).unwrap_or_default());
            let until = error.get("data").and_then(|d| d.get("retryAfter")).and_then(Value::as_i64);
            if let Some(until) = until.and_then(venue_time_ns) {
                self.retry_after_ns = self.retry_after_ns.max(until);
            }
        }
        let Some(id) = root.get("id").and_then(Value::as_str).and_then(RequestId::parse) else {
            return Ok(OrderSessionEvent::Ignored);
        };
        if id.letter == Letter::Logon {
            return Ok(self.handle_logon(status, code));
        }
        let Some(at) = self.pending.iter().position(|p| p.id == id) else {
            return Ok(OrderSessionEvent::Ignored);
        };
        let pending = self.pending[at];
        let outcome = if status == 200 { Outcome::ACCEPTED } else { Outcome::of_error(status, code) };
        let answer = self.handle_answer(&pending, outcome, &fields, now, out)?;
        // Only what could be read is done with; what could not runs into its timeout and is unknown.
        self.pending.swap_remove(at);
        Ok(answer)
    }

    fn handle_logon(&mut self, status: i64, code: i32) -> OrderSessionEvent {
        if self.state != State::LogonSent {
            return OrderSessionEvent::Ignored;
        }
        if status == 200 {
            self.state = State::Ready;
            OrderSessionEvent::LoggedOn
        } else {
            self.state = State::Closed;
            OrderSessionEvent::LogonRefused { code }
        }
    }

    fn handle_answer(
        &mut self,
        pending: &Pending,
        outcome: Outcome,
        answer: &Fields<'_>,
        now: Now,
        out: &mut impl FnMut(Body),
    ) -> Result<OrderSessionEvent, Malformed> {
        let accepted = outcome.kind == ReplyKind::Accepted;
        match pending.id.letter {
            Letter::Replace => handle_replaced(pending, outcome, answer, out),
            Letter::Place | Letter::Cancel => {
                let (mut order, mut venue_ns) = (None, 0);
                if accepted {
                    let result = answer.object("result")?;
                    order = Some(result.u64("orderId")?);
                    venue_ns = transact_ns(&result)?;
                }
                tell(pending, outcome, order, venue_ns, out);
                Ok(OrderSessionEvent::Reply)
            }
            Letter::CancelAll => {
                // "Unknown order" to "cancel all" means that there was none: what was asked for holds.
                let none_open = outcome.code == CODE_UNKNOWN_ORDER;
                let outcome =
                    if none_open { Outcome { code: outcome.code, ..Outcome::ACCEPTED } } else { outcome };
                tell(pending, outcome, None, 0, out);
                Ok(OrderSessionEvent::Reply)
            }
            Letter::OrderStatus if outcome.code == CODE_NO_SUCH_ORDER => {
                let absent = Outcome { kind: ReplyKind::Absent, ..outcome };
                tell(pending, absent, None, 0, out);
                Ok(OrderSessionEvent::Answer)
            }
            _ if !accepted => Ok(OrderSessionEvent::QueryFailed { code: outcome.code }),
            Letter::OpenOrders => self.handle_open_orders(pending, answer, out),
            Letter::OrderStatus => {
                let result = answer.object("result")?;
                if let Some(instrument) = self.names.find_symbol(result.str("symbol")?) {
                    out(Body::Order(order_snapshot(&result, instrument)?));
                }
                Ok(OrderSessionEvent::Answer)
            }
            Letter::Account => {
                read_balances(&answer.object("result")?, &self.table, out)?;
                Ok(OrderSessionEvent::Answer)
            }
            Letter::Time => {
                let server_ns = answer.object("result")?.time_ns("serverTime")?;
                let round_trip_ns = now.mono_ns - pending.sent.mono_ns;
                let offset_ns = server_ns - (now.ns - round_trip_ns / 2);
                out(Body::ClockOffset(ClockOffset { offset_ns, round_trip_ns }));
                Ok(OrderSessionEvent::Answer)
            }
            Letter::Logon | Letter::Subscribe => Ok(OrderSessionEvent::Ignored),
        }
    }

    fn handle_open_orders(
        &mut self,
        pending: &Pending,
        answer: &Fields<'_>,
        out: &mut impl FnMut(Body),
    ) -> Result<OrderSessionEvent, Malformed> {
        let mut count = 0;
        for order in answer.array("result")?.items() {
            let fields = Fields::new("open order", order);
            if let Some(instrument) = self.names.find_symbol(fields.str("symbol")?) {
                out(Body::Order(order_snapshot(&fields, instrument)?));
            }
            count += 1;
        }
        Ok(OrderSessionEvent::OpenOrders { instrument: pending.instrument, count })
    }
}

/// A cancel-replace is two requests in one, and each half gets its own word: first the cancel's, then the new order's.
fn handle_replaced(
    pending: &Pending,
    outcome: Outcome,
    answer: &Fields<'_>,
    out: &mut impl FnMut(Body),
) -> Result<OrderSessionEvent, Malformed> {
    let data = answer.value.get("error").and_then(|e| e.get("data"));
    let halves = data.filter(|d| d.get("cancelResult").is_some());
    let (cancel, place, venue_ns) = if outcome.kind == ReplyKind::Accepted {
        let new = answer.object("result")?.object("newOrderResponse")?;
        let venue_ns = transact_ns(&new)?;
        ((outcome, None), (outcome, Some(new.u64("orderId")?)), venue_ns)
    } else if let Some(data) = halves {
        let cancel = half(data, "cancelResult", "cancelResponse", outcome);
        (cancel, half(data, "newOrderResult", "newOrderResponse", outcome), 0)
    } else {
        ((outcome, None), (outcome, None), 0)
    };
    let as_letter = |letter| RequestId { letter, ..pending.id };
    let gone = Pending { id: as_letter(Letter::Cancel), client: pending.target, ..*pending };
    let new = Pending { id: as_letter(Letter::Place), ..*pending };
    tell(&gone, cancel.0, cancel.1, venue_ns, out);
    tell(&new, place.0, place.1, venue_ns, out);
    Ok(OrderSessionEvent::Reply)
}

/// The kind that the journal knows a request by.
pub(super) const fn kind_of(letter: Letter) -> SentKind {
    match letter {
        Letter::Place => SentKind::Place,
        Letter::Cancel => SentKind::Cancel,
        Letter::Replace => SentKind::Replace,
        Letter::CancelAll => SentKind::CancelAll,
        _ => SentKind::Query,
    }
}

/// When the venue acted, where the answer says so.
fn transact_ns(result: &Fields<'_>) -> Result<i64, Malformed> {
    if result.value.get("transactTime").is_some() { result.time_ns("transactTime") } else { Ok(0) }
}

/// Gives out a request's end. Queries about no order end without a word: whoever asked asks again. A lost
/// cancel-replace leaves both its orders unknown.
fn tell(pending: &Pending, outcome: Outcome, order: Option<u64>, venue_ns: i64, out: &mut impl FnMut(Body)) {
    let letter = pending.id.letter;
    let absent = outcome.kind == ReplyKind::Absent;
    let Some(instrument) = pending.instrument else { return };
    if kind_of(letter) == SentKind::Query && !absent {
        return;
    }
    let reply = Reply {
        kind: outcome.kind,
        cancel: matches!(letter, Letter::Cancel | Letter::CancelAll),
        instrument,
        reason: outcome.reason,
        venue_code: outcome.code,
        client: pending.client,
        venue_order: VenueOrderId(order.unwrap_or(0)),
        venue_ns,
    };
    if letter == Letter::Replace {
        out(Body::Reply(Reply { cancel: true, client: pending.target, ..reply }));
    }
    out(Body::Reply(reply));
}

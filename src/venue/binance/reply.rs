//! Answers of the WebSocket API: what an error means for the request that it answers, and the order and rate-limit objects
//! inside answers.

use crate::event::OrderUpdate;
use crate::event::ReplyKind;
use crate::types::order::OrderState;
use crate::types::{AssetId, ClientOrderId, InstrumentId, Qty, Reason, Side, TradeId, VenueOrderId};
use crate::venue::Malformed;
use crate::venue::binance::fields::Fields;
use crate::venue::binance::orders::RateUsage;
use crate::wire::json::Value;

/// The venue does not know such an order (to a cancel).
pub(super) const CODE_UNKNOWN_ORDER: i32 = -2011;
/// The venue does not know such an order (to a query).
pub(super) const CODE_NO_SUCH_ORDER: i32 = -2013;
/// Codes under which the venue may or may not have done it: unknown error, disconnected, unexpected answer from its
/// engine, timeout, overloaded.
const CODES_UNKNOWN_OUTCOME: [i32; 5] = [-1000, -1001, -1006, -1007, -1008];

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) kind: ReplyKind,
    pub(super) reason: Reason,
    pub(super) code: i32,
}

impl Outcome {
    pub(super) const ACCEPTED: Self = Self { kind: ReplyKind::Accepted, reason: Reason::None, code: 0 };

    /// What an error status and code say. Anything that leaves open whether the venue acted is `Unknown`, never `Rejected`.
    pub(super) fn of_error(status: i64, code: i32) -> Self {
        if status >= 500 || status == 408 || CODES_UNKNOWN_OUTCOME.contains(&code) {
            return Self { kind: ReplyKind::Unknown, reason: Reason::VenueError, code };
        }
        let reason = match status {
            429 => Reason::RateLimited,
            418 => Reason::Banned,
            _ if code == CODE_UNKNOWN_ORDER => Reason::UnknownOrder,
            // An error that is none of the client's kind: nothing says that it was not done.
            _ if !(400..500).contains(&status) => {
                return Self { kind: ReplyKind::Unknown, reason: Reason::VenueError, code };
            }
            _ => Reason::VenueReject,
        };
        Self { kind: ReplyKind::Rejected, reason, code }
    }
}

/// One half of a cancel-replace that did not fully succeed.
pub(super) fn half(data: Value<'_>, result: &str, response: &str, whole: Outcome) -> (Outcome, Option<u64>) {
    let response = data.get(response);
    match data.get(result).and_then(Value::as_str) {
        Some("SUCCESS") => {
            let order = response.and_then(|r| r.get("orderId")).and_then(Value::as_u64);
            (Outcome::ACCEPTED, order)
        }
        // Not done for sure: the halves stand under a 4xx.
        Some("FAILURE") => {
            let code = response.and_then(|r| r.get("code")).and_then(code_value).unwrap_or(whole.code);
            (Outcome::of_error(400, code), None)
        }
        Some("NOT_ATTEMPTED") => {
            (Outcome { kind: ReplyKind::Rejected, reason: Reason::VenueReject, code: whole.code }, None)
        }
        // No word about this half: not known, whatever the whole says.
        _ => (Outcome { kind: ReplyKind::Unknown, reason: Reason::VenueError, code: whole.code }, None),
    }
}

pub(super) fn code_value(value: Value<'_>) -> Option<i32> {
    value.as_i64().and_then(|code| i32::try_from(code).ok())
}

/// The state that a status names. One that we do not know is `Unknown`, which only a later answer ends.
pub(super) fn state_of(status: &str) -> OrderState {
    match status {
        "NEW" | "PENDING_NEW" => OrderState::Acknowledged,
        "PARTIALLY_FILLED" => OrderState::PartiallyFilled,
        "FILLED" => OrderState::Filled,
        "CANCELED" => OrderState::Cancelled,
        "PENDING_CANCEL" => OrderState::CancelSent,
        "REJECTED" => OrderState::Rejected,
        "EXPIRED" | "EXPIRED_IN_MATCH" => OrderState::Expired,
        _ => OrderState::Unknown,
    }
}

pub(super) fn side_of(fields: &Fields<'_>, field: &'static str) -> Result<Side, Malformed> {
    match fields.str(field)? {
        "BUY" => Ok(Side::Buy),
        "SELL" => Ok(Side::Sell),
        _ => Err(fields.wrong(field, "BUY or SELL")),
    }
}

/// An order as queries answer it.
pub(super) fn order_snapshot(
    fields: &Fields<'_>,
    instrument: InstrumentId,
) -> Result<OrderUpdate, Malformed> {
    let time = ["updateTime", "transactTime", "time"];
    let venue_ns = match time.into_iter().find(|field| fields.value.get(field).is_some()) {
        Some(field) => fields.time_ns(field)?,
        None => 0,
    };
    Ok(OrderUpdate {
        instrument,
        side: side_of(fields, "side")?,
        state: state_of(fields.str("status")?),
        snapshot: true,
        maker: false,
        fee_asset: AssetId::UNKNOWN,
        client: ClientOrderId::parse(fields.str("clientOrderId")?.as_bytes()).unwrap_or_default(),
        venue_order: VenueOrderId(fields.u64("orderId")?),
        trade: TradeId(0),
        price: fields.price("price")?,
        qty: fields.qty("origQty")?,
        filled: fields.qty("executedQty")?,
        fee: Qty::ZERO,
        venue_ns,
    })
}

/// Takes over what an answer's `rateLimits` say; what is not there stays as it was.
pub(super) fn read_usage(root: Value<'_>, usage: &mut RateUsage) {
    for limit in root.get("rateLimits").into_iter().flat_map(Value::items) {
        let figure = |name| limit.get(name).and_then(Value::as_u64).and_then(|v| u32::try_from(v).ok());
        let text = |name| limit.get(name).and_then(Value::as_str);
        let (Some(kind), Some(interval)) = (text("rateLimitType"), text("interval")) else { continue };
        let (Some(number), Some(max), Some(count)) =
            (figure("intervalNum"), figure("limit"), figure("count"))
        else {
            continue;
        };
        match (kind, number, interval) {
            ("REQUEST_WEIGHT", 1, "MINUTE") => (usage.weight_1m, usage.weight_1m_limit) = (count, max),
            ("ORDERS", 10, "SECOND") => (usage.orders_10s, usage.orders_10s_limit) = (count, max),
            ("ORDERS", 1, "DAY") => (usage.orders_1d, usage.orders_1d_limit) = (count, max),
            _ => {}
        }
    }
}

/// The text of the last refusal, cut to what a log line needs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Refusal {
    buf: [u8; Self::MAX],
    len: usize,
}

impl Refusal {
    const MAX: usize = 160;

    pub(super) const NONE: Self = Self { buf: [0; Self::MAX], len: 0 };

    pub(super) fn set(&mut self, text: &str) {
        let mut len = text.len().min(Self::MAX);
        while !text.is_char_boundary(len) {
            len -= 1;
        }
        self.buf[..len].copy_from_slice(&text.as_bytes()[..len]);
        self.len = len;
    }
    pub(super) fn as_str(&self) -> &str {
        core::str::from_utf8(&self.buf[..self.len]).unwrap_or_default()
    }
}

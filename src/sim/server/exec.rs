//! The way of a request: may he, may he now, do it, and what the faults make of it.

use std::net::IpAddr;

use super::clock::VenueClock;
use super::error::ApiError;
use super::ops::{Answer, Call, Op, Security};
use super::params::Params;
use super::state::State;
use crate::sim::faults::FaultKind;
use crate::types::decimal::parse_decimal;

/// Longest `recvWindow`, ms.
const RECV_WINDOW_MS_MAX: i64 = 60_000;

/// What the venue says to a request; `None` = nothing at all, by a fault.
pub(super) type Outcome = Option<Answer>;

/// Checks key, signature and time of a request; says which key it was.
pub(super) fn authorise(
    state: &State,
    clock: &VenueClock,
    params: &Params,
    payload: &[u8],
    key: Option<&str>,
) -> Result<usize, ApiError> {
    let key = key.ok_or_else(|| ApiError::with_status(401, -2014, "API-key format invalid."))?;
    let well_formed = key.len() >= 16 && key.len() <= 128 && key.bytes().all(|b| b.is_ascii_alphanumeric());
    if !well_formed {
        return Err(ApiError::with_status(401, -2014, "API-key format invalid."));
    }
    let at = state.keys.iter().position(|k| k.name == key).ok_or_else(ApiError::unauthorised)?;
    check_time(clock, params)?;
    let signature = params.need("signature")?;
    if !state.keys[at].verify(payload, signature) {
        return Err(ApiError::new(-1022, "Signature for this request is not valid."));
    }
    Ok(at)
}

/// Whether the request is in time.
pub(super) fn check_time(clock: &VenueClock, params: &Params) -> Result<(), ApiError> {
    let window_ns = match params.get("recvWindow") {
        None => 5_000 * 1_000_000,
        Some(text) => {
            // At most three decimals of a millisecond; a nanosecond is a millisecond's sixth decimal.
            let micros = parse_decimal(text.as_bytes(), 3).map_err(|_| ApiError::illegal("recvWindow"))?;
            if micros > RECV_WINDOW_MS_MAX * 1_000 {
                return Err(ApiError::new(-1131, "recvWindow must be less than 60000."));
            }
            if micros < 0 {
                return Err(ApiError::illegal("recvWindow"));
            }
            micros * 1_000
        }
    };
    params.need("timestamp")?;
    let stamp_ns =
        super::ops_market::time_param(params, "timestamp")?.ok_or_else(|| ApiError::missing("timestamp"))?;
    if clock.accepts(stamp_ns, window_ns) {
        return Ok(());
    }
    Err(if stamp_ns > clock.now_ns() {
        ApiError::new(-1021, "Timestamp for this request was 1000ms ahead of the server's time.")
    } else {
        ApiError::new(-1021, "Timestamp for this request is outside of the recvWindow.")
    })
}

/// Whether a key may do this.
pub(super) fn permit(state: &State, key: usize, security: Security) -> Result<(), ApiError> {
    if security.allows(state.keys[key].permission) { Ok(()) } else { Err(ApiError::unauthorised()) }
}

/// Counts the request before anything else is looked at. Order requests are free unless they fail.
pub(super) fn charge(
    state: &mut State,
    op: &Op,
    params: &Params,
    from: IpAddr,
    now_ns: i64,
) -> Result<(), ApiError> {
    let weight = if op.is_order() { 0 } else { (op.weight)(params) };
    state.limits.charge(from, weight, now_ns)
}

/// Carries out a request that was charged and authorised.
pub(super) fn run(state: &mut State, op: &Op, call: &Call<'_>, from: IpAddr) -> Outcome {
    if !op.is_order() {
        return Some((op.run)(state, call));
    }
    let answer = run_order(state, op, call);
    if answer.is_err() {
        state.stats.orders_rejected += u64::from(op.orders > 0);
        // A failed order request costs its weight; that this may itself be too much shows at the next request.
        drop(state.limits.charge(from, (op.weight)(call.params), call.now_ns));
        return Some(answer);
    }
    match state.faults.after_order(op.method, call.now_ns) {
        Some(FaultKind::SilentAfterAccept) => None,
        Some(_) => Some(Err(ApiError::timeout())),
        None => Some(answer),
    }
}

fn run_order(state: &mut State, op: &Op, call: &Call<'_>) -> Answer {
    if op.orders > 0 {
        state.limits.charge_orders(call.account.0, op.orders, call.now_ns)?;
    }
    if let Some((code, msg)) = state.faults.before_order(op.method, call.now_ns) {
        return Err(ApiError::new(code, msg));
    }
    (op.run)(state, call)
}

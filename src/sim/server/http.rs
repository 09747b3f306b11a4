//! HTTP: which request is meant, REST answers with their headers, WebSocket upgrades, and the control requests.

use std::convert::Infallible;
use std::net::IpAddr;
use std::rc::Rc;

use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;

use super::conn;
use super::error::ApiError;
use super::exec;
use super::hub::Subscriber;
use super::ops::{Answer, Call, OPS, Security};
use super::outbox::Outbox;
use super::params::Params;
use super::shapes::{TimeUnit, text};
use super::streams::StreamSpeaker;
use super::venue::Venue;
use super::ws_api::{ApiSpeaker, Session};
use crate::sim::faults::{FaultKind, FaultPlan};
use crate::types::Qty;

type Reply = Response<Full<Bytes>>;

/// Longest request body.
const BODY_BYTES_MAX: usize = 64 << 10;
/// A path prefix that is accepted and ignored: some clients tell spot from futures by the word in the URL.
const PREFIX: &str = "/testnet";

/// Answers one HTTP request.
pub(super) async fn handle(
    venue: Rc<Venue>,
    from: IpAddr,
    request: Request<Incoming>,
) -> Result<Reply, Infallible> {
    let path = request.uri().path().to_owned();
    let path = path.strip_prefix(PREFIX).unwrap_or(&path);
    if request.headers().contains_key(header::UPGRADE) {
        return Ok(upgrade(venue, from, path, request));
    }
    let (parts, body) = request.into_parts();
    let query = parts.uri.query().unwrap_or("").to_owned();
    let Ok(body) = Limited::new(body, BODY_BYTES_MAX).collect().await else {
        return Ok(plain(StatusCode::PAYLOAD_TOO_LARGE, error_body("request body too long")));
    };
    let body = String::from_utf8_lossy(&body.to_bytes()).into_owned();
    if let Some(path) = path.strip_prefix("/control/") {
        return Ok(control(&venue, from, &parts.method, path, &parts.headers, &body));
    }
    if let Some(path) = path.strip_prefix("/api/v3/") {
        let http = Http { method: &parts.method, path, query: &query, body: &body, headers: &parts.headers };
        let answered = rest(&venue, from, &http);
        let now_ns = venue.clock.now_ns();
        venue.state.borrow_mut().publish(now_ns);
        return match answered {
            Some(reply) => Ok(reply),
            // The fault that accepts and never answers: the connection hangs until the client gives up.
            None => std::future::pending().await,
        };
    }
    Ok(answered_with_nothing(path))
}

/// Paths that clients ask at start and that a spot venue without wallets answers with nothing.
fn answered_with_nothing(path: &str) -> Reply {
    let empty_market = concat!(
        r#"{"timezone":"UTC","serverTime":0,"rateLimits":[],"exchangeFilters":[],"#,
        r#""symbols":[],"optionSymbols":[]}"#
    );
    match path {
        "/fapi/v1/exchangeInfo" | "/dapi/v1/exchangeInfo" | "/eapi/v1/exchangeInfo" => {
            plain(StatusCode::OK, empty_market.to_owned())
        }
        "/sapi/v1/account/status" => plain(StatusCode::OK, "{\"data\":\"Normal\"}".to_owned()),
        _ if path.starts_with("/sapi/") => plain(StatusCode::OK, "[]".to_owned()),
        _ => plain(StatusCode::NOT_FOUND, error_body("Path not found.")),
    }
}

fn error_body(msg: &'static str) -> String {
    ApiError::new(-1000, msg).json()
}

fn plain(status: StatusCode, body: String) -> Reply {
    let mut reply = Response::new(Full::new(Bytes::from(body)));
    *reply.status_mut() = status;
    let json = HeaderValue::from_static("application/json;charset=UTF-8");
    reply.headers_mut().insert(header::CONTENT_TYPE, json);
    reply
}

struct Http<'a> {
    method: &'a Method,
    path: &'a str,
    query: &'a str,
    body: &'a str,
    headers: &'a HeaderMap,
}

impl Http<'_> {
    /// What a signature covers: the bytes as they came, query then body, without the signature itself.
    fn payload(&self) -> Vec<u8> {
        let kept = |text: &str| {
            let parts: Vec<&str> = text.split('&').filter(|p| !p.starts_with("signature=")).collect();
            parts.join("&")
        };
        let mut payload = kept(self.query).into_bytes();
        payload.extend_from_slice(kept(self.body).as_bytes());
        payload
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|v| v.to_str().ok())
    }
}

/// A REST request; `None` = no answer at all, by a fault.
fn rest(venue: &Rc<Venue>, from: IpAddr, http: &Http<'_>) -> Option<Reply> {
    let now_ns = venue.clock.now_ns();
    let fault = {
        let mut state = venue.state.borrow_mut();
        state.stats.rest_requests += 1;
        state.faults.rest(http.path, now_ns)
    };
    let answer = match fault {
        Some(FaultKind::Rest429) => {
            Some(Err(ApiError::too_many(false, 1, "Too many requests; this is a drill.")))
        }
        Some(FaultKind::Rest418) => {
            Some(Err(ApiError::too_many(true, 2, "Way too many requests; this is a drill.")))
        }
        Some(_) => Some(Err(ApiError::with_status(
            500,
            -1001,
            "Internal error; unable to process your request. Please try again.",
        ))),
        None => execute(venue, from, http, now_ns),
    };
    answer.map(|answer| dress(venue, from, answer, http.method != Method::GET))
}

fn execute(venue: &Rc<Venue>, from: IpAddr, http: &Http<'_>, now_ns: i64) -> exec::Outcome {
    let at_path = || OPS.iter().filter(|op| op.path == http.path);
    let Some(op) = at_path().find(|op| op.verb == http.method.as_str()) else {
        let (status, msg) =
            if at_path().next().is_some() { (405, "Method not allowed.") } else { (404, "Path not found.") };
        return Some(Err(ApiError::with_status(status, -1000, msg)));
    };
    let params = Params::from_http(http.query, http.body);
    let mut state = venue.state.borrow_mut();
    let admitted = exec::charge(&mut state, op, &params, from, now_ns).and_then(|()| match op.security {
        Security::Open => Ok(()),
        security => {
            let key = http.header("x-mbx-apikey");
            let key = exec::authorise(&state, &venue.clock, &params, &http.payload(), key)?;
            exec::permit(&state, key, security)
        }
    });
    if let Err(error) = admitted {
        return Some(Err(error));
    }
    let unit = match http.header("x-mbx-time-unit").map(TimeUnit::parse) {
        None => TimeUnit::Milli,
        Some(Some(unit)) => unit,
        Some(None) => return Some(Err(ApiError::new(-1000, "Invalid time unit."))),
    };
    let account = state.account;
    exec::run(&mut state, op, &Call { params: &params, account, now_ns, unit }, from)
}

/// Status, body and the headers that tell of usage.
fn dress(venue: &Rc<Venue>, from: IpAddr, answer: Answer, shows_orders: bool) -> Reply {
    let now_ns = venue.clock.now_ns();
    let mut state = venue.state.borrow_mut();
    let account = state.account.0;
    let (weight, orders) =
        (state.limits.weight_used(from, now_ns), state.limits.orders_used(account, now_ns));
    let (status, body, retry_after) = match answer {
        Ok(body) => (200, body, None),
        Err(error) => (error.status, error.json(), error.retry_after_s),
    };
    let mut reply = plain(StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), body);
    let headers = reply.headers_mut();
    headers.insert("x-mbx-used-weight", HeaderValue::from(weight));
    headers.insert("x-mbx-used-weight-1m", HeaderValue::from(weight));
    if shows_orders {
        headers.insert("x-mbx-order-count-10s", HeaderValue::from(orders.0));
        headers.insert("x-mbx-order-count-1d", HeaderValue::from(orders.1));
    }
    if let Some(seconds) = retry_after {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    reply
}

/// Whether two texts are the same, in time that tells nothing of where they differ.
fn same(a: &str, b: &str) -> bool {
    a.len() == b.len() && a.bytes().zip(b.bytes()).fold(0, |seen, (x, y)| seen | (x ^ y)) == 0
}

fn control(
    venue: &Rc<Venue>,
    from: IpAddr,
    method: &Method,
    path: &str,
    headers: &HeaderMap,
    body: &str,
) -> Reply {
    let token = headers.get("x-control-token").and_then(|v| v.to_str().ok()).unwrap_or("");
    if !from.is_loopback() || !same(token, &venue.control_token) {
        return plain(
            StatusCode::FORBIDDEN,
            error_body("control needs loopback and the token of venue.json"),
        );
    }
    match (method.as_str(), path) {
        ("POST", "faults") => match FaultPlan::from_json(body.as_bytes()) {
            Ok(plan) => {
                venue.set_faults(plan);
                plain(StatusCode::OK, "{}".to_owned())
            }
            Err(error) => plain(StatusCode::BAD_REQUEST, ApiError::new(-1100, error.to_string()).json()),
        },
        ("POST", "deposit") => match deposit(venue, body) {
            Ok(()) => plain(StatusCode::OK, "{}".to_owned()),
            Err(text) => plain(StatusCode::BAD_REQUEST, ApiError::new(-1100, text).json()),
        },
        ("GET", "stats") => plain(StatusCode::OK, text(&venue.state.borrow().stats())),
        _ => plain(StatusCode::NOT_FOUND, error_body("control has POST faults, POST deposit and GET stats")),
    }
}

/// What a deposit says; a withdrawal has a sign.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Deposit {
    asset: String,
    amount: Qty,
}

/// Moves the account's balance by no trade, as a deposit or a withdrawal does.
fn deposit(venue: &Rc<Venue>, body: &str) -> Result<(), String> {
    let asked: Deposit = serde_json::from_str(body).map_err(|e| e.to_string())?;
    let now_ns = venue.clock.now_ns();
    let mut state = venue.state.borrow_mut();
    let asset = state.exchange.asset_id(asked.asset.as_bytes()).ok_or("no such asset")?;
    let account = state.account;
    state.exchange.deposit(account, asset, asked.amount, now_ns).map_err(|e| e.to_string())?;
    state.publish(now_ns);
    Ok(())
}

/// The answer to a client's `Sec-WebSocket-Key`.
fn accept_key(key: &[u8]) -> String {
    let mut joined = key.to_vec();
    joined.extend_from_slice(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    STANDARD.encode(digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, &joined))
}

fn upgrade(venue: Rc<Venue>, from: IpAddr, path: &str, mut request: Request<Incoming>) -> Reply {
    let has = |name: header::HeaderName, value: &str| {
        let text = request.headers().get(name).and_then(|v| v.to_str().ok()).unwrap_or("");
        text.split(',').any(|part| part.trim().eq_ignore_ascii_case(value))
    };
    let key = request.headers().get(header::SEC_WEBSOCKET_KEY).map(|k| k.as_bytes().to_vec());
    let right = request.method() == Method::GET
        && has(header::UPGRADE, "websocket")
        && has(header::CONNECTION, "upgrade")
        && has(header::SEC_WEBSOCKET_VERSION, "13");
    let Some(key) = key.filter(|_| right) else {
        return plain(StatusCode::BAD_REQUEST, error_body("not a WebSocket upgrade"));
    };
    let Some(role) = Role::of(path) else {
        return plain(StatusCode::NOT_FOUND, error_body("Path not found."));
    };
    let query = Params::from_http(request.uri().query().unwrap_or(""), "");
    let now_ns = venue.clock.now_ns();
    // A statement of its own: the answer borrows the state too.
    let admitted = venue.state.borrow_mut().limits.charge_connect(from, now_ns);
    if let Err(error) = admitted {
        return dress(&venue, from, Err(error), false);
    }
    let upgraded = hyper::upgrade::on(&mut request);
    tokio::task::spawn_local(async move {
        if let Ok(io) = upgraded.await {
            role.serve(venue, from, &query, TokioIo::new(io)).await;
        }
    });
    // No extension is agreed to: an offer of permessage-deflate is declined by not being answered.
    let mut reply = Response::new(Full::new(Bytes::new()));
    *reply.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = reply.headers_mut();
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    if let Ok(accept) = HeaderValue::from_str(&accept_key(&key)) {
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    }
    reply
}

/// What a WebSocket connection is for.
enum Role {
    Api,
    /// Streams by path; `combined` wraps messages.
    Streams {
        names: String,
        combined: bool,
    },
}

impl Role {
    fn of(path: &str) -> Option<Self> {
        let path = path.trim_end_matches('/');
        if path == "/ws-api/v3" {
            return Some(Self::Api);
        }
        if path == "/stream" {
            return Some(Self::Streams { names: String::new(), combined: true });
        }
        let names = path.strip_prefix("/ws")?;
        if !names.is_empty() && !names.starts_with('/') {
            return None;
        }
        Some(Self::Streams { names: names.trim_start_matches('/').to_owned(), combined: false })
    }

    async fn serve(
        self,
        venue: Rc<Venue>,
        from: IpAddr,
        query: &Params,
        io: TokioIo<hyper::upgrade::Upgraded>,
    ) {
        let outbox: Rc<Outbox> = Rc::default();
        let rules = venue.rules;
        match self {
            Self::Api => {
                let session = Session::new(Rc::clone(&outbox), query, from, venue.clock.now_ns());
                let session = Rc::new(session);
                venue.state.borrow_mut().sessions.push(Rc::clone(&session));
                conn::serve(io, rules, outbox, Rc::new(ApiSpeaker { venue, session })).await;
            }
            Self::Streams { names, combined } => {
                let unit = query.get("timeUnit").and_then(TimeUnit::parse).unwrap_or_default();
                let subscriber = Rc::new(Subscriber::new(Rc::clone(&outbox), unit, combined));
                let wanted = query.get("streams").unwrap_or("");
                let names: Vec<&str> = names.split('/').chain(wanted.split('/')).collect();
                let speaker = StreamSpeaker::new(venue, subscriber, &names);
                conn::serve(io, rules, outbox, Rc::new(speaker)).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_accept_key_is_that_of_rfc_6455() {
        assert_eq!(accept_key(b"dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn payloads_are_the_bytes_as_received_without_the_signature() {
        let method = Method::POST;
        let headers = HeaderMap::new();
        let http = Http {
            method: &method,
            path: "order",
            query: "b=2&signature=xx&a=%E2%82%AC",
            body: "c=3&signature=yy",
            headers: &headers,
        };
        assert_eq!(http.payload(), b"b=2&a=%E2%82%ACc=3");
    }

    #[test]
    fn any_token_below_ws_is_a_stream_connection() {
        let combined = |path| match Role::of(path) {
            Some(Role::Streams { names, combined }) => Some((names, combined)),
            _ => None,
        };
        assert_eq!(combined("/ws"), Some((String::new(), false)));
        assert_eq!(combined("/ws/0"), Some(("0".to_owned(), false)));
        assert_eq!(combined("/stream"), Some((String::new(), true)));
        assert!(matches!(Role::of("/ws-api/v3"), Some(Role::Api)));
        assert!(Role::of("/wsx").is_none() && Role::of("/").is_none());
    }
}

//! The WebSocket API: requests of [`ops`](super::ops) in frames, sessions, and user data events.

use std::cell::Cell;
use std::net::IpAddr;
use std::rc::Rc;

use serde_json::{Map, Value, json};

use super::conn::Speaker;
use super::error::ApiError;
use super::exec;
use super::frame;
use super::ops::{Answer, Call, OPS, Op, Security};
use super::outbox::Outbox;
use super::params::Params;
use super::shapes::{TimeUnit, text};
use super::state::UserSubscription;
use super::venue::Venue;

#[derive(Clone, Copy)]
struct Logon {
    key: usize,
    since_ns: i64,
}

/// One connection.
pub(super) struct Session {
    pub(super) outbox: Rc<Outbox>,
    pub(super) unit: TimeUnit,
    from: IpAddr,
    returns_limits: bool,
    connected_ns: i64,
    logon: Cell<Option<Logon>>,
    next_subscription: Cell<u64>,
}

impl Session {
    pub(super) fn new(outbox: Rc<Outbox>, query: &Params, from: IpAddr, now_ns: i64) -> Self {
        Self {
            outbox,
            unit: query.get("timeUnit").and_then(TimeUnit::parse).unwrap_or_default(),
            from,
            returns_limits: !matches!(query.flag("returnRateLimits"), Ok(Some(false))),
            connected_ns: now_ns,
            logon: Cell::new(None),
            next_subscription: Cell::new(0),
        }
    }

    /// Sends a message.
    pub(super) fn say(&self, message: &str) {
        if !self.outbox.is_stalled() {
            self.outbox.push(frame::text(message.as_bytes()));
        }
    }

    /// Tells that the venue will shut down.
    pub(super) fn announce_shutdown(&self, now_ns: i64) {
        self.say(&format!("{{\"event\":{{\"e\":\"serverShutdown\",\"E\":{}}}}}", self.unit.show(now_ns)));
    }
}

/// A session and the venue that it talks to.
pub(super) struct ApiSpeaker {
    pub(super) venue: Rc<Venue>,
    pub(super) session: Rc<Session>,
}

impl Speaker for ApiSpeaker {
    fn on_text(&self, text: &[u8]) {
        match Request::parse(text) {
            Ok(request) => self.answer(&request),
            Err(wrong) => {
                let (id, error) = *wrong;
                self.reply(&id, Err(error), None);
            }
        }
        let now_ns = self.venue.clock.now_ns();
        self.venue.state.borrow_mut().publish(now_ns);
    }

    fn messages_per_s(&self) -> u32 {
        0
    }

    fn on_end(&self) {
        self.venue.state.borrow_mut().forget(&self.session);
    }
}

struct Request {
    id: Value,
    method: String,
    params: Params,
}

impl Request {
    fn parse(text: &[u8]) -> Result<Self, Box<(Value, ApiError)>> {
        let wrong = |id: Value, msg: &'static str| Box::new((id, ApiError::new(-1135, msg)));
        let mut object: Map<String, Value> =
            serde_json::from_slice(text).map_err(|_| wrong(Value::Null, "Invalid JSON Request"))?;
        let id = object.remove("id").unwrap_or(Value::Null);
        let legal = match &id {
            Value::Null => true,
            Value::Number(n) => n.is_i64(),
            Value::String(s) => {
                s.len() <= 36 && s.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            }
            _ => false,
        };
        if !legal {
            return Err(wrong(
                Value::Null,
                "Invalid request: id must be null, a number or up to 36 characters",
            ));
        }
        let Some(Value::String(method)) = object.get("method") else {
            return Err(Box::new((id, ApiError::missing("method"))));
        };
        let method = method.strip_prefix("v3/").unwrap_or(method).to_owned();
        let params = match object.get("params") {
            None | Some(Value::Null) => Params::default(),
            Some(Value::Object(params)) => Params::from_json(params),
            Some(_) => return Err(wrong(id, "Invalid request: params must be an object")),
        };
        Ok(Self { id, method, params })
    }
}

impl ApiSpeaker {
    /// Sends a reply; `orders` says whose order limits it shows.
    fn reply(&self, id: &Value, answer: Answer, orders: Option<(Option<u32>, bool)>) {
        let (orders_of, wanted) = orders.unwrap_or((None, self.session.returns_limits));
        let limits = if wanted {
            let now_ns = self.venue.clock.now_ns();
            let shown =
                self.venue.state.borrow_mut().limits.shown_usage(self.session.from, orders_of, now_ns);
            format!(",\"rateLimits\":{}", text(&shown))
        } else {
            String::new()
        };
        let message = match answer {
            Ok(result) => format!("{{\"id\":{id},\"status\":200,\"result\":{result}{limits}}}"),
            Err(mut error) => {
                if let Some(seconds) = error.retry_after_s {
                    let now_ms = self.venue.clock.now_ns() / 1_000_000;
                    error.data = Some(json!({"serverTime": now_ms, "retryAfter": now_ms + seconds * 1_000}));
                }
                format!("{{\"id\":{id},\"status\":{},\"error\":{}{limits}}}", error.status, error.json())
            }
        };
        self.session.say(&message);
        self.venue.state.borrow_mut().stats.api_requests += 1;
    }

    fn answer(&self, request: &Request) {
        let wanted = match request.params.flag("returnRateLimits") {
            Ok(Some(wanted)) => wanted,
            _ => self.session.returns_limits,
        };
        if let Some(op) = OPS.iter().find(|op| op.method == request.method) {
            let (outcome, account) = self.execute(op, &request.params);
            if let Some(answer) = outcome {
                let orders_of = account.filter(|_| op.is_order());
                self.reply(&request.id, answer, Some((orders_of, wanted)));
            }
            return;
        }
        let answer = self.charge(2).and_then(|()| self.session_request(request));
        self.reply(&request.id, answer, Some((None, wanted)));
    }

    fn charge(&self, weight: u32) -> Result<(), ApiError> {
        let now_ns = self.venue.clock.now_ns();
        self.venue.state.borrow_mut().limits.charge(self.session.from, weight, now_ns)
    }

    fn execute(&self, op: &Op, params: &Params) -> (exec::Outcome, Option<u32>) {
        let venue = &self.venue;
        let now_ns = venue.clock.now_ns();
        let mut state = venue.state.borrow_mut();
        let admitted = exec::charge(&mut state, op, params, self.session.from, now_ns);
        let admitted = admitted.and_then(|()| match op.security {
            Security::Open => Ok(()),
            security => {
                drop(state);
                let key = self.authorise(params)?;
                let again = venue.state.borrow();
                exec::permit(&again, key, security)
            }
        });
        let mut state = venue.state.borrow_mut();
        let account = state.account;
        let outcome = match admitted {
            Ok(()) => {
                let call = Call { params, account, now_ns, unit: self.session.unit };
                exec::run(&mut state, op, &call, self.session.from)
            }
            Err(error) => Some(Err(error)),
        };
        (outcome, (op.security != Security::Open).then_some(account.0))
    }

    /// By the session's key, or by the request's own key and signature.
    fn authorise(&self, params: &Params) -> Result<usize, ApiError> {
        match self.session.logon.get() {
            Some(logon) if params.get("signature").is_none() => {
                exec::check_time(&self.venue.clock, params)?;
                Ok(logon.key)
            }
            _ => self.authorise_by_signature(params),
        }
    }

    fn authorise_by_signature(&self, params: &Params) -> Result<usize, ApiError> {
        let state = self.venue.state.borrow();
        let payload = params.sorted_payload();
        let key = params.need("apiKey")?;
        exec::authorise(&state, &self.venue.clock, params, payload.as_bytes(), Some(key))
    }

    fn session_request(&self, request: &Request) -> Answer {
        match request.method.as_str() {
            "session.logon" => self.log_on(&request.params),
            "session.status" => Ok(self.status()),
            "session.logout" => {
                self.session.logon.set(None);
                self.end_subscriptions(|user| user.by_logon);
                Ok(self.status())
            }
            "userDataStream.subscribe" => match self.session.logon.get() {
                Some(_) => Ok(self.subscribe(true)),
                None => Err(ApiError::unauthorised()),
            },
            "userDataStream.subscribe.signature" => {
                self.authorise_by_signature(&request.params)?;
                Ok(self.subscribe(false))
            }
            "userDataStream.unsubscribe" => self.unsubscribe(&request.params),
            "session.subscriptions" => {
                let state = self.venue.state.borrow();
                let mine = state.users.iter().filter(|u| Rc::ptr_eq(&u.session, &self.session));
                Ok(text(&mine.map(|u| json!({"subscriptionId": u.id})).collect::<Vec<Value>>()))
            }
            _ => Err(ApiError::new(-1000, "Unknown method.")),
        }
    }

    fn log_on(&self, params: &Params) -> Answer {
        let key = self.authorise_by_signature(params)?;
        if !self.venue.state.borrow().keys[key].may_log_on() {
            return Err(ApiError::new(-4056, "HMAC_SHA256 API key is not supported."));
        }
        self.session.logon.set(Some(Logon { key, since_ns: self.venue.clock.now_ns() }));
        Ok(self.status())
    }

    fn status(&self) -> String {
        let state = self.venue.state.borrow();
        let unit = self.session.unit;
        let logon = self.session.logon.get();
        let listens = state.users.iter().any(|u| Rc::ptr_eq(&u.session, &self.session));
        text(&json!({
            "apiKey": logon.map(|l| state.keys[l.key].name.as_str()),
            "authorizedSince": logon.map(|l| unit.show(l.since_ns)),
            "connectedSince": unit.show(self.session.connected_ns),
            "returnRateLimits": self.session.returns_limits,
            "serverTime": unit.show(self.venue.clock.now_ns()),
            "userDataStream": listens,
        }))
    }

    fn subscribe(&self, by_logon: bool) -> String {
        let id = self.session.next_subscription.get();
        self.session.next_subscription.set(id + 1);
        let mut state = self.venue.state.borrow_mut();
        let account = state.account;
        state.users.push(UserSubscription { session: Rc::clone(&self.session), account, id, by_logon });
        format!("{{\"subscriptionId\":{id}}}")
    }

    fn unsubscribe(&self, params: &Params) -> Answer {
        let wanted = params.int("subscriptionId")?.and_then(|id| u64::try_from(id).ok());
        self.end_subscriptions(|user| wanted.is_none_or(|id| id == user.id));
        Ok("{}".to_owned())
    }

    /// Ends this session's subscriptions that `ends` names, and tells it so.
    fn end_subscriptions(&self, ends: impl Fn(&UserSubscription) -> bool) {
        let now = self.session.unit.show(self.venue.clock.now_ns());
        self.venue.state.borrow_mut().users.retain(|user| {
            let gone = Rc::ptr_eq(&user.session, &self.session) && ends(user);
            if gone {
                let event = format!("{{\"e\":\"eventStreamTerminated\",\"E\":{now}}}");
                self.session.say(&format!("{{\"subscriptionId\":{},\"event\":{event}}}", user.id));
            }
            !gone
        });
    }
}

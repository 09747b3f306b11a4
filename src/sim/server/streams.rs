//! Market stream connections: what their path subscribes to and what they ask for later.

use std::cell::RefCell;
use std::rc::Rc;

use serde_json::{Map, Value};

use super::conn::Speaker;
use super::frame;
use super::hub::{Key, Subscriber};
use super::shapes::text;
use super::venue::Venue;

/// Streams that a connection may hold.
const STREAMS_MAX: usize = 1_024;

/// A market stream connection.
pub(super) struct StreamSpeaker {
    venue: Rc<Venue>,
    subscriber: Rc<Subscriber>,
    names: RefCell<Vec<String>>,
}

struct Wrong(&'static str);

impl StreamSpeaker {
    /// A connection that begins with the streams `names`.
    pub(super) fn new(venue: Rc<Venue>, subscriber: Rc<Subscriber>, names: &[&str]) -> Self {
        venue.state.borrow_mut().hub.join(Rc::clone(&subscriber));
        let speaker = Self { venue, subscriber, names: RefCell::new(Vec::new()) };
        // Clients open `/ws/0` and the like and subscribe later: what is no stream's name subscribes to nothing.
        for name in names.iter().filter(|n| n.contains('@')).take(STREAMS_MAX) {
            speaker.add(name);
        }
        speaker.venue.listened.notify_one();
        speaker
    }

    fn add(&self, name: &str) {
        let mut names = self.names.borrow_mut();
        if names.iter().any(|n| n == name) {
            return;
        }
        names.push(name.to_owned());
        let mut state = self.venue.state.borrow_mut();
        if let Some(key) = Key::parse(name, &state.exchange) {
            state.hub.subscribe(key, &self.subscriber, name);
        }
    }

    fn remove(&self, name: &str) {
        self.names.borrow_mut().retain(|n| n != name);
        let mut state = self.venue.state.borrow_mut();
        if let Some(key) = Key::parse(name, &state.exchange) {
            state.hub.unsubscribe(key, &self.subscriber, name);
        }
    }

    fn names(params: Option<&Value>) -> Result<Vec<&str>, Wrong> {
        const WHAT: &str = "Invalid request: params must be an array of stream names";
        let list = params.and_then(Value::as_array).ok_or(Wrong(WHAT))?;
        list.iter().map(|v| v.as_str().ok_or(Wrong(WHAT))).collect()
    }

    fn request(&self, object: &Map<String, Value>) -> Result<Value, Wrong> {
        let params = object.get("params");
        match object.get("method").and_then(Value::as_str) {
            Some("SUBSCRIBE") => {
                let names = Self::names(params)?;
                if self.names.borrow().len() + names.len() > STREAMS_MAX {
                    return Err(Wrong("Invalid request: too many streams"));
                }
                for name in names {
                    self.add(name);
                }
                Ok(Value::Null)
            }
            Some("UNSUBSCRIBE") => {
                for name in Self::names(params)? {
                    self.remove(name);
                }
                Ok(Value::Null)
            }
            Some("LIST_SUBSCRIPTIONS") => {
                Ok(self.names.borrow().iter().map(|n| Value::from(n.as_str())).collect())
            }
            Some("SET_PROPERTY") => {
                let params = params.and_then(Value::as_array).map(Vec::as_slice);
                let Some([Value::String(name), Value::Bool(on)]) = params else {
                    return Err(Wrong("Invalid request: params must be [\"combined\", true|false]"));
                };
                Self::known(name)?;
                self.subscriber.combined.set(*on);
                Ok(Value::Null)
            }
            Some("GET_PROPERTY") => {
                let params = params.and_then(Value::as_array).map(Vec::as_slice);
                let Some([Value::String(name)]) = params else {
                    return Err(Wrong("Invalid request: params must be [\"combined\"]"));
                };
                Self::known(name)?;
                Ok(Value::Bool(self.subscriber.combined.get()))
            }
            _ => Err(Wrong("Invalid request: unknown method")),
        }
    }

    fn known(property: &str) -> Result<(), Wrong> {
        if property == "combined" { Ok(()) } else { Err(Wrong("Invalid request: unknown property")) }
    }

    fn say(&self, message: &str) {
        self.subscriber.outbox.push(frame::text(message.as_bytes()));
    }

    fn refuse(&self, id: &Value, wrong: &Wrong) {
        let msg = text(&wrong.0);
        self.say(&format!("{{\"error\":{{\"code\":2,\"msg\":{msg}}},\"id\":{id}}}"));
    }
}

impl Speaker for StreamSpeaker {
    fn on_text(&self, text: &[u8]) {
        let Ok(object) = serde_json::from_slice::<Map<String, Value>>(text) else {
            self.refuse(&Value::Null, &Wrong("Invalid JSON"));
            return;
        };
        let id = object.get("id").cloned().unwrap_or(Value::Null);
        let legal = matches!(&id, Value::Null | Value::String(_)) || id.is_i64();
        if !legal {
            self.refuse(
                &Value::Null,
                &Wrong("Invalid request: request ID must be an integer, a string or null"),
            );
            return;
        }
        match self.request(&object) {
            Ok(result) => self.say(&format!("{{\"result\":{result},\"id\":{id}}}")),
            Err(wrong) => self.refuse(&id, &wrong),
        }
        // After the acknowledgement, so that it comes before the first message of a waiting replay.
        self.venue.listened.notify_one();
    }

    fn messages_per_s(&self) -> u32 {
        self.venue.rules.stream_messages_per_s
    }

    fn on_end(&self) {
        self.venue.state.borrow_mut().hub.leave(&self.subscriber);
    }
}

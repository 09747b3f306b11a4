//! Who hears what: market stream subscriptions, and the way of a message to all that hold one, faults included.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use super::frame::{self, Frame};
use super::outbox::Outbox;
use super::shapes::TimeUnit;
use crate::sim::exchange::{Exchange, Interval, SymbolId};
use crate::sim::faults::{FaultEngine, MarketAction};

/// What a stream tells of a symbol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Topic {
    Trade,
    Aggregate,
    Best,
    /// Level changes every 100 ms or every second.
    Diff {
        fast: bool,
    },
    /// The top of the book every 100 ms or every second.
    Partial {
        levels: u8,
        fast: bool,
    },
    /// By index into [`Interval::ALL`].
    Kline(u8),
    MiniTicker,
    Ticker,
    Average,
}

/// A stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) symbol: SymbolId,
    pub(super) topic: Topic,
}

impl Key {
    /// From a stream's name; `None` for one that this venue does not have, which is then silent, as at the real one.
    pub(super) fn parse(name: &str, exchange: &Exchange) -> Option<Self> {
        let (symbol, rest) = name.split_once('@')?;
        let symbol = exchange.symbol_id(symbol.to_ascii_uppercase().as_bytes())?;
        let (what, speed) = rest.split_once('@').unwrap_or((rest, ""));
        let fast = speed == "100ms";
        let topic = match what {
            "trade" => Topic::Trade,
            "aggTrade" => Topic::Aggregate,
            "bookTicker" => Topic::Best,
            "depth" => Topic::Diff { fast },
            "depth5" => Topic::Partial { levels: 5, fast },
            "depth10" => Topic::Partial { levels: 10, fast },
            "depth20" => Topic::Partial { levels: 20, fast },
            "miniTicker" => Topic::MiniTicker,
            "ticker" => Topic::Ticker,
            "avgPrice" => Topic::Average,
            _ => Topic::Kline(interval_index(what.strip_prefix("kline_")?)?),
        };
        Some(Self { symbol, topic })
    }
}

/// Index of a kline interval by name.
fn interval_index(name: &str) -> Option<u8> {
    let interval = Interval::parse(name)?;
    let at = Interval::ALL.iter().position(|i| *i == interval)?;
    u8::try_from(at).ok()
}

/// A market stream connection, as far as messages to it are concerned.
pub(super) struct Subscriber {
    pub(super) outbox: Rc<Outbox>,
    pub(super) unit: TimeUnit,
    /// Whether messages are wrapped with their stream's name.
    pub(super) combined: Cell<bool>,
    /// A message that the `reorder` fault holds back.
    held: RefCell<Option<Frame>>,
}

impl Subscriber {
    pub(super) fn new(outbox: Rc<Outbox>, unit: TimeUnit, combined: bool) -> Self {
        Self { outbox, unit, combined: Cell::new(combined), held: RefCell::new(None) }
    }
}

struct Subscription {
    subscriber: Rc<Subscriber>,
    /// The name by which it was asked for: `x@depth` and `x@depth@1000ms` are one stream.
    name: Rc<str>,
}

/// All subscriptions.
#[derive(Default)]
pub(super) struct Hub {
    topics: BTreeMap<Key, Vec<Subscription>>,
    subscribers: Vec<Rc<Subscriber>>,
    /// Market messages queued so far.
    pub(super) sent: u64,
}

/// A message in the forms in which connections want it; each form is made once.
struct Forms<'a> {
    render: &'a dyn Fn(TimeUnit) -> String,
    made: Vec<(TimeUnit, Option<Rc<str>>, Rc<str>)>,
}

impl Forms<'_> {
    fn payload(&mut self, unit: TimeUnit, name: Option<&Rc<str>>) -> Rc<str> {
        if let Some((_, _, payload)) = self.made.iter().find(|(u, n, _)| *u == unit && n.as_ref() == name) {
            return Rc::clone(payload);
        }
        let data = (self.render)(unit);
        let payload: Rc<str> = match name {
            Some(name) => Rc::from(format!("{{\"stream\":\"{name}\",\"data\":{data}}}")),
            None => Rc::from(data),
        };
        self.made.push((unit, name.cloned(), Rc::clone(&payload)));
        payload
    }
}

impl Hub {
    /// A connection came.
    pub(super) fn join(&mut self, subscriber: Rc<Subscriber>) {
        self.subscribers.push(subscriber);
    }

    /// A connection went.
    pub(super) fn leave(&mut self, subscriber: &Rc<Subscriber>) {
        self.subscribers.retain(|s| !Rc::ptr_eq(s, subscriber));
        for subscriptions in self.topics.values_mut() {
            subscriptions.retain(|s| !Rc::ptr_eq(&s.subscriber, subscriber));
        }
    }

    /// All connections.
    pub(super) fn subscribers(&self) -> &[Rc<Subscriber>] {
        &self.subscribers
    }

    /// A connection wants a stream.
    pub(super) fn subscribe(&mut self, key: Key, subscriber: &Rc<Subscriber>, name: &str) {
        let subscriptions = self.topics.entry(key).or_default();
        if !subscriptions.iter().any(|s| Rc::ptr_eq(&s.subscriber, subscriber) && &*s.name == name) {
            subscriptions.push(Subscription { subscriber: Rc::clone(subscriber), name: Rc::from(name) });
        }
    }

    /// A connection wants it no more.
    pub(super) fn unsubscribe(&mut self, key: Key, subscriber: &Rc<Subscriber>, name: &str) {
        if let Some(subscriptions) = self.topics.get_mut(&key) {
            subscriptions.retain(|s| !(Rc::ptr_eq(&s.subscriber, subscriber) && &*s.name == name));
        }
    }

    /// Whether anybody listens.
    pub(super) fn is_wanted(&self, key: Key) -> bool {
        self.topics.get(&key).is_some_and(|s| !s.is_empty())
    }

    /// Whether anybody listens to anything.
    pub(super) fn has_listeners(&self) -> bool {
        self.topics.values().any(|s| !s.is_empty())
    }

    /// Sends a message to all that hold the stream.
    pub(super) fn publish(
        &mut self,
        key: Key,
        faults: &mut FaultEngine,
        now_ns: i64,
        render: &dyn Fn(TimeUnit) -> String,
    ) {
        let Some(subscriptions) = self.topics.get(&key) else { return };
        let mut forms = Forms { render, made: Vec::new() };
        let mut frames: Vec<(Rc<str>, Frame)> = Vec::new();
        for Subscription { subscriber, name } in subscriptions {
            if subscriber.outbox.is_closing() || subscriber.outbox.is_stalled() {
                continue;
            }
            let payload = forms.payload(subscriber.unit, subscriber.combined.get().then_some(name));
            let made = frames.iter().find(|(p, _)| Rc::ptr_eq(p, &payload)).map(|(_, f)| Rc::clone(f));
            let frame = made.unwrap_or_else(|| {
                let frame = frame::text(payload.as_bytes());
                frames.push((Rc::clone(&payload), Rc::clone(&frame)));
                frame
            });
            let action = faults.market(name, payload.len(), now_ns);
            deliver(subscriber, action, &payload, frame);
            self.sent += 1;
        }
    }

    /// Tells every market connection that the venue will shut down.
    pub(super) fn announce_shutdown(&self, now_ns: i64) {
        for subscriber in &self.subscribers {
            let event = format!("{{\"e\":\"serverShutdown\",\"E\":{}}}", subscriber.unit.show(now_ns));
            let message = if subscriber.combined.get() {
                format!("{{\"stream\":\"!serverShutdown\",\"data\":{event}}}")
            } else {
                event
            };
            subscriber.outbox.push(frame::text(message.as_bytes()));
        }
    }
}

/// Queues a message at one connection, or does to it what a fault says.
fn deliver(subscriber: &Subscriber, action: MarketAction, payload: &str, frame: Frame) {
    let outbox = &subscriber.outbox;
    match action {
        MarketAction::Send => outbox.push(frame),
        MarketAction::Drop => return,
        MarketAction::Delay { ms } => outbox.push_later(frame, Some(Duration::from_millis(ms))),
        MarketAction::Duplicate => {
            outbox.push(Rc::clone(&frame));
            outbox.push(frame);
        }
        MarketAction::Reorder => {
            // Two in a row: the first goes out now, or it would be lost.
            if let Some(earlier) = subscriber.held.replace(Some(frame)) {
                outbox.push(earlier);
            }
            return;
        }
        MarketAction::Truncate { keep } => outbox.push(frame::text(&payload.as_bytes()[..keep])),
        MarketAction::Garbage { at, length } => {
            let mut bytes = payload.as_bytes().to_vec();
            bytes[at..at + length].fill(b'#');
            outbox.push(frame::text(&bytes));
        }
        MarketAction::BadFrame => outbox.push(frame::bad(payload.as_bytes())),
    }
    if let Some(held) = subscriber.held.take() {
        outbox.push(held);
    }
}

//! `journal cat`: an entry as one JSON object with stable keys, or as one line for people. Amounts are decimal text, so that no
//! reader's floats get in between.

use serde_json::{Map, Value};

use crate::event::{Body, Record};
use crate::journal::codec::body_name;
use crate::journal::entry::{Entry, Item};
use crate::journal::wire::Wire;

/// Renders entries in order. It remembers the session's names, so that an instrument is shown by its symbol.
#[derive(Clone, Debug, Default)]
pub struct Renderer {
    symbols: Vec<String>,
    assets: Vec<String>,
    strategies: Vec<String>,
}

impl Renderer {
    /// Knows no names yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// One entry as a JSON object: `seq`, `at` (text) and `wall_ns`, `type`, then the entry's own keys. A session header is a
    /// `BOOT_SEAL` event (R-GATE-7).
    pub fn json(&mut self, item: &Item) -> Value {
        let mut object = Map::new();
        object.insert("seq".to_owned(), Value::from(item.seq));
        object.insert("at".to_owned(), Value::from(time_text(item.wall_ns)));
        object.insert("wall_ns".to_owned(), Value::from(item.wall_ns));
        object.insert("type".to_owned(), Value::from(item.entry.name()));
        match &item.entry {
            Entry::Record(record) => self.record(record, &mut object),
            Entry::Session(header) => {
                self.symbols = header.instruments.iter().map(|i| i.symbol.clone()).collect();
                self.assets.clone_from(&header.assets);
                self.strategies.clone_from(&header.strategies);
                object.insert("event".to_owned(), Value::from("BOOT_SEAL"));
                merge(&mut object, header.as_ref());
            }
            Entry::Control(control) => merge(&mut object, control.as_ref()),
            Entry::Checkpoint(mark) => merge(&mut object, mark),
            Entry::End(end) => merge(&mut object, end),
            Entry::Recovered(cut) => {
                object.insert("event".to_owned(), Value::from("JOURNAL_TAIL_CUT"));
                merge(&mut object, cut);
            }
        }
        Value::Object(object)
    }

    fn record(&self, record: &Record, object: &mut Map<String, Value>) {
        match record {
            Record::Fact(fact) => {
                fact.seq.json_into("fact", object);
                fact.recv_ns.json_into("recv_ns", object);
                object.insert("kind".to_owned(), Value::from(body_name(&fact.body)));
                if let Value::Object(body) = fact.body.json() {
                    for (key, value) in body {
                        // A reply or command has a kind of its own.
                        let key = if key == "kind" { "what".to_owned() } else { key };
                        object.insert(key, value);
                    }
                }
            }
            Record::Intent(r) => r.json_into("", object),
            Record::Decision(r) => r.json_into("", object),
            Record::Sent(r) => r.json_into("", object),
            Record::Note(r) => r.json_into("", object),
        }
        name_by(object, "instrument", "symbol", &self.symbols);
        name_by(object, "strategy", "strategy_name", &self.strategies);
        name_by(object, "asset", "asset_name", &self.assets);
        name_by(object, "fee_asset", "fee_asset_name", &self.assets);
    }

    /// One entry as a line: number, time, type, and what matters most.
    pub fn line(&mut self, item: &Item) -> String {
        let json = self.json(item);
        let kind = match &item.entry {
            Entry::Record(Record::Fact(fact)) => body_name(&fact.body),
            entry => entry.name(),
        };
        let details = match &item.entry {
            Entry::Record(record) => detail(record, &json),
            Entry::Session(header) => {
                format!(
                    "BOOT_SEAL session {} mode {} build {} configuration {}",
                    header.session, header.mode, header.build_id, header.config_hash
                )
            }
            Entry::Control(c) => {
                let what = json.get("kind").and_then(Value::as_str).unwrap_or_default();
                format!("{what} by {}: {}", c.who, c.cause)
            }
            Entry::Checkpoint(mark) => format!("up to {} signed by {}", mark.size, mark.key),
            Entry::End(end) => {
                format!("session {} {}: {} records, {} facts", end.session, end.cause, end.records, end.facts)
            }
            Entry::Recovered(cut) => {
                format!("cut {} bytes off {} at {}: {}", cut.bytes, cut.file, cut.offset, cut.why)
            }
        };
        // Texts came over sockets: none of them may steer a terminal or look like another line.
        let details = details.replace(char::is_control, "\u{FFFD}");
        format!("{:>10}  {}  {kind:<12} {details}", item.seq, time_text(item.wall_ns))
    }
}

/// The values behind these keys, in this order, as far as the record has them.
fn detail(record: &Record, json: &Value) -> String {
    let keys: &[&str] = match record {
        Record::Fact(fact) => match fact.body {
            Body::Quote(_) => &["symbol", "bid", "ask", "update_id"],
            Body::Trade(_) => &["symbol", "aggressor", "qty", "price", "trade_id"],
            Body::Depth(_) => &["symbol", "bids", "asks", "update_id", "snapshot"],
            Body::BookStatus(_) => &["symbol", "valid", "reason"],
            Body::Bar(_) => &["symbol", "open", "high", "low", "close", "volume"],
            Body::Link(_) => &["link", "up", "reason", "attempts"],
            Body::Order(_) => {
                &["client", "symbol", "side", "state", "qty", "price", "filled", "fee", "fee_asset_name"]
            }
            Body::Reply(_) => &["client", "symbol", "what", "reason", "venue_code"],
            Body::Balance(_) => &["asset_name", "free", "locked"],
            Body::Command(_) => &["what", "symbol", "uid", "ticket"],
            Body::Timer => &[],
            Body::Stop(_) => &["symbol", "strategy_name", "stop"],
            Body::Carried(_) => &["client", "symbol", "side", "qty", "price", "filled"],
            Body::ClockOffset(_) => &["offset_ns", "round_trip_ns"],
            Body::Carry(_) => &[
                "what",
                "client",
                "strategy_name",
                "symbol",
                "qty",
                "filled",
                "position",
                "result",
                "peak",
                "day_start",
                "losses",
                "trades",
                "disabled",
                "emergency",
                "weight_bp",
                "journal_seq",
                "follow",
            ],
        },
        Record::Intent(_) => &["client", "strategy_name", "symbol", "reduce_only", "action"],
        Record::Decision(_) => &["client", "symbol", "verdict", "reason", "exposure", "halt_level"],
        Record::Sent(_) => &["client", "symbol", "kind", "text_len"],
        Record::Note(_) => &["kind", "reason", "client", "value"],
    };
    let mut out = String::new();
    for key in keys {
        match json.get(*key) {
            None | Some(Value::Null) => {}
            Some(value) => {
                if !out.is_empty() {
                    out.push(' ');
                }
                flat(value, key, &mut out);
            }
        }
    }
    out
}

/// A value without JSON's punctuation. Truth values show as their key, or not at all.
fn flat(value: &Value, key: &str, out: &mut String) {
    match value {
        Value::String(text) => out.push_str(text),
        Value::Bool(true) => out.push_str(key),
        Value::Bool(false) => {
            out.push_str("not ");
            out.push_str(key);
        }
        Value::Object(object) => {
            for (at, (key, value)) in object.iter().enumerate() {
                if at > 0 {
                    out.push(if key == "qty" { 'x' } else { ' ' });
                }
                flat(value, key, out);
            }
        }
        Value::Array(values) => {
            out.push('[');
            for (at, value) in values.iter().enumerate() {
                if at > 0 {
                    out.push(' ');
                }
                flat(value, key, out);
            }
            out.push(']');
        }
        other => out.push_str(&other.to_string()),
    }
}

/// The keys of a cold record; none of them is named like the four that every entry has.
fn merge<T: serde::Serialize>(object: &mut Map<String, Value>, value: &T) {
    if let Ok(Value::Object(fields)) = serde_json::to_value(value) {
        object.extend(fields);
    }
}

fn name_by(object: &mut Map<String, Value>, key: &str, name_key: &str, names: &[String]) {
    let Some(index) = object.get(key).and_then(Value::as_u64) else { return };
    let index = usize::try_from(index).unwrap_or(usize::MAX);
    if let Some(name) = names.get(index) {
        object.insert(name_key.to_owned(), Value::from(name.as_str()));
    }
}

fn time_text(wall_ns: i64) -> String {
    jiff::Timestamp::from_nanosecond(i128::from(wall_ns))
        .map_or_else(|_| wall_ns.to_string(), |t| format!("{t:.6}"))
}

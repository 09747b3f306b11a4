//! The journal's binary vocabulary: every hot record and what it is made of. Numbers and orders here are the format: add at
//! the end, never change, never reuse.

use serde_json::{Map, Value};

use crate::event::command::{CommandKind, NO_STRATEGY};
use crate::event::fact::LinkId;
use crate::event::{
    Action, BalanceUpdate, Bar, Body, BookStatus, CarriedOrder, Claim, ClockOffset, Command, Decision, Depth,
    Fact, GatewayNote, Intent, LinkStatus, NoteKind, OrderSpec, OrderUpdate, Quote, Record, Reply, ReplyKind,
    Sent, SentKind, StopLevel, Trade, Verdict,
};
use crate::journal::wire::{DecodeError, Input, Wire, wire_enum, wire_newtypes, wire_struct};
use crate::types::{
    AssetId, Cash, ClientOrderId, InstrumentId, Level, OrderState, OrderType, Price, Qty, Reason, Side,
    StrategyId, TimeInForce, TradeId, VenueOrderId,
};

wire_newtypes!(text: Price, Qty, Cash);
wire_newtypes!(number: InstrumentId = u16, AssetId = u16, StrategyId = u8, VenueOrderId = u64, TradeId = u64);

impl Wire for ClientOrderId {
    #[inline]
    fn put(&self, out: &mut Vec<u8>) {
        self.0.put(out);
    }
    #[inline]
    fn get(input: &mut Input<'_>) -> Result<Self, DecodeError> {
        u64::get(input).map(Self)
    }
    fn json(&self) -> Value {
        if *self == Self::NONE { Value::Null } else { Value::from(self.to_string()) }
    }
}

impl Wire for Reason {
    #[inline]
    fn put(&self, out: &mut Vec<u8>) {
        (*self as u16).put(out);
    }
    #[inline]
    fn get(input: &mut Input<'_>) -> Result<Self, DecodeError> {
        let code = u16::get(input)?;
        Self::from_code(code).ok_or(DecodeError::BadTag { what: "reason", value: u64::from(code) })
    }
    fn json(&self) -> Value {
        Value::from(self.name())
    }
}

wire_enum!(Side, "side" { 0 = Buy "BUY", 1 = Sell "SELL" });
wire_enum!(OrderType, "order type" { 0 = Limit "LIMIT", 1 = Market "MARKET", 2 = LimitMaker "LIMIT_MAKER" });
wire_enum!(TimeInForce, "time in force" { 0 = Gtc "GTC", 1 = Ioc "IOC", 2 = Fok "FOK" });
wire_enum!(OrderState, "order state" {
    0 = Created "CREATED", 1 = Approved "APPROVED", 2 = Sent "SENT", 3 = Acknowledged "ACKNOWLEDGED",
    4 = PartiallyFilled "PARTIALLY_FILLED", 5 = CancelSent "CANCEL_SENT", 6 = Unknown "UNKNOWN",
    7 = Filled "FILLED", 8 = Cancelled "CANCELLED", 9 = Rejected "REJECTED", 10 = Expired "EXPIRED",
    11 = NotSent "NOT_SENT",
});
wire_enum!(Verdict, "verdict" { 0 = Approved "APPROVED", 1 = Refused "REFUSED" });
wire_enum!(SentKind, "request kind" {
    0 = Place "PLACE", 1 = Cancel "CANCEL", 2 = Replace "REPLACE", 3 = CancelAll "CANCEL_ALL", 4 = Query "QUERY",
});
wire_enum!(NoteKind, "note kind" {
    0 = HaltSeen "HALT_SEEN", 1 = LeaseExpired "LEASE_EXPIRED", 2 = Paced "PACED", 3 = NothingOpen "NOTHING_OPEN",
    4 = Withheld "WITHHELD", 5 = Unjournaled "UNJOURNALED",
});
wire_enum!(ReplyKind, "reply kind" {
    0 = Sent "SENT", 1 = NotSent "NOT_SENT", 2 = Accepted "ACCEPTED", 3 = Rejected "REJECTED", 4 = Unknown "UNKNOWN",
    5 = Absent "ABSENT", 6 = NothingOpen "NOTHING_OPEN",
});
wire_enum!(LinkId, "link" { 0 = Market "MARKET", 1 = Account "ACCOUNT", 2 = Orders "ORDERS" });
wire_enum!(CommandKind, "command kind" {
    0 = Tripped "TRIPPED", 1 = Arm "ARM", 2 = Flatten "FLATTEN", 3 = CancelAll "CANCEL_ALL", 4 = Reconcile "RECONCILE",
    5 = Freeze "FREEZE", 6 = Unfreeze "UNFREEZE", 7 = Stop "STOP", 8 = EnableStrategy "ENABLE_STRATEGY",
    9 = DisableStrategy "DISABLE_STRATEGY", 10 = ResetEmergency "RESET_EMERGENCY",
});

wire_struct!(Level { price, qty });
wire_struct!(Quote { instrument, conflated, update_id, bid, ask });
wire_struct!(Trade { instrument, aggressor, conflated, trade_id, price, qty, venue_ns });
wire_struct!(BookStatus { instrument, valid, reason });
wire_struct!(Bar { instrument, trades, interval_ns, open_ns, open, high, low, close, volume });
wire_struct!(LinkStatus { link, up, reason, attempts });
wire_struct!(OrderUpdate {
    instrument,
    side,
    state,
    snapshot,
    maker,
    fee_asset,
    client,
    venue_order,
    trade,
    price,
    qty,
    filled,
    fee,
    venue_ns,
});
wire_struct!(Reply { kind, cancel, instrument, reason, venue_code, client, venue_order, venue_ns });
wire_struct!(BalanceUpdate { asset, free, locked, venue_ns });
wire_struct!(ClockOffset { offset_ns, round_trip_ns });
wire_struct!(StopLevel { instrument, strategy, stop });
wire_struct!(CarriedOrder {
    client,
    venue_order,
    instrument,
    strategy,
    side,
    reduce_only,
    price,
    qty,
    filled,
    placed_ns,
});
wire_struct!(Claim { stop, gain_centi_bp, confidence_bp });
wire_struct!(OrderSpec { side, order_type, time_in_force, price, qty });
wire_struct!(Decision { client, cause_seq, verdict, reason, halt_level, lease_valid, instrument, exposure });
wire_struct!(Sent { client, kind, instrument, timestamp_ms, text_len, text_crc, at_ns });
wire_struct!(GatewayNote { kind, reason, client, value, at_ns });

impl Wire for Depth {
    #[inline]
    fn put(&self, out: &mut Vec<u8>) {
        let Self { instrument, count, asks, first, last, snapshot, update_id, venue_ns, levels } = self;
        instrument.put(out);
        count.put(out);
        asks.put(out);
        first.put(out);
        last.put(out);
        snapshot.put(out);
        update_id.put(out);
        venue_ns.put(out);
        levels.put(out);
    }
    #[inline]
    fn get(input: &mut Input<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            instrument: Wire::get(input)?,
            count: Wire::get(input)?,
            asks: Wire::get(input)?,
            first: Wire::get(input)?,
            last: Wire::get(input)?,
            snapshot: Wire::get(input)?,
            update_id: Wire::get(input)?,
            venue_ns: Wire::get(input)?,
            levels: Wire::get(input)?,
        })
    }
    /// Shown as two sides rather than as slots and a bit mask.
    fn json(&self) -> Value {
        let side = |wanted: Side| -> Vec<Value> {
            let pair = |(_, l): (Side, Level)| Value::Array(vec![l.price.json(), l.qty.json()]);
            self.changes().filter(|&(side, _)| side == wanted).map(pair).collect()
        };
        let mut object = Map::new();
        self.instrument.json_into("instrument", &mut object);
        self.update_id.json_into("update_id", &mut object);
        self.venue_ns.json_into("venue_ns", &mut object);
        self.first.json_into("first", &mut object);
        self.last.json_into("last", &mut object);
        self.snapshot.json_into("snapshot", &mut object);
        object.insert("bids".to_owned(), Value::Array(side(Side::Buy)));
        object.insert("asks".to_owned(), Value::Array(side(Side::Sell)));
        Value::Object(object)
    }
}

/// In an action's tag: an owner who is not the strategy follows the intent. Without the bit they are one, as in older
/// journals.
const OWNED: u8 = 0x40;
/// A strategy follows only where the kind of command concerns one: older journals know none.
impl Wire for Command {
    #[inline]
    fn put(&self, out: &mut Vec<u8>) {
        let Self { kind, instrument, uid, ticket, halt_epoch, strategy } = self;
        kind.put(out);
        instrument.put(out);
        uid.put(out);
        ticket.put(out);
        halt_epoch.put(out);
        if kind.names_strategy() {
            strategy.put(out);
        }
    }
    #[inline]
    fn get(input: &mut Input<'_>) -> Result<Self, DecodeError> {
        let kind = CommandKind::get(input)?;
        Ok(Self {
            kind,
            instrument: Wire::get(input)?,
            uid: Wire::get(input)?,
            ticket: Wire::get(input)?,
            halt_epoch: Wire::get(input)?,
            strategy: if kind.names_strategy() { Wire::get(input)? } else { NO_STRATEGY },
        })
    }
    fn json(&self) -> Value {
        let mut object = Map::new();
        self.json_into("", &mut object);
        Value::Object(object)
    }
    fn json_into(&self, key: &str, object: &mut Map<String, Value>) {
        if !key.is_empty() {
            object.insert(key.to_owned(), self.json());
            return;
        }
        self.kind.json_into("kind", object);
        self.instrument.json_into("instrument", object);
        self.uid.json_into("uid", object);
        self.ticket.json_into("ticket", object);
        self.halt_epoch.json_into("halt_epoch", object);
        if self.kind.names_strategy() {
            self.strategy.json_into("strategy", object);
        }
    }
}

/// In an action's tag: a claim follows the intent. Without the bit there is none, as in older journals.
const CLAIMED: u8 = 0x80;

impl Wire for Intent {
    #[inline]
    fn put(&self, out: &mut Vec<u8>) {
        let Self { client, cause_seq, cause_ns, strategy, owner, instrument, reduce_only, action, claim } =
            self;
        client.put(out);
        cause_seq.put(out);
        cause_ns.put(out);
        strategy.put(out);
        instrument.put(out);
        reduce_only.put(out);
        let tag_at = out.len();
        action.put(out);
        if owner != strategy {
            out[tag_at] |= OWNED;
            owner.put(out);
        }
        if *claim != Claim::NONE {
            out[tag_at] |= CLAIMED;
            claim.put(out);
        }
    }
    #[inline]
    fn get(input: &mut Input<'_>) -> Result<Self, DecodeError> {
        let mut intent = Self {
            client: Wire::get(input)?,
            cause_seq: Wire::get(input)?,
            cause_ns: Wire::get(input)?,
            strategy: Wire::get(input)?,
            owner: StrategyId::OPERATOR,
            instrument: Wire::get(input)?,
            reduce_only: Wire::get(input)?,
            action: Action::CancelAll,
            claim: Claim::NONE,
        };
        let tag = u8::get(input)?;
        intent.action = action_of(tag & !(OWNED | CLAIMED), input)?;
        intent.owner = intent.strategy;
        if tag & OWNED != 0 {
            intent.owner = Wire::get(input)?;
            if intent.owner == intent.strategy {
                // One value, one encoding.
                return Err(DecodeError::BadTag { what: "owner", value: u64::from(intent.owner.0) });
            }
        }
        if tag & CLAIMED != 0 {
            intent.claim = Wire::get(input)?;
            if intent.claim == Claim::NONE {
                return Err(DecodeError::BadTag { what: "claim", value: 0 });
            }
        }
        Ok(intent)
    }
    fn json(&self) -> Value {
        let mut object = Map::new();
        self.json_into("", &mut object);
        Value::Object(object)
    }
    fn json_into(&self, key: &str, object: &mut Map<String, Value>) {
        if !key.is_empty() {
            object.insert(key.to_owned(), self.json());
            return;
        }
        self.client.json_into("client", object);
        self.cause_seq.json_into("cause_seq", object);
        self.cause_ns.json_into("cause_ns", object);
        self.strategy.json_into("strategy", object);
        self.instrument.json_into("instrument", object);
        self.reduce_only.json_into("reduce_only", object);
        object.insert("action".to_owned(), self.action.json());
        if self.owner != self.strategy {
            self.owner.json_into("owner", object);
        }
        if self.claim != Claim::NONE {
            object.insert("claim".to_owned(), self.claim.json());
        }
    }
}

fn action_of(tag: u8, input: &mut Input<'_>) -> Result<Action, DecodeError> {
    Ok(match tag {
        0 => Action::Place(Wire::get(input)?),
        1 => Action::Cancel { target: Wire::get(input)? },
        2 => Action::Replace { target: Wire::get(input)?, spec: Wire::get(input)? },
        3 => Action::CancelAll,
        other => return Err(DecodeError::BadTag { what: "action", value: u64::from(other) }),
    })
}

impl Wire for Action {
    #[inline]
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::Place(spec) => {
                out.push(0);
                spec.put(out);
            }
            Self::Cancel { target } => {
                out.push(1);
                target.put(out);
            }
            Self::Replace { target, spec } => {
                out.push(2);
                target.put(out);
                spec.put(out);
            }
            Self::CancelAll => out.push(3),
        }
    }
    #[inline]
    fn get(input: &mut Input<'_>) -> Result<Self, DecodeError> {
        let tag = u8::get(input)?;
        action_of(tag, input)
    }
    fn json(&self) -> Value {
        let mut object = Map::new();
        let kind = match self {
            Self::Place(_) => "PLACE",
            Self::Cancel { .. } => "CANCEL",
            Self::Replace { .. } => "REPLACE",
            Self::CancelAll => "CANCEL_ALL",
        };
        object.insert("kind".to_owned(), Value::from(kind));
        if let Self::Cancel { target } | Self::Replace { target, .. } = self {
            target.json_into("target", &mut object);
        }
        if let Self::Place(spec) | Self::Replace { spec, .. } = self {
            spec.json_into("", &mut object);
        }
        Value::Object(object)
    }
}

/// The fact bodies: number, variant, name.
macro_rules! bodies {
    ($($tag:literal = $variant:ident $text:literal),* $(,)?) => {
        impl Wire for Body {
            #[inline]
            fn put(&self, out: &mut Vec<u8>) {
                match self {
                    $(Self::$variant(body) => {
                        out.push($tag);
                        body.put(out);
                    })*
                    Self::Timer => out.push(TIMER),
                }
            }
            #[inline]
            fn get(input: &mut Input<'_>) -> Result<Self, DecodeError> {
                match u8::get(input)? {
                    $($tag => Wire::get(input).map(Self::$variant),)*
                    TIMER => Ok(Self::Timer),
                    other => Err(DecodeError::BadTag { what: "fact body", value: u64::from(other) }),
                }
            }
            fn json(&self) -> Value {
                match self {
                    $(Self::$variant(body) => body.json(),)*
                    Self::Timer => Value::Object(Map::new()),
                }
            }
        }
        /// A fact body's name in `cat`.
        pub const fn body_name(body: &Body) -> &'static str {
            match body {
                $(Body::$variant(_) => $text,)*
                Body::Timer => "timer",
            }
        }
    };
}
const TIMER: u8 = 10;
bodies! {
    0 = Quote "quote", 1 = Trade "trade", 2 = Depth "depth", 3 = BookStatus "book_status", 4 = Bar "bar",
    5 = Link "link", 6 = Order "order", 7 = Reply "reply", 8 = Balance "balance", 9 = Command "command",
    11 = ClockOffset "clock_offset", 12 = Carry "carry", 20 = Carried "carried_order", 21 = Stop "stop_level",
}
wire_struct!(Fact { seq, recv_ns, body });

/// Record types. Hot ones are below 16, cold ones (JSON) from 16 on.
pub mod kind {
    /// A fact, from feed.
    pub const FACT: u16 = 1;
    /// An intent, from signal.
    pub const INTENT: u16 = 2;
    /// A decision, from risk.
    pub const DECISION: u16 = 3;
    /// A request about to be written, from the gateway.
    pub const SENT: u16 = 4;
    /// A note of the gateway.
    pub const NOTE: u16 = 5;
    /// The start of a session: `BOOT_SEAL`.
    pub const SESSION: u16 = 16;
    /// An act of the control thread.
    pub const CONTROL: u16 = 17;
    /// A checkpoint was signed.
    pub const CHECKPOINT: u16 = 18;
    /// The end of a session.
    pub const END: u16 = 19;
    /// A bad tail was cut off when the journal was opened.
    pub const RECOVERED: u16 = 20;

    /// The name of a type, for errors and `cat`.
    pub const fn name(kind: u16) -> Option<&'static str> {
        Some(match kind {
            FACT => "fact",
            INTENT => "intent",
            DECISION => "decision",
            SENT => "sent",
            NOTE => "note",
            SESSION => "session",
            CONTROL => "control",
            CHECKPOINT => "checkpoint",
            END => "end",
            RECOVERED => "recovered",
            _ => return None,
        })
    }
}

/// The type of a hot record.
#[inline]
pub const fn record_kind(record: &Record) -> u16 {
    match record {
        Record::Fact(_) => kind::FACT,
        Record::Intent(_) => kind::INTENT,
        Record::Decision(_) => kind::DECISION,
        Record::Sent(_) => kind::SENT,
        Record::Note(_) => kind::NOTE,
    }
}

/// Appends a hot record's payload. Replays compare these bytes.
#[inline]
pub fn encode_record(record: &Record, out: &mut Vec<u8>) {
    match record {
        Record::Fact(r) => r.put(out),
        Record::Intent(r) => r.put(out),
        Record::Decision(r) => r.put(out),
        Record::Sent(r) => r.put(out),
        Record::Note(r) => r.put(out),
    }
}

/// Reads a hot record back.
pub fn decode_record(kind: u16, payload: &[u8]) -> Result<Record, DecodeError> {
    let mut input = Input::new(payload);
    let record = match kind {
        kind::FACT => Record::Fact(Wire::get(&mut input)?),
        kind::INTENT => Record::Intent(Wire::get(&mut input)?),
        kind::DECISION => Record::Decision(Wire::get(&mut input)?),
        kind::SENT => Record::Sent(Wire::get(&mut input)?),
        kind::NOTE => Record::Note(Wire::get(&mut input)?),
        _ => return Err(DecodeError::UnknownType { kind }),
    };
    input.finish(kind::name(kind).unwrap_or("record"))?;
    Ok(record)
}

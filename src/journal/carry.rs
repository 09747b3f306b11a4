//! The journal's bytes of what is carried over between sessions. Numbers and orders are the format, as in `codec`.

use serde_json::{Map, Value};

use crate::event::{
    CarriedAccount, CarriedLatch, CarriedPace, CarriedPosition, CarriedStrategy, CarriedTimes, Carry,
    CarryHead,
};
use crate::journal::wire::{DecodeError, Input, Wire, wire_struct};
use crate::types::{Position, PositionParts};

impl Wire for PositionParts {
    fn put(&self, out: &mut Vec<u8>) {
        let Self { qty, fees, fills, cost, realised } = self;
        qty.put(out);
        fees.put(out);
        fills.put(out);
        cost.put(out);
        realised.put(out);
    }
    fn get(input: &mut Input<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            qty: Wire::get(input)?,
            fees: Wire::get(input)?,
            fills: Wire::get(input)?,
            cost: Wire::get(input)?,
            realised: Wire::get(input)?,
        })
    }
    /// Shown as people read a position; the exact sums are in the bytes.
    fn json(&self) -> Value {
        let position = Position::from(*self);
        let mut object = Map::new();
        self.qty.json_into("qty", &mut object);
        if let Some(price) = position.average_price() {
            price.json_into("average_price", &mut object);
        }
        position.realised().json_into("realised", &mut object);
        self.fees.json_into("fees", &mut object);
        self.fills.json_into("fills", &mut object);
        Value::Object(object)
    }
}

wire_struct!(CarryHead { journal_seq, follow });
wire_struct!(CarriedPosition { instrument, strategy, position, last_trade, mark, opened });
wire_struct!(CarriedAccount {
    settled,
    result,
    peak,
    worst,
    day,
    day_start,
    day_entries,
    trades,
    day_stopped,
    emergency,
    preservation,
    preservation_ns,
    served_bp,
});
wire_struct!(CarriedStrategy { strategy, losses, trades, disabled, weight_bp, target_bp, weight_day });
wire_struct!(CarriedPace { instrument, last_ns, day, decisions, losses, rest_until_ns, flat_result });
wire_struct!(CarriedLatch { strategy, why });
wire_struct!(CarriedTimes { strategy, at_ns, count });

/// The pieces: number, variant, name.
macro_rules! pieces {
    ($($tag:literal = $variant:ident $text:literal),* $(,)?) => {
        impl Wire for Carry {
            fn put(&self, out: &mut Vec<u8>) {
                match self {
                    $(Self::$variant(piece) => {
                        out.push($tag);
                        piece.put(out);
                    })*
                }
            }
            fn get(input: &mut Input<'_>) -> Result<Self, DecodeError> {
                match u8::get(input)? {
                    $($tag => Wire::get(input).map(Self::$variant),)*
                    other => Err(DecodeError::BadTag { what: "carried piece", value: u64::from(other) }),
                }
            }
            fn json(&self) -> Value {
                let mut object = Map::new();
                match self {
                    $(Self::$variant(piece) => {
                        object.insert("kind".to_owned(), Value::from($text));
                        piece.json_into("", &mut object);
                    })*
                }
                Value::Object(object)
            }
        }
    };
}
pieces! {
    0 = Begin "BEGIN", 1 = Net "NET", 2 = Own "OWN", 3 = Account "ACCOUNT", 4 = Strategy "STRATEGY",
    5 = Pace "PACE", 6 = Latch "LATCH", 7 = Executed "EXECUTED", 8 = VenueRefused "VENUE_REFUSED",
}

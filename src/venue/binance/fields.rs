//! Typed access to the fields of a parsed message: each failure names the message, the field, what was expected, and shows
//! place and value.

use core::cell::Cell;

use crate::types::{Price, Qty};
use crate::venue::Malformed;
use crate::venue::binance::venue_time_ns;
use crate::wire::json::Value;

/// A message's kind and one of its objects.
pub(super) struct Fields<'t> {
    pub(super) message: &'static str,
    pub(super) value: Value<'t>,
    /// Where the last field was found: the next one asked for is likely behind it.
    found: Cell<usize>,
}

impl<'t> Fields<'t> {
    pub(super) const fn new(message: &'static str, value: Value<'t>) -> Self {
        Self { message, value, found: Cell::new(0) }
    }

    #[cold]
    pub(super) fn wrong(&self, field: &'static str, expected: &'static str) -> Malformed {
        match self.value.get(field) {
            Some(value) => {
                let text = value.as_str().unwrap_or("(no text)");
                Malformed::at(self.message, field, expected, value.offset(), text.as_bytes())
            }
            None => Malformed::at(self.message, field, expected, self.value.offset(), b"(nothing)"),
        }
    }

    pub(super) fn get(&self, field: &'static str) -> Result<Value<'t>, Malformed> {
        self.value.get_near(field, &self.found).ok_or_else(|| self.wrong(field, "a value"))
    }
    pub(super) fn optional(&self, field: &'static str) -> Option<Value<'t>> {
        self.value.get_near(field, &self.found)
    }
    pub(super) fn object(&self, field: &'static str) -> Result<Self, Malformed> {
        let value = self.get(field)?;
        if value.is_object() {
            Ok(Self::new(self.message, value))
        } else {
            Err(self.wrong(field, "an object"))
        }
    }
    pub(super) fn array(&self, field: &'static str) -> Result<Value<'t>, Malformed> {
        let value = self.get(field)?;
        if value.is_array() { Ok(value) } else { Err(self.wrong(field, "an array")) }
    }
    pub(super) fn str(&self, field: &'static str) -> Result<&'t str, Malformed> {
        self.get(field)?.as_str().ok_or_else(|| self.wrong(field, "text"))
    }
    pub(super) fn u64(&self, field: &'static str) -> Result<u64, Malformed> {
        self.get(field)?.as_u64().ok_or_else(|| self.wrong(field, "a whole number that is not negative"))
    }
    pub(super) fn i64(&self, field: &'static str) -> Result<i64, Malformed> {
        self.get(field)?.as_i64().ok_or_else(|| self.wrong(field, "a whole number"))
    }
    pub(super) fn bool(&self, field: &'static str) -> Result<bool, Malformed> {
        self.get(field)?.as_bool().ok_or_else(|| self.wrong(field, "true or false"))
    }
    pub(super) fn time_ns(&self, field: &'static str) -> Result<i64, Malformed> {
        let time = self.get(field)?.as_i64().and_then(venue_time_ns);
        time.ok_or_else(|| self.wrong(field, "a time in milliseconds or microseconds"))
    }
    /// A price that is not negative.
    pub(super) fn price(&self, field: &'static str) -> Result<Price, Malformed> {
        price_of(self.get(field)?).ok_or_else(|| self.wrong(field, "a price with at most 9 decimals"))
    }
    /// A quantity that is not negative.
    pub(super) fn qty(&self, field: &'static str) -> Result<Qty, Malformed> {
        qty_of(self.get(field)?).ok_or_else(|| self.wrong(field, "a quantity with at most 8 decimals"))
    }
}

/// A price that is not negative.
pub(super) fn price_of(value: Value<'_>) -> Option<Price> {
    let units = value.as_decimal(Price::DECIMALS)?.ok()?;
    (units >= 0).then_some(Price::from_units(units))
}

/// A quantity that is not negative.
pub(super) fn qty_of(value: Value<'_>) -> Option<Qty> {
    let units = value.as_decimal(Qty::DECIMALS)?.ok()?;
    (units >= 0).then_some(Qty::from_units(units))
}

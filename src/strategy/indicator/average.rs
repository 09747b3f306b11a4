//! Moving averages of prices.

use fixed::types::I64F64;

use crate::types::Price;

/// Simple moving average over the last `length` prices.
#[derive(Clone, Debug)]
pub struct Simple {
    prices: Box<[i64]>,
    next: usize,
    seen: usize,
    /// Exact: the sum of at most a million prices is far inside.
    sum: i128,
}

impl Simple {
    /// Over `length` prices, at least one.
    pub fn new(length: usize) -> Self {
        Self { prices: vec![0; length.max(1)].into_boxed_slice(), next: 0, seen: 0, sum: 0 }
    }
    /// Adds a price.
    pub fn update(&mut self, price: Price) {
        let oldest = core::mem::replace(&mut self.prices[self.next], price.units());
        self.sum += i128::from(price.units()) - i128::from(oldest);
        self.next = (self.next + 1) % self.prices.len();
        self.seen = (self.seen + 1).min(self.prices.len());
    }
    /// The average in price units; `None` until `length` prices were seen.
    pub fn value(&self) -> Option<I64F64> {
        if self.seen < self.prices.len() {
            return None;
        }
        // Whole part and remainder apart: the sum itself may be wider than the integer part of the result.
        let length = i128::try_from(self.prices.len()).ok()?;
        let whole = i64::try_from(self.sum / length).ok()?;
        let rest = i64::try_from(self.sum % length).ok()?;
        Some(I64F64::from_num(whole) + I64F64::from_num(rest) / length)
    }
}

/// Exponential moving average with weight `2 / (length + 1)`, started by the simple average of the first `length` prices.
#[derive(Clone, Debug)]
pub struct Exponential {
    length: i128,
    start: Simple,
    value: Option<I64F64>,
}

impl Exponential {
    /// Over `length` prices, at least one.
    pub fn new(length: usize) -> Self {
        Self {
            length: i128::try_from(length.max(1)).unwrap_or(i128::MAX),
            start: Simple::new(length),
            value: None,
        }
    }
    /// Adds a price.
    pub fn update(&mut self, price: Price) {
        let Some(value) = &mut self.value else {
            self.start.update(price);
            self.value = self.start.value();
            return;
        };
        // Divided before doubled: the distance alone may fill the integer part.
        let step = (I64F64::from_num(price.units()) - *value) / (self.length + 1);
        *value += step + step;
    }
    /// The average in price units; `None` until `length` prices were seen.
    pub const fn value(&self) -> Option<I64F64> {
        self.value
    }
}

/// Either kind.
#[derive(Clone, Debug)]
pub enum Average {
    /// Simple.
    Simple(Simple),
    /// Exponential.
    Exponential(Exponential),
}

impl Average {
    /// Adds a price.
    pub fn update(&mut self, price: Price) {
        match self {
            Self::Simple(average) => average.update(price),
            Self::Exponential(average) => average.update(price),
        }
    }
    /// The average in price units; `None` while it is warming up.
    pub fn value(&self) -> Option<I64F64> {
        match self {
            Self::Simple(average) => average.value(),
            Self::Exponential(average) => average.value(),
        }
    }
}

//! A position as the fold of its fills: quantity, cost and realised profit, exact.

use super::{Cash, Price, Qty, Side};

/// One instrument's position. Cost is kept as the exact sum of `price * qty` in `1e-17` units, so that no rounding builds
/// up over any number of fills.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Position {
    /// Signed quantity: positive is long.
    pub qty: Qty,
    /// Signed cost of the open quantity, in `1e-17` of the quote currency.
    cost: i128,
    /// Realised profit before fees, in `1e-17` of the quote currency.
    realised: i128,
    /// Fees paid, in the quote currency.
    pub fees: Cash,
    /// Number of fills.
    pub fills: u64,
}

/// A position can't hold what a fill would make it: the sums left their range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PositionOverflow;

/// A position in plain parts, exact: what is kept of it between sessions. The sums are split so that what carries them
/// needs no 16-byte alignment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct PositionParts {
    /// Signed quantity.
    pub qty: Qty,
    /// Fees paid, in the quote currency.
    pub fees: Cash,
    /// Number of fills.
    pub fills: u64,
    /// Upper and lower half of the cost, in `1e-17` of the quote currency, two's complement.
    pub cost: [u64; 2],
    /// The same of the realised profit.
    pub realised: [u64; 2],
}

/// The halves of a wide sum.
const fn halves(sum: i128) -> [u64; 2] {
    let bits = sum.cast_unsigned();
    #[expect(clippy::cast_possible_truncation, reason = "the halves are what is wanted")]
    [(bits >> 64) as u64, bits as u64]
}
const fn whole([upper, lower]: [u64; 2]) -> i128 {
    (((upper as u128) << 64) | lower as u128).cast_signed()
}

impl From<Position> for PositionParts {
    fn from(position: Position) -> Self {
        let Position { qty, cost, realised, fees, fills } = position;
        Self { qty, fees, fills, cost: halves(cost), realised: halves(realised) }
    }
}

impl From<PositionParts> for Position {
    fn from(parts: PositionParts) -> Self {
        let PositionParts { qty, fees, fills, cost, realised } = parts;
        Self { qty, cost: whole(cost), realised: whole(realised), fees, fills }
    }
}

const UNITS_PER_CASH: i128 = 1_000_000_000;

impl Position {
    /// Books a fill: wholly, or, when a sum would leave its range, not at all.
    pub fn fill(&mut self, side: Side, price: Price, qty: Qty) -> Result<(), PositionOverflow> {
        let signed = qty.units().checked_mul(side.sign()).ok_or(PositionOverflow)?;
        let held = self.qty.units();
        // What this fill closes (opposite sign) and what it opens.
        let closes = if held.signum() * signed.signum() < 0 {
            held.unsigned_abs().min(signed.unsigned_abs()).cast_signed()
        } else {
            0
        };
        let price = i128::from(price.units());
        let (mut cost, mut realised) = (self.cost, self.realised);
        if closes > 0 {
            // The cost leaves in proportion, towards zero: what is left over stays with the position and leaves with
            // its last part, so that a flat position has no cost. Divided first and the remainder apart: the product of
            // cost and quantity would overflow for a billion units of a coin worth a thousandth of a cent.
            let (closes, held_abs) = (i128::from(closes), i128::from(held.unsigned_abs()));
            let cost_out = (cost / held_abs) * closes + (cost % held_abs) * closes / held_abs;
            let value_out = price * closes * i128::from(held.signum());
            let gain = value_out.checked_sub(cost_out).ok_or(PositionOverflow)?;
            realised = realised.checked_add(gain).ok_or(PositionOverflow)?;
            cost -= cost_out;
        }
        let opens = signed - closes * signed.signum();
        cost = cost.checked_add(price * i128::from(opens)).ok_or(PositionOverflow)?;
        let qty = Qty::from_units(held.checked_add(signed).ok_or(PositionOverflow)?);
        *self = Self { qty, cost, realised, fees: self.fees, fills: self.fills + 1 };
        Ok(())
    }

    /// Realised profit before fees, towards minus infinity.
    pub fn realised(&self) -> Cash {
        clamp_cash(self.realised.div_euclid(UNITS_PER_CASH))
    }

    /// Unrealised profit at a price, towards minus infinity.
    pub fn unrealised(&self, price: Price) -> Cash {
        let value = i128::from(price.units()) * i128::from(self.qty.units());
        clamp_cash(value.saturating_sub(self.cost).div_euclid(UNITS_PER_CASH))
    }

    /// Average price of the open quantity; `None` when flat.
    pub fn average_price(&self) -> Option<Price> {
        (self.qty.units() != 0)
            .then(|| self.cost / i128::from(self.qty.units()))
            .and_then(|units| i64::try_from(units).ok())
            .map(Price::from_units)
    }
}

/// Shown figures saturate; the exact sums do not.
fn clamp_cash(units: i128) -> Cash {
    Cash::from_units(i64::try_from(units).unwrap_or(if units < 0 { i64::MIN } else { i64::MAX }))
}

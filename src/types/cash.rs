//! Money: notional values, fees, profit and loss, exact at `1e-8` of the quote currency.
//!
//! A product of price and quantity has 17 decimals; it is computed in `i128` and brought to `1e-8` by a rounding that
//! has a name, so that each caller says against whom it rounds.

use super::decimal::{POW10, fixed_point};
use super::{Price, Qty};

fixed_point! {
    /// An amount of money in units of `1e-8` of the quote currency.
    Cash, decimals = 8
}

/// `price * qty` has `1e-17` units; this many of them make one cash unit.
const PRODUCT_PER_CASH: i128 = POW10[9] as i128;

impl Cash {
    /// `price * qty` rounded towards minus infinity, or `None` if it does not fit.
    pub fn notional_floor(price: Price, qty: Qty) -> Option<Self> {
        let product = i128::from(price.units()) * i128::from(qty.units());
        i64::try_from(product.div_euclid(PRODUCT_PER_CASH)).ok().map(Self::from_units)
    }

    /// `price * qty` rounded away from zero: what a limit compares, so that a rounding never helps an order through.
    pub fn notional_for_limit(price: Price, qty: Qty) -> Option<Self> {
        let product = (i128::from(price.units()) * i128::from(qty.units())).abs();
        let rounded = (product + PRODUCT_PER_CASH - 1) / PRODUCT_PER_CASH;
        i64::try_from(rounded).ok().map(Self::from_units)
    }
}

//! Prices: quote currency for one unit of base, exact at `1e-9`.

use super::decimal::fixed_point;

fixed_point! {
    /// A price in units of `1e-9` quote currency per base unit.
    Price, decimals = 9
}

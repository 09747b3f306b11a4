//! Quantities of a base asset (and balances), exact at `1e-8`, the finest unit that Binance itself uses.

use super::decimal::fixed_point;

fixed_point! {
    /// A quantity in units of `1e-8` of an asset. Signed where it is a position.
    Qty, decimals = 8
}

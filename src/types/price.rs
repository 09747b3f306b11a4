//! Prices: quote currency for one unit of base, exact at `1e-9`.

use super::decimal::fixed_point;

fixed_point! {
    /// A price in units of `1e-9` quote currency per base unit.
    Price, decimals = 9
}

impl Price {
    /// Half-way between two prices, rounded towards zero.
    #[inline]
    pub const fn midpoint(self, other: Self) -> Self {
        Self::from_units(i64::midpoint(self.units(), other.units()))
    }

    /// The middle of a quote; `None` when a side is missing (zero) or the sides meet or cross: there is no middle then.
    #[inline]
    pub fn middle(bid: Self, ask: Self) -> Option<Self> {
        (bid > Self::ZERO && ask > bid).then(|| bid.midpoint(ask))
    }
}

#[cfg(test)]
mod tests {
    use super::Price;

    #[test]
    fn a_quote_without_two_sides_that_stand_apart_has_no_middle() {
        let [zero, low, high] = [0, 4, 7].map(Price::from_units);
        assert_eq!(Price::middle(low, high), Some(Price::from_units(5)));
        for (bid, ask) in [(zero, high), (low, zero), (low, low), (high, low)] {
            assert_eq!(Price::middle(bid, ask), None, "{bid} {ask}");
        }
        let largest = Price::from_units(i64::MAX);
        assert_eq!(largest.midpoint(largest), largest, "no overflow");
    }
}

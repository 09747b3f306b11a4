//! The hours before the market opened: made-up trades, coarse long ago and fine of late, along the same fair value that
//! the participants go on with.

use rand::Rng;

use super::Scene;
use super::sampling::{chance, lognormal};
use crate::sim::exchange::Exchange;
use crate::types::Side;
use crate::types::time::{NS_PER_MIN, NS_PER_S};

/// The last part has this many trades a second, so that one-second klines have bodies.
const FINE_NS: i64 = 17 * NS_PER_MIN;
const FINE_GAP_NS: i64 = NS_PER_S / 5;
const COARSE_GAP_NS: i64 = NS_PER_MIN / 12;

impl Scene {
    pub(super) fn history(&mut self, exchange: &mut Exchange, mins: u32, now_ns: i64) {
        let start_ns = now_ns - i64::from(mins) * NS_PER_MIN;
        self.fair = super::FairValue::new(self.fair.price(), self.config.volatility, start_ns);
        let mut at_ns = start_ns;
        while at_ns < now_ns {
            self.fair.advance(&mut self.rng, at_ns);
            let taker = if chance(&mut self.rng, 50) { Side::Buy } else { Side::Sell };
            let price = self.grid.away(taker.opposite(), self.fair.price(), 0);
            let value = lognormal(&mut self.rng, self.config.typical_value.units() / 8, 130);
            let qty = self.grid.qty_for(value, price);
            exchange.seed_trade(self.config.symbol, (price, qty), taker, at_ns);
            let gap_ns = if now_ns - at_ns > FINE_NS { COARSE_GAP_NS } else { FINE_GAP_NS };
            at_ns += self.rng.random_range(gap_ns / 2..=gap_ns + gap_ns / 2);
        }
        self.fair.advance(&mut self.rng, now_ns);
    }
}

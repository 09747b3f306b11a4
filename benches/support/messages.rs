//! What the venue says, made from a seed: market messages as Binance Spot writes them on a combined stream, and its rules for
//! the instruments that they are about.

use interlock::types::instrument::{LotRule, NotionalRule, PercentPriceRule, PriceRule};
use interlock::types::{AssetId, Instrument, InstrumentId, InstrumentTable, Qty, Symbol};

/// `SplitMix64`: one word of state, the same numbers everywhere.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

/// The middle around which prices move, in cents.
pub(crate) const MIDDLE_CENTS: u64 = 6_000_000;

/// Three pairs with the rules that Binance has for BTCUSDT; messages are about the first.
pub(crate) fn table() -> InstrumentTable {
    let mut table = InstrumentTable::default();
    let quote = asset(&mut table, "USDT");
    for base in ["BTC", "ETH", "SOL"] {
        let base_id = asset(&mut table, base);
        let added = table.push(instrument(&format!("{base}USDT"), base_id, quote));
        assert!(added.is_some(), "three instruments fit");
    }
    table
}

fn asset(table: &mut InstrumentTable, name: &str) -> AssetId {
    let symbol = Symbol::new(name.as_bytes()).expect("an asset's name");
    table.intern_asset(symbol).expect("four assets fit")
}

fn instrument(symbol: &str, base: AssetId, quote: AssetId) -> Instrument {
    let qty = |text: &str| text.parse::<Qty>().expect("a quantity");
    let price = |text: &str| text.parse().expect("a price");
    let cash = |text: &str| text.parse().expect("an amount");
    Instrument {
        id: InstrumentId(0),
        symbol: Symbol::new(symbol.as_bytes()).expect("a symbol"),
        base,
        quote,
        trading: true,
        cancel_allowed: true,
        price: PriceRule { min: price("0.01"), max: price("1000000"), tick: price("0.01") },
        lot: LotRule { min: qty("0.00001"), max: qty("9000"), step: qty("0.00001") },
        market_lot: LotRule { min: Qty::ZERO, max: qty("100"), step: Qty::ZERO },
        notional: NotionalRule {
            min: cash("5"),
            min_for_market: true,
            max: cash("9000000"),
            max_for_market: false,
        },
        band: PercentPriceRule {
            bid_up: qty("5"),
            bid_down: qty("0.2"),
            ask_up: qty("5"),
            ask_down: qty("0.2"),
        },
        orders_max: 200,
        position_max: Qty::ZERO,
        iceberg_parts_max: 100,
        price_decimals: 2,
        qty_decimals: 5,
    }
}

/// The best prices, ten cents apart, somewhere within 100 USDT of the middle.
pub(crate) fn book_ticker(random: &mut Random, update_id: u64) -> String {
    let bid = MIDDLE_CENTS + random.below(20_000) - 10_000;
    let ask = bid + 10;
    format!(
        "{{\"stream\":\"btcusdt@bookTicker\",\"data\":{{\"u\":{update_id},\"s\":\"BTCUSDT\",\"b\":\"{}.{:02}000000\",\
         \"B\":\"{}\",\"a\":\"{}.{:02}000000\",\"A\":\"{}\"}}}}",
        bid / 100,
        bid % 100,
        quantity(random),
        ask / 100,
        ask % 100,
        quantity(random),
    )
}

/// A 100 ms update of the book with so many levels a side; the best prices stay apart.
pub(crate) fn depth(random: &mut Random, first_id: u64, last_id: u64, levels: u64) -> String {
    let side = |random: &mut Random, up: bool| {
        let all: Vec<String> = (0..levels)
            .map(|i| {
                let step = 20_000 + i * 10 + random.below(10);
                let price = if up { MIDDLE_CENTS + step } else { MIDDLE_CENTS - step };
                format!("[\"{}.{:02}000000\",\"{}\"]", price / 100, price % 100, quantity(random))
            })
            .collect();
        all.join(",")
    };
    let (bids, asks) = (side(random, false), side(random, true));
    format!(
        "{{\"stream\":\"btcusdt@depth@100ms\",\"data\":{{\"e\":\"depthUpdate\",\"E\":1723161253000123,\"s\":\"BTCUSDT\",\
         \"U\":{first_id},\"u\":{last_id},\"b\":[{bids}],\"a\":[{asks}]}}}}"
    )
}

/// A quantity of one or two digits and eight decimals.
pub(crate) fn quantity(random: &mut Random) -> String {
    format!("{}.{:05}000", random.below(30), random.below(100_000))
}

//! Instruments, messages and fixtures for the Binance tests.

use std::path::Path;

use interlock::types::instrument::{LotRule, NotionalRule, PercentPriceRule, PriceRule};
use interlock::types::{Instrument, InstrumentId, InstrumentTable, Now, Price, Qty, Symbol};
use interlock::wire::json::{PADDING, Padded};

/// A table of symbols named `BASE-QUOTE`, with Binance's usual rules of BTCUSDT.
pub(crate) fn table(symbols: &[&str]) -> InstrumentTable {
    let mut table = InstrumentTable::default();
    for name in symbols {
        let (base, quote) = name.split_once('-').expect("BASE-QUOTE");
        let base = table.intern_asset(Symbol::new(base.as_bytes()).unwrap()).unwrap();
        let quote = table.intern_asset(Symbol::new(quote.as_bytes()).unwrap()).unwrap();
        table.push(instrument(&name.replace('-', ""), base, quote)).unwrap();
    }
    table
}

fn instrument(symbol: &str, base: interlock::types::AssetId, quote: interlock::types::AssetId) -> Instrument {
    Instrument {
        id: InstrumentId(0),
        symbol: Symbol::new(symbol.as_bytes()).unwrap(),
        base,
        quote,
        trading: true,
        cancel_allowed: true,
        price: PriceRule { min: price("0.01"), max: price("1000000"), tick: price("0.01") },
        lot: LotRule { min: qty("0.00001"), max: qty("9000"), step: qty("0.00001") },
        market_lot: LotRule { min: Qty::ZERO, max: qty("100"), step: Qty::ZERO },
        notional: NotionalRule {
            min: "5".parse().unwrap(),
            min_for_market: true,
            max: "9000000".parse().unwrap(),
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

pub(crate) fn price(text: &str) -> Price {
    text.parse().unwrap()
}
pub(crate) fn qty(text: &str) -> Qty {
    text.parse().unwrap()
}

/// A moment `ms` after the start.
pub(crate) fn at_ms(ms: i64) -> Now {
    Now { ns: 1_723_161_253_000_000_000 + ms * 1_000_000, mono_ns: ms * 1_000_000 }
}

/// A message in a reused receive buffer, with dirty padding behind it: digits and quotes, which a reader that runs over the
/// end would take for more of the message.
#[derive(Default)]
pub(crate) struct Inbox {
    buf: Vec<u8>,
}

impl Inbox {
    pub(crate) fn put(&mut self, text: &[u8]) -> Padded<'_> {
        self.buf.clear();
        self.buf.extend_from_slice(text);
        self.buf.extend(b"0123456789\"}],".iter().cycle().take(PADDING));
        Padded::new(&mut self.buf, text.len()).unwrap()
    }
}

/// The JSON bodies of a fixture file: requests start with `>`, answers with `<` or `=`; a REST fixture has its method, path
/// and a flag on the first three lines.
pub(crate) fn fixture(path: &str) -> Option<String> {
    let full = crate::support::recordings(&format!("fixtures/binance/JKorf_Binance.Net/{path}"))?;
    let text = std::fs::read_to_string(full).unwrap();
    let body: Vec<&str> = if text.starts_with('>') {
        text.lines().skip_while(|line| !line.starts_with('=')).skip(1).collect()
    } else {
        text.lines().skip(3).collect()
    };
    Some(body.join("\n"))
}

/// Lines of a gzipped file.
pub(crate) fn gz_lines(path: &Path) -> impl Iterator<Item = String> {
    use std::io::{BufRead as _, BufReader};
    let file = std::fs::File::open(path).unwrap();
    BufReader::with_capacity(1 << 20, flate2::read::GzDecoder::new(file)).lines().map(Result::unwrap)
}

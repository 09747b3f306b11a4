//! The scanner against its oracle: whatever it reads, `simd-json` reads the same; whatever `simd-json` refuses, it has left
//! aside.

use proptest::prelude::*;

use super::{Levels, Scanned, scan};
use crate::types::instrument::InstrumentTable;
use crate::types::{Instrument, Level, Symbol};
use crate::venue::binance::market_json::{self, Parsed};
use crate::venue::binance::names::Names;
use crate::wire::json::{JsonReader, PADDING, Padded};

const QUOTE: &str = r#"{"stream":"btcusdt@bookTicker","data":{"u":50093239212,"s":"BTCUSDT","b":"61837.63000000","B":"3.78826000","a":"61837.64000000","A":"1.54698000"}}"#;
const TRADE: &str = r#"{"stream":"ethusdt@trade","data":{"e":"trade","E":1723161255343,"s":"ETHUSDT","t":3735683259,"p":"2683.11000000","q":"0.02000000","T":1723161255342,"m":true,"M":true}}"#;
const DEPTH: &str = r#"{"stream":"btcusdt@depth@100ms","data":{"e":"depthUpdate","E":1723161255408,"s":"BTCUSDT","U":11,"u":13,"b":[["61837.63000000","3.78826000"],["61820.99000000","0.00000000"]],"a":[["61837.64000000","1.60520000"]]}}"#;

struct Bench {
    names: Names,
    levels: Levels,
    oracle_levels: Levels,
    reader: JsonReader,
    buf: Vec<u8>,
    scanned: usize,
}

impl Bench {
    fn new() -> Self {
        let mut table = InstrumentTable::default();
        // Names of which one begins another, and one that ends where a word does.
        for symbol in ["BTCUSDT", "ETHUSDT", "BTCUSD", "BTC", "DOGEUSDT", "1000SATSFDUSD", "BNBBTC"] {
            table.push(instrument(symbol)).unwrap();
        }
        Self {
            names: Names::new(&table),
            levels: Levels::new(),
            oracle_levels: Levels::new(),
            reader: JsonReader::new(4_096),
            buf: Vec::new(),
            scanned: 0,
        }
    }

    /// Fails where the two differ.
    fn check(&mut self, text: &[u8]) -> Result<(), TestCaseError> {
        self.buf.clear();
        self.buf.extend_from_slice(text);
        // Behind the message stands what a reader that runs over its end would like best.
        self.buf.extend(b"0\"}}0123456789\"],".iter().cycle().take(PADDING));
        let message = Padded::new(&mut self.buf, text.len()).unwrap();
        let Some(scanned) = scan(&message, &mut self.names, &mut self.levels) else { return Ok(()) };
        self.scanned += 1;
        let shown = String::from_utf8_lossy(text).into_owned();
        let (names, levels) = (&self.names, &mut self.oracle_levels);
        let read = self.reader.read(message, |root| market_json::read(root, names, levels));
        let expected = match scanned {
            Scanned::Quote(quote) => Parsed::Quote(quote),
            Scanned::Trade(trade) => Parsed::Trade(trade),
            Scanned::Depth(head) => Parsed::Depth(head),
        };
        prop_assert_eq!(&read, &Ok(Ok(expected)), "{}", shown);
        if let Scanned::Depth(_) = scanned {
            prop_assert_eq!(self.levels.all(), self.oracle_levels.all(), "{}", &shown);
            prop_assert_eq!(self.levels.bids(), self.oracle_levels.bids(), "{}", shown);
        }
        Ok(())
    }
}

fn instrument(symbol: &str) -> Instrument {
    Instrument {
        id: crate::types::InstrumentId(0),
        symbol: Symbol::new(symbol.as_bytes()).unwrap(),
        base: crate::types::AssetId(0),
        quote: crate::types::AssetId(0),
        trading: true,
        cancel_allowed: true,
        price: crate::types::instrument::PriceRule::default(),
        lot: crate::types::instrument::LotRule::default(),
        market_lot: crate::types::instrument::LotRule::default(),
        notional: crate::types::instrument::NotionalRule::default(),
        band: crate::types::instrument::PercentPriceRule::default(),
        orders_max: 0,
        position_max: crate::types::Qty::ZERO,
        iceberg_parts_max: 0,
        price_decimals: 2,
        qty_decimals: 5,
    }
}

#[test]
fn the_hot_shapes_are_scanned_wrapped_and_bare() {
    let mut bench = Bench::new();
    for text in [QUOTE, TRADE, DEPTH] {
        bench.check(text.as_bytes()).unwrap();
        let bare = text.split_once("\"data\":").unwrap().1.strip_suffix('}').unwrap();
        bench.check(bare.as_bytes()).unwrap();
        for symbol in ["BTCUSD", "BTC", "DOGEUSDT", "1000SATSFDUSD"] {
            let other = text.replace("BTCUSDT", symbol).replace("ETHUSDT", symbol);
            let lower = symbol.to_ascii_lowercase();
            let other = other.replace("btcusdt", &lower).replace("ethusdt", &lower);
            bench.check(other.as_bytes()).unwrap();
        }
    }
    assert_eq!(bench.scanned, 3 * 6);
    // The slow depth stream has no suffix.
    bench.check(DEPTH.replace("depth@100ms", "depth").as_bytes()).unwrap();
    assert_eq!(bench.scanned, 19);
    let mut levels = Levels::new();
    levels.push(Level::default()).unwrap();
    levels.end_bids();
    assert_eq!((levels.all().len(), levels.bids()), (1, 1));
}

#[test]
fn what_only_looks_like_a_hot_shape_is_left_aside() {
    let mut bench = Bench::new();
    for text in [
        // The stream and its data do not belong together.
        QUOTE.replace("BTCUSDT", "ETHUSDT"),
        QUOTE.replace("bookTicker", "trade"),
        TRADE.replace("ethusdt", "btcusdt"),
        // A symbol that begins with one of ours, or of which one of ours is the beginning.
        QUOTE.replace("BTCUSDT", "BTCUSDTX").replace("btcusdt", "btcusdtx"),
        QUOTE.replace("BTCUSDT", "BT").replace("btcusdt", "bt"),
        // No JSON: leading zeros, a cut end, something behind the end.
        QUOTE.replace("50093239212", "050093239212"),
        TRADE.replace("1723161255342", "01723161255342"),
        QUOTE[..QUOTE.len() - 1].to_owned(),
        QUOTE[..QUOTE.len() - 4].to_owned(),
        format!("{QUOTE} "),
        format!("{QUOTE}}}"),
        // Numbers that the fast path does not take.
        QUOTE.replace("61837.63000000", "61837.630000001"),
        QUOTE.replace("61837.63000000", ""),
        QUOTE.replace("61837.63000000", "99999999999"),
        TRADE.replace("1723161255342", "9223372036854775807"),
        TRADE.replace("3735683259", "99999999999999999999"),
    ] {
        bench.check(text.as_bytes()).unwrap();
    }
    assert_eq!(bench.scanned, 0);
}

#[test]
fn every_single_byte_change_reads_the_same_both_ways() {
    let mut bench = Bench::new();
    for text in [QUOTE, TRADE, DEPTH] {
        for at in 0..text.len() {
            for byte in 0..=255 {
                let mut changed = text.as_bytes().to_vec();
                changed[at] = byte;
                bench.check(&changed).unwrap();
            }
            bench.check(&text.as_bytes()[..at]).unwrap();
        }
    }
    assert!(bench.scanned > 1_500, "the harmless ones were scanned: {}", bench.scanned);
}

fn number_text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[0-9]{1,8}\\.[0-9]{8}",
        "[1-9][0-9]{0,9}(\\.[0-9]{1,9})?",
        "0\\.0{0,7}[0-9]{1,3}",
        "[0-9]{0,18}\\.?[0-9]{0,12}",
    ]
}

fn levels_text() -> impl Strategy<Value = String> {
    let level = (number_text(), number_text()).prop_map(|(p, q)| format!(r#"["{p}","{q}"]"#));
    prop::collection::vec(level, 0..5).prop_map(|levels| levels.join(","))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn any_numbers_read_the_same_both_ways(
        u in any::<u64>(),
        numbers in prop::collection::vec(number_text(), 4),
        sides in [levels_text(), levels_text()],
        t in 0i64..=1 << 60,
        flags in any::<[bool; 3]>(),
    ) {
        let [a, b, c, d] = &numbers[..] else { unreachable!() };
        let [m, big_m, wrapped] = flags;
        let [bids, asks] = sides;
        let quote = format!(r#"{{"u":{u},"s":"BTCUSDT","b":"{a}","B":"{b}","a":"{c}","A":"{d}"}}"#);
        let trade = format!(
            r#"{{"e":"trade","E":{t},"s":"ETHUSDT","t":{u},"p":"{a}","q":"{b}","T":{t},"m":{m},"M":{big_m}}}"#
        );
        let depth = format!(
            r#"{{"e":"depthUpdate","E":{t},"s":"BTCUSDT","U":21,"u":{u},"b":[{bids}],"a":[{asks}]}}"#
        );
        let mut bench = Bench::new();
        for (stream, data) in
            [("btcusdt@bookTicker", quote), ("ethusdt@trade", trade), ("btcusdt@depth@100ms", depth)]
        {
            let text = if wrapped { format!(r#"{{"stream":"{stream}","data":{data}}}"#) } else { data };
            bench.check(text.as_bytes())?;
        }
    }

    #[test]
    fn mutated_messages_never_panic_and_never_read_differently(
        which in 0usize..3,
        edits in prop::collection::vec((any::<prop::sample::Index>(), 0u8..4, any::<u8>()), 1..6),
    ) {
        let mut text = [QUOTE, TRADE, DEPTH][which].as_bytes().to_vec();
        for (at, kind, byte) in edits {
            if text.is_empty() {
                break;
            }
            let at = at.index(text.len());
            match kind {
                0 => text[at] = byte,
                1 => text.insert(at, b"0123456789.\",:{}[]tf"[usize::from(byte) % 20]),
                2 => { text.remove(at); }
                _ => text.truncate(at),
            }
        }
        Bench::new().check(&text)?;
    }
}

//! The journal's codec: what goes in comes out, and nothing else is accepted.

use interlock::event::{Body, Fact, Record};
use interlock::journal::codec::{decode_record, encode_record, kind, record_kind};
use interlock::journal::wire::DecodeError;
use interlock::journal::{Entry, Item, Renderer};
use interlock::types::instrument::{LotRule, NotionalRule, PercentPriceRule, PriceRule};
use interlock::types::{Instrument, InstrumentTable, Qty, Symbol};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use crate::journal_support as support;
use crate::support::seed;

fn round_trip(record: &Record) {
    let mut bytes = Vec::new();
    encode_record(record, &mut bytes);
    let kind = record_kind(record);
    assert_eq!(decode_record(kind, &bytes).as_ref(), Ok(record));
    // Strict: nothing shorter or longer is a record, and no other bytes are this one.
    for cut in 0..bytes.len() {
        assert!(decode_record(kind, &bytes[..cut]).is_err(), "{record:?} accepted when cut at {cut}");
    }
    bytes.push(0);
    assert!(matches!(decode_record(kind, &bytes), Err(DecodeError::Trailing { bytes: 1, .. })));
}

#[test]
fn every_hot_record_survives_the_round_trip() {
    let mut rng = SmallRng::seed_from_u64(seed(11));
    for kind in 0..support::FACT_BODIES {
        for _ in 0..200 {
            round_trip(&Record::Fact(Fact { seq: 1, recv_ns: 2, body: support::body(&mut rng, kind) }));
        }
    }
    for _ in 0..2_000 {
        round_trip(&support::record(&mut rng));
    }
}

#[test]
fn what_decodes_encodes_to_the_same_bytes() {
    // One value, one encoding: replays compare bytes.
    let mut rng = SmallRng::seed_from_u64(seed(12));
    let mut accepted = 0;
    for _ in 0..20_000 {
        let record = support::record(&mut rng);
        let mut bytes = Vec::new();
        encode_record(&record, &mut bytes);
        let at = rng.random_range(0..bytes.len());
        bytes[at] ^= 1 << rng.random_range(0..8);
        if let Ok(other) = decode_record(record_kind(&record), &bytes) {
            let mut again = Vec::new();
            encode_record(&other, &mut again);
            assert_eq!(again, bytes, "{other:?}");
            assert_ne!(other, record);
            accepted += 1;
        }
    }
    assert!(accepted > 1_000, "most changed bits are other values: {accepted}");
}

#[test]
fn unknown_types_tags_and_versions_are_named() {
    let unknown = Entry::decode(99, 1, &[]).unwrap_err();
    assert_eq!(unknown, DecodeError::UnknownType { kind: 99 });
    assert!(unknown.to_string().contains("record type 99"), "{unknown}");
    let version = Entry::decode(kind::SENT, 2, &[]).unwrap_err().to_string();
    assert!(version.contains("sent") && version.contains("version 2"), "{version}");
    let mut bytes = Vec::new();
    encode_record(&Record::Fact(Fact { seq: 1, recv_ns: 2, body: Body::Timer }), &mut bytes);
    bytes[16] = 200;
    let body = decode_record(kind::FACT, &bytes).unwrap_err();
    assert_eq!(body, DecodeError::BadTag { what: "fact body", value: 200 });
    let json = Entry::decode(kind::CONTROL, 1, b"{\"kind\":\"ARM\",\"who\":\"me\",\"cause\":\"\",\"x\":1}");
    let json = json.unwrap_err().to_string();
    assert!(json.starts_with("control record") && json.contains('x'), "{json}");
}

#[test]
fn every_cold_record_survives_the_round_trip() {
    for entry in support::cold_entries() {
        let mut bytes = Vec::new();
        entry.encode(&mut bytes).unwrap();
        assert_eq!(Entry::decode(entry.kind(), 1, &bytes).as_ref(), Ok(&entry));
        assert!(Entry::decode(entry.kind(), 1, &bytes[..bytes.len() - 1]).is_err(), "{entry:?}");
    }
}

#[test]
fn a_session_header_gives_its_instrument_table_back() {
    let mut table = InstrumentTable::default();
    let (base, quote) = (Symbol::new(b"BTC").unwrap(), Symbol::new(b"USDT").unwrap());
    let base = table.intern_asset(base).unwrap();
    let quote = table.intern_asset(quote).unwrap();
    let instrument = Instrument {
        id: interlock::types::InstrumentId(0),
        symbol: Symbol::new(b"BTCUSDT").unwrap(),
        base,
        quote,
        trading: true,
        cancel_allowed: true,
        price: PriceRule::default(),
        lot: LotRule { min: Qty::from_units(1_000), max: Qty::MAX, step: Qty::from_units(1_000) },
        market_lot: LotRule::default(),
        notional: NotionalRule::default(),
        band: PercentPriceRule::default(),
        orders_max: 200,
        position_max: Qty::ZERO,
        iceberg_parts_max: 10,
        price_decimals: 2,
        qty_decimals: 5,
    };
    table.push(instrument).unwrap();
    let mut header = support::header("s", 1);
    header.set_table(&table);
    let text = serde_json::to_string(&header).unwrap();
    let back: interlock::journal::SessionHeader = serde_json::from_str(&text).unwrap();
    let again = back.table().unwrap();
    assert_eq!(again.all(), table.all());
    assert_eq!(again.assets(), table.assets());
    header.assets.push("BTC".to_owned());
    assert!(header.table().unwrap_err().contains("\"BTC\" stands twice"));
}

#[test]
fn cat_shows_every_entry_with_stable_keys_and_decimal_text() {
    let mut rng = SmallRng::seed_from_u64(seed(13));
    let mut renderer = Renderer::new();
    let mut entries = support::cold_entries();
    entries.extend((0..2_000).map(|_| Entry::Record(support::record(&mut rng))));
    for (seq, entry) in (1..).zip(entries) {
        let item = Item { seq, wall_ns: 1_700_000_000_000_000_000, mono_ns: 0, entry };
        let json = renderer.json(&item);
        let keys: Vec<&str> = json.as_object().unwrap().keys().take(4).map(String::as_str).collect();
        assert_eq!(keys, ["seq", "at", "wall_ns", "type"]);
        assert_eq!(json["seq"], seq);
        for key in ["price", "qty", "exposure", "filled", "fee"] {
            assert!(json.get(key).is_none_or(serde_json::Value::is_string), "{key} of {json}");
        }
        let line = renderer.line(&item);
        assert!(!line.contains(char::is_control), "{line:?}");
    }
    let item = Item { seq: 1, wall_ns: 0, mono_ns: 0, entry: support::cold_entries().swap_remove(0) };
    assert_eq!(renderer.json(&item)["event"], "BOOT_SEAL", "R-GATE-7");
}

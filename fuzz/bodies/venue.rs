//! What the venue's targets share: a table of instruments, messages in their buffers; and the REST answers' target.

use std::sync::OnceLock;

use interlock::event::{Body, Depth};
use interlock::types::{InstrumentId, InstrumentTable, Now, Symbol};
use interlock::venue::binance::{rest, rest_account};
use interlock::wire::json::{PADDING, Padded};

/// The rules of the instruments of the targets, as the venue tells them.
const EXCHANGE_INFO: &[u8] = include_bytes!("../corpus/rest/exchange_info.json");

/// BTCUSDT and ETHUSDT.
pub(crate) fn table() -> &'static InstrumentTable {
    static TABLE: OnceLock<InstrumentTable> = OnceLock::new();
    TABLE.get_or_init(read_table)
}

fn read_table() -> InstrumentTable {
    let wanted = ["BTCUSDT", "ETHUSDT"].map(|s| Symbol::new(s.as_bytes()).expect("a symbol"));
    let info = rest::parse_exchange_info(EXCHANGE_INFO, &wanted).expect("our own fixture is sound");
    assert!(info.missing.is_empty() && info.table.all().len() == 2, "our own fixture is whole");
    info.table
}

/// A moment `ms` after the start.
pub(crate) fn at_ms(ms: i64) -> Now {
    Now { ns: 1_723_161_253_000_000_000 + ms * 1_000_000, mono_ns: ms * 1_000_000 }
}

/// A message in a reused buffer; behind it stands what a reader that runs over its end would like best.
#[derive(Default)]
pub(crate) struct Inbox {
    buf: Vec<u8>,
}

impl Inbox {
    pub(crate) fn put(&mut self, parts: &[&[u8]]) -> Padded<'_> {
        self.buf.clear();
        for part in parts {
            self.buf.extend_from_slice(part);
        }
        let len = self.buf.len();
        self.buf.extend(b"0\"}}0123456789\"],".iter().cycle().take(PADDING));
        Padded::new(&mut self.buf, len).expect("the padding is there")
    }
}

/// Facts that are about nothing, or say what can't be, must never leave a codec.
pub(crate) fn check_fact(body: &Body, table: &InstrumentTable) {
    let known = |id: InstrumentId| table.get(id).is_some();
    match body {
        Body::Quote(quote) => {
            assert!(known(quote.instrument), "{quote:?}");
            for level in [quote.bid, quote.ask] {
                assert!(level.price.units() >= 0 && level.qty.units() >= 0, "{quote:?}");
            }
        }
        Body::Trade(trade) => {
            assert!(known(trade.instrument), "{trade:?}");
            assert!(trade.price.units() >= 0 && trade.qty.units() >= 0, "{trade:?}");
        }
        Body::Depth(depth) => check_depth(depth, table),
        Body::BookStatus(status) => assert!(known(status.instrument), "{status:?}"),
        Body::Order(order) => {
            assert!(known(order.instrument), "{order:?}");
            for qty in [order.qty, order.filled] {
                assert!(qty.units() >= 0, "{order:?}");
            }
            assert!(order.price.units() >= 0, "{order:?}");
        }
        Body::Reply(reply) => assert!(known(reply.instrument), "{reply:?}"),
        Body::Balance(balance) => {
            assert!(balance.free.units() >= 0 && balance.locked.units() >= 0, "{balance:?}");
        }
        _ => {}
    }
}

fn check_depth(depth: &Depth, table: &InstrumentTable) {
    assert!(table.get(depth.instrument).is_some(), "{depth:?}");
    assert!(usize::from(depth.count) <= depth.levels.len(), "{depth:?}");
    assert_eq!(u32::from(depth.asks) >> depth.count, 0, "no side without a level: {depth:?}");
    for (_, level) in depth.changes() {
        assert!(level.price.units() >= 0 && level.qty.units() >= 0, "{depth:?}");
    }
}

/// Any bytes as the body of each REST answer that we read.
pub(crate) fn rest(data: &[u8]) {
    let table = table();
    if let Ok(info) = rest::parse_exchange_info(data, &[]) {
        for instrument in info.table.all() {
            assert!(instrument.price.tick.units() >= 0 && instrument.lot.step.units() >= 0, "{instrument:?}");
            assert_eq!(info.table.find(instrument.symbol.as_str().as_bytes()), Some(instrument.id));
        }
    }
    let wanted = [Symbol::new(b"BTCUSDT").expect("a symbol")];
    if let Ok(info) = rest::parse_exchange_info(data, &wanted) {
        assert_eq!(info.table.all().len() + info.missing.len(), 1, "found or missing");
    }
    if let Ok(pieces) = rest::parse_depth(InstrumentId(0), data) {
        for (at, piece) in pieces.iter().enumerate() {
            assert!(piece.snapshot, "a piece of a snapshot");
            assert_eq!(
                (piece.first, piece.last),
                (at == 0, at + 1 == pieces.len()),
                "first and last are marked"
            );
            check_depth(piece, table);
        }
    }
    if let Ok(bars) = rest::parse_klines(InstrumentId(0), 60_000_000_000, at_ms(0).ns, data) {
        for bar in bars {
            assert!(bar.low <= bar.open && bar.open <= bar.high, "{bar:?}");
            assert!(bar.low <= bar.close && bar.close <= bar.high, "{bar:?}");
        }
    }
    let _time = rest::parse_time(data).is_ok();
    let _orders = rest::parse_open_orders(data).is_ok();
    if let Ok(balances) = rest::parse_account(data) {
        for balance in balances {
            assert!(balance.free.units() >= 0 && balance.locked.units() >= 0, "{balance:?}");
        }
    }
    let _error = rest::parse_error(data).is_some();
    reconcile(table, data);
}

/// The answers of a reconcile: of our instruments, never of less than nothing, and one that can't be read is not left out.
fn reconcile(table: &InstrumentTable, data: &[u8]) {
    if let Ok(account) = rest_account::parse_totals(table, data) {
        assert_eq!(account.totals.len(), table.assets().len(), "one place for each asset");
        assert!(account.totals.iter().flatten().all(|total| total.units() >= 0), "{account:?}");
    }
    let entries = serde_json::from_slice::<serde_json::Value>(data).ok();
    let entries = entries.as_ref().and_then(|value| value.as_array()).map(Vec::len);
    if let Ok(trades) = rest_account::parse_my_trades(table, InstrumentId(0), data) {
        assert!(entries.is_none_or(|entries| entries == trades.len()), "every trade of the answer");
        for trade in trades {
            check_fact(&Body::Order(trade), table);
        }
    }
    if let Ok(order) = rest_account::parse_order(InstrumentId(1), data) {
        check_fact(&Body::Order(order), table);
    }
    if let Ok(open) = rest_account::parse_open(table, data) {
        assert!(entries.is_none_or(|entries| entries == open.len()), "every order of the answer");
        for one in open {
            assert!(one.instrument.is_none_or(|id| table.get(id).is_some()), "{one:?}");
            assert!(one.order.qty.units() >= 0 && one.order.filled.units() >= 0, "{one:?}");
        }
    }
}

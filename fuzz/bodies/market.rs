//! Market messages, one a line: whatever the scanner reads, `simd-json` reads the same.

use interlock::event::Body;
use interlock::types::InstrumentId;
use interlock::venue::binance::market::{MarketConfig, MarketEvent, MarketSession};
use interlock::venue::binance::rest::parse_depth;

use super::venue::{Inbox, at_ms, check_fact, table};

/// A blank behind a message makes the scanner abstain and means nothing to JSON.
const ABSTAIN: &[u8] = b" ";

/// A snapshot that the corpus' depth updates follow.
const SNAPSHOT: &[u8] =
    br#"{"lastUpdateId":10,"bids":[["61837.60000000","1.00000000"]],"asks":[["61837.90000000","2.00000000"]]}"#;

struct Reader {
    session: MarketSession,
    inbox: Inbox,
    behind: &'static [u8],
    facts: Vec<Body>,
}

impl Reader {
    fn new(behind: &'static [u8]) -> Self {
        let mut session = MarketSession::new(table(), MarketConfig::default());
        session.handle_open(at_ms(0));
        Self { session, inbox: Inbox::default(), behind, facts: Vec::new() }
    }

    /// What it makes of a message; `None` where it can't be read.
    fn read(&mut self, line: &[u8], ms: i64) -> Option<MarketEvent> {
        let facts = &mut self.facts;
        let message = self.inbox.put(&[line, self.behind]);
        let read = self.session.handle_text(message, at_ms(ms), &mut |body| {
            facts.push(body);
            true
        });
        if let Err(malformed) = &read {
            assert!(malformed.to_string().starts_with("malformed "), "{malformed}");
        }
        read.ok()
    }

    /// Gives it the snapshot that it asks for.
    fn serve_snapshots(&mut self, ms: i64) {
        while let Some(instrument) = self.session.poll_snapshot_request(at_ms(ms)) {
            let facts = &mut self.facts;
            for piece in parse_depth(instrument, SNAPSHOT).expect("our own fixture is sound") {
                self.session.handle_snapshot_piece(&piece, at_ms(ms), &mut |body| {
                    facts.push(body);
                    true
                });
            }
        }
    }
}

/// Any lines as market messages.
pub(crate) fn market(data: &[u8]) {
    let table = table();
    let (mut scanned, mut parsed) = (Reader::new(b""), Reader::new(ABSTAIN));
    for (line, ms) in data.split(|b| *b == b'\n').zip((0..).step_by(100)) {
        let (ours, theirs) = (scanned.read(line, ms), parsed.read(line, ms));
        assert_eq!(ours, theirs, "scanner and simd-json differ");
        scanned.serve_snapshots(ms);
        parsed.serve_snapshots(ms);
        assert_eq!(scanned.facts, parsed.facts, "scanner and simd-json differ");
        for fact in &scanned.facts {
            check_fact(fact, table);
        }
        for id in [InstrumentId(0), InstrumentId(1)] {
            assert_eq!(scanned.session.is_book_valid(id), parsed.session.is_book_valid(id));
            if scanned.session.is_book_valid(id) {
                let book = scanned.session.book(id).expect("a valid book is there");
                assert!(!book.is_crossed(), "a book that is crossed is not valid");
            }
        }
        scanned.facts.clear();
        parsed.facts.clear();
    }
    assert_eq!(parsed.session.counters().scanned, 0, "the scanner took a message with a blank behind it");
}

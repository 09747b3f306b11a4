//! The venue's end of the memory links, and the stand over them: what is left of tick to trade without a network.

use interlock::run::line::{Line, Shared};
use interlock::wire::link::Link as _;
use interlock::wire::memory::{MemoryConnector, MemoryLink, connector, pair};

use crate::messages::{self, Random};
use crate::stand;
use crate::venue;

/// Bytes on the way in each direction.
const WIRE_BYTES: usize = 1 << 20;
/// Cycles within which the sessions must be up.
const CYCLES_MAX: usize = 1_000_000;

/// The venue's end of one connection.
pub(crate) struct Peer {
    pub(crate) link: MemoryLink,
    inbox: Vec<u8>,
    is_upgraded: bool,
}

impl Peer {
    fn new(link: MemoryLink) -> Self {
        Self { link, inbox: Vec::with_capacity(64 << 10), is_upgraded: false }
    }

    /// Whether the engine's side has been let in.
    pub(crate) fn is_upgraded(&self) -> bool {
        self.is_upgraded
    }

    /// Reads what is there; the upgrade is answered here.
    pub(crate) fn read(&mut self) {
        let mut chunk = [0; 4_096];
        while let Ok(count @ 1..) = self.link.read(&mut chunk) {
            self.inbox.extend_from_slice(&chunk[..count]);
        }
        if !self.is_upgraded
            && let Some((answer, end)) = venue::upgrade(&self.inbox)
        {
            self.inbox.drain(..end);
            self.link.write(answer.as_bytes()).expect("room for the answer");
            self.is_upgraded = true;
        }
    }

    /// The next request.
    pub(crate) fn take_text(&mut self) -> Option<String> {
        self.read();
        if self.is_upgraded { venue::take_client_text(&mut self.inbox) } else { None }
    }

    /// Sends a frame.
    pub(crate) fn send(&mut self, frame: &[u8]) {
        self.link.write(frame).expect("room on the wire");
    }
}

/// A connector with one link, and the venue's end of that.
pub(crate) fn connection() -> (MemoryConnector, Peer) {
    let (mut links, connector) = connector(1);
    let (ours, theirs) = pair(WIRE_BYTES);
    assert!(links.push(ours).is_ok(), "one link");
    (connector, Peer::new(theirs))
}

/// The venue behind its three connections.
pub(crate) struct Venue {
    pub(crate) market: Peer,
    account: Peer,
    orders: Peer,
    /// Its order numbers.
    number: u64,
    update_id: u64,
    random: Random,
}

impl Venue {
    /// Sends an update of the book.
    pub(crate) fn depth(&mut self) {
        let first = self.update_id + 1;
        self.update_id += 10;
        let text = messages::depth(&mut self.random, first, self.update_id, 5);
        self.market.send(&venue::server_frame(&text));
    }

    /// Answers what was asked, and ends each order; how many there were.
    pub(crate) fn answer(&mut self) -> usize {
        while let Some(text) = self.account.take_text() {
            self.account.send(&venue::server_frame(&venue::answer(&text, 0)));
        }
        let mut placed = 0;
        while let Some(text) = self.orders.take_text() {
            self.number += 1;
            self.orders.send(&venue::server_frame(&venue::answer(&text, self.number)));
            if venue::field(&text, "method") == "order.place" {
                placed += 1;
                for report in venue::reports(&text, self.number) {
                    self.account.send(&venue::server_frame(&report));
                }
            }
        }
        placed
    }
}

/// The line and its venue.
pub(crate) struct Bench {
    pub(crate) line: Line,
    pub(crate) shared: Shared,
    pub(crate) venue: Venue,
}

impl Bench {
    /// Opens every session and waits for the first order.
    pub(crate) fn open() -> Self {
        let shared = stand::shared();
        let [(market, market_peer), (account, account_peer), (orders, orders_peer)] =
            [(); 3].map(|()| connection());
        let line = stand::line([market, account, orders], "bench", &shared);
        let venue = Venue {
            market: market_peer,
            account: account_peer,
            orders: orders_peer,
            number: 1,
            update_id: stand::SNAPSHOT_ID,
            random: Random(11),
        };
        let mut bench = Self { line, shared, venue };
        stand::tell_clock(&mut bench.line.ends);
        bench.wait_for_the_first_order();
        bench
    }

    fn wait_for_the_first_order(&mut self) {
        for turn in 0..CYCLES_MAX {
            stand::cycle(&mut self.line.stages, &self.shared.clock);
            stand::serve_rest(&mut self.line.ends);
            self.venue.market.read();
            if self.venue.market.is_upgraded() && turn % 64 == 0 {
                self.venue.depth();
                let text = messages::book_ticker(&mut self.venue.random, self.venue.update_id);
                self.venue.market.send(&venue::server_frame(&text));
            }
            stand::drain_journal(&mut self.line.ends.journal);
            if self.venue.answer() > 0 {
                return;
            }
        }
        panic!("{}", stand::complaint(&self.shared));
    }
}

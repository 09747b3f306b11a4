//! A feed with everything around it on one thread, in virtual time.

use std::sync::Arc;

use secrecy::SecretString;

use interlock::agent::line_ring::{self, Reader};
use interlock::agent::ring::{Consumer, Producer, ring};
use interlock::agent::{Agent, Clock};
use interlock::event::{Body, Command, Depth, Fact, Record, Slot, Stamps};
use interlock::feed::{AccountSide, Feed, FeedConfig, FeedRings, MarketSide, RestAnswer, RestRequest};
use interlock::shared::{Counters, KillPage};
use interlock::types::{InstrumentId, Level, Now};
use interlock::venue::binance::Credentials;
use interlock::venue::binance::account::AccountSession;
use interlock::venue::binance::market::{MarketConfig, MarketSession};
use interlock::wire::memory::{MemoryConnector, MemoryLink, connector};

use crate::binance_support::{price, qty, table};
use crate::peer::{MS, Peer};

pub(super) const START_NS: i64 = 1_723_161_253_000_000_000;
pub(super) const BTC: InstrumentId = InstrumentId(0);

pub(super) struct Sizes {
    pub(super) line: usize,
    pub(super) reserve: usize,
    pub(super) journal: usize,
}

pub(super) const ROOMY: Sizes = Sizes { line: 8_192, reserve: 1_024, journal: 16_384 };

pub(super) struct Rig {
    pub(super) feed: Feed<MemoryConnector>,
    pub(super) page: Arc<KillPage>,
    pub(super) counters: Arc<Counters>,
    pub(super) line: Reader<Slot<Fact>>,
    pub(super) journal: Consumer<Record>,
    pub(super) returns: Producer<Body>,
    pub(super) commands: Producer<Command>,
    pub(super) requests: Consumer<RestRequest>,
    pub(super) answers: Producer<RestAnswer>,
    pub(super) market_links: rtrb::Producer<MemoryLink>,
    pub(super) account_links: rtrb::Producer<MemoryLink>,
    pub(super) now: Now,
    clock: Clock,
    pub(super) facts: Vec<Fact>,
    pub(super) stamps: Vec<Stamps>,
    pub(super) journaled: Vec<Fact>,
    /// Whether each step takes what is on the line and in the journal ring.
    pub(super) drains: bool,
    _folder: tempfile::TempDir,
}

impl Rig {
    pub(super) fn new(sizes: &Sizes) -> Self {
        Self::with(
            FeedConfig { account_read_every: 1, line_reserve: sizes.reserve, ..FeedConfig::default() },
            sizes,
        )
    }

    pub(super) fn with(config: FeedConfig, sizes: &Sizes) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let now = Now { ns: START_NS, mono_ns: 0 };
        let page = Arc::new(KillPage::create(&folder.path().join("kill.page"), 7, now).unwrap());
        let counters = Arc::new(Counters::default());
        let clock = Clock::virtual_at(START_NS);
        let fact = Fact { seq: 0, recv_ns: 0, body: Body::Timer };
        let (line_in, line) = line_ring::ring(sizes.line, Slot { stamps: Stamps::default(), item: fact });
        let (journal_in, journal) = ring(sizes.journal, Record::Fact(fact));
        let (returns, returns_out) = ring(1_024, Body::Timer);
        let (commands, commands_out) = rtrb::RingBuffer::new(64);
        let (requests_in, requests) = ring(64, RestRequest::Snapshot(BTC));
        let (answers, answers_out) = ring(4_096, RestAnswer::SnapshotFailed(BTC));
        let (market_links, market_connector) = connector(64);
        let (account_links, account_connector) = connector(64);
        let rings = FeedRings {
            line: line_in,
            journal: journal_in,
            returns: returns_out,
            commands: commands_out,
            rest_requests: requests_in,
            rest_answers: answers_out,
            found: None,
            samples: None,
        };
        let table = table(&["BTC-USDT"]);
        let secret = |text: &str| SecretString::from(text.to_owned());
        let credentials = Credentials::hmac(secret("key"), &secret("secret")).unwrap();
        let session = MarketSession::new(&table, MarketConfig::default());
        let market = MarketSide::new(market_connector, "venue.test".to_owned(), session, &table, &config, 1);
        let session = AccountSession::new(&table, credentials);
        let account = AccountSide::new(account_connector, "venue.test".to_owned(), session, &config, 2);
        let shared = (Arc::clone(&page), Arc::clone(&counters));
        let feed = Feed::new(config, market, Some(account), rings, shared, clock.clone());
        Self {
            feed,
            page,
            counters,
            line,
            journal,
            returns,
            commands: commands.into(),
            requests,
            answers,
            market_links,
            account_links,
            now,
            clock,
            facts: Vec::new(),
            stamps: Vec::new(),
            journaled: Vec::new(),
            drains: true,
            _folder: folder,
        }
    }

    /// A rig with a market connection whose book is in step; the account has nobody to talk to.
    pub(super) fn synced(sizes: &Sizes) -> (Self, Peer) {
        let mut rig = Self::new(sizes);
        let mut market = Peer::listen(&mut rig.market_links);
        rig.shake_hands(&mut market);
        rig.sync(&mut market);
        (rig, market)
    }

    /// Lets the book get in step at update 100.
    pub(super) fn sync(&mut self, market: &mut Peer) {
        market.say(&quote(90, "60000", "60000.01"));
        market.say(&depth(91, 100, "60000", "1"));
        self.run_ms(5);
        let asked = self.requests.pop();
        assert_eq!(asked, Ok(RestRequest::Snapshot(BTC)), "the book asks for its snapshot");
        self.answer_snapshot(100);
        self.run_ms(2);
        assert_eq!(self.book_status().last(), Some(&true));
    }

    pub(super) fn answer_snapshot(&mut self, update_id: u64) {
        let mut levels = [Level::default(); 4];
        levels[0] = Level::new(price("60000"), qty("1"));
        levels[1] = Level::new(price("60000.01"), qty("2"));
        let piece = Depth {
            instrument: BTC,
            count: 2,
            asks: 0b10,
            first: true,
            last: true,
            snapshot: true,
            update_id,
            venue_ns: 0,
            levels,
        };
        assert!(self.answers.push(RestAnswer::Depth(piece)).is_ok());
    }

    pub(super) fn shake_hands(&mut self, peer: &mut Peer) {
        for _ in 0..5 {
            self.step(MS);
            peer.serve();
        }
        assert!(peer.is_open, "the client asked for a WebSocket");
    }

    /// Answers the account's subscription.
    pub(super) fn subscribe(&mut self) -> Peer {
        let mut peer = Peer::listen(&mut self.account_links);
        for _ in 0..40 {
            self.step(25 * MS);
            peer.serve();
            if let Some(request) = peer.heard.pop() {
                assert!(request.contains("userDataStream.subscribe.signature"), "{request}");
                let id = crate::peer::id_of(&request);
                peer.say(&format!(r#"{{"id":"{id}","status":200,"result":{{"subscriptionId":0}}}}"#));
                self.run_ms(3);
                return peer;
            }
        }
        panic!("the account never subscribed");
    }

    pub(super) fn step(&mut self, step_ns: i64) {
        self.now.ns += step_ns;
        self.now.mono_ns += step_ns;
        self.clock.set_virtual(self.now.mono_ns);
        self.feed.poll(self.now);
        if self.drains {
            self.drain();
        }
    }

    pub(super) fn run_ms(&mut self, ms: i64) {
        for _ in 0..ms {
            self.step(MS);
        }
    }

    /// Takes everything and checks what must always hold.
    pub(super) fn drain(&mut self) {
        self.drain_journal();
        while let Some(slot) = self.line.pop() {
            let fact = slot.item;
            let before = self.facts.last().map_or((0, i64::MIN), |f: &Fact| (f.seq, f.recv_ns));
            assert_eq!(fact.seq, before.0 + 1, "numbers have no gap");
            assert!(fact.recv_ns >= before.1, "times never decrease");
            let at = usize::try_from(fact.seq - 1).unwrap();
            assert_eq!(self.journaled.get(at), Some(&fact), "it was journaled before it was on the line");
            self.facts.push(fact);
            self.stamps.push(slot.stamps);
        }
    }

    pub(super) fn drain_journal(&mut self) {
        while let Ok(record) = self.journal.pop() {
            match record {
                Record::Fact(fact) => self.journaled.push(fact),
                other => panic!("the feed journals facts: {other:?}"),
            }
        }
    }

    pub(super) fn count(&self, is: impl Fn(&Body) -> bool) -> usize {
        self.facts.iter().filter(|f| is(&f.body)).count()
    }

    pub(super) fn book_status(&self) -> Vec<bool> {
        let status = |f: &Fact| match f.body {
            Body::BookStatus(s) => Some(s.valid),
            _ => None,
        };
        self.facts.iter().filter_map(status).collect()
    }
}

pub(super) fn quote(update_id: u64, bid: &str, ask: &str) -> String {
    format!(
        r#"{{"stream":"btcusdt@bookTicker","data":{{"u":{update_id},"s":"BTCUSDT","b":"{bid}","B":"1.00000000","a":"{ask}","A":"2.00000000"}}}}"#
    )
}

pub(super) fn trade(id: u64) -> String {
    format!(
        r#"{{"stream":"btcusdt@trade","data":{{"e":"trade","E":1723161253000123,"s":"BTCUSDT","t":{id},"p":"60000.00000000","q":"0.00100000","T":1723161253000100,"m":true,"M":true}}}}"#
    )
}

pub(super) fn depth(first: u64, last: u64, bid: &str, amount: &str) -> String {
    format!(
        r#"{{"stream":"btcusdt@depth@100ms","data":{{"e":"depthUpdate","E":1723161253000123,"s":"BTCUSDT","U":{first},"u":{last},"b":[["{bid}","{amount}"]],"a":[]}}}}"#
    )
}

/// A fill as the user data stream tells it.
pub(super) fn fill(client: &str, trade: u64) -> String {
    format!(
        r#"{{"subscriptionId":0,"event":{{"e":"executionReport","E":1723161253000123,"s":"BTCUSDT","c":"{client}","S":"BUY","o":"LIMIT","f":"GTC","q":"0.00100000","p":"60000.00000000","P":"0.00000000","F":"0.00000000","g":-1,"C":"","x":"TRADE","X":"PARTIALLY_FILLED","r":"NONE","i":77,"l":"0.00010000","z":"0.00010000","L":"60000.00000000","n":"0.00000100","N":"BTC","T":1723161253000100,"t":{trade},"I":1,"w":false,"m":true,"M":true,"O":1723161253000000,"Z":"6.00000000","Y":"6.00000000","Q":"0.00000000","W":1723161253000000,"V":"NONE"}}}}"#
    )
}

//! Interlock's own line over real connections: market, account and order session, polled by one thread on core 1. The venue's thread
//! on core 0 plays the cold threads between ticks: REST worker and journal writer, never inside the time that is measured.

use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use floors::tls::Kind;
use interlock::agent::{Agent, Clock};
use interlock::event::{Body, Fact, OrderTrace, Record};
use interlock::journal::session::FORMAT;
use interlock::journal::writer::Parts as WriterParts;
use interlock::journal::{RealDisk, SessionHeader, Writer, WriterConfig};
use interlock::net::{Endpoint, TcpConnector, TcpTimeouts, TlsRoots, client_config};
use interlock::run::line::{Ends, Shared};
use interlock::shared::HaltLevel;

use crate::messages::{self, Random};
use crate::side::Ws;
use crate::{Certificate, stand, venue};

/// Ticks between two visits of the journal's writer: the rings hold far more.
const JOURNAL_EVERY: usize = 256;

/// The engine's thread and everything around it.
pub struct Engine {
    thread: Option<JoinHandle<()>>,
    is_over: Arc<AtomicBool>,
    shared: Shared,
    writer: Writer,
    ends: Cold,
    folder: PathBuf,
    pub market: Ws,
    account: Ws,
    pub orders: Ws,
    number: u64,
    update_id: u64,
    random: Random,
    pub traces: Vec<OrderTrace>,
}

/// The far ends of the rings, without the journal's.
struct Cold {
    rest: Ends,
}

impl Engine {
    /// Starts the line, opens its three sessions and waits for its first order.
    pub fn open(kind: Kind, certificate: &Certificate, config: Option<Arc<rustls::ServerConfig>>) -> Self {
        let folder =
            std::env::temp_dir().join(format!("interlock-latency-{}-{}", std::process::id(), floors::tsc()));
        std::fs::create_dir_all(&folder).unwrap();
        let shared = stand::shared();
        let listeners = [(); 3].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let roots = TlsRoots::Pinned(Arc::from([certificate.0.clone().into()]));
        let tls = client_config(&roots);
        let scheme = if kind == Kind::Plain { "ws" } else { "wss" };
        let connector = |listener: &TcpListener| {
            let address = format!("{scheme}://localhost:{}/", listener.local_addr().unwrap().port());
            TcpConnector::new(Endpoint::parse(&address).unwrap(), Arc::clone(&tls), TcpTimeouts::default())
        };
        let [market, account, orders] = &listeners;
        let line =
            stand::line([connector(market), connector(account), connector(orders)], "localhost", &shared);
        let (mut stages, mut ends) = (line.stages, line.ends);
        stand::tell_clock(&mut ends);
        let is_over = Arc::new(AtomicBool::new(false));
        let (over, clock) = (Arc::clone(&is_over), shared.clock.clone());
        let thread = std::thread::spawn(move || {
            floors::pin(1);
            while !over.load(Ordering::Acquire) {
                stand::cycle(&mut stages, &clock);
            }
        });
        let accept = |listener| Ws::accept(listener, kind, config.clone());
        let (market, account, orders) = (accept(market), accept(account), accept(orders));
        let (writer, ends) = writer(&folder, &shared, ends);
        let mut engine = Self {
            thread: Some(thread),
            is_over,
            shared,
            writer,
            ends,
            folder,
            market,
            account,
            orders,
            number: 1,
            update_id: stand::SNAPSHOT_ID,
            random: Random(11),
            traces: Vec::new(),
        };
        engine.wait_for_the_first_order();
        engine
    }

    fn wait_for_the_first_order(&mut self) {
        for _ in 0..10_000 {
            self.depth();
            let text = messages::book_ticker(&mut self.random, self.update_id);
            self.market.send(&text);
            floors::spin_ns(500_000);
            stand::serve_rest(&mut self.ends.rest);
            self.writer.poll(self.shared.clock.now());
            if self.answer() > 0 {
                self.settle();
                self.traces.clear();
                return;
            }
        }
        panic!("{}", stand::complaint(&self.shared));
    }

    fn depth(&mut self) {
        let first = self.update_id + 1;
        self.update_id += 10;
        let text = messages::depth(&mut self.random, first, self.update_id, 5);
        self.market.send(&text);
    }

    /// Answers what was asked and ends each order; how many there were.
    fn answer(&mut self) -> usize {
        while let Some(text) = self.account.try_text() {
            self.account.send(&venue::answer(&text, 0));
        }
        let mut placed = 0;
        while let Some(text) = self.orders.try_text() {
            self.number += 1;
            self.orders.send(&venue::answer(&text, self.number));
            if venue::field(&text, "method") == "order.place" {
                placed += 1;
                for report in venue::reports(&text, self.number) {
                    self.account.send(&report);
                }
            }
        }
        if self.account.is_closing() || self.orders.is_closing() {
            // What the engine knows of it is in its journal: the writer tells it to the observer below.
            floors::spin_ns(1_000_000);
            self.writer.poll(self.shared.clock.now());
            panic!("the engine gave a session up; {}", stand::complaint(&self.shared));
        }
        placed
    }

    /// Waits until the engine knows that its orders have ended.
    fn settle(&mut self) {
        let until = floors::tsc() + 1_000_000_000;
        loop {
            floors::spin_ns(2_000);
            if self.shared.page.open_orders() == 0 {
                break;
            }
            assert!(floors::tsc() < until, "orders stay open: {}", stand::complaint(&self.shared));
        }
    }

    /// Everything between two ticks. `false`: what came was no order, so the tick is not one to count.
    pub fn between(&mut self, tick: usize) -> bool {
        let is_order = self.answer() == 1;
        self.settle();
        while let Ok(trace) = self.ends.rest.traces.pop() {
            self.traces.push(trace);
        }
        stand::drain_samples(&mut self.ends.rest.samples);
        if tick % JOURNAL_EVERY == 0 {
            self.writer.poll(self.shared.clock.now());
            self.depth();
            floors::spin_ns(20_000);
        }
        is_order
    }

    /// The engine's clock, for its stamps.
    pub fn clock(&self) -> &Clock {
        &self.shared.clock
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
        assert!(self.writer.failure().is_none(), "the journal failed");
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// The real writer on a real disk; the rings that it takes are replaced by empty ones.
fn writer(folder: &std::path::Path, shared: &Shared, mut ends: Ends) -> (Writer, Cold) {
    let header = SessionHeader {
        format: FORMAT,
        version: "bench".to_owned(),
        session: "bench".to_owned(),
        mode: "bench".to_owned(),
        boot_epoch: 1,
        build_id: "bench".to_owned(),
        config_hash: "00".repeat(32),
        started_ns: 0,
        config: String::new(),
        assets: Vec::new(),
        instruments: Vec::new(),
        strategies: Vec::new(),
        notes: Default::default(),
    };
    let empty = || interlock::agent::ring::ring(2, Record::Fact(NOTHING)).1;
    let none = interlock::journal::Rings { feed: empty(), signal: empty(), risk: empty(), gateway: empty() };
    let rings = std::mem::replace(&mut ends.journal, none);
    let page = Arc::clone(&shared.page);
    let parts = WriterParts {
        counters: Arc::clone(&shared.counters),
        clock: shared.clock.clone(),
        halt: Box::new(move |reason, now| {
            page.trip(HaltLevel::RiskOff, reason, now.ns);
        }),
        observer: Some(Box::new(|_: u64, record: &Record| {
            if let Record::Fact(Fact { body: Body::Link(link), .. }) = record
                && !link.up
            {
                eprintln!("{link:?}");
            }
        })),
    };
    let dir = folder.join("journal");
    let (writer, _control) =
        Writer::create(Arc::new(RealDisk), &dir, WriterConfig::default(), &header, rings, parts).unwrap();
    (writer, Cold { rest: ends })
}

const NOTHING: Fact = Fact { seq: 0, recv_ns: 0, body: Body::Timer };

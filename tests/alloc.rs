//! No allocation in steady state in our code on the four stages (R-HOT-3), counted by the allocator itself.
//!
//! The first test sends 100,000 ticks through the whole line: frames in, orders out, answers and reports back, journal and
//! latency rings filled. Only the stages' own work is counted; the venue's part, on the same thread, is not. The second
//! measures what the TLS library allocates for each record, and holds that our link adds nothing to it.
#![expect(unsafe_code, reason = "an allocator that counts is an unsafe trait")]

#[path = "it/alloc_shapes.rs"]
mod alloc_shapes;
#[path = "../benches/support/memory.rs"]
mod memory;
#[path = "../benches/support/messages.rs"]
mod messages;
#[path = "../benches/support/stand.rs"]
mod stand;
#[path = "../benches/support/venue.rs"]
mod venue;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use messages::Random;

/// Ticks sent, after as many as it takes to be warm.
const TICKS: u64 = 100_000;
const WARM_UP: u64 = 5_000;

struct Counting;

thread_local! {
    // Const and without a destructor: reading it allocates nothing, at any time of a thread's life.
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

fn count() {
    ALLOCATIONS.with(|counter| counter.set(counter.get() + 1));
}

// SAFETY: every call goes to the system's allocator unchanged; counting touches a plain thread-local cell.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promise, passed on.
        unsafe { System.alloc(layout) }
    }
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promise, passed on.
        unsafe { System.alloc_zeroed(layout) }
    }
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: the caller's promise, passed on.
        unsafe { System.realloc(block, layout, size) }
    }
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise, passed on.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// How many allocations `work` makes on this thread.
fn allocations<R>(work: impl FnOnce() -> R) -> (u64, R) {
    let before = ALLOCATIONS.with(Cell::get);
    let result = work();
    (ALLOCATIONS.with(Cell::get) - before, result)
}

#[test]
fn r_hot_3_the_whole_line_allocates_nothing_in_steady_state() {
    let mut bench = memory::Bench::open();
    let mut random = Random(17);
    let ticks: Vec<Vec<u8>> =
        (0..1_024).map(|i| venue::server_frame(&messages::book_ticker(&mut random, 5_000 + i))).collect();
    let (mut counted, mut orders, mut first) = (0, 0, None);
    for tick in 0..WARM_UP + TICKS {
        let is_counted = tick >= WARM_UP;
        if tick.is_multiple_of(64) {
            bench.venue.depth();
        }
        let at = usize::try_from(tick).expect("an index") % ticks.len();
        bench.venue.market.send(&ticks[at]);
        // The tick's own cycle, and those that take the answers and reports in.
        for part in 0..4 {
            let (made, ()) = allocations(|| stand::cycle(&mut bench.line.stages, &bench.shared.clock));
            if is_counted {
                counted += made;
                if made > 0 {
                    first.get_or_insert((tick, part));
                }
            }
            // The order comes with the first cycle; what the reports cause comes with the others.
            if part == 0 {
                let placed = bench.venue.answer() as u64;
                orders += if is_counted { placed } else { 0 };
            }
        }
        if tick.is_multiple_of(1_024) {
            stand::drain_journal(&mut bench.line.ends.journal);
            stand::drain_samples(&mut bench.line.ends.samples);
            while bench.line.ends.traces.pop().is_ok() {}
        }
    }
    assert!(
        orders * 100 >= TICKS * 99,
        "{orders} orders for {TICKS} ticks: {}",
        stand::complaint(&bench.shared)
    );
    assert_eq!(counted, 0, "allocations in {TICKS} ticks; the first at (tick, cycle) {first:?}");
}

/// The TLS library's own allocations, and that our link adds none to them.
#[cfg(test)]
mod tls {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;
    use std::sync::Arc;

    use interlock::net::{Endpoint, TcpConnector, TcpTimeouts, TlsRoots, client_config};
    use interlock::wire::link::{Connector as _, Link as _, LinkState};
    use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
    use rustls::{ClientConnection, ServerConfig, ServerConnection};

    use super::allocations;

    /// Records sent each way, after as many as it takes to be warm.
    const RECORDS: u64 = 2_000;
    const TICK: [u8; 180] = [b't'; 180];
    const ORDER: [u8; 430] = [b'o'; 430];

    fn authority() -> (TlsRoots, Arc<ServerConfig>) {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let certificate: CertificateDer<'static> = made.cert.der().clone();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.clone()], key)
            .unwrap();
        (TlsRoots::Pinned(Arc::from([certificate])), Arc::new(config))
    }

    /// What the TLS library itself allocates, without a network and without our code: (to write one record, to read one).
    fn of_the_library(roots: &TlsRoots, config: &Arc<ServerConfig>) -> (u64, u64) {
        let name = ServerName::try_from("localhost").unwrap();
        let mut client = ClientConnection::new(client_config(roots), name).unwrap();
        let mut server = ServerConnection::new(Arc::clone(config)).unwrap();
        let mut wire = Vec::with_capacity(64 << 10);
        let mut text = [0; 1_024];
        while client.is_handshaking() || server.is_handshaking() || server.wants_write() {
            wire.clear();
            while client.wants_write() {
                client.write_tls(&mut wire).unwrap();
            }
            let mut unread = &wire[..];
            while !unread.is_empty() {
                server.read_tls(&mut unread).unwrap();
                server.process_new_packets().unwrap();
            }
            wire.clear();
            while server.wants_write() {
                server.write_tls(&mut wire).unwrap();
            }
            let mut unread = &wire[..];
            while !unread.is_empty() {
                client.read_tls(&mut unread).unwrap();
                client.process_new_packets().unwrap();
            }
        }
        let (mut writing, mut reading) = (0, 0);
        for record in 0..2 * RECORDS {
            wire.clear();
            let (made, ()) = allocations(|| {
                client.writer().write_all(&ORDER).unwrap();
                client.write_tls(&mut wire).unwrap();
            });
            server.read_tls(&mut &wire[..]).unwrap();
            server.process_new_packets().unwrap();
            assert_eq!(server.reader().read(&mut text).unwrap(), ORDER.len());
            wire.clear();
            server.writer().write_all(&TICK).unwrap();
            server.write_tls(&mut wire).unwrap();
            let (taken, ()) = allocations(|| {
                client.read_tls(&mut &wire[..]).unwrap();
                client.process_new_packets().unwrap();
                assert_eq!(client.reader().read(&mut text).unwrap(), TICK.len());
                // As a link does that asks whether there is more.
                assert!(client.reader().read(&mut text).is_err());
            });
            if record >= RECORDS {
                writing += made;
                reading += taken;
            }
        }
        (writing, reading)
    }

    /// The same through our link over a socket.
    fn of_our_link(roots: &TlsRoots, config: &Arc<ServerConfig>) -> (u64, u64) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("wss://localhost:{}/", listener.local_addr().unwrap().port());
        let config = Arc::clone(config);
        std::thread::scope(|scope| {
            scope.spawn(move || {
                let stream = listener.accept().unwrap().0;
                stream.set_nodelay(true).unwrap();
                let mut tls = rustls::StreamOwned::new(ServerConnection::new(config).unwrap(), stream);
                let mut order = [0; ORDER.len()];
                while tls.read_exact(&mut order).is_ok() {
                    tls.write_all(&TICK).unwrap();
                }
            });
            let endpoint = Endpoint::parse(&address).unwrap();
            let clock = interlock::agent::Clock::system();
            let mut connector = TcpConnector::new(endpoint, client_config(roots), TcpTimeouts::default());
            let mut link = connector.open(clock.mono_ns());
            loop {
                match link.drive(clock.mono_ns()) {
                    LinkState::Open => break,
                    LinkState::Opening => std::thread::yield_now(),
                    LinkState::Closed(reason) => panic!("{reason:?}: {:?}", link.last_error()),
                }
            }
            let (mut writing, mut reading) = (0, 0);
            let mut text = [0; 1_024];
            for record in 0..2 * RECORDS {
                let (made, written) = allocations(|| link.write(&ORDER));
                assert_eq!(written, Ok(()));
                let (mut taken, mut have) = (0, 0);
                while have < TICK.len() {
                    let (more, count) = allocations(|| link.read(&mut text[have..]));
                    taken += more;
                    have += count.unwrap();
                    link.drive(clock.mono_ns());
                }
                if record >= RECORDS {
                    writing += made;
                    reading += taken;
                }
            }
            link.close();
            (writing, reading)
        })
    }

    #[test]
    fn r_hot_3_our_link_adds_no_allocation_to_those_of_the_tls_library() {
        let (roots, config) = authority();
        let (writing, reading) = of_the_library(&roots, &config);
        let (link_writing, link_reading) = of_our_link(&roots, &config);
        println!(
            "TLS library, allocations for {RECORDS} records: {writing} to write, {reading} to read; \
             through our link: {link_writing} and {link_reading}"
        );
        assert!(
            link_writing <= writing,
            "writing: {link_writing} for {RECORDS} records; the library's own: {writing}"
        );
        assert!(
            link_reading <= reading,
            "reading: {link_reading} for {RECORDS} records; the library's own: {reading}"
        );
    }
}

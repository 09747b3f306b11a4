//! Tick to trade over loopback, plain and TLS: from the venue's `send` of a tick to the `recv` that completes the order. Three
//! traders answer the same venue, in turn within each round:
//! - a bare echo: the same message sizes and no work;
//! - the hand-written minimal trader of the reference programs (parse, threshold, one risk check, HMAC, frame: no book, no
//!   journal, no limits);
//! - Interlock's four stages with every check and journal record, on three connections.
//!
//! The venue spins on core 0, the trader on core 1. Ratios are taken inside a round; the core-to-core round trip at the start of
//! each round says whether the hypervisor had the two cores near or far. `ROUNDS`, `N` by environment.

#![allow(dead_code)]

mod engine;
#[path = "../../../benches/support/memory.rs"]
mod memory;
#[path = "../../../benches/support/messages.rs"]
mod messages;
mod side;
#[path = "../../../benches/support/stand.rs"]
mod stand;
#[path = "../../../benches/support/venue.rs"]
mod venue;

use std::net::TcpStream;
use std::sync::Arc;

use engine::Engine;
use floors::order::{Engine as Minimal, HEAD, client_frame_len, verify_order, ws_payload, ws_server_frame};
use floors::stats::Bench;
use floors::tls::{Chan, Kind, Prov, Sock, cert, client, configs, provider, server, tcp_pair};
use floors::{Rng, c2c_rtt, env_usize, ns_per_tick, pin, tsc};
use messages::Random;

type Certificate = (Vec<u8>, Vec<u8>);
type Configs = (Arc<rustls::ClientConfig>, Arc<rustls::ServerConfig>);

const SUITE: rustls::CipherSuite = rustls::CipherSuite::TLS13_AES_128_GCM_SHA256;
const KINDS: [(&str, Kind); 2] = [("plain", Kind::Plain), ("TLS", Kind::Rustls)];

fn main() {
    pin(0);
    let (rounds, n) = (env_usize("ROUNDS", 7), env_usize("N", 4_000));
    let certificate = cert();
    let both = configs(provider(Prov::AwsLc, SUITE), &certificate);
    let minimal = minimal_ticks(2_048);
    let ours = our_ticks(4_096);
    sizes(&minimal, &ours);
    in_memory(rounds, &minimal, &ours);
    for (label, gap_ns) in [("back to back", 0u64), ("paced 100 us", 100_000)] {
        let gap = (gap_ns as f64 / ns_per_tick()) as u64;
        let n = if gap > 0 { n / 2 } else { n };
        let mut wire = Bench::new(&format!("tick to trade, {label}"));
        let mut compute = Bench::new(&format!(
            "inside the trader, bytes read to the send (Interlock: to the request signed), {label}"
        ));
        for _ in 0..rounds {
            let near = c2c_rtt();
            wire.c2c.push(near);
            compute.c2c.push(near);
            for (name, kind) in KINDS {
                for (who, echo) in [("bare echo", true), ("minimal trader", false)] {
                    let (times, inside) = reference(echo, kind, &both, &minimal, n, gap);
                    wire.ticks(&format!("{who}, {name}"), &times);
                    compute.ticks(&format!("{who}, {name}"), &inside);
                }
                let (times, inside) = interlock(kind, &certificate, &both, &ours, n, gap);
                wire.ticks(&format!("Interlock, {name}"), &times);
                compute.ticks(&format!("Interlock, {name}"), &inside);
            }
        }
        wire.report("ns", None);
        for (name, _) in KINDS {
            wire.report_ratio_only(Some(&format!("minimal trader, {name}")));
        }
        wire.report_ratio_only(Some("bare echo, TLS"));
        compute.report("ns", None);
    }
}

/// The same without sockets: a frame in memory to an order's bytes, on one thread that runs empty between ticks. The minimal
/// trader is called with the frame; Interlock's four stages read it from one memory link and write to another, check
/// everything and journal every record.
fn in_memory(rounds: usize, minimal: &[(u64, Vec<u8>)], ours: &[Vec<u8>]) {
    let gap = (8_000.0 / ns_per_tick()) as u64;
    let mut table = Bench::new("frame bytes to order bytes in memory, one thread, a tick each 8 us");
    let mut stand = std::thread::spawn(|| {
        pin(1);
        memory::Bench::open()
    })
    .join()
    .unwrap();
    for _ in 0..rounds {
        std::thread::scope(|scope| {
            scope.spawn(|| {
                pin(1);
                let mut trader = Minimal::new();
                let mut times = Vec::new();
                for (_, frame) in minimal.iter().cycle().take(10_000) {
                    wait(gap);
                    let start = tsc();
                    std::hint::black_box(trader.on_frame(frame).unwrap());
                    times.push(tsc() - start);
                }
                table.ticks("minimal trader", &times[1_000..]);
                let memory::Bench { line, shared, venue } = &mut stand;
                let (mut times, mut parts) = (Vec::new(), [const { Vec::new() }; 6]);
                for (tick, frame) in ours.iter().cycle().take(10_000).enumerate() {
                    let due = tsc() + gap;
                    while tsc() < due {
                        stand::cycle(&mut line.stages, &shared.clock);
                    }
                    venue.market.send(frame);
                    let start = tsc();
                    stand::cycle(&mut line.stages, &shared.clock);
                    let end = tsc();
                    let is_order = venue.answer() == 1;
                    while let Ok(t) = line.ends.traces.pop() {
                        let each = [
                            t.decoded - t.read,
                            t.signal - t.decoded,
                            t.risk - t.signal,
                            t.encoded - t.risk,
                            t.written - t.encoded,
                            t.written - t.read,
                        ];
                        for (part, ticks) in parts.iter_mut().zip(each) {
                            part.push(ticks);
                        }
                    }
                    if is_order {
                        times.push(end - start);
                    }
                    if tick % 16 == 0 {
                        venue.depth();
                        stand::drain_journal(&mut line.ends.journal);
                        stand::drain_samples(&mut line.ends.samples);
                    }
                }
                assert!(times.len() > 9_800, "{} orders: {}", times.len(), stand::complaint(shared));
                table.ticks("Interlock, all stages", &times[1_000..]);
                let names = [
                    "read to fact",
                    "to intent",
                    "to verdict",
                    "to request signed",
                    "to handed over",
                    "read to handed over",
                ];
                for (name, part) in names.iter().zip(&parts) {
                    table.ticks(&format!("  {name}"), &part[1_000..]);
                }
            });
        });
    }
    table.report("ns", Some("minimal trader"));
}

fn sizes(minimal: &[(u64, Vec<u8>)], ours: &[Vec<u8>]) {
    let order = Minimal::new().on_frame(&minimal[0].1).unwrap();
    println!("minimal trader: tick frame {} B, order frame {order} B", minimal[0].1.len());
    println!("Interlock: tick frame {} B (combined stream)", ours[0].len());
}

/// The reference programs' ticks, as their own bench makes them.
fn minimal_ticks(n: usize) -> Vec<(u64, Vec<u8>)> {
    let mut r = Rng(11);
    (0..n)
        .map(|i| {
            let id = 7_000_000_000 + i as u64;
            let mid = 6_000_000 + r.below(20_000) as i64 - 10_000;
            let t = 1_760_000_000_000u64 + i as u64;
            let text = format!(
                r#"{{"e":"bookTicker","u":{id},"s":"BTCUSDT","b":"{}.{:02}","B":"{}.{:03}","a":"{}.{:02}","A":"{}.{:03}","T":{t},"E":{}}}"#,
                mid / 100,
                mid % 100,
                r.below(30),
                r.below(1000),
                (mid + 10) / 100,
                (mid + 10) % 100,
                r.below(30),
                r.below(1000),
                t + 2
            );
            (id, ws_server_frame(text.as_bytes()))
        })
        .collect()
}

fn our_ticks(n: usize) -> Vec<Vec<u8>> {
    let mut random = Random(17);
    (0..n as u64)
        .map(|i| venue::server_frame(&messages::book_ticker(&mut random, 40_000_000_000 + i)))
        .collect()
}

/// One round of an echo or of the minimal trader: times on the wire and inside the trader, in ticks.
fn reference(
    echo: bool,
    kind: Kind,
    both: &Configs,
    ticks: &[(u64, Vec<u8>)],
    n: usize,
    gap: u64,
) -> (Vec<u64>, Vec<u64>) {
    let (venue_end, trader_end) = tcp_pair();
    let client_config = (kind != Kind::Plain).then(|| both.0.clone());
    let mut first = Minimal::new();
    let len = first.on_frame(&ticks[0].1).unwrap();
    let order = first.b.out.b[HEAD..HEAD + len].to_vec();
    let thread = std::thread::spawn(move || trade(echo, kind, client_config, trader_end, &order));
    let config = (kind != Kind::Plain).then(|| both.1.clone());
    let mut chan = server(kind, Prov::AwsLc, config, Sock::new(venue_end));
    let warm_up = (n / 10).max(50);
    let mut times = Vec::with_capacity(n + warm_up);
    let (mut tx, mut rx) = ([0u8; 2_048], [0u8; 16_384]);
    for i in 0..n + warm_up {
        wait(gap);
        let (id, frame) = &ticks[i % ticks.len()];
        tx[5..5 + frame.len()].copy_from_slice(frame);
        chan.send(&mut tx, 5, frame.len());
        let sent = chan.sock().tx;
        let mut have = 0;
        while client_frame_len(&rx[..have]).is_none_or(|len| have < len) {
            let got = chan.recv(&mut rx, have);
            assert!(got > 0, "the trader closed");
            have += got;
        }
        times.push(chan.sock().rx - sent);
        if !echo && i % 16 == 0 {
            assert_eq!(verify_order(&rx[..have]), *id);
        }
    }
    chan.sock().s.shutdown(std::net::Shutdown::Both).unwrap();
    drop(chan);
    let inside = thread.join().unwrap();
    (times.split_off(warm_up), inside[warm_up.min(inside.len() - 1)..].to_vec())
}

/// The trader's thread: the reference programs' code on their transports.
fn trade(
    echo: bool,
    kind: Kind,
    config: Option<Arc<rustls::ClientConfig>>,
    stream: TcpStream,
    order: &[u8],
) -> Vec<u64> {
    pin(1);
    let mut inside = Vec::with_capacity(1 << 16);
    let mut chan: Box<dyn Chan> = client(kind, Prov::AwsLc, config, Sock::new(stream));
    let mut engine = Minimal::new();
    let (mut buf, mut out) = ([0u8; 16_384], [0u8; 2_048]);
    loop {
        let mut have = 0;
        while ws_payload(&buf[..have]).is_none() {
            let got = chan.recv(&mut buf, have);
            if got == 0 {
                return inside;
            }
            have += got;
        }
        let read = chan.sock().rx;
        if echo {
            out[HEAD..HEAD + order.len()].copy_from_slice(order);
            chan.send(&mut out, HEAD, order.len());
        } else if let Some(len) = engine.on_frame(&buf[..have]) {
            chan.send(&mut engine.b.out.b, HEAD, len);
        }
        inside.push(chan.sock().tx - read);
    }
}

/// One round of Interlock.
fn interlock(
    kind: Kind,
    certificate: &Certificate,
    both: &Configs,
    ticks: &[Vec<u8>],
    n: usize,
    gap: u64,
) -> (Vec<u64>, Vec<u64>) {
    let config = (kind != Kind::Plain).then(|| both.1.clone());
    let mut engine = Engine::open(kind, certificate, config);
    let warm_up = (n / 10).max(50);
    let mut times = Vec::with_capacity(n + warm_up);
    for i in 0..n + warm_up {
        wait(gap);
        engine.market.send_frame(&ticks[i % ticks.len()]);
        let sent = engine.market.chan.sock().tx;
        engine.orders.spin_frame();
        let got = engine.orders.chan.sock().rx;
        // A request of the engine's own (it looks after its orders) may come first: then the tick is not counted.
        if engine.between(i) && i >= warm_up {
            times.push(got - sent);
        }
    }
    assert!(times.len() * 100 > n * 95, "only {} of {n} ticks were answered by an order", times.len());
    let inside = engine.traces.iter().skip(warm_up).map(|t| t.encoded - t.read).collect();
    let _ = engine.clock();
    (times, inside)
}

fn wait(gap: u64) {
    if gap > 0 {
        let end = tsc() + gap;
        while tsc() < end {}
    }
}

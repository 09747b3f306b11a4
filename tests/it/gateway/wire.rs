//! The door to a venue over a connection in memory, in the venue's own words.

use secrecy::SecretString;

use interlock::event::{Action, Body, Order, OrderSpec, ReplyKind, Sent, SentKind};
use interlock::gateway::{
    Comparer, Difference, Door, DoorEvent, Encoded, GatewayConfig, LimitKind, Request, WireDoor,
    channel_config,
};
use interlock::types::{
    ClientOrderId, InstrumentId, Now, OrderState, OrderType, Reason, Side, StrategyId, TimeInForce,
};
use interlock::venue::binance::Credentials;
use interlock::venue::binance::orders::{OrderConfig, OrderSession};
use interlock::wire::memory::{MemoryConnector, MemoryLink, connector};

use super::rig::START_NS;
use crate::binance_support::{price, qty, table};
use crate::peer::{MS, Peer, id_of};

struct DoorRig {
    door: WireDoor<MemoryConnector>,
    links: rtrb::Producer<MemoryLink>,
    events: Vec<DoorEvent>,
    now: Now,
}

fn secret(text: &str) -> SecretString {
    SecretString::from(text.to_owned())
}

fn hmac() -> Credentials {
    Credentials::hmac(secret("key"), &secret("secret")).unwrap()
}

/// The key of RFC 8410's example.
fn ed25519() -> Credentials {
    let key = "MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC";
    let pem = &format!("-----BEGIN PRIVATE KEY-----\n{key}\n-----END PRIVATE KEY-----\n");
    Credentials::ed25519(secret("key"), &secret(pem)).unwrap()
}

impl DoorRig {
    fn new(credentials: Credentials) -> Self {
        let (links, connector) = connector(16);
        let session = OrderSession::new(&table(&["BTC-USDT"]), credentials, OrderConfig::default());
        let config = channel_config(&GatewayConfig::default(), "venue.test".to_owned(), &session);
        let door = WireDoor::new(connector, config, session, 3);
        Self { door, links, events: Vec::new(), now: Now { ns: START_NS, mono_ns: 0 } }
    }

    fn step(&mut self, step_ns: i64) {
        self.now.ns += step_ns;
        self.now.mono_ns += step_ns;
        let events = &mut self.events;
        self.door.drive(self.now, true, &mut |event| events.push(event));
    }

    fn open(&mut self) -> Peer {
        let mut peer = Peer::listen(&mut self.links);
        for _ in 0..100 {
            self.step(10 * MS);
            peer.serve();
            if peer.is_open {
                self.step(MS);
                peer.serve();
                return peer;
            }
        }
        panic!("nobody connected");
    }

    /// Sends a request; its text and id as the venue hears it.
    fn send(&mut self, peer: &mut Peer, request: &Request) -> (String, String) {
        let encoded = self.door.encode(request, self.now.ns).unwrap();
        assert_eq!(self.door.write(self.now), Ok(()));
        let encoded = self.door.settle(encoded, self.now);
        peer.serve();
        let text = peer.heard.pop().expect("heard");
        assert_eq!(text.len(), encoded.text_len as usize);
        let id = id_of(&text).to_owned();
        (text, id)
    }

    /// Writes a request; what the record says of it.
    fn made(&mut self, request: &Request) -> Encoded {
        let encoded = self.door.encode(request, START_NS).unwrap();
        assert_eq!(self.door.write(self.now), Ok(()));
        self.door.settle(encoded, self.now)
    }

    fn replies(&self) -> Vec<(ReplyKind, Reason)> {
        let reply = |event: &DoorEvent| match event {
            DoorEvent::Body(Body::Reply(r)) => Some((r.kind, r.reason)),
            _ => None,
        };
        self.events.iter().filter_map(reply).collect()
    }

    fn is_told(&self, event: DoorEvent) -> bool {
        self.events.contains(&event)
    }
}

fn order(counter: u64) -> Request {
    let spec = OrderSpec {
        side: Side::Buy,
        order_type: OrderType::Limit,
        time_in_force: TimeInForce::Gtc,
        price: price("60000"),
        qty: qty("0.001"),
    };
    Request::Order(Order {
        client: ClientOrderId::new(5, counter),
        cause_seq: 1,
        cause_ns: START_NS,
        strategy: StrategyId(0),
        instrument: InstrumentId(0),
        reduce_only: false,
        action: Action::Place(spec),
    })
}

fn accepted(id: &str) -> String {
    format!(
        r#"{{"id":"{id}","status":200,"result":{{"symbol":"BTCUSDT","orderId":12,"clientOrderId":"x","transactTime":1723161253000000}},"rateLimits":[{{"rateLimitType":"ORDERS","interval":"SECOND","intervalNum":10,"limit":50,"count":3}}]}}"#
    )
}

#[test]
fn with_hmac_the_session_is_ready_at_once_and_answers_become_facts() {
    let mut rig = DoorRig::new(hmac());
    let mut peer = rig.open();
    assert!(rig.is_told(DoorEvent::Ready));
    let (text, id) = rig.send(&mut peer, &Request::Account);
    assert!(text.contains("account.status") && text.contains("signature"), "{text}");
    peer.say(&format!(r#"{{"id":"{id}","status":200,"result":{{"updateTime":1723161253000000,"balances":[{{"asset":"BTC","free":"1.00000000","locked":"0.00000000"}}]}}}}"#));
    let (_, id) = rig.send(&mut peer, &Request::OpenOrders);
    peer.say(&format!(r#"{{"id":"{id}","status":200,"result":[{{"symbol":"BTCUSDT","orderId":12,"clientOrderId":"{}","price":"60000.00000000","origQty":"0.00100000","executedQty":"0.00000000","status":"NEW","side":"BUY","time":1723161253000000,"updateTime":1723161253000000}}]}}"#, ClientOrderId::new(4, 9)));
    let (text, id) = rig.send(&mut peer, &order(1));
    assert!(text.contains(r#""method":"order.place""#) && text.contains("IL0000050000000001"), "{text}");
    peer.say(&accepted(&id));
    rig.step(MS);
    assert!(rig.is_told(DoorEvent::AccountRead));
    assert!(rig.is_told(DoorEvent::OpenOrders { count: 1 }));
    let open = rig.events.iter().find_map(|event| match event {
        DoorEvent::Body(Body::Order(u)) => Some((u.client, u.snapshot, u.state)),
        _ => None,
    });
    assert_eq!(open, Some((ClientOrderId::new(4, 9), true, OrderState::Acknowledged)));
    assert_eq!(rig.replies(), [(ReplyKind::Accepted, Reason::None)]);
    let usage = |e: &DoorEvent| matches!(e, DoorEvent::Usage(u) if u.kind == LimitKind::Orders && u.used == 3 && u.limit == 50);
    assert!(rig.events.iter().any(usage));
    assert_eq!(rig.door.pending(), 0);
}

#[test]
fn with_ed25519_the_session_is_ready_after_the_logon() {
    let mut rig = DoorRig::new(ed25519());
    let mut peer = rig.open();
    rig.step(MS);
    peer.serve();
    let logon = peer.heard.pop().expect("the logon");
    assert!(logon.contains("session.logon"), "{logon}");
    assert!(!rig.door.is_ready());
    assert_eq!(rig.door.encode(&Request::Account, rig.now.ns), Err(Reason::SessionDown));
    peer.say(&format!(r#"{{"id":"{}","status":200,"result":{{"apiKey":"key"}}}}"#, id_of(&logon)));
    rig.step(MS);
    assert!(rig.door.is_ready());
    let (text, _) = rig.send(&mut peer, &order(1));
    assert!(!text.contains("signature") && !text.contains("apiKey"), "{text}");
}

#[test]
fn a_refused_logon_ends_the_connection_and_is_told() {
    let mut rig = DoorRig::new(ed25519());
    let mut peer = rig.open();
    rig.step(MS);
    peer.serve();
    let logon = peer.heard.pop().expect("the logon");
    peer.say(&format!(r#"{{"id":"{}","status":401,"error":{{"code":-2015,"msg":"Invalid API-key, IP, or permissions for action."}}}}"#, id_of(&logon)));
    rig.step(MS);
    assert!(rig.is_told(DoorEvent::Lost { reason: Reason::Refused, attempts: 1, is_exhausted: false }));
    assert!(rig.door.last_error().is_some_and(|e| e.contains("Invalid API-key")));
}

#[test]
fn f1_a_connection_that_is_lost_leaves_pending_orders_unknown_and_is_made_anew() {
    let mut rig = DoorRig::new(hmac());
    let mut peer = rig.open();
    rig.send(&mut peer, &order(1));
    assert_eq!(rig.door.pending(), 1);
    peer.hang_up();
    rig.step(MS);
    assert_eq!(rig.replies(), [(ReplyKind::Unknown, Reason::Closed)]);
    assert!(matches!(rig.events.last(), Some(DoorEvent::Lost { reason: Reason::Closed, .. })));
    assert!(!rig.door.is_ready());
    rig.open();
    assert!(rig.door.is_ready());
}

#[test]
fn f4_a_server_error_and_a_missing_answer_are_unknown() {
    let mut rig = DoorRig::new(hmac());
    let mut peer = rig.open();
    let (_, id) = rig.send(&mut peer, &order(1));
    peer.say(&format!(r#"{{"id":"{id}","status":503,"error":{{"code":-1007,"msg":"Timeout waiting for response from backend server."}}}}"#));
    rig.step(MS);
    rig.send(&mut peer, &order(2));
    rig.step(5_001 * MS);
    assert_eq!(
        rig.replies(),
        [(ReplyKind::Unknown, Reason::VenueError), (ReplyKind::Unknown, Reason::Timeout)]
    );
}

#[test]
fn a_rate_limit_blocks_until_the_venue_says() {
    let mut rig = DoorRig::new(hmac());
    let mut peer = rig.open();
    let (_, id) = rig.send(&mut peer, &order(1));
    let until_ms = START_NS / MS + 30_000;
    peer.say(&format!(r#"{{"id":"{id}","status":429,"error":{{"code":-1003,"msg":"Too much request weight used","data":{{"serverTime":1723161253000,"retryAfter":{until_ms}}}}}}}"#));
    rig.step(MS);
    assert!(rig.is_told(DoorEvent::Blocked { reason: Reason::RateLimited, until_ns: until_ms * MS }));
}

#[test]
fn an_announced_shutdown_waits_for_outstanding_answers() {
    let mut rig = DoorRig::new(hmac());
    let mut peer = rig.open();
    let (_, id) = rig.send(&mut peer, &order(1));
    peer.say(r#"{"event":{"e":"serverShutdown","E":1723161253000123}}"#);
    rig.step(MS);
    assert!(!rig.door.is_ready(), "nothing new is begun");
    assert!(rig.replies().is_empty());
    peer.say(&accepted(&id));
    rig.step(MS);
    assert_eq!(rig.replies(), [(ReplyKind::Accepted, Reason::None)]);
    assert!(rig.is_told(DoorEvent::Lost {
        reason: Reason::ServerShutdown,
        attempts: 1,
        is_exhausted: false
    }));
}

#[test]
fn an_answer_that_cannot_be_read_ends_the_connection() {
    let mut rig = DoorRig::new(hmac());
    let mut peer = rig.open();
    rig.send(&mut peer, &order(1));
    peer.say(r#"{"id":"p0"#);
    rig.step(MS);
    assert_eq!(rig.replies(), [(ReplyKind::Unknown, Reason::Malformed)]);
}

#[test]
fn the_checksum_knows_neither_the_key_nor_the_signature() {
    let texts = [("key", "secret"), ("another-key", "another secret")].map(|(key, signing)| {
        let credentials = Credentials::hmac(secret(key), &secret(signing)).unwrap();
        let mut rig = DoorRig::new(credentials);
        let _peer = rig.open();
        [order(1), Request::Account, Request::OpenOrders].map(|r| rig.made(&r))
    });
    for (one, other) in texts[0].iter().zip(&texts[1]) {
        assert_eq!((one.kind, one.text_crc), (other.kind, other.text_crc));
    }
    let mut rig = DoorRig::new(hmac());
    let _peer = rig.open();
    let other = rig.made(&order(2));
    assert_ne!(other.text_crc, texts[0][0].text_crc);
}

#[test]
fn own_cancels_of_one_order_have_names_of_their_own() {
    let mut rig = DoorRig::new(hmac());
    let mut peer = rig.open();
    let cancel = Request::Cancel { client: ClientOrderId::new(5, 1), instrument: InstrumentId(0) };
    let (first, _) = rig.send(&mut peer, &cancel);
    rig.step(6_000 * MS); // no answer in time
    let (second, id) = rig.send(&mut peer, &cancel);
    assert_ne!(id_of(&first), id);
    assert!(second.contains(r#""origClientOrderId":"IL0000050000000001""#), "{second}");
}

#[test]
fn r_evd_2_a_recorded_request_is_made_again_without_its_key() {
    let mut rig = DoorRig::new(hmac());
    let _peer = rig.open();
    let made = rig.made(&order(1));
    let sent = Sent {
        client: ClientOrderId::new(5, 1),
        kind: made.kind,
        instrument: InstrumentId(0),
        timestamp_ms: made.timestamp_ms,
        text_len: made.text_len,
        text_crc: made.text_crc,
        at_ns: START_NS,
    };
    let other = Credentials::hmac(secret("some-other-key"), &secret("unknown")).unwrap();
    let session = OrderSession::for_replay(&table(&["BTC-USDT"]), other, OrderConfig::default());
    let mut comparer = Comparer::new(session);
    assert_eq!(comparer.compare(&order(1), &sent), Ok(()));
    assert!(matches!(comparer.compare(&order(2), &sent), Err(Difference::Text { .. })));
    let later = Sent { timestamp_ms: sent.timestamp_ms + 1, ..sent };
    assert!(matches!(comparer.compare(&order(1), &later), Err(Difference::Text { .. })));
    let cancel = Sent { kind: SentKind::Cancel, ..sent };
    assert_eq!(comparer.compare(&order(1), &cancel), Err(Difference::Kind));
}

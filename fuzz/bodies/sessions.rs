//! The order session and the account session, one message a line. Whatever the venue says: each request of ours ends exactly
//! once or counts as unknown, and no fact is about an instrument that we don't have.

use interlock::event::{Action, Body, Order, OrderSpec, ReplyKind};
use interlock::types::{
    ClientOrderId, InstrumentId, OrderType, Price, Qty, Reason, Side, StrategyId, TimeInForce,
};
use interlock::venue::binance::Credentials;
use interlock::venue::binance::account::AccountSession;
use interlock::venue::binance::orders::{OrderConfig, OrderSession, OrderSessionEvent};
use interlock::wire::text::TextBuf;
use secrecy::SecretString;

use super::venue::{Inbox, at_ms, check_fact, table};

const TIMESTAMP_MS: i64 = 1_723_161_253_000;

fn credentials() -> Credentials {
    Credentials::hmac(SecretString::from("an-api-key"), &SecretString::from("a-secret")).expect("usable")
}

fn order(counter: u64, action: Action) -> Order {
    Order {
        client: ClientOrderId::new(3, counter),
        cause_seq: 1,
        cause_ns: 1,
        strategy: StrategyId(0),
        instrument: InstrumentId(0),
        reduce_only: false,
        action,
    }
}

fn spec() -> OrderSpec {
    OrderSpec {
        side: Side::Buy,
        order_type: OrderType::Limit,
        time_in_force: TimeInForce::Gtc,
        price: "61837.63".parse::<Price>().expect("a price"),
        qty: "0.001".parse::<Qty>().expect("a quantity"),
    }
}

/// A session with one request of each kind under way; how many replies they are due.
fn busy_session() -> (OrderSession, usize) {
    let mut session = OrderSession::new(table(), credentials(), OrderConfig::default());
    session.handle_open(at_ms(0));
    let mut text = TextBuf::new();
    let orders = [
        (order(1, Action::Place(spec())), 1),
        (order(2, Action::Cancel { target: ClientOrderId::new(3, 1) }), 1),
        (order(3, Action::Replace { target: ClientOrderId::new(3, 1), spec: spec() }), 2),
        (order(4, Action::CancelAll), 1),
    ];
    let mut due = 0;
    for (order, replies) in orders {
        let encoded = session.encode(&order, TIMESTAMP_MS, &mut text).expect("it can be written");
        session.handle_sent(&encoded, at_ms(0));
        due += replies;
    }
    let (btc, client) = (InstrumentId(0), ClientOrderId::new(3, 1));
    let queries = [
        session.encode_open_orders(Some(btc), TIMESTAMP_MS, &mut text),
        session.encode_order_status(btc, client, TIMESTAMP_MS, &mut text),
        session.encode_account(TIMESTAMP_MS, &mut text),
        session.encode_time(&mut text),
    ];
    for encoded in queries {
        session.handle_sent(&encoded.expect("it can be written"), at_ms(0));
    }
    (session, due)
}

/// Any lines as messages on the order session.
pub(crate) fn orders(data: &[u8]) {
    let table = table();
    let (mut session, due) = busy_session();
    let mut inbox = Inbox::default();
    let mut facts: Vec<Body> = Vec::new();
    for (line, ms) in data.split(|b| *b == b'\n').zip(1..) {
        let before = session.pending();
        let read = session.handle_text(inbox.put(&[line]), at_ms(ms), &mut |body| facts.push(body));
        let after = session.pending();
        match read {
            Ok(OrderSessionEvent::Reply | OrderSessionEvent::Answer) => assert_eq!(after + 1, before),
            Ok(OrderSessionEvent::OpenOrders { .. } | OrderSessionEvent::QueryFailed { .. }) => {
                assert_eq!(after + 1, before);
            }
            Ok(_) => assert_eq!(after, before, "an answer to nothing of ours ends nothing of ours"),
            Err(malformed) => {
                assert_eq!(after, before, "what can't be read ends nothing: {malformed}");
            }
        }
    }
    let end = at_ms(3_600_000);
    let waiting = session.pending();
    let late = session.poll_timeout(end, &mut |body| facts.push(body));
    assert_eq!(late, waiting, "every request without an answer runs out of time");
    assert_eq!(session.pending(), 0);
    session.handle_closed(Reason::Closed, &mut |body| facts.push(body));
    for fact in &facts {
        check_fact(fact, table);
    }
    let ends = facts.iter().filter(|f| matches!(f, Body::Reply(r) if r.kind != ReplyKind::Absent)).count();
    assert_eq!(ends, due, "each request ends once, and only once: {facts:?}");
}

/// Any lines as messages on the account session.
pub(crate) fn account(data: &[u8]) {
    let table = table();
    let mut session = AccountSession::new(table, credentials());
    let mut text = TextBuf::new();
    session.handle_open(at_ms(0));
    assert!(session.request(TIMESTAMP_MS, &mut text), "the subscription is due");
    let mut inbox = Inbox::default();
    for (line, ms) in data.split(|b| *b == b'\n').zip(1..) {
        let mut facts: Vec<Body> = Vec::new();
        let read = session.handle_text(inbox.put(&[line]), at_ms(ms), &mut |body| facts.push(body));
        if let Err(malformed) = &read {
            assert!(malformed.to_string().starts_with("malformed "), "{malformed}");
        }
        for fact in &facts {
            check_fact(fact, table);
        }
    }
}

//! The order session: what its requests say and how they are signed, and what answers mean (R-ORD-1, R-ORD-2, R-FEED-1).

use interlock::event::{Action, Body, Order, OrderSpec, Reply, ReplyKind};
use interlock::types::{ClientOrderId, InstrumentId, OrderType, Reason, Side, StrategyId, TimeInForce};
use interlock::venue::Malformed;
use interlock::venue::binance::Credentials;
use interlock::venue::binance::orders::{EncodeError, Encoded, OrderConfig, OrderSession, OrderSessionEvent};
use interlock::wire::text::TextBuf;
use secrecy::SecretString;
use serde_json::Value;

use crate::binance_support::{Inbox, at_ms, price, qty, table};

mod answers;
mod requests;

/// From the venue's documents; not secrets.
const API_KEY: &str = "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A";
const SECRET: &str = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j";
const ED_KEY: &str = "MC4CAQAwBQYDK2VwBCIEIIJEYWtGBrhACmb9Dvy+qa8WEf0lQOl1s4CLIAB9m89u";
const NOW_MS: i64 = 1_723_161_255_343;
const BTC: InstrumentId = InstrumentId(0);

fn secret(text: &str) -> SecretString {
    SecretString::from(text)
}

fn id(counter: u64) -> ClientOrderId {
    ClientOrderId::new(7, counter)
}

struct Desk {
    session: OrderSession,
    inbox: Inbox,
    text: TextBuf,
    out: Vec<Body>,
}

impl Desk {
    fn with(credentials: Credentials) -> Self {
        let table = table(&["BTC-USDT", "ETH-USDT"]);
        let mut session = OrderSession::new(&table, credentials, OrderConfig::default());
        session.handle_open(at_ms(0));
        Self { session, inbox: Inbox::default(), text: TextBuf::new(), out: Vec::new() }
    }
    fn hmac() -> Self {
        Self::with(Credentials::hmac(secret(API_KEY), &secret(SECRET)).unwrap())
    }
    fn ed25519() -> Self {
        Self::with(Credentials::ed25519(secret(API_KEY), &secret(ED_KEY)).unwrap())
    }
    fn logged_on() -> Self {
        let mut desk = Self::ed25519();
        assert!(desk.session.logon_request(NOW_MS, &mut desk.text));
        let answer = r#"{"id":"l0000000000000000","status":200,"result":{"apiKey":"x"},"rateLimits":[]}"#;
        assert_eq!(desk.say(answer).unwrap(), OrderSessionEvent::LoggedOn);
        desk
    }

    fn say(&mut self, text: &str) -> Result<OrderSessionEvent, Malformed> {
        self.say_at(text, 10)
    }
    fn say_at(&mut self, text: &str, ms: i64) -> Result<OrderSessionEvent, Malformed> {
        let Self { session, inbox, out, .. } = self;
        session.handle_text(inbox.put(text.as_bytes()), at_ms(ms), &mut |body| out.push(body))
    }

    fn encode(&mut self, order: &Order) -> Result<(Encoded, Value), EncodeError> {
        let encoded = self.session.encode(order, NOW_MS, &mut self.text)?;
        Ok((encoded, serde_json::from_slice(self.text.text()).unwrap()))
    }

    /// Sends an order and answers it: `status` and what follows it in the text.
    fn send(&mut self, order: &Order) -> String {
        let (encoded, text) = self.encode(order).unwrap();
        self.session.handle_sent(&encoded, at_ms(0));
        text["id"].as_str().unwrap().to_owned()
    }
    fn answer(&mut self, order: &Order, rest: &str) -> Result<OrderSessionEvent, Malformed> {
        let id = self.send(order);
        self.say(&format!(r#"{{"id":"{id}",{rest}}}"#))
    }
    fn query(&mut self, encoded: &Encoded) -> String {
        self.session.handle_sent(encoded, at_ms(0));
        let value: Value = serde_json::from_slice(self.text.text()).unwrap();
        value["id"].as_str().unwrap().to_owned()
    }

    fn replies(&self) -> Vec<(ReplyKind, bool, ClientOrderId, Reason, i32)> {
        self.out
            .iter()
            .map(|body| match body {
                Body::Reply(Reply { kind, cancel, client, reason, venue_code, .. }) => {
                    (*kind, *cancel, *client, *reason, *venue_code)
                }
                other => panic!("{other:?}"),
            })
            .collect()
    }
}

fn spec(order_type: OrderType, time_in_force: TimeInForce, side: Side) -> OrderSpec {
    OrderSpec { side, order_type, time_in_force, price: price("61837.6"), qty: qty("0.0125") }
}

fn order(counter: u64, action: Action) -> Order {
    Order {
        client: id(counter),
        cause_seq: 1,
        cause_ns: 1,
        strategy: StrategyId(0),
        instrument: BTC,
        reduce_only: false,
        action,
    }
}

fn place(counter: u64) -> Order {
    order(counter, Action::Place(spec(OrderType::Limit, TimeInForce::Gtc, Side::Buy)))
}

fn cancel(counter: u64, target: u64) -> Order {
    order(counter, Action::Cancel { target: id(target) })
}

fn replace(counter: u64, target: u64) -> Order {
    let spec = spec(OrderType::Limit, TimeInForce::Gtc, Side::Buy);
    order(counter, Action::Replace { target: id(target), spec })
}

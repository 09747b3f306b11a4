//! The user data session: how it subscribes and what its events mean (R-FEED-1, R-ORD-1).

use interlock::event::Body;
use interlock::types::order::OrderState;
use interlock::types::{AssetId, ClientOrderId, InstrumentId, Qty, Reason, Side};
use interlock::venue::Malformed;
use interlock::venue::binance::Credentials;
use interlock::venue::binance::account::{AccountEvent, AccountSession};
use interlock::wire::text::TextBuf;
use proptest::prelude::*;
use secrecy::SecretString;
use serde_json::Value;

use crate::binance_support::{Inbox, at_ms, fixture, price, qty, table};

const ED_KEY: &str = "MC4CAQAwBQYDK2VwBCIEIIJEYWtGBrhACmb9Dvy+qa8WEf0lQOl1s4CLIAB9m89u";
const NOW_MS: i64 = 1_723_161_255_343;

const TRADE: &str = r#"{"subscriptionId":0,"event":{"e":"executionReport","E":1499405658849,"s":"ETHBTC","c":"IL0000070000000009","S":"BUY","o":"LIMIT","f":"GTC","q":"1.00000000","p":"0.10264410","P":"0.00000000","F":"0.00000000","g":-1,"C":"","x":"TRADE","X":"PARTIALLY_FILLED","r":"NONE","i":4293153,"l":"0.25000000","z":"0.75000000","L":"0.10264400","n":"0.00025","N":"ETH","T":1499405658848123,"t":77,"I":8641984,"w":true,"m":true,"M":true,"O":1499405658657,"Z":"0.1","Y":"0.02","Q":"0.00000000","W":1499405658657,"V":"NONE"}}"#;

struct Desk {
    session: AccountSession,
    inbox: Inbox,
    text: TextBuf,
    out: Vec<Body>,
}

impl Desk {
    fn new(ed25519: bool) -> Self {
        let key = SecretString::from("the-key");
        let credentials = if ed25519 {
            Credentials::ed25519(key, &SecretString::from(ED_KEY)).unwrap()
        } else {
            Credentials::hmac(key, &SecretString::from("the-secret")).unwrap()
        };
        let mut session = AccountSession::new(&table(&["ETH-BTC", "BTC-USDT"]), credentials);
        session.handle_open(at_ms(0));
        Self { session, inbox: Inbox::default(), text: TextBuf::new(), out: Vec::new() }
    }
    fn request(&mut self) -> Option<Value> {
        let due = self.session.request(NOW_MS, &mut self.text);
        due.then(|| serde_json::from_slice(self.text.text()).unwrap())
    }
    fn say(&mut self, text: &str) -> Result<AccountEvent, Malformed> {
        let Self { session, inbox, out, .. } = self;
        session.handle_text(inbox.put(text.as_bytes()), at_ms(1), &mut |body| out.push(body))
    }
    fn answer(&mut self, request: &Value, rest: &str) -> AccountEvent {
        self.say(&format!(r#"{{"id":{},{rest}}}"#, request["id"])).unwrap()
    }
    fn subscribed() -> Self {
        let mut desk = Self::new(false);
        let request = desk.request().unwrap();
        desk.answer(&request, r#""status":200,"result":{"subscriptionId":0}"#);
        assert!(desk.session.is_subscribed());
        desk
    }
}

#[test]
fn an_hmac_key_subscribes_by_signature() {
    let mut desk = Desk::new(false);
    let request = desk.request().unwrap();
    assert_eq!(request["method"], "userDataStream.subscribe.signature");
    let payload = format!("apiKey=the-key&recvWindow=5000&timestamp={NOW_MS}");
    let key = interlock::wire::sign::HmacKey::new(&SecretString::from("the-secret")).unwrap();
    assert_eq!(request["params"]["signature"], key.sign(payload.as_bytes()).as_str());
    assert_eq!(desk.request(), None, "once");
    let event = desk.answer(&request, r#""status":200,"result":{"subscriptionId":0},"rateLimits":[]"#);
    assert_eq!(event, AccountEvent::Subscribed);
    assert!(desk.session.is_subscribed());
}

#[test]
fn an_ed25519_key_logs_on_and_then_subscribes() {
    let mut desk = Desk::new(true);
    let logon = desk.request().unwrap();
    assert_eq!(logon["method"], "session.logon");
    assert_eq!(desk.request(), None, "not before the answer");
    assert_eq!(desk.answer(&logon, r#""status":200,"result":{}"#), AccountEvent::LoggedOn);
    let subscribe = desk.request().unwrap();
    assert_eq!(
        (&subscribe["method"], &subscribe["params"]),
        (&"userDataStream.subscribe".into(), &serde_json::json!({}))
    );
    let event = desk.answer(&subscribe, r#""status":200,"result":{"subscriptionId":3}"#);
    assert_eq!(event, AccountEvent::Subscribed);
    // A new connection begins from the start.
    desk.session.handle_closed(Reason::Closed);
    assert_eq!((desk.session.is_subscribed(), desk.request()), (false, None));
    desk.session.handle_open(at_ms(5));
    assert_eq!(desk.request().unwrap()["method"], "session.logon");
}

#[test]
fn a_refusal_is_told_with_its_code_and_text() {
    let mut desk = Desk::new(false);
    let request = desk.request().unwrap();
    let rest =
        r#""status":401,"error":{"code":-2015,"msg":"Invalid API-key, IP, or permissions for action."}"#;
    assert_eq!(desk.answer(&request, rest), AccountEvent::Refused { code: -2015 });
    assert_eq!(desk.session.last_refusal(), "Invalid API-key, IP, or permissions for action.");
    assert!(!desk.session.is_subscribed());
}

#[test]
fn r_ord_1_a_fill_carries_its_trade_and_fee() {
    let mut desk = Desk::subscribed();
    assert_eq!(desk.say(TRADE).unwrap(), AccountEvent::Data);
    let [Body::Order(update)] = desk.out[..] else { panic!("{:?}", desk.out) };
    assert_eq!((update.instrument, update.side), (InstrumentId(0), Side::Buy));
    assert_eq!((update.state, update.snapshot, update.maker), (OrderState::PartiallyFilled, false, true));
    assert_eq!(update.client, ClientOrderId::new(7, 9));
    assert_eq!((update.venue_order.0, update.trade.0), (4_293_153, 77));
    assert_eq!((update.price, update.qty), (price("0.102644"), qty("0.25")), "of the fill");
    assert_eq!((update.filled, update.fee, update.fee_asset), (qty("0.75"), qty("0.00025"), AssetId(0)));
    assert_eq!(update.venue_ns, 1_499_405_658_848_123_000, "microseconds");
    // A fee in an asset that the session does not know.
    desk.say(&TRADE.replace("\"N\":\"ETH\"", "\"N\":\"BNB\"")).unwrap();
    let Some(Body::Order(update)) = desk.out.pop() else { panic!() };
    assert_eq!(update.fee_asset, AssetId::UNKNOWN);
}

#[test]
fn r_ord_1_what_is_no_fill_carries_the_orders_terms() {
    let mut desk = Desk::subscribed();
    for (kind, status, state) in [
        ("NEW", "NEW", OrderState::Acknowledged),
        ("CANCELED", "CANCELED", OrderState::Cancelled),
        ("REPLACED", "CANCELED", OrderState::Cancelled),
        ("REJECTED", "REJECTED", OrderState::Rejected),
        ("EXPIRED", "EXPIRED", OrderState::Expired),
        ("TRADE_PREVENTION", "EXPIRED_IN_MATCH", OrderState::Expired),
        ("BRAND_NEW", "BRAND_NEW", OrderState::Unknown),
    ] {
        let text = TRADE
            .replace(
                "\"x\":\"TRADE\",\"X\":\"PARTIALLY_FILLED\"",
                &format!("\"x\":\"{kind}\",\"X\":\"{status}\""),
            )
            .replace("\"t\":77", "\"t\":-1")
            .replace("\"N\":\"ETH\"", "\"N\":null");
        assert_eq!(desk.say(&text).unwrap(), AccountEvent::Data, "{kind}");
        let Some(Body::Order(update)) = desk.out.pop() else { panic!() };
        assert_eq!((update.state, update.trade.0, update.fee), (state, 0, Qty::ZERO), "{kind}");
        assert_eq!((update.price, update.qty, update.filled), (price("0.1026441"), qty("1"), qty("0.75")));
        assert!(!update.maker);
    }
}

#[test]
fn a_cancelled_order_is_named_by_the_id_it_was_placed_with() {
    let mut desk = Desk::subscribed();
    let text = TRADE
        .replace("\"c\":\"IL0000070000000009\"", "\"c\":\"cancel_by_venue\"")
        .replace("\"C\":\"\"", "\"C\":\"IL0000070000000005\"")
        .replace("\"x\":\"TRADE\",\"X\":\"PARTIALLY_FILLED\"", "\"x\":\"CANCELED\",\"X\":\"CANCELED\"");
    desk.say(&text).unwrap();
    let Some(Body::Order(update)) = desk.out.pop() else { panic!() };
    assert_eq!(update.client, ClientOrderId::new(7, 5));
    // An order that is not ours.
    desk.say(&TRADE.replace("IL0000070000000009", "web_1")).unwrap();
    let Some(Body::Order(update)) = desk.out.pop() else { panic!() };
    assert_eq!(update.client, ClientOrderId::NONE);
}

#[test]
fn the_fixtures_are_read() {
    let mut desk = Desk::subscribed();
    for (file, expected, bodies) in [
        ("Order", AccountEvent::Data, 1),
        ("AccountPosition", AccountEvent::Data, 1),
        ("Balance", AccountEvent::Refresh, 0),
        ("OcoOrder", AccountEvent::Ignored, 0),
    ] {
        let Some(body) = fixture(&format!("Subscriptions/Spot/Account/{file}.txt")) else { return };
        desk.out.clear();
        assert_eq!(desk.say(&body).unwrap(), expected, "{file}");
        assert_eq!(desk.out.len(), bodies, "{file}");
    }
}

#[test]
fn other_events_are_tolerated() {
    let mut desk = Desk::subscribed();
    for (event, expected) in [
        (r#"{"e":"externalLockUpdate","E":1,"a":"NEO","d":"10","T":1}"#, AccountEvent::Refresh),
        (r#"{"e":"serverShutdown","E":1}"#, AccountEvent::ServerShutdown),
        (r#"{"e":"somethingNew","E":1}"#, AccountEvent::Ignored),
        (
            r#"{"e":"outboundAccountPosition","E":1,"u":1564034571073,"B":[{"a":"XYZ","f":"1","l":"0"},{"a":"BTC","f":"1.5","l":"0.25"}]}"#,
            AccountEvent::Data,
        ),
    ] {
        assert_eq!(
            desk.say(&format!(r#"{{"subscriptionId":0,"event":{event}}}"#)).unwrap(),
            expected,
            "{event}"
        );
    }
    let [Body::Balance(btc)] = desk.out[..] else { panic!("{:?}", desk.out) };
    assert_eq!((btc.asset, btc.free, btc.locked), (AssetId(1), qty("1.5"), qty("0.25")));
    desk.say(&TRADE.replace("ETHBTC", "DOGEBTC")).unwrap();
    assert_eq!(desk.session.counters().symbols_unknown, 1);
    assert_eq!(desk.session.counters().events_unknown, 1);
    let ended = r#"{"subscriptionId":0,"event":{"e":"eventStreamTerminated","E":1728973001334}}"#;
    assert_eq!(desk.say(ended).unwrap(), AccountEvent::Terminated);
    assert!(!desk.session.is_subscribed());
}

#[test]
fn what_can_not_be_read_is_named() {
    let mut desk = Desk::subscribed();
    for (from, to, words) in [
        ("\"L\":\"0.10264400\"", "\"L\":\"zero\"", ["\"L\"", "zero"]),
        ("\"l\":\"0.25000000\"", "\"l\":\"-1\"", ["\"l\"", "-1"]),
        ("\"S\":\"BUY\"", "\"S\":\"HOLD\"", ["BUY or SELL", "HOLD"]),
        ("\"t\":77", "\"t\":-1", ["\"t\"", "not negative"]),
        ("\"i\":4293153,", "", ["\"i\"", "(nothing)"]),
        ("\"e\":\"executionReport\"", "\"e\":5", ["\"e\"", "text"]),
    ] {
        let error = desk.say(&TRADE.replace(from, to)).unwrap_err().to_string();
        assert!(words.iter().all(|w| error.contains(w)), "{to}: {error}");
    }
    assert!(desk.out.is_empty(), "nothing of an unreadable event is told");
    assert!(desk.say("{").is_err() && desk.say("").is_err() && desk.say("[]").is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn mutated_events_never_panic(
        edits in prop::collection::vec((any::<prop::sample::Index>(), 0u8..3, any::<u8>()), 1..8)
    ) {
        let mut desk = Desk::subscribed();
        let mut text = TRADE.as_bytes().to_vec();
        for (at, kind, byte) in edits {
            let at = at.index(text.len());
            match kind {
                0 => text[at] = byte,
                1 => text.insert(at, byte),
                _ => { text.remove(at); }
            }
        }
        let Desk { session, inbox, out, .. } = &mut desk;
        let result = session.handle_text(inbox.put(&text), at_ms(1), &mut |body| out.push(body));
        prop_assert!(out.len() <= 1 && (result.is_ok() || out.is_empty()));
    }
}

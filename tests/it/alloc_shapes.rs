//! The messages off the hot path: what the scanner leaves to `simd-json`, answers to every kind of request, user data.

use interlock::event::{Action, Order, OrderSpec};
use interlock::types::{ClientOrderId, InstrumentId, Now, OrderType, Side, StrategyId, TimeInForce};
use interlock::venue::binance::Credentials;
use interlock::venue::binance::account::AccountSession;
use interlock::venue::binance::market::{MarketConfig, MarketSession};
use interlock::venue::binance::orders::{OrderConfig, OrderSession};
use interlock::wire::json::{PADDING, Padded};
use interlock::wire::text::TextBuf;
use secrecy::SecretString;

use crate::allocations;
use crate::messages;

const ROUNDS: u64 = 1_000;
const NOW: Now = Now { ns: 1_700_000_000_000_000_000, mono_ns: 0 };
const LIMITS: &str = r#""rateLimits":[{"rateLimitType":"ORDERS","interval":"SECOND","intervalNum":10,"limit":50,"count":12},{"rateLimitType":"REQUEST_WEIGHT","interval":"MINUTE","intervalNum":1,"limit":6000,"count":321}]"#;

/// Hands a text over as a receive buffer does, and counts what that allocates.
fn counted(text: &str, mut handle: impl FnMut(Padded<'_>)) -> u64 {
    let mut buf = text.as_bytes().to_vec();
    buf.resize(text.len() + PADDING, 0);
    let (made, ()) = allocations(|| {
        for _ in 0..ROUNDS {
            handle(Padded::new(&mut buf, text.len()).expect("padding"));
        }
    });
    made
}

fn credentials() -> Credentials {
    Credentials::hmac(SecretString::from("a-key"), &SecretString::from("a-secret")).expect("credentials")
}

#[test]
fn r_hot_3_market_messages_of_other_shapes_allocate_nothing() {
    let table = messages::table();
    let symbol = table.all()[0].symbol;
    let stream = symbol.as_str().to_ascii_lowercase();
    let mut session = MarketSession::new(&table, MarketConfig::default());
    session.handle_open(NOW);
    let levels = (1..=900).map(|i| format!("[\"{i}.5\",\"1.25\"]")).collect::<Vec<_>>().join(",");
    for text in [
        format!(
            r#"{{"stream":"{stream}@bookTicker","data":{{"s":"{symbol}","u":5,"b":"1","B":"2","a":"3","A":"4","x":[1]}}}}"#
        ),
        format!(
            r#"{{"stream":"{stream}@trade","data":{{"e":"trade","E":1,"s":"{symbol}","t":5,"p":"1","q":"2","b":8,"a":9,"T":1,"m":true,"M":true}}}}"#
        ),
        format!(
            r#"{{"data":{{"e":"depthUpdate","E":1,"s":"{symbol}","U":1,"u":2,"b":[{levels}],"a":[{levels}]}},"stream":"{stream}@depth@100ms"}}"#
        ),
        r#"{"stream":"x@kline_1m","data":{"e":"kline"}}"#.to_owned(),
        r#"{"result":null,"id":1}"#.to_owned(),
        r#"{"stream":"x@bookTicker","data":{"u":"five"}}"#.to_owned(),
        "no JSON".to_owned(),
    ] {
        let made = counted(&text, |message| {
            let read = session.handle_text(message, NOW, &mut |_| true);
            assert!(read.is_ok() || text.contains("five") || text == "no JSON");
        });
        assert_eq!(made, 0, "{text}");
    }
}

#[test]
fn r_hot_3_user_data_allocates_nothing() {
    let table = messages::table();
    let symbol = table.all()[0].symbol;
    let mut session = AccountSession::new(&table, credentials());
    session.handle_open(NOW);
    for event in [
        format!(
            r#"{{"e":"executionReport","E":1,"s":"{symbol}","c":"IL0000070000000009","S":"BUY","o":"LIMIT","f":"GTC","q":"1","p":"1","C":"","x":"TRADE","X":"FILLED","i":3,"l":"1","z":"1","L":"1","n":"0.1","N":"BNB","T":1,"t":7,"m":true}}"#
        ),
        r#"{"e":"outboundAccountPosition","E":1,"u":1,"B":[{"a":"BTC","f":"1","l":"0"}]}"#.to_owned(),
        r#"{"e":"listStatus","E":1}"#.to_owned(),
    ] {
        let text = format!(r#"{{"subscriptionId":0,"event":{event}}}"#);
        let made = counted(&text, |message| {
            session.handle_text(message, NOW, &mut |_| {}).expect("a readable event");
        });
        assert_eq!(made, 0, "{text}");
    }
}

fn order(action: Action) -> Order {
    Order {
        client: ClientOrderId::new(7, 9),
        cause_seq: 1,
        cause_ns: 1,
        strategy: StrategyId(0),
        instrument: InstrumentId(0),
        reduce_only: false,
        action,
    }
}

#[test]
fn r_hot_3_requests_and_their_answers_allocate_nothing() {
    let table = messages::table();
    let instrument = table.all()[0];
    let mut session = OrderSession::new(&table, credentials(), OrderConfig::default());
    session.handle_open(NOW);
    let mut text = TextBuf::new();
    let spec = OrderSpec {
        side: Side::Sell,
        order_type: OrderType::LimitMaker,
        time_in_force: TimeInForce::Gtc,
        price: instrument.price.tick,
        qty: instrument.lot.step,
    };
    let target = ClientOrderId::new(7, 8);
    let done = r#"{"orderId":5,"transactTime":1660801715793}"#;
    for (action, letter, result) in [
        (Action::Place(spec), 'p', format!(r#""status":200,"result":{done},{LIMITS}"#)),
        (Action::Place(spec), 'p', r#""status":400,"error":{"code":-2010,"msg":"no"}"#.to_owned()),
        (Action::Cancel { target }, 'c', format!(r#""status":200,"result":{done}"#)),
        (
            Action::Replace { target, spec },
            'r',
            r#""status":409,"error":{"code":-2021,"msg":"x","data":{"cancelResult":"SUCCESS","newOrderResult":"FAILURE","cancelResponse":{"orderId":5},"newOrderResponse":{"code":-2010,"msg":"y"}}}"#.to_owned(),
        ),
    ] {
        let order = order(action);
        let answer = format!(r#"{{"id":"{letter}{:016x}",{result}}}"#, order.client.0);
        let mut told = 0;
        let made = counted(&answer, |message| {
            let encoded = session.encode(&order, 1_700_000_000_000, &mut text).expect("encoded");
            session.handle_sent(&encoded, NOW);
            session.handle_text(message, NOW, &mut |_| told += 1).expect("a readable answer");
        });
        assert_eq!(made, 0, "{answer}");
        assert_eq!(told, ROUNDS * if letter == 'r' { 2 } else { 1 }, "every request was answered");
    }
    // What nobody answers runs out, and what is asked besides costs nothing either.
    let (made, late) = allocations(|| {
        let mut late = 0;
        for round in 1..=100 {
            let encoded = session.encode_open_orders(None, 1_700_000_000_000, &mut text).expect("encoded");
            session.handle_sent(&encoded, NOW);
            late += session.poll_timeout(Now { mono_ns: round * 10_000_000_000, ..NOW }, &mut |_| {});
        }
        late
    });
    assert_eq!((made, late), (0, 100));
}

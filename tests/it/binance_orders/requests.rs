//! What requests say, how they are signed, and what is refused before anything is written (R-ORD-2).

use interlock::event::{Action, Order, OrderSpec, SentKind};
use interlock::types::{InstrumentId, OrderType, Reason, Side, TimeInForce};
use interlock::venue::binance::orders::{EncodeError, OrderSessionEvent};
use interlock::wire::sign::HmacKey;
use interlock::wire::text::TextBuf;
use serde_json::Value;

use super::{API_KEY, BTC, Desk, ED_KEY, NOW_MS, SECRET, cancel, id, order, place, replace, secret, spec};
use crate::binance_support::{at_ms, price, qty};

/// Recomputes a request's signature from its JSON, as the venue does: parameters sorted by name, raw.
fn check_signature(request: &Value) {
    let params = request["params"].as_object().unwrap();
    let mut names: Vec<&String> = params.keys().filter(|k| *k != "signature").collect();
    names.sort();
    let pairs: Vec<String> = names
        .iter()
        .map(|name| match &params[*name] {
            Value::String(text) => format!("{name}={text}"),
            other => format!("{name}={other}"),
        })
        .collect();
    let expected = HmacKey::new(&secret(SECRET)).unwrap().sign(pairs.join("&").as_bytes());
    assert_eq!(params["signature"].as_str(), Some(expected.as_str()), "{request}");
}

#[test]
fn r_ord_2_every_kind_of_order_is_written_and_signed() {
    let mut desk = Desk::hmac();
    let mut counter = 0;
    for side in [Side::Buy, Side::Sell] {
        for (order_type, life, kind, life_text) in [
            (OrderType::Limit, TimeInForce::Gtc, "LIMIT", Some("GTC")),
            (OrderType::Limit, TimeInForce::Ioc, "LIMIT", Some("IOC")),
            (OrderType::Limit, TimeInForce::Fok, "LIMIT", Some("FOK")),
            (OrderType::Market, TimeInForce::Gtc, "MARKET", None),
            (OrderType::Market, TimeInForce::Ioc, "MARKET", None),
            (OrderType::LimitMaker, TimeInForce::Gtc, "LIMIT_MAKER", None),
        ] {
            counter += 1;
            let spec = spec(order_type, life, side);
            let (encoded, text) = desk.encode(&order(counter, Action::Place(spec))).unwrap();
            assert_eq!((encoded.kind, encoded.client), (SentKind::Place, id(counter)));
            assert_eq!(text["method"], "order.place");
            let params = &text["params"];
            assert_eq!(params["symbol"], "BTCUSDT");
            assert_eq!(params["side"], side.as_str());
            assert_eq!(params["type"], kind);
            assert_eq!(params["timeInForce"].as_str(), life_text);
            assert_eq!(params["price"].as_str(), (kind != "MARKET").then_some("61837.60"));
            assert_eq!(params["quantity"], "0.01250");
            assert_eq!(params["newClientOrderId"], id(counter).to_string());
            assert_eq!(params["newOrderRespType"], "ACK");
            assert_eq!(params["timestamp"], NOW_MS);
            assert_eq!(params["recvWindow"], 5_000);
            assert_eq!(params["apiKey"], API_KEY);
            check_signature(&text);
            let signature = &desk.text.text()[encoded.secrets.signature.clone()];
            assert_eq!(Some(std::str::from_utf8(signature).unwrap()), params["signature"].as_str());
        }
    }
}

#[test]
fn r_ord_2_cancels_replaces_and_queries_are_written_and_signed() {
    let mut desk = Desk::hmac();
    let (encoded, text) = desk.encode(&cancel(2, 1)).unwrap();
    assert_eq!((encoded.kind, encoded.client), (SentKind::Cancel, id(1)), "a cancel is about its target");
    assert_eq!(
        (&text["method"], &text["params"]["origClientOrderId"]),
        (&"order.cancel".into(), &id(1).to_string().into())
    );
    check_signature(&text);

    let (encoded, text) = desk.encode(&replace(3, 1)).unwrap();
    assert_eq!((encoded.kind, encoded.client, encoded.target), (SentKind::Replace, id(3), id(1)));
    assert_eq!(text["method"], "order.cancelReplace");
    assert_eq!(text["params"]["cancelReplaceMode"], "STOP_ON_FAILURE");
    assert_eq!(text["params"]["cancelOrigClientOrderId"], id(1).to_string());
    assert_eq!(text["params"]["newClientOrderId"], id(3).to_string());
    check_signature(&text);

    let (encoded, text) = desk.encode(&order(4, Action::CancelAll)).unwrap();
    assert_eq!((encoded.kind, encoded.instrument), (SentKind::CancelAll, Some(BTC)));
    assert_eq!(text["method"], "openOrders.cancelAll");
    check_signature(&text);

    let Desk { session, text, .. } = &mut desk;
    let queries = [
        ("openOrders.status", session.encode_open_orders(None, NOW_MS, text).map(|_| text.text().to_vec())),
        (
            "openOrders.status",
            session.encode_open_orders(Some(BTC), NOW_MS, text).map(|_| text.text().to_vec()),
        ),
        ("order.status", session.encode_order_status(BTC, id(1), NOW_MS, text).map(|_| text.text().to_vec())),
        ("account.status", session.encode_account(NOW_MS, text).map(|_| text.text().to_vec())),
    ];
    let mut ids = Vec::new();
    for (method, request) in queries {
        let request: Value = serde_json::from_slice(&request.unwrap()).unwrap();
        assert_eq!(request["method"], method);
        check_signature(&request);
        ids.push(request["id"].as_str().unwrap().to_owned());
    }
    session.encode_time(text).unwrap();
    let request: Value = serde_json::from_slice(text.text()).unwrap();
    assert_eq!((&request["method"], &request["params"]), (&"time".into(), &serde_json::json!({})));
    ids.push(request["id"].as_str().unwrap().to_owned());
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 5, "no two queries share an id");
    assert!(ids.iter().all(|id| id.len() <= 36), "the venue's longest id");
}

#[test]
fn the_same_order_makes_the_same_text() {
    let (mut one, mut two) = (Desk::hmac(), Desk::hmac());
    // Other requests in between do not show in an order's text: a replay makes the same bytes.
    two.session.encode_account(NOW_MS, &mut TextBuf::new()).unwrap();
    two.send(&place(1));
    for order in [place(9), cancel(10, 9), replace(11, 9)] {
        one.encode(&order).unwrap();
        two.encode(&order).unwrap();
        assert_eq!(one.text.text(), two.text.text());
    }
}

#[test]
fn after_a_logon_requests_carry_neither_key_nor_signature() {
    let mut desk = Desk::ed25519();
    assert!(!desk.session.is_ready());
    assert_eq!(desk.encode(&place(1)).unwrap_err(), EncodeError::NotReady);
    assert!(desk.session.logon_request(NOW_MS, &mut desk.text));
    let logon: Value = serde_json::from_slice(desk.text.text()).unwrap();
    assert_eq!(logon["method"], "session.logon");
    let payload = format!("apiKey={API_KEY}&recvWindow=5000&timestamp={NOW_MS}");
    let key = interlock::wire::sign::Ed25519Key::from_pem(&secret(ED_KEY)).unwrap();
    assert_eq!(logon["params"]["signature"], key.sign(payload.as_bytes()).as_str());
    assert!(!desk.session.logon_request(NOW_MS, &mut desk.text), "once per connection");

    let mut desk = Desk::logged_on();
    assert!(desk.session.is_ready());
    for order in [place(1), cancel(2, 1), replace(3, 1), order(4, Action::CancelAll)] {
        let (encoded, text) = desk.encode(&order).unwrap();
        assert!(encoded.secrets.signature.is_empty());
        assert_eq!((&text["params"]["apiKey"], &text["params"]["signature"]), (&Value::Null, &Value::Null));
    }
    desk.session.handle_closed(Reason::Closed, &mut |_| {});
    desk.session.handle_open(at_ms(0));
    assert!(!desk.session.is_ready() && desk.session.logon_request(NOW_MS, &mut desk.text));
    let refused = r#"{"id":"l0000000000000000","status":401,"error":{"code":-2015,"msg":"Invalid API-key"}}"#;
    assert_eq!(desk.say(refused).unwrap(), OrderSessionEvent::LogonRefused { code: -2015 });
    assert_eq!(desk.session.last_refusal(), "Invalid API-key");
    assert!(!desk.session.is_ready());
}

#[test]
fn what_can_not_be_sent_is_refused_before_anything_is_written() {
    let mut desk = Desk::hmac();
    let with = |change: &dyn Fn(&mut OrderSpec)| {
        let mut spec = spec(OrderType::Limit, TimeInForce::Gtc, Side::Buy);
        change(&mut spec);
        order(1, Action::Place(spec))
    };
    for (order, expected) in [
        (with(&|s| s.price = price("61837.605")), EncodeError::Price),
        (with(&|s| s.price = price("0")), EncodeError::Price),
        (with(&|s| s.price = price("-1")), EncodeError::Price),
        (with(&|s| s.qty = qty("0.000001")), EncodeError::Qty),
        (with(&|s| s.qty = qty("0")), EncodeError::Qty),
        (with(&|s| s.qty = qty("-1")), EncodeError::Qty),
    ] {
        assert_eq!(desk.encode(&order).unwrap_err(), expected, "{order:?}");
    }
    let unknown = Order { instrument: InstrumentId(9), ..place(1) };
    assert_eq!(desk.encode(&unknown).unwrap_err(), EncodeError::UnknownInstrument);
    let unknown = Order { instrument: InstrumentId(9), ..cancel(1, 2) };
    assert_eq!(desk.encode(&unknown).unwrap_err(), EncodeError::UnknownInstrument);
    desk.send(&place(1));
    assert_eq!(desk.encode(&place(1)).unwrap_err(), EncodeError::Duplicate, "what must never be, 6");
    assert_eq!(desk.encode(&place(1)).unwrap_err().reason(), Reason::DuplicateOrder);
    for counter in 2..=256 {
        desk.send(&place(counter));
    }
    assert_eq!(desk.encode(&place(300)).unwrap_err(), EncodeError::PendingFull);
    assert_eq!(desk.session.pending(), 256);
    // Once their time has run out they make room, and their answers may still come.
    assert_eq!(desk.session.poll_timeout(at_ms(60_000), &mut |_| {}), 256);
    desk.send(&place(300));
    assert_eq!(desk.session.pending(), 1);
}

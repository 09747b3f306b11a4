//! What answers mean, and what silence does not (R-ORD-1).

use interlock::event::{Action, Body, Reply, ReplyKind};
use interlock::types::order::OrderState;
use interlock::types::{ClientOrderId, InstrumentId, Reason, VenueOrderId};
use interlock::venue::binance::orders::{EncodeError, OrderSessionEvent};
use proptest::prelude::*;

use super::{BTC, Desk, NOW_MS, cancel, id, order, place, replace};
use crate::binance_support::{at_ms, fixture, qty};

#[test]
fn r_ord_1_answers_end_requests() {
    let mut desk = Desk::hmac();
    let accepted = r#""status":200,"result":{"symbol":"BTCUSDT","orderId":12569099453,"orderListId":-1,"clientOrderId":"x","transactTime":1660801715793}"#;
    assert_eq!(desk.answer(&place(1), accepted).unwrap(), OrderSessionEvent::Reply);
    let Body::Reply(reply) = desk.out[0] else { panic!("{:?}", desk.out) };
    assert_eq!(
        reply,
        Reply {
            kind: ReplyKind::Accepted,
            cancel: false,
            instrument: BTC,
            reason: Reason::None,
            venue_code: 0,
            client: id(1),
            venue_order: VenueOrderId(12_569_099_453),
            venue_ns: 1_660_801_715_793_000_000,
        }
    );
    assert_eq!(desk.session.pending(), 0);
    desk.out.clear();
    desk.answer(&cancel(2, 1), accepted).unwrap();
    assert_eq!(desk.replies(), [(ReplyKind::Accepted, true, id(1), Reason::None, 0)]);
}

#[test]
fn r_ord_1_what_leaves_the_outcome_open_is_unknown_and_never_rejected() {
    for (status, code, kind, reason) in [
        (400, -2010, ReplyKind::Rejected, Reason::VenueReject),
        (400, -1013, ReplyKind::Rejected, Reason::VenueReject),
        (400, -2011, ReplyKind::Rejected, Reason::UnknownOrder),
        (400, -1021, ReplyKind::Rejected, Reason::VenueReject),
        (400, -99999, ReplyKind::Rejected, Reason::VenueReject),
        (403, 0, ReplyKind::Rejected, Reason::VenueReject),
        (429, -1003, ReplyKind::Rejected, Reason::RateLimited),
        (418, -1003, ReplyKind::Rejected, Reason::Banned),
        (400, -1000, ReplyKind::Unknown, Reason::VenueError),
        (400, -1001, ReplyKind::Unknown, Reason::VenueError),
        (400, -1006, ReplyKind::Unknown, Reason::VenueError),
        (400, -1007, ReplyKind::Unknown, Reason::VenueError),
        (408, -1007, ReplyKind::Unknown, Reason::VenueError),
        (500, -1000, ReplyKind::Unknown, Reason::VenueError),
        (503, -1008, ReplyKind::Unknown, Reason::VenueError),
        (504, 0, ReplyKind::Unknown, Reason::VenueError),
        (599, -2010, ReplyKind::Unknown, Reason::VenueError),
        (302, 0, ReplyKind::Unknown, Reason::VenueError),
        (0, -2010, ReplyKind::Unknown, Reason::VenueError),
    ] {
        for (order, is_cancel, client) in [(place(1), false, id(1)), (cancel(2, 1), true, id(1))] {
            let mut desk = Desk::hmac();
            let rest = format!(r#""status":{status},"error":{{"code":{code},"msg":"why"}}"#);
            desk.answer(&order, &rest).unwrap();
            assert_eq!(desk.replies(), [(kind, is_cancel, client, reason, code)], "{status} {code}");
            assert_eq!(desk.session.last_refusal(), "why");
        }
        let mut desk = Desk::hmac();
        let rest = format!(r#""status":{status},"error":{{"code":{code},"msg":"why"}}"#);
        desk.answer(&replace(2, 1), &rest).unwrap();
        let expected = [(kind, true, id(1), reason, code), (kind, false, id(2), reason, code)];
        assert_eq!(desk.replies(), expected, "{status} {code}");
    }
}

#[test]
fn r_ord_1_each_half_of_a_replace_is_told() {
    let ok = (ReplyKind::Accepted, Reason::None);
    let no = (ReplyKind::Rejected, Reason::VenueReject);
    let cases = [
        // Both done.
        (
            r#""status":200,"result":{"cancelResult":"SUCCESS","newOrderResult":"SUCCESS","cancelResponse":{"orderId":5},"newOrderResponse":{"orderId":6,"transactTime":1660801715793}}"#,
            (ok, 0),
            (ok, 0),
        ),
        // Cancelled, but the new one was refused (409).
        (
            r#""status":409,"error":{"code":-2021,"msg":"Order cancel-replace partially failed.","data":{"cancelResult":"SUCCESS","newOrderResult":"FAILURE","cancelResponse":{"orderId":5},"newOrderResponse":{"code":-2010,"msg":"Account has insufficient balance for requested action."}}}"#,
            (ok, 0),
            (no, -2010),
        ),
        // Neither: the first stopped the second.
        (
            r#""status":400,"error":{"code":-2022,"msg":"Order cancel-replace failed.","data":{"cancelResult":"FAILURE","newOrderResult":"NOT_ATTEMPTED","cancelResponse":{"code":-2011,"msg":"Unknown order sent."},"newOrderResponse":null}}"#,
            ((ReplyKind::Rejected, Reason::UnknownOrder), -2011),
            (no, -2022),
        ),
        // Cancelled, and nobody knows about the new one.
        (
            r#""status":409,"error":{"code":-2021,"msg":"x","data":{"cancelResult":"SUCCESS","newOrderResult":"FAILURE","cancelResponse":{"orderId":5},"newOrderResponse":{"code":-1007,"msg":"Timeout"}}}"#,
            (ok, 0),
            ((ReplyKind::Unknown, Reason::VenueError), -1007),
        ),
        // A half without a word.
        (
            r#""status":409,"error":{"code":-2021,"msg":"x","data":{"cancelResult":"SUCCESS"}}"#,
            (ok, 0),
            ((ReplyKind::Unknown, Reason::VenueError), -2021),
        ),
    ];
    for (rest, (cancelled, cancel_code), (placed, place_code)) in cases {
        let mut desk = Desk::hmac();
        assert_eq!(desk.answer(&replace(2, 1), rest).unwrap(), OrderSessionEvent::Reply);
        let expected = [
            (cancelled.0, true, id(1), cancelled.1, cancel_code),
            (placed.0, false, id(2), placed.1, place_code),
        ];
        assert_eq!(desk.replies(), expected, "{rest}");
    }
}

#[test]
fn r_ord_1_silence_is_unknown_and_a_late_answer_still_counts() {
    let mut desk = Desk::hmac();
    let first = desk.send(&place(1));
    desk.send(&cancel(2, 9));
    desk.send(&replace(3, 8));
    desk.send(&order(4, Action::CancelAll));
    let encoded = desk.session.encode_account(NOW_MS, &mut desk.text).unwrap();
    desk.session.handle_sent(&encoded, at_ms(0));
    assert!(desk.session.is_query_pending());
    let Desk { session, out, .. } = &mut desk;
    assert_eq!(session.poll_timeout(at_ms(4_999), &mut |b| out.push(b)), 0);
    assert_eq!(session.poll_timeout(at_ms(5_000), &mut |b| out.push(b)), 5);
    assert_eq!(session.poll_timeout(at_ms(5_001), &mut |b| out.push(b)), 0, "once");
    let lost = |cancel, client| (ReplyKind::Unknown, cancel, client, Reason::Timeout, 0);
    let expected = [
        lost(false, id(1)),
        lost(true, id(9)),
        lost(true, id(8)),
        lost(false, id(3)),
        lost(true, ClientOrderId::NONE),
    ];
    assert_eq!(desk.replies(), expected);
    assert!(!desk.session.is_query_pending());
    assert_eq!(desk.session.pending(), 0);
    desk.out.clear();
    let late = format!(r#"{{"id":"{first}","status":400,"error":{{"code":-2010,"msg":"x"}}}}"#);
    desk.say(&late).unwrap();
    assert_eq!(desk.replies(), [(ReplyKind::Rejected, false, id(1), Reason::VenueReject, -2010)]);
    assert_eq!(desk.say(&late).unwrap(), OrderSessionEvent::Ignored, "answered once");
}

#[test]
fn r_ord_1_a_lost_connection_makes_what_was_sent_unknown() {
    let mut desk = Desk::hmac();
    desk.send(&place(1));
    desk.send(&cancel(2, 9));
    // Encoded but never handed to the socket: nothing left, nothing is unknown.
    desk.encode(&place(3)).unwrap();
    let Desk { session, out, .. } = &mut desk;
    session.handle_closed(Reason::ConnectionLost, &mut |b| out.push(b));
    let lost = |cancel, client| (ReplyKind::Unknown, cancel, client, Reason::ConnectionLost, 0);
    assert_eq!(desk.replies(), [lost(false, id(1)), lost(true, id(9))]);
    assert_eq!(desk.encode(&place(4)).unwrap_err(), EncodeError::NotReady);
}

#[test]
fn queries_are_answered_in_full() {
    let mut desk = Desk::hmac();
    let order = |symbol: &str, client: &str, status: &str| {
        format!(
            r#"{{"symbol":"{symbol}","orderId":77,"orderListId":-1,"clientOrderId":"{client}","price":"23416.10000000","origQty":"0.00847000","executedQty":"0.00720000","status":"{status}","timeInForce":"GTC","type":"LIMIT","side":"SELL","time":1660801715639,"updateTime":1660801717945,"isWorking":true}}"#
        )
    };
    let ours = id(5).to_string();
    let encoded = desk.session.encode_open_orders(None, NOW_MS, &mut desk.text).unwrap();
    let request = desk.query(&encoded);
    let list = [
        order("BTCUSDT", &ours, "PARTIALLY_FILLED"),
        order("ETHUSDT", "web_1", "NEW"),
        order("XRPUSDT", "web_2", "NEW"),
    ];
    let text = format!(r#"{{"id":"{request}","status":200,"result":[{}],"rateLimits":[]}}"#, list.join(","));
    let event = desk.say(&text).unwrap();
    assert_eq!(event, OrderSessionEvent::OpenOrders { instrument: None, count: 3 }, "foreign ones count");
    let [Body::Order(first), Body::Order(second)] = desk.out[..] else { panic!("{:?}", desk.out) };
    assert_eq!((first.client, first.state, first.snapshot), (id(5), OrderState::PartiallyFilled, true));
    assert_eq!((first.qty, first.filled, first.trade.0), (qty("0.00847"), qty("0.0072"), 0));
    assert_eq!(first.venue_ns, 1_660_801_717_945_000_000);
    assert_eq!((second.client, second.instrument), (ClientOrderId::NONE, InstrumentId(1)));
    desk.out.clear();

    for (status, state) in [
        ("NEW", OrderState::Acknowledged),
        ("PENDING_NEW", OrderState::Acknowledged),
        ("FILLED", OrderState::Filled),
        ("CANCELED", OrderState::Cancelled),
        ("PENDING_CANCEL", OrderState::CancelSent),
        ("REJECTED", OrderState::Rejected),
        ("EXPIRED", OrderState::Expired),
        ("EXPIRED_IN_MATCH", OrderState::Expired),
        ("SOMETHING_NEW", OrderState::Unknown),
    ] {
        let encoded = desk.session.encode_order_status(BTC, id(5), NOW_MS, &mut desk.text).unwrap();
        let request = desk.query(&encoded);
        let result = order("BTCUSDT", &ours, status);
        let text = format!(r#"{{"id":"{request}","status":200,"result":{result}}}"#);
        assert_eq!(desk.say(&text).unwrap(), OrderSessionEvent::Answer);
        let Some(Body::Order(update)) = desk.out.pop() else { panic!("no order") };
        assert_eq!(update.state, state, "{status}");
    }
    let encoded = desk.session.encode_order_status(BTC, id(6), NOW_MS, &mut desk.text).unwrap();
    let request = desk.query(&encoded);
    let absent = format!(
        r#"{{"id":"{request}","status":400,"error":{{"code":-2013,"msg":"Order does not exist."}}}}"#
    );
    assert_eq!(desk.say(&absent).unwrap(), OrderSessionEvent::Answer);
    assert_eq!(desk.replies(), [(ReplyKind::Absent, false, id(6), Reason::VenueReject, -2013)]);
    desk.out.clear();

    let encoded = desk.session.encode_account(NOW_MS, &mut desk.text).unwrap();
    let request = desk.query(&encoded);
    let failed = format!(r#"{{"id":"{request}","status":503,"error":{{"code":-1008,"msg":"busy"}}}}"#);
    assert_eq!(desk.say(&failed).unwrap(), OrderSessionEvent::QueryFailed { code: -1008 });
    assert!(desk.out.is_empty());
}

#[test]
fn a_cancel_all_of_nothing_has_what_it_wanted() {
    let mut desk = Desk::hmac();
    let nothing = r#""status":400,"error":{"code":-2011,"msg":"Unknown order sent."}"#;
    desk.answer(&order(1, Action::CancelAll), nothing).unwrap();
    assert_eq!(desk.replies(), [(ReplyKind::Accepted, true, ClientOrderId::NONE, Reason::None, -2011)]);
}

#[test]
fn r_ord_6_the_venues_clock_is_measured() {
    let mut desk = Desk::hmac();
    let encoded = desk.session.encode_time(&mut desk.text).unwrap();
    let request = desk.query(&encoded);
    // Sent at 0, answered at 30 ms: the venue read its clock at 15 ms, give or take 15.
    let venue_us = (at_ms(15).ns / 1_000) + 1_270_000;
    let text = format!(r#"{{"id":"{request}","status":200,"result":{{"serverTime":{venue_us}}}}}"#);
    assert_eq!(desk.say_at(&text, 30).unwrap(), OrderSessionEvent::Answer);
    let [Body::ClockOffset(offset)] = desk.out[..] else { panic!("{:?}", desk.out) };
    assert_eq!((offset.offset_ns, offset.round_trip_ns), (1_270_000_000, 30_000_000));
}

#[test]
fn usage_and_retry_after_are_kept() {
    let mut desk = Desk::hmac();
    let limits = r#""rateLimits":[{"rateLimitType":"ORDERS","interval":"SECOND","intervalNum":10,"limit":50,"count":12},{"rateLimitType":"ORDERS","interval":"DAY","intervalNum":1,"limit":160000,"count":4043},{"rateLimitType":"REQUEST_WEIGHT","interval":"MINUTE","intervalNum":1,"limit":6000,"count":321},{"rateLimitType":"NEW_KIND","interval":"WEEK","intervalNum":1,"limit":1,"count":1},{"odd":true}]"#;
    let rest = format!(r#""status":200,"result":{{"orderId":1,"transactTime":1660801715793}},{limits}"#);
    desk.answer(&place(1), &rest).unwrap();
    let usage = desk.session.usage();
    assert_eq!((usage.orders_10s, usage.orders_10s_limit), (12, 50));
    assert_eq!((usage.orders_1d, usage.orders_1d_limit), (4_043, 160_000));
    assert_eq!((usage.weight_1m, usage.weight_1m_limit), (321, 6_000));
    // `returnRateLimits=false`: nothing is said, what is known stays.
    desk.answer(&place(2), r#""status":200,"result":{"orderId":2,"transactTime":1660801715793}"#).unwrap();
    assert_eq!(desk.session.usage(), usage);
    assert_eq!(desk.session.retry_after_ns(), 0);
    desk.answer(&place(3), r#""status":429,"error":{"code":-1003,"msg":"Too much","data":{"serverTime":1659142907531,"retryAfter":1659142967531}}"#).unwrap();
    assert_eq!(desk.session.retry_after_ns(), 1_659_142_967_531_000_000);
}

#[test]
fn the_fixtures_are_read() {
    let mut desk = Desk::hmac();
    let cases = [
        ("PlaceOrder", place(1)),
        ("CancelOrder", cancel(2, 1)),
        ("ReplaceOrder", replace(3, 1)),
        ("CancelAllOrders", order(4, Action::CancelAll)),
    ];
    for (file, order) in cases {
        let Some(body) = fixture(&format!("Socket/Spot/Trading/{file}.txt")) else { return };
        let id = desk.send(&order);
        assert_eq!(desk.say(&body.replace("|1|", &id)).unwrap(), OrderSessionEvent::Reply, "{file}");
    }
    assert!(desk.replies().iter().all(|reply| reply.0 == ReplyKind::Accepted));
    assert_eq!(desk.replies().len(), 5);
    desk.out.clear();
    let encoded = desk.session.encode_open_orders(Some(BTC), NOW_MS, &mut desk.text).unwrap();
    let id = desk.query(&encoded);
    let body = fixture("Socket/Spot/Trading/GetOpenOrders.txt").unwrap().replace("|1|", &id);
    let event = desk.say(&body).unwrap();
    assert_eq!(event, OrderSessionEvent::OpenOrders { instrument: Some(BTC), count: 1 });
    desk.out.clear();
    let encoded = desk.session.encode_account(NOW_MS, &mut desk.text).unwrap();
    let id = desk.query(&encoded);
    let body = fixture("Socket/Spot/Account/GetAccountInfo.txt").unwrap().replace("|1|", &id);
    assert_eq!(desk.say(&body).unwrap(), OrderSessionEvent::Answer);
    let [Body::Balance(btc), Body::Balance(usdt)] = desk.out[..] else { panic!("{:?}", desk.out) };
    assert_eq!((btc.free, btc.locked), (qty("1.3447112"), qty("0.086")));
    assert_eq!(usdt.free, qty("1021.21"));
}

#[test]
fn strange_messages_are_tolerated_or_refused_by_name() {
    let mut desk = Desk::hmac();
    for text in [
        r#"{"id":null,"status":400,"error":{"code":-1100,"msg":"Illegal characters"}}"#,
        r#"{"id":7,"status":200,"result":{}}"#,
        r#"{"id":"someone else","status":200,"result":{}}"#,
        r#"{"id":"p0700000000000000","status":200,"result":{}}"#,
        r#"{"event":{"e":"somethingElse"}}"#,
    ] {
        assert_eq!(desk.say(text).unwrap(), OrderSessionEvent::Ignored, "{text}");
    }
    let shutdown = r#"{"event":{"e":"serverShutdown","E":1770123456789}}"#;
    assert_eq!(desk.say(shutdown).unwrap(), OrderSessionEvent::ServerShutdown);
    for (text, word) in
        [("", "JSON"), ("{}", "status"), ("[1]", "status"), (r#"{"status":"200"}"#, "whole number")]
    {
        let error = desk.say(text).unwrap_err().to_string();
        assert!(error.contains(word), "{text}: {error}");
    }
    // An answer that can't be read leaves its request open: it will be unknown, not forgotten.
    let error = desk.answer(&place(1), r#""status":200,"result":{"orderId":"x"}"#).unwrap_err();
    assert!(error.to_string().contains("orderId"), "{error}");
    assert_eq!(desk.session.pending(), 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn mutated_answers_never_panic_and_never_end_an_order_twice(
        which in 0usize..4, edits in prop::collection::vec((any::<prop::sample::Index>(), 0u8..3, any::<u8>()), 1..8)
    ) {
        let mut desk = Desk::hmac();
        let id = desk.send(&replace(2, 1));
        let rest = [
            r#""status":200,"result":{"cancelResult":"SUCCESS","newOrderResult":"SUCCESS","cancelResponse":{"orderId":5},"newOrderResponse":{"orderId":6,"transactTime":1660801715793}}"#,
            r#""status":409,"error":{"code":-2021,"msg":"x","data":{"cancelResult":"SUCCESS","newOrderResult":"FAILURE","cancelResponse":{"orderId":5},"newOrderResponse":{"code":-2010,"msg":"y"}}}"#,
            r#""status":429,"error":{"code":-1003,"msg":"x","data":{"serverTime":1659142907531,"retryAfter":1659142967531}}"#,
            r#""status":503,"error":{"code":-1008,"msg":"busy"},"rateLimits":[{"rateLimitType":"ORDERS","interval":"DAY","intervalNum":1,"limit":5,"count":4}]"#,
        ][which];
        let mut text = format!(r#"{{"id":"{id}",{rest}}}"#).into_bytes();
        for (at, kind, byte) in edits {
            let at = at.index(text.len());
            match kind {
                0 => text[at] = byte,
                1 => text.insert(at, byte),
                _ if text.len() > 1 => { text.remove(at); }
                _ => {}
            }
        }
        let Desk { session, inbox, out, .. } = &mut desk;
        for _ in 0..2 {
            let result = session.handle_text(inbox.put(&text), at_ms(10), &mut |b| out.push(b));
            if let Err(malformed) = result {
                prop_assert!(!malformed.to_string().is_empty());
            }
        }
        session.poll_timeout(at_ms(60_000), &mut |b| out.push(b));
        prop_assert_eq!(out.len(), 2, "each half ends once: {:?}", out);
    }
}

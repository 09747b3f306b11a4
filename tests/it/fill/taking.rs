//! Who takes: when an order arrives, what it meets there, and what it pays.

use interlock::event::fact::LinkId;
use interlock::event::{Body, BookStatus, LinkStatus, OrderSpec, ReplyKind};
use interlock::types::{OrderState, OrderType, Reason, Side, TimeInForce};

use super::{BASE, ID, MS, Paper, QUOTE, fill, level, limit, market, pair, qty};

#[test]
fn latency_is_decided_on_fact_time() {
    let mut paper = Paper::new();
    paper.open_book();
    let client = paper.send(limit(Side::Buy, "90", "1"));
    assert_eq!(paper.model.pending(), 1);
    // 2 ms there and 2 ms back: at 3.9 ms nothing is known, whatever the clock outside says.
    paper.now_ns += 3 * MS + 900_000;
    assert!(paper.fact(Body::Timer).replies.is_empty());
    paper.now_ns += 100_000;
    let out = paper.fact(Body::Timer);
    assert_eq!((out.replies[0].kind, out.replies[0].client), (ReplyKind::Accepted, client));
    assert_eq!(out.replies[0].venue_ns, paper.now_ns);
    assert_eq!(out.states(), [OrderState::Acknowledged]);
    assert_eq!(out.balances, 2);
}

#[test]
fn the_market_may_move_away_while_the_order_travels() {
    let mut paper = Paper::new();
    paper.open_book();
    paper.send(OrderSpec { time_in_force: TimeInForce::Ioc, ..limit(Side::Buy, "101", "1") });
    paper.now_ns += 2 * MS;
    paper.depth(false, &[(Side::Sell, level("101", "0"))]);
    let out = paper.wait(3);
    assert_eq!(out.states(), [OrderState::Acknowledged, OrderState::Expired]);
    assert!(out.fills().is_empty());
    assert_eq!(paper.balance(QUOTE), pair("1000000", "0"));
}

#[test]
fn takers_walk_the_book_and_pay_for_it() {
    let mut paper = Paper::new();
    paper.open_book();
    let out = paper.place(market(Side::Buy, "4"));
    assert_eq!(out.fills(), [fill("101", "2", false), fill("102", "2", false)]);
    assert_eq!(out.states(), [OrderState::Acknowledged, OrderState::PartiallyFilled, OrderState::Filled]);
    let last = out.orders.last().unwrap();
    assert_eq!((last.filled, last.fee, last.fee_asset), (qty("4"), qty("0.002"), BASE));
    assert_eq!(paper.balance(QUOTE), pair("999594", "0"));
    assert_eq!(paper.balance(BASE), pair("13.996", "0"));
    // What was taken is not there a second time, until the market shows the level anew.
    let out = paper.place(market(Side::Buy, "1"));
    assert_eq!(out.fills(), [fill("102", "1", false)]);
    paper.depth(false, &[(Side::Sell, level("101", "0.5"))]);
    let out = paper.place(market(Side::Buy, "1"));
    assert_eq!(out.fills(), [fill("101", "0.5", false), fill("103", "0.5", false)]);
}

#[test]
fn a_market_order_without_liquidity_expires() {
    let mut paper = Paper::new();
    paper.trade(Side::Buy, "100", "1");
    let out = paper.place(market(Side::Sell, "1"));
    assert_eq!(out.states(), [OrderState::Acknowledged, OrderState::Expired]);
    paper.open_book();
    let out = paper.place(market(Side::Sell, "9.9"));
    assert_eq!(out.fills().len(), 3);
    assert_eq!(out.fills()[2], fill("98", "4.9", false));
}

#[test]
fn a_newer_quote_tops_an_older_book_and_stands_in_for_none() {
    let mut paper = Paper::new();
    paper.quote(level("100", "1"), level("100.5", "0.4"));
    let out = paper.place(OrderSpec { time_in_force: TimeInForce::Ioc, ..limit(Side::Buy, "105", "1") });
    assert_eq!(out.fills(), [fill("100.5", "0.4", false)], "without a book only the quote is there");
    assert_eq!(out.states().last(), Some(&OrderState::Expired));

    let mut paper = Paper::new();
    paper.open_book();
    // The quote says that 101 is gone and that 102 has less; the book behind it still counts.
    paper.quote(level("100", "2"), level("102", "1"));
    let out = paper.place(market(Side::Buy, "2"));
    assert_eq!(out.fills(), [fill("102", "1", false), fill("103", "1", false)]);
    // An invalid book is not used.
    paper.fact(Body::BookStatus(BookStatus { instrument: ID, valid: false, reason: Reason::SequenceGap }));
    paper.quote(level("100", "2"), level("102.5", "1"));
    let out = paper.place(market(Side::Buy, "2"));
    assert_eq!(out.fills(), [fill("102.5", "1", false)]);
    // With the stream cut, nothing is there.
    paper.quote(level("100", "2"), level("102.5", "2"));
    let link = LinkId::Market;
    let cut = LinkStatus { link, up: false, reason: Reason::Closed, attempts: 1 };
    paper.fact(Body::Link(cut));
    let out = paper.place(market(Side::Buy, "1"));
    assert!(out.fills().is_empty());
}

#[test]
fn ioc_fok_and_post_only() {
    let mut paper = Paper::new();
    paper.open_book();
    let fok = OrderSpec { time_in_force: TimeInForce::Fok, ..limit(Side::Buy, "101", "2.1") };
    let out = paper.place(fok);
    assert_eq!(out.states(), [OrderState::Acknowledged, OrderState::Expired]);
    let out = paper.place(OrderSpec { qty: qty("2"), ..fok });
    assert_eq!(out.fills(), [fill("101", "2", false)]);
    let ioc = OrderSpec { time_in_force: TimeInForce::Ioc, ..limit(Side::Sell, "99", "6") };
    let out = paper.place(ioc);
    assert_eq!(out.fills(), [fill("100", "2", false), fill("99", "3", false)]);
    assert_eq!(out.orders.last().unwrap().filled, qty("5"));
    assert_eq!(paper.model.open_orders(), 0);

    let mut paper = Paper::new();
    paper.open_book();
    let post = |at| OrderSpec { order_type: OrderType::LimitMaker, ..limit(Side::Buy, at, "1") };
    let out = paper.place(post("101"));
    assert_eq!((out.replies[0].kind, out.replies[0].venue_code), (ReplyKind::Rejected, -2010));
    assert!(out.orders.is_empty());
    let out = paper.place(post("100.99"));
    assert_eq!(out.states(), [OrderState::Acknowledged]);
    // Our own order counts for the next post-only one.
    let out = paper.place(OrderSpec { side: Side::Sell, ..post("100.5") });
    assert_eq!(out.replies[0].venue_code, -2010);
}

#[test]
fn configured_slippage_worsens_takers_up_to_their_limit_and_spares_makers() {
    let mut paper = Paper::with(|config| config.slippage_centi_bp = 5_000);
    paper.open_book();
    // 50 bp on 101 is 101.505, on the tick grid 101.51.
    assert_eq!(paper.place(market(Side::Buy, "1")).fills(), [fill("101.51", "1", false)]);
    assert_eq!(paper.place(limit(Side::Buy, "101.2", "1")).fills(), [fill("101.2", "1", false)]);
    assert_eq!(paper.place(market(Side::Sell, "1")).fills(), [fill("99.5", "1", false)]);
    assert_eq!(paper.place(limit(Side::Sell, "99.99", "1")).fills(), [fill("99.99", "1", false)]);
    paper.place(limit(Side::Sell, "101.5", "1"));
    let out = paper.trade(Side::Buy, "101.6", "9");
    assert_eq!(out.fills(), [fill("101.5", "1", true)], "a waiting order has its price");
}

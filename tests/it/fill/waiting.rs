//! Who waits: the place in the queue, and the market that comes to it.

use interlock::sim::fill::CancelsAhead;
use interlock::types::{OrderState, Side};

use super::{BASE, ID, Paper, QUOTE, fill, level, limit, pair, qty};

#[test]
fn a_maker_waits_behind_what_is_shown() {
    let mut paper = Paper::new();
    paper.open_book();
    let client = paper.send(limit(Side::Buy, "100", "1"));
    paper.wait(5);
    assert_eq!(paper.model.queue_ahead(ID, client), Some(qty("2")));
    assert_eq!(paper.balance(QUOTE), pair("999900", "100"));
    // Trades take those ahead first; trades on the other side are none of its business.
    assert!(paper.trade(Side::Sell, "100", "1.5").orders.is_empty());
    assert!(paper.trade(Side::Buy, "101", "1").orders.is_empty());
    assert_eq!(paper.model.queue_ahead(ID, client), Some(qty("0.5")));
    // The depth update that follows is explained by the trade: nobody cancelled.
    paper.depth(false, &[(Side::Buy, level("100", "0.5"))]);
    assert_eq!(paper.model.queue_ahead(ID, client), Some(qty("0.5")));
    let out = paper.trade(Side::Sell, "100", "0.8");
    assert_eq!(out.fills(), [fill("100", "0.3", true)]);
    assert_eq!(out.states(), [OrderState::PartiallyFilled]);
    assert_eq!(out.balances, 2);
    assert_eq!(out.orders[0].fee, qty("0.0003"));
    // A trade at a worse price means that the level was exhausted.
    let out = paper.trade(Side::Sell, "99", "0.2");
    assert_eq!(out.fills(), [fill("100", "0.2", true)]);
    let out = paper.trade(Side::Sell, "99", "5");
    assert_eq!(out.fills(), [fill("100", "0.5", true)]);
    assert_eq!(out.states(), [OrderState::Filled]);
    assert_eq!(paper.balance(QUOTE), pair("999900", "0"));
    assert_eq!(paper.balance(BASE), pair("10.999", "0"));
}

#[test]
fn cancels_ahead_move_the_queue_by_the_stated_model() {
    for (model, expected) in [(CancelsAhead::Proportional, "1.5"), (CancelsAhead::FromBehind, "2")] {
        let mut paper = Paper::with(|config| config.cancels_ahead = model);
        paper.open_book();
        let client = paper.send(limit(Side::Buy, "100", "1"));
        paper.wait(5);
        // Two more join behind it, then one cancels somewhere: of 4 shown, 2 are ahead.
        paper.depth(false, &[(Side::Buy, level("100", "4"))]);
        paper.wait(100);
        paper.depth(false, &[(Side::Buy, level("100", "3"))]);
        assert_eq!(paper.model.queue_ahead(ID, client), Some(qty(expected)), "{model:?}");
        // Never more ahead than is shown.
        paper.depth(false, &[(Side::Buy, level("100", "0.25"))]);
        assert!(paper.model.queue_ahead(ID, client) <= Some(qty("0.25")));
    }
}

#[test]
fn a_quote_that_overtakes_its_trade_is_not_counted_twice() {
    let mut paper = Paper::new();
    paper.open_book();
    let client = paper.send(limit(Side::Buy, "100", "1"));
    paper.wait(5);
    // All ahead of us: the quote already shows what the trade leaves.
    paper.quote(level("100", "1"), level("101", "2"));
    paper.trade(Side::Sell, "100", "1");
    assert_eq!(paper.model.queue_ahead(ID, client), Some(qty("1")));
    // Much later the same sequence is a cancel and a trade.
    paper.wait(1_000);
    paper.quote(level("100", "0.5"), level("101", "2"));
    paper.wait(1_000);
    let out = paper.trade(Side::Sell, "100", "0.6");
    assert_eq!(out.fills(), [fill("100", "0.1", true)]);
}

#[test]
fn an_unknown_place_is_the_last_one_once_it_is_seen() {
    let mut paper = Paper::new();
    paper.quote(level("100", "2"), level("101", "2"));
    let client = paper.send(limit(Side::Buy, "99", "1"));
    paper.wait(5);
    assert_eq!(paper.model.queue_ahead(ID, client), None);
    assert!(paper.trade(Side::Sell, "99", "50").orders.is_empty(), "who knows who was ahead");
    paper.quote(level("99", "3"), level("99.5", "2"));
    assert_eq!(paper.model.queue_ahead(ID, client), Some(qty("3")));
    let out = paper.trade(Side::Sell, "98.99", "0.4");
    assert_eq!(out.fills(), [fill("99", "0.4", true)]);
}

#[test]
fn the_other_side_reaching_our_price_fills_us_there() {
    let mut paper = Paper::new();
    paper.open_book();
    paper.place(limit(Side::Buy, "100.5", "3"));
    let out = paper.quote(level("99", "1"), level("100.4", "1"));
    assert_eq!(out.fills(), [fill("100.5", "1", true)], "at our own price, as makers");
    let again = paper.quote(level("99", "1"), level("100.4", "1"));
    assert!(again.fills().is_empty(), "the same liquidity is not taken twice");
}

#[test]
fn price_then_time_among_our_own_orders() {
    let mut paper = Paper::new();
    paper.open_book();
    let first = paper.send(limit(Side::Sell, "101", "1"));
    let second = paper.send(limit(Side::Sell, "101", "1"));
    let better = paper.send(limit(Side::Sell, "100.5", "1"));
    paper.wait(5);
    let out = paper.trade(Side::Buy, "101", "4.5");
    // One goes to the better price, two are ahead at 101, one and a half are left for ours.
    let clients: Vec<_> = out.orders.iter().map(|o| (o.client, o.qty)).collect();
    assert_eq!(clients, [(better, qty("1")), (first, qty("1")), (second, qty("0.5"))]);
}

#[test]
fn our_own_resting_order_goes_before_we_would_trade_with_it() {
    let mut paper = Paper::new();
    paper.open_book();
    let resting = paper.send(limit(Side::Buy, "100.5", "1"));
    paper.wait(5);
    let out = paper.place(limit(Side::Sell, "100", "1"));
    assert_eq!(out.orders[1].client, resting);
    assert_eq!(out.states(), [OrderState::Acknowledged, OrderState::Expired, OrderState::Filled]);
    assert_eq!(out.fills(), [fill("100", "1", false)]);
}

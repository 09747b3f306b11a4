//! The venue's rules for an order: each one alone, at its edge and a grid step beyond (R-ORD-5).

use interlock::types::instrument::{NotionalRule, PercentPriceRule, PriceRule};
use interlock::types::{
    Cash, Instrument, InstrumentId, OrderTerms, OrderType, Price, Qty, Reason, RuleContext, Side,
};
use num_bigint::BigInt;
use proptest::prelude::*;

use crate::binance_support::{price, qty, table};

fn btc() -> Instrument {
    *table(&["BTC-USDT"]).get(InstrumentId(0)).unwrap()
}

fn limit(side: Side, at: &str, amount: &str) -> OrderTerms {
    OrderTerms { side, order_type: OrderType::Limit, price: price(at), qty: qty(amount) }
}
fn market(amount: &str) -> OrderTerms {
    OrderTerms { side: Side::Buy, order_type: OrderType::Market, price: Price::ZERO, qty: qty(amount) }
}
fn around(reference: &str) -> RuleContext {
    RuleContext { reference: Some(price(reference)), ..RuleContext::default() }
}

#[test]
fn r_ord_5_prices_keep_to_range_and_tick() {
    let instrument = Instrument { band: PercentPriceRule::default(), ..btc() };
    for (at, expected) in [
        ("60000.01", Ok(())),
        ("60000.005", Err(Reason::PriceTick)),
        ("0.01", Ok(())),
        ("0", Err(Reason::PriceRange)),
        ("-1", Err(Reason::PriceRange)),
        ("1000000", Ok(())),
        ("1000000.01", Err(Reason::PriceRange)),
    ] {
        assert_eq!(instrument.check_price(price(at)), expected, "{at}");
        // Post-only orders have a price like any limit order; a market order has none.
        let maker = OrderTerms { order_type: OrderType::LimitMaker, ..limit(Side::Buy, at, "1000") };
        if expected.is_err() {
            assert_eq!(instrument.check(&maker, &around("1")), expected, "{at}");
        }
    }
    assert_eq!(instrument.check(&market("1"), &around("60000")), Ok(()));
}

#[test]
fn r_ord_5_quantities_keep_to_range_and_lot() {
    for (amount, limited, at_market) in [
        ("0.001", Ok(()), Ok(())),
        ("0.000015", Err(Reason::QtyRange), Err(Reason::QtyRange)),
        ("0.001005", Err(Reason::QtyStep), Err(Reason::QtyStep)),
        ("0", Err(Reason::QtyRange), Err(Reason::QtyRange)),
        ("-1", Err(Reason::QtyRange), Err(Reason::QtyRange)),
        ("100", Ok(()), Ok(())),
        ("100.00001", Ok(()), Err(Reason::QtyRange)),
        ("9000", Ok(()), Err(Reason::QtyRange)),
        ("9000.00001", Err(Reason::QtyRange), Err(Reason::QtyRange)),
    ] {
        // 0.000015 is above the minimum of 0.00001 but off its step.
        let limited = if amount == "0.000015" { Err(Reason::QtyStep) } else { limited };
        let at_market = if amount == "0.000015" { Err(Reason::QtyStep) } else { at_market };
        assert_eq!(btc().check_qty(qty(amount), false), limited, "{amount}");
        assert_eq!(btc().check_qty(qty(amount), true), at_market, "{amount}");
    }
}

#[test]
fn r_ord_5_notional_is_judged_against_us() {
    let check = |terms: &OrderTerms, reference: &str| btc().check(terms, &around(reference));
    assert_eq!(check(&limit(Side::Buy, "50000", "0.0001"), "50000"), Ok(()), "exactly 5");
    assert_eq!(check(&limit(Side::Buy, "49999.99", "0.0001"), "50000"), Err(Reason::NotionalRange));
    assert_eq!(check(&limit(Side::Buy, "10000", "900"), "10000"), Ok(()), "exactly 9,000,000");
    assert_eq!(check(&limit(Side::Buy, "10000.01", "900"), "10000"), Err(Reason::NotionalRange));
    // A market order is judged at the reference; its maximum does not bind here.
    assert_eq!(check(&market("0.0001"), "49999.99"), Err(Reason::NotionalRange));
    assert_eq!(check(&market("100"), "900000"), Ok(()));
    assert_eq!(btc().check(&market("1"), &RuleContext::default()), Err(Reason::ReferenceMissing));
    let free = NotionalRule { min_for_market: false, ..btc().notional };
    let free = Instrument { notional: free, ..btc() };
    assert_eq!(free.check(&market("0.0001"), &RuleContext::default()), Ok(()));
}

#[test]
fn r_ord_5_the_band_binds_by_side_and_needs_its_reference() {
    let band =
        PercentPriceRule { bid_up: qty("1.2"), bid_down: qty("0.2"), ask_up: qty("5"), ask_down: qty("0.8") };
    let instrument = Instrument { band, ..btc() };
    for (side, at, expected) in [
        (Side::Buy, "120", Ok(())),
        (Side::Buy, "120.01", Err(Reason::PriceRange)),
        (Side::Buy, "20", Ok(())),
        (Side::Buy, "19.99", Err(Reason::PriceRange)),
        (Side::Sell, "500", Ok(())),
        (Side::Sell, "500.01", Err(Reason::PriceRange)),
        (Side::Sell, "80", Ok(())),
        (Side::Sell, "79.99", Err(Reason::PriceRange)),
    ] {
        assert_eq!(instrument.check(&limit(side, at, "1"), &around("100")), expected, "{side:?} {at}");
    }
    let unknown = instrument.check(&limit(Side::Buy, "100", "1"), &RuleContext::default());
    assert_eq!(unknown, Err(Reason::ReferenceMissing));
    let no_band = Instrument { band: PercentPriceRule::default(), ..instrument };
    assert_eq!(no_band.check(&limit(Side::Buy, "100", "1"), &RuleContext::default()), Ok(()));
}

#[test]
fn r_ord_5_counts_positions_and_status_bind() {
    let terms = limit(Side::Buy, "100", "1");
    let open = |n| RuleContext { orders_open: n, ..around("100") };
    assert_eq!(btc().check(&terms, &open(199)), Ok(()));
    assert_eq!(btc().check(&terms, &open(200)), Err(Reason::OpenOrders));
    let no_rule = Instrument { orders_max: 0, ..btc() };
    assert_eq!(no_rule.check(&terms, &open(100_000)), Ok(()));

    let bounded = Instrument { position_max: qty("10"), ..btc() };
    let holding = |held: &str| RuleContext { position_with_open_buys: qty(held), ..around("100") };
    assert_eq!(bounded.check(&terms, &holding("9")), Ok(()));
    assert_eq!(bounded.check(&terms, &holding("9.00001")), Err(Reason::QtyRange));
    assert_eq!(bounded.check(&limit(Side::Sell, "100", "1"), &holding("50")), Ok(()), "buys only");
    let beyond = RuleContext { position_with_open_buys: Qty::MAX, ..around("100") };
    assert_eq!(bounded.check(&terms, &beyond), Err(Reason::Overflow));

    let stopped = Instrument { trading: false, ..btc() };
    assert_eq!(stopped.check(&terms, &around("100")), Err(Reason::SymbolNotAllowed));
    let huge = OrderTerms { price: Price::MAX, ..terms };
    let unbounded = Instrument { price: PriceRule::default(), band: PercentPriceRule::default(), ..btc() };
    assert_eq!(
        unbounded.check(&OrderTerms { qty: qty("9000"), ..huge }, &around("1")),
        Err(Reason::Overflow)
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// Whatever passes, passes the venue's own arithmetic, done here with big integers and without any rounding.
    #[test]
    fn r_ord_5_what_passes_keeps_the_venues_rules_exactly(
        ticks in 1i64..200_000_000, lots in 1i64..1_000_000_000, reference in 1i64..1_000_000_000_000_000,
        up in 100_000_000i64..600_000_000, down in 1_000_000i64..100_000_000,
        min in 0i64..2_000_000_000, max in 0i64..1_000_000_000_000_000, buy in any::<bool>(),
    ) {
        let band = PercentPriceRule {
            bid_up: Qty::from_units(up), bid_down: Qty::from_units(down),
            ask_up: Qty::from_units(up), ask_down: Qty::from_units(down),
        };
        let notional = NotionalRule {
            min: Cash::from_units(min), min_for_market: true, max: Cash::from_units(max), max_for_market: true,
        };
        let instrument = Instrument { band, notional, ..btc() };
        let terms = OrderTerms {
            side: if buy { Side::Buy } else { Side::Sell },
            order_type: OrderType::Limit,
            price: Price::from_units(ticks * instrument.price.tick.units()),
            qty: Qty::from_units(lots * instrument.lot.step.units()),
        };
        let context = RuleContext { reference: Some(Price::from_units(reference)), ..RuleContext::default() };
        let scaled = BigInt::from(terms.price.units()) * 100_000_000;
        let in_band = scaled <= BigInt::from(reference) * up && scaled >= BigInt::from(reference) * down;
        // Both in units of 1e-17.
        let value = BigInt::from(terms.price.units()) * terms.qty.units();
        let in_notional = value >= BigInt::from(min) * 1_000_000_000
            && (max == 0 || value <= BigInt::from(max) * 1_000_000_000);
        let in_range = terms.price <= instrument.price.max && terms.qty <= instrument.lot.max;
        let passes = instrument.check(&terms, &context).is_ok();
        prop_assert_eq!(passes, in_band && in_notional && in_range);
    }
}

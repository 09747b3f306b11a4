//! Indicators against TA-Lib's figures and against plain recomputation.

use std::collections::VecDeque;

use interlock::event::Quote;
use interlock::strategy::indicator::{Decay, Exponential, OrderFlow, Simple, microprice};
use interlock::types::{Level, Price, Qty};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use crate::market::{BTC, MS, S, START_NS, price, qty};
use crate::support::{recordings, seed};

/// A figure of the vector file as a price: written out to nine decimals, which is finer than its own error.
fn figure(value: &serde_json::Value) -> Option<Price> {
    value.as_f64().map(|v| price(&format!("{v:.9}")))
}

#[test]
fn averages_equal_ta_lib() {
    let Some(path) = recordings("indicators/talib_btc_1h_400.json") else { return };
    let vectors: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let closes: Vec<Price> =
        vectors["close"].as_array().unwrap().iter().map(|v| figure(v).unwrap()).collect();
    let series = |name: &str| vectors["outputs"][name].as_array().unwrap().clone();
    // A millionth of the quote currency: the vectors are floats with 16 digits.
    let near = |ours: Option<fixed::types::I64F64>, theirs: &serde_json::Value, at: usize| match (
        ours,
        figure(theirs),
    ) {
        (None, None) => {}
        (Some(ours), Some(theirs)) => {
            let off = (ours.round().to_num::<i64>() - theirs.units()).abs();
            assert!(off <= 1_000, "bar {at}: {ours} against {theirs}");
        }
        (ours, theirs) => panic!("bar {at}: {ours:?} against {theirs:?}"),
    };
    let mut simple = Simple::new(20);
    let mut fast = Exponential::new(12);
    let mut slow = Exponential::new(26);
    let (sma, ema12, ema26) = (series("SMA(20)"), series("EMA(12)"), series("EMA(26)"));
    for (at, close) in closes.iter().enumerate() {
        simple.update(*close);
        fast.update(*close);
        slow.update(*close);
        near(simple.value(), &sma[at], at);
        near(fast.value(), &ema12[at], at);
        near(slow.value(), &ema26[at], at);
    }
}

#[test]
fn the_simple_average_is_exact_over_any_length() {
    let seed = seed(0x5a);
    let mut rng = SmallRng::seed_from_u64(seed);
    for length in [1usize, 2, 7, 100] {
        let mut average = Simple::new(length);
        let mut window = VecDeque::new();
        for _ in 0..1_000 {
            let at = Price::from_units(rng.random_range(1..i64::MAX / 2));
            average.update(at);
            window.push_back(i128::from(at.units()));
            if window.len() > length {
                window.pop_front();
            }
            let whole = (window.len() == length)
                .then(|| window.iter().sum::<i128>() / i128::try_from(length).unwrap());
            let ours = average.value().map(|v| i128::from(v.to_num::<i64>()));
            assert_eq!(ours, whole, "seed {seed} length {length}");
        }
    }
}

#[test]
fn decay_halves_and_never_rises() {
    let decay = Decay::new(S);
    assert_eq!(decay.factor(0), fixed::types::I64F64::ONE);
    assert_eq!(decay.factor(-5), fixed::types::I64F64::ONE);
    assert_eq!(decay.factor(S), fixed::types::I64F64::ONE / 2);
    assert_eq!(decay.factor(3 * S), fixed::types::I64F64::ONE / 8);
    assert_eq!(decay.factor(i64::MAX), fixed::types::I64F64::ZERO);
    let mut before = decay.factor(0);
    for ms in 1..5_000 {
        let now = decay.factor(ms * MS);
        assert!(now < before, "at {ms} ms");
        before = now;
    }
    // Half way: the root of one half, to one part in ten thousand.
    let root = decay.factor(S / 2);
    let off = (root * root - fixed::types::I64F64::ONE / 2).abs();
    assert!(off < fixed::types::I64F64::ONE / 10_000, "{root}");
}

fn quote(bid: &str, bid_qty: &str, ask: &str, ask_qty: &str) -> Quote {
    let (bid, ask) = (Level::new(price(bid), qty(bid_qty)), Level::new(price(ask), qty(ask_qty)));
    Quote { instrument: BTC, conflated: false, update_id: 1, bid, ask }
}

#[test]
fn order_flow_leans_to_who_adds_at_the_best_price() {
    let mut flow = OrderFlow::new(S);
    assert!(!flow.at_least(-1_000), "no activity is no imbalance");
    flow.update(&quote("100", "1", "101", "1"), START_NS);
    assert!(!flow.at_least(-1_000));
    flow.update(&quote("100", "2", "101", "1"), START_NS);
    assert!(flow.at_least(100) && !flow.at_least(101), "one change is one standard deviation");
    flow.update(&quote("100", "2", "101", "2"), START_NS);
    assert!(flow.at_least(0) && !flow.at_least(1), "as much ask as bid");
    flow.update(&quote("100", "2", "100.5", "3"), START_NS);
    assert!(
        !flow.at_least(0) && flow.at_least(-91) && !flow.at_least(-90),
        "a better ask is all new: 3 of root 11"
    );
    flow.update(&quote("100", "2", "102", "1"), START_NS);
    assert!(flow.at_least(0) && !flow.at_least(1), "and gone again");
    flow.update(&quote("99", "9", "102", "1"), START_NS);
    assert!(!flow.at_least(0), "a bid that went away takes all that stood");
    // Old flow fades against new.
    flow.update(&quote("99", "9.5", "102", "1"), START_NS + 60 * S);
    assert!(flow.at_least(99));
    // Four alike in a row are two standard deviations, whatever their size.
    let mut flow = OrderFlow::new(S);
    for n in 0..5 {
        flow.update(&quote("100", &format!("0.000{n}1"), "101", "1"), START_NS);
    }
    assert!(flow.at_least(200) && !flow.at_least(201));
    flow.reset();
    assert_eq!(flow.events(), 0);
}

#[test]
fn the_microprice_leans_to_the_thinner_side() {
    let micro = |bid_qty: &str, ask_qty: &str| {
        microprice(Level::new(price("100"), qty(bid_qty)), Level::new(price("101"), qty(ask_qty)))
    };
    assert_eq!(micro("1", "1"), Some(price("100.5")));
    assert_eq!(micro("3", "1"), Some(price("100.75")));
    assert_eq!(micro("0", "1"), Some(price("100")));
    assert_eq!(micro("0", "0"), None);
    let most = Level::new(Price::MAX, Qty::MAX);
    assert_eq!(microprice(most, most), Some(Price::MAX));
}

//! Values against big integers: decimal text, checked arithmetic, grids, notional roundings, positions; and the order life
//! cycle's table (R-HOT-2, R-ORD-1).

use interlock::types::decimal::{DECIMAL_TEXT_MAX, parse_decimal, write_decimal};
use interlock::types::order::Transition;
use interlock::types::{Cash, DecimalError, OrderEvent, OrderState, Position, Price, Qty, Side};
use interlock::wire::number;
use num_bigint::BigInt;
use proptest::prelude::*;

/// What plain decimal text means, by big integers; the reason why it is none otherwise (without its place).
fn model(text: &str, decimals: u32) -> Result<i64, &'static str> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    if !whole.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit()) {
        return Err("digit");
    }
    if whole.is_empty() && fraction.is_empty() {
        return Err("empty");
    }
    let (kept, surplus) = fraction.split_at(fraction.len().min(decimals as usize));
    if surplus.bytes().any(|b| b != b'0') {
        return Err("decimals");
    }
    let digits = format!("{whole}{kept:0<width$}", width = decimals as usize);
    let value: BigInt = digits.parse().unwrap();
    i64::try_from(if text.starts_with('-') { -value } else { value }).map_err(|_| "range")
}

fn kind(result: Result<i64, DecimalError>) -> Result<i64, &'static str> {
    result.map_err(|error| match error {
        DecimalError::Empty => "empty",
        DecimalError::NotADigit { .. } => "digit",
        DecimalError::TooManyDecimals { .. } => "decimals",
        DecimalError::Overflow => "range",
    })
}

/// Text like a number, or nearly.
fn decimal_text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[0-9]{1,12}\\.[0-9]{0,10}",
        "[0-9]{1,20}",
        "[-+]?[0-9]{0,19}\\.?[0-9]{0,12}0{0,12}",
        "[-+.0-9eE ]{0,12}",
        "0{0,30}[0-9]{0,9}\\.[0-9]{0,9}",
        ".{0,10}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn r_hot_2_decimal_text_means_what_big_integers_say(text in decimal_text(), decimals in 8u32..=9) {
        let expected = model(&text, decimals);
        let slow = kind(parse_decimal(text.as_bytes(), decimals));
        // Where several things are wrong at once, which is told first is the parser's choice.
        if expected.is_ok() || slow.is_ok() {
            prop_assert_eq!(&expected, &slow, "{:?}", text);
        }
        prop_assert_eq!(parse_decimal(text.as_bytes(), decimals), number::parse(text.as_bytes(), decimals));
    }

    #[test]
    fn r_hot_2_every_value_is_written_and_read_back(units in any::<i64>(), decimals in 8u32..=9, cut in 0u32..=9) {
        let shown = decimals.saturating_sub(cut);
        let grid = 10i64.pow(decimals - shown);
        let units = units / grid * grid;
        let mut out = [0; DECIMAL_TEXT_MAX];
        let len = write_decimal(&mut out, units, decimals, shown);
        let text = std::str::from_utf8(&out[..len]).unwrap();
        prop_assert_eq!(text.split_once('.').map_or(0, |(_, f)| f.len()), shown as usize);
        prop_assert_eq!(parse_decimal(text.as_bytes(), decimals), Ok(units));
        // The order path's renderer writes the same; negative values are not its matter.
        let mut fast = [0; number::RENDER_MAX];
        let rendered = number::render(&mut fast, units, decimals, shown);
        prop_assert_eq!(rendered.map(|n| &fast[..n]), (units >= 0).then_some(text.as_bytes()));
    }

    #[test]
    fn a_value_off_its_grid_or_without_room_is_not_rendered(units in 0..i64::MAX, shown in 0u32..9) {
        let grid = 10i64.pow(9 - shown);
        let mut out = [0; number::RENDER_MAX];
        prop_assert_eq!(number::render(&mut out, units, 9, shown).is_some(), units % grid == 0);
        let len = number::render(&mut out, units, 9, 9).unwrap();
        prop_assert_eq!(number::render(&mut out[..len - 1], units, 9, 9), None);
    }

    #[test]
    fn r_hot_2_sums_are_exact_or_refused(a in any::<i64>(), b in any::<i64>()) {
        let (x, y) = (Price::from_units(a), Price::from_units(b));
        let (big_a, big_b) = (BigInt::from(a), BigInt::from(b));
        prop_assert_eq!(x.checked_add(y).map(Price::units), i64::try_from(&big_a + &big_b).ok());
        prop_assert_eq!(x.checked_sub(y).map(Price::units), i64::try_from(&big_a - &big_b).ok());
    }

    #[test]
    fn r_hot_2_grids_round_the_way_they_are_named(a in -i64::MAX / 2..i64::MAX, step in 1i64..1_000_000_000_000) {
        let (value, grid) = (Qty::from_units(a), Qty::from_units(step));
        let floor = value.floor_to(grid);
        prop_assert!(floor.is_multiple_of(grid) && floor <= value);
        prop_assert!(BigInt::from(a) - BigInt::from(floor.units()) < BigInt::from(step));
        match value.ceil_to(grid) {
            Some(ceil) => {
                prop_assert!(ceil.is_multiple_of(grid) && ceil >= value);
                prop_assert!(BigInt::from(ceil.units()) - BigInt::from(a) < BigInt::from(step));
            }
            None => prop_assert!(BigInt::from(floor.units()) + BigInt::from(step) > BigInt::from(i64::MAX)),
        }
    }

    #[test]
    fn r_hot_2_notional_rounds_down_or_against_us_and_never_wraps(price in any::<i64>(), qty in any::<i64>()) {
        let product = BigInt::from(price) * BigInt::from(qty);
        let unit = BigInt::from(1_000_000_000);
        let magnitude = BigInt::from(product.magnitude().clone());
        let floor = {
            let cut = &product / &unit;
            if product.sign() == num_bigint::Sign::Minus && &cut * &unit != product { cut - 1 } else { cut }
        };
        let up = (&magnitude + &unit - 1) / &unit;
        let (p, q) = (Price::from_units(price), Qty::from_units(qty));
        prop_assert_eq!(Cash::notional_floor(p, q).map(Cash::units), i64::try_from(floor).ok());
        prop_assert_eq!(Cash::notional_for_limit(p, q).map(Cash::units), i64::try_from(up).ok());
    }

    #[test]
    fn r_ord_1_a_position_is_the_exact_fold_of_its_fills(
        fills in prop::collection::vec((any::<bool>(), 1i64..=1_000_000_000_000_000, 1i64..=1_000_000_000_000_000_000), 1..40),
        mark in 1i64..=1_000_000_000_000_000,
    ) {
        fold_and_compare(&fills, mark)?;
    }

    #[test]
    fn r_ord_1_small_positions_close_and_turn(
        fills in prop::collection::vec((any::<bool>(), 1i64..=5, 1i64..=7), 1..60),
        mark in 1i64..=9,
    ) {
        fold_and_compare(&fills, mark)?;
    }
}

/// The same fold in big integers, with the identity that no rounding may break: what was realised and what is still open
/// is what was paid and received.
#[derive(Default)]
struct Model {
    qty: BigInt,
    cost: BigInt,
    realised: BigInt,
    cash: BigInt,
}

impl Model {
    fn fill(&mut self, buy: bool, price: i64, qty: i64) {
        let signed = BigInt::from(if buy { qty } else { -qty });
        self.cash -= BigInt::from(price) * &signed;
        let zero = BigInt::from(0);
        let opposite = (self.qty > zero) != (signed > zero) && self.qty != zero;
        let closes: BigInt = if opposite {
            self.qty.magnitude().clone().min(signed.magnitude().clone()).into()
        } else {
            zero.clone()
        };
        let sign = if self.qty < zero { -1 } else { 1 };
        if closes > zero {
            let out = &self.cost * &closes / BigInt::from(self.qty.magnitude().clone());
            self.realised += BigInt::from(price) * &closes * sign - &out;
            self.cost -= out;
        }
        let opens = &signed - &closes * if buy { 1 } else { -1 };
        self.cost += BigInt::from(price) * opens;
        self.qty += signed;
    }
}

fn floor_cash(exact: &BigInt) -> i64 {
    let unit = BigInt::from(1_000_000_000);
    let cut = exact / &unit;
    let floor = if *exact < BigInt::from(0) && &cut * &unit != *exact { cut - 1 } else { cut };
    i64::try_from(&floor).unwrap_or(if floor < BigInt::from(0) { i64::MIN } else { i64::MAX })
}

fn fold_and_compare(fills: &[(bool, i64, i64)], mark: i64) -> Result<(), TestCaseError> {
    let (mut position, mut model) = (Position::default(), Model::default());
    for &(buy, price, qty) in fills {
        let side = if buy { Side::Buy } else { Side::Sell };
        let before = position;
        if position.fill(side, Price::from_units(price), Qty::from_units(qty)).is_err() {
            // Refused, and then nothing may have moved: a half-booked fill would be worse than none.
            prop_assert_eq!(position, before);
            break;
        }
        model.fill(buy, price, qty);
        prop_assert_eq!(BigInt::from(position.qty.units()), model.qty.clone());
        prop_assert_eq!(&model.realised - &model.cost, model.cash.clone(), "money appeared or vanished");
        prop_assert_eq!(position.realised().units(), floor_cash(&model.realised));
        let open = BigInt::from(mark) * &model.qty - &model.cost;
        prop_assert_eq!(position.unrealised(Price::from_units(mark)).units(), floor_cash(&open));
        if model.qty == BigInt::from(0) {
            prop_assert_eq!(&model.cost, &BigInt::from(0), "a flat position has no cost");
            prop_assert_eq!(position.average_price(), None);
        } else {
            let average = &model.cost / &model.qty;
            prop_assert_eq!(position.average_price().map(Price::units), i64::try_from(average).ok());
        }
    }
    Ok(())
}

const EVENTS: [OrderEvent; 13] = [
    OrderEvent::Approve,
    OrderEvent::Refuse,
    OrderEvent::Send,
    OrderEvent::Acknowledge,
    OrderEvent::Fill { done: false },
    OrderEvent::Fill { done: true },
    OrderEvent::SendCancel,
    OrderEvent::CancelRefused,
    OrderEvent::Cancelled,
    OrderEvent::Reject,
    OrderEvent::Expire,
    OrderEvent::Lose,
    OrderEvent::ProvedAbsent,
];

#[test]
fn r_ord_1_every_state_takes_every_event() {
    for state in OrderState::ALL {
        for event in EVENTS {
            let after = match state.on(event) {
                Transition::To(after) => {
                    assert_ne!(after, state, "{state:?} + {event:?}: a step to itself is no step");
                    assert!(!state.is_terminal(), "{state:?} + {event:?}: an end is left only by a conflict");
                    after
                }
                Transition::Conflict(after) => after,
                Transition::Stays => state,
            };
            check_pair(state, event, after);
        }
    }
}

fn check_pair(state: OrderState, event: OrderEvent, after: OrderState) {
    let pair = format!("{state:?} + {event:?} -> {after:?}");
    match event {
        // No answer is never a refusal (R-ORD-1), and what may be open stays exposure.
        OrderEvent::Lose => {
            assert!(after != OrderState::Rejected || state == after, "{pair}");
            assert_eq!(after.is_exposed(), state.is_exposed(), "{pair}");
        }
        // A fill is always booked: it moves the state on, or it is told as a conflict, unless more of the same is
        // expected.
        OrderEvent::Fill { done } => {
            let stays = matches!(state.on(event), Transition::Stays);
            let expected = matches!(state, OrderState::PartiallyFilled | OrderState::CancelSent) && !done;
            assert_eq!(stays, expected, "{pair}");
            assert!(!done || after == OrderState::Filled, "{pair}");
        }
        OrderEvent::SendCancel | OrderEvent::Approve | OrderEvent::Send => {
            assert!(!after.is_terminal() || state.is_terminal(), "{pair}: what we do ends no order");
        }
        _ => {}
    }
    // Unknown ends only by a word of the venue.
    if state == OrderState::Unknown && after != state {
        let word = matches!(
            event,
            OrderEvent::Acknowledge
                | OrderEvent::Fill { .. }
                | OrderEvent::Cancelled
                | OrderEvent::Reject
                | OrderEvent::Expire
                | OrderEvent::ProvedAbsent
        );
        assert!(word, "{pair}");
    }
    // Exposure begins with the approval and never begins by a refusal.
    if matches!(event, OrderEvent::Refuse | OrderEvent::Reject) && !state.is_exposed() {
        assert!(!after.is_exposed(), "{pair}");
    }
}

#[test]
fn the_edges_of_the_ranges_read_as_they_are() {
    for (text, units) in [
        ("92233720368.54775807", Some(i64::MAX)),
        ("-92233720368.54775808", Some(i64::MIN)),
        ("92233720368.54775808", None),
        ("0.00000001", Some(1)),
        ("0.000000010000", Some(1)),
        ("0.000000001", None),
        ("00000000000000000000000000000000001", Some(100_000_000)),
    ] {
        assert_eq!(number::parse(text.as_bytes(), 8).ok(), units, "{text}");
        assert_eq!(parse_decimal(text.as_bytes(), 8).ok(), units, "{text}");
    }
}

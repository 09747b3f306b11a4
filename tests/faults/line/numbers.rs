//! Every figure that leaves is the figure that was meant, in plain decimal. F31, F32.

use interlock::types::{Price, Qty};
use interlock::wire::number::render;
use rand::Rng;

use crate::run::Run;

const EXCHANGE_INFO: &str = include_str!("../../data/binance_exchange_info.json");

/// Tick and lot sizes of the venue's own table.
fn grids() -> Vec<(i64, u32)> {
    let info: serde_json::Value = serde_json::from_str(EXCHANGE_INFO).unwrap();
    let mut grids = Vec::new();
    for symbol in info["symbols"].as_array().unwrap() {
        for filter in symbol["filters"].as_array().unwrap() {
            if let Some(tick) = filter["tickSize"].as_str() {
                grids.push((tick.parse::<Price>().unwrap().units(), Price::DECIMALS));
            }
            if let Some(step) = filter["stepSize"].as_str() {
                grids.push((step.parse::<Qty>().unwrap().units(), Qty::DECIMALS));
            }
        }
    }
    grids.retain(|(grid, _)| *grid > 0);
    assert!(grids.len() > 2);
    grids
}

/// The text of a value as digits and a point, read by big integers: no code of ours.
fn read(text: &str, decimals: u32) -> num_bigint::BigInt {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let width = usize::try_from(decimals).unwrap();
    format!("{whole}{fraction:0<width$}").parse().unwrap()
}

/// Values on every tick and lot grid of the venue, as they leave: exact, and back again.
pub(crate) fn f31_every_grid_of_the_venue_round_trips_exactly(run: &mut Run) {
    for (grid, decimals) in grids() {
        for _ in 0..200 {
            let bits = run.rng.random_range(1..40);
            let steps = run.rng.random_range(1..=1_i64 << bits);
            let Some(value) = steps.checked_mul(grid).filter(|v| *v < i64::MAX / 4) else { continue };
            let mut out = [0; 40];
            let shown = interlock::types::decimal::decimals_needed(grid, decimals);
            let len = render(&mut out, value, decimals, shown).unwrap();
            let text = core::str::from_utf8(&out[..len]).unwrap();
            assert_eq!(read(text, decimals), value.into(), "{text}");
            let again = interlock::types::decimal::parse_decimal(text.as_bytes(), decimals).unwrap();
            assert_eq!(again, value, "{text}");
            // Where a float would have lost it: the story's 2.2504 that became 2.2503.
            #[expect(clippy::float_arithmetic, clippy::cast_possible_truncation, reason = "the fault")]
            let by_float = {
                let scale = 10_f64.powi(i32::try_from(decimals).unwrap());
                let value = text.parse::<f64>().unwrap();
                (value * scale) as i64
            };
            run.occurred("a float would have lost it", u64::from(by_float != value));
        }
    }
}

/// Very small and very large figures: never an exponent, never a sign or a digit too many.
pub(crate) fn f32_every_figure_is_plain_decimal(run: &mut Run) {
    let golden = [(390, "0.00000039"), (1, "0.000000001"), (100, "0.0000001"), (1_000_000_000, "1")];
    for (units, text) in golden {
        assert_eq!(Price::from_units(units).to_string(), text);
    }
    for _ in 0..2_000 {
        let units = run.rng.random_range(0..i64::MAX) >> run.rng.random_range(0..62);
        let texts = [
            (Price::from_units(units).to_string(), Price::DECIMALS),
            (Qty::from_units(units).to_string(), Qty::DECIMALS),
        ];
        for (text, decimals) in texts {
            assert!(text.bytes().all(|b| b.is_ascii_digit() || b == b'.'), "{text}");
            assert!(text.bytes().filter(|b| *b == b'.').count() <= 1 && !text.ends_with('.'), "{text}");
            assert_eq!(read(&text, decimals), units.into(), "{text}");
        }
        #[expect(clippy::float_arithmetic, clippy::cast_precision_loss, reason = "the fault")]
        let by_float = format!("{:?}", units as f64 / 1e9);
        run.occurred("a float would have shown an exponent", u64::from(by_float.contains('e')));
    }
}

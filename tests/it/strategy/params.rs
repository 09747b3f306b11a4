//! Parameters: what bad input gets, and that every declared range is a usable one.

use std::collections::BTreeMap;

use interlock::strategy::{ParamError, ParamKind, STRATEGIES, build};
use interlock::types::InstrumentId;
use toml::Value;

use crate::market::table;

fn given(pairs: &[(&str, Value)]) -> BTreeMap<String, Value> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
}

fn error(name: &str, pairs: &[(&str, Value)]) -> String {
    let table = table();
    let instrument = table.get(InstrumentId(0)).unwrap();
    match build(name, &given(pairs), instrument) {
        Ok(_) => panic!("{name} {pairs:?} must be refused"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn each_mistake_names_the_place_the_value_and_the_remedy() {
    let message = error("ma_crosover", &[]);
    assert!(
        message.contains("ma_crosover") && message.contains("did you mean \"ma_crossover\""),
        "{message}"
    );
    let message = error("ma_crossover", &[("fast_bar", Value::Integer(3))]);
    assert!(message.contains("fast_bar") && message.contains("did you mean \"fast_bars\""), "{message}");
    let message = error("ma_crossover", &[("fast_bars", Value::Integer(0))]);
    assert!(message.contains("fast_bars = 0") && message.contains("1 to 1000"), "{message}");
    let message = error("ma_crossover", &[("fast_bars", Value::String("3".into()))]);
    assert!(message.contains("fast_bars") && message.contains("a whole number"), "{message}");
    let message = error("ma_crossover", &[("average", Value::String("wma".into()))]);
    assert!(message.contains("wma") && message.contains("ema, sma"), "{message}");
    let message = error("ma_crossover", &[("notional", Value::Float(12.5))]);
    assert!(message.contains("12.5") && message.contains("as text"), "{message}");
    let message = error("ma_crossover", &[("notional", Value::String("0.99".into()))]);
    assert!(message.contains("0.99") && message.contains("1 to 1000000"), "{message}");
    let message = error("ma_crossover", &[("fast_bars", Value::Integer(5))]);
    assert!(message.contains("fast_bars must be below slow_bars"), "{message}");
    let message = error("ma_crossover", &[("interval_s", Value::Integer(7))]);
    assert!(message.contains("divide a day"), "{message}");
}

#[test]
fn money_is_text_or_whole_and_exact() {
    let table = table();
    let instrument = table.get(InstrumentId(0)).unwrap();
    for value in [Value::String("12.50".into()), Value::Integer(12)] {
        assert!(build("ma_crossover", &given(&[("notional", value)]), instrument).is_ok());
    }
}

#[test]
fn every_declaration_is_sound_and_its_bounds_can_be_used() {
    let table = table();
    let instrument = table.get(InstrumentId(0)).unwrap();
    for entry in STRATEGIES {
        assert!(!entry.help.is_empty() && entry.name.chars().all(|c| c.is_ascii_lowercase() || c == '_'));
        assert!(build(entry.name, &BTreeMap::new(), instrument).is_ok(), "{} by its defaults", entry.name);
        let names: std::collections::BTreeSet<_> = entry.params.iter().map(|p| p.name).collect();
        assert_eq!(names.len(), entry.params.len(), "{}: names are unique", entry.name);
        for param in entry.params {
            assert!(!param.help.is_empty(), "{}.{} says what it means", entry.name, param.name);
            let values = match param.kind {
                ParamKind::Int { min, max, default } => {
                    assert!(min <= default && default <= max, "{}.{}", entry.name, param.name);
                    vec![Value::Integer(min), Value::Integer(max), Value::Integer(default)]
                }
                ParamKind::Cash { min, max, default } => {
                    assert!(min <= default && default <= max, "{}.{}", entry.name, param.name);
                    [min, max, default].map(|c| Value::String(c.to_string())).to_vec()
                }
                ParamKind::Choice { options, default } => {
                    assert!(options.contains(&default), "{}.{}", entry.name, param.name);
                    options.iter().map(|o| Value::String((*o).to_owned())).collect()
                }
            };
            for value in values {
                let made = build(entry.name, &given(&[(param.name, value.clone())]), instrument);
                // A bound may not fit the other defaults; that is said as such and nothing else.
                let fine = match &made {
                    Ok(_) => true,
                    Err(error) => matches!(error, ParamError::Relation { .. }),
                };
                assert!(fine, "{}.{} = {value}: {:?}", entry.name, param.name, made.err());
            }
        }
    }
}

//! From files to a checked plan. Each error names the file, the line, the key, what was found and what to do.

use std::fs;
use std::path::{Path, PathBuf};

use toml_edit::{Document, Item, TableLike};

use super::Plan;
use super::ranges::first_out_of_range;
use crate::limits::CONFIG_BYTES_MAX;

/// Why a configuration is not one.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file can't be read.
    #[error("{}: cannot be read: {source}; give an existing file with -c FILE", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is larger than any sensible configuration.
    #[error("{}: {len} bytes; a configuration has at most {CONFIG_BYTES_MAX}", path.display())]
    TooLarge {
        /// Which.
        path: PathBuf,
        /// Its size.
        len: u64,
    },
    /// Not TOML, or a value of the wrong type.
    #[error("{}:{line}: {message}", path.display())]
    Malformed {
        /// Which.
        path: PathBuf,
        /// Where, from 1.
        line: usize,
        /// What.
        message: String,
    },
    /// A key that means nothing.
    #[error("{}:{line}: unknown key {key:?}{}", path.display(), suggestion(nearest.as_deref()))]
    UnknownKey {
        /// Which.
        path: PathBuf,
        /// Where, from 1.
        line: usize,
        /// The dotted key.
        key: String,
        /// The nearest key that exists there.
        nearest: Option<String>,
    },
    /// A figure out of its bounds.
    #[error("{place}: {key} = {found} is out of range: {min} to {max} ({why})")]
    OutOfRange {
        /// File and line, or "defaults".
        place: String,
        /// The dotted key.
        key: &'static str,
        /// What was found.
        found: i64,
        /// Least.
        min: i64,
        /// Most.
        max: i64,
        /// Why.
        why: &'static str,
    },
    /// Values that contradict each other or mean nothing together.
    #[error("{0}")]
    Inconsistent(String),
}

/// Loads files in order (later wins) over the defaults and checks the result.
pub fn load(paths: &[PathBuf]) -> Result<Plan, ConfigError> {
    let read = |path: &PathBuf| Ok((path.clone(), read(path)?));
    from_texts(&paths.iter().map(read).collect::<Result<Vec<_>, ConfigError>>()?)
}

/// The same from texts that are in memory already, each with the name that errors call it by.
pub fn from_texts(texts: &[(PathBuf, String)]) -> Result<Plan, ConfigError> {
    let mut merged = toml::Table::new();
    for (path, text) in texts {
        check_one(path, text)?;
        let table: toml::Table = toml::from_str(text).map_err(|e| malformed(path, text, &e))?;
        merge(&mut merged, table);
    }
    let plan: Plan = merged.try_into().map_err(|e: toml::de::Error| {
        ConfigError::Inconsistent(format!("merged configuration: {}", e.message()))
    })?;
    check_ranges(&plan, texts)?;
    check_sense(&plan)?;
    Ok(plan)
}

fn read(path: &Path) -> Result<String, ConfigError> {
    let unreadable = |source| ConfigError::Unreadable { path: path.to_owned(), source };
    let len = fs::metadata(path).map_err(unreadable)?.len();
    if len > CONFIG_BYTES_MAX as u64 {
        return Err(ConfigError::TooLarge { path: path.to_owned(), len });
    }
    fs::read_to_string(path).map_err(unreadable)
}

/// Checks one file by itself, so that an error can name its line.
fn check_one(path: &Path, text: &str) -> Result<(), ConfigError> {
    let document = Document::parse(text).map_err(|e| ConfigError::Malformed {
        path: path.to_owned(),
        line: line_at(text, e.span().map_or(0, |s| s.start)),
        message: e.message().to_owned(),
    })?;
    let known =
        toml::Value::try_from(Plan::default()).map_err(|e| ConfigError::Inconsistent(e.to_string()))?;
    check_keys(path, text, document.as_table(), &known, "")?;
    toml::from_str::<Plan>(text).map(drop).map_err(|e| malformed(path, text, &e))
}

fn malformed(path: &Path, text: &str, error: &toml::de::Error) -> ConfigError {
    let line = line_at(text, error.span().map_or(0, |s| s.start));
    ConfigError::Malformed { path: path.to_owned(), line, message: error.message().to_owned() }
}

/// Sections whose keys are not ours to know: a strategy declares its own parameters, a model its own assets.
pub(super) const FREE_FORM: &[&str] = &[
    "strategy.params",
    "strategy.exits",
    "paper.balances",
    "risk.order_qty_max",
    "risk.layers.weights",
    "risk.symbols",
    "risk.turnover.symbols",
    "risk.correlation.groups",
    "risk.no_trade.news",
];

fn check_keys(
    path: &Path,
    text: &str,
    table: &dyn TableLike,
    known: &toml::Value,
    at: &str,
) -> Result<(), ConfigError> {
    // `strategy` is a list of tables: each entry is checked like the first default one.
    let known_table = match known {
        toml::Value::Array(items) => items.first().and_then(toml::Value::as_table),
        other => other.as_table(),
    };
    let Some(known_table) = known_table else { return Ok(()) };
    let extra: &[&str] = if at == "strategy" { &["symbols", "exits", "params"] } else { &[] };
    for (key, item) in table.iter() {
        let dotted = if at.is_empty() { key.to_owned() } else { format!("{at}.{key}") };
        let Some(inner) = known_table.get(key) else {
            if extra.contains(&key) {
                continue;
            }
            let names = known_table.keys().map(String::as_str).chain(extra.iter().copied());
            let start = table.key(key).and_then(toml_edit::Key::span).map_or(0, |s| s.start);
            return Err(ConfigError::UnknownKey {
                path: path.to_owned(),
                line: line_at(text, start),
                key: dotted,
                nearest: nearest(key, names),
            });
        };
        if FREE_FORM.contains(&dotted.as_str()) {
            continue;
        }
        match item {
            Item::ArrayOfTables(entries) => {
                for entry in entries {
                    check_keys(path, text, entry, inner, &dotted)?;
                }
            }
            _ => {
                if let Some(inside) = item.as_table_like() {
                    check_keys(path, text, inside, inner, &dotted)?;
                }
            }
        }
    }
    Ok(())
}

/// The nearest of some names, if one is near enough to be a slip of the hand.
pub(crate) fn nearest<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> Option<String> {
    names
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= candidate.len().max(name.len()) / 2)
        .min()
        .map(|(_, candidate)| candidate.to_owned())
}

/// The hint that an error ends with.
fn suggestion(nearest: Option<&str>) -> String {
    nearest.map_or_else(|| "; remove it".to_owned(), |n| format!("; did you mean {n:?}?"))
}

fn line_at(text: &str, offset: usize) -> usize {
    text.get(..offset).unwrap_or(text).matches('\n').count() + 1
}

fn merge(into: &mut toml::Table, from: toml::Table) {
    for (key, value) in from {
        match (into.get_mut(&key), value) {
            (Some(toml::Value::Table(old)), toml::Value::Table(new)) => merge(old, new),
            (_, value) => {
                into.insert(key, value);
            }
        }
    }
}

fn check_ranges(plan: &Plan, texts: &[(PathBuf, String)]) -> Result<(), ConfigError> {
    let effective = toml::Value::try_from(plan).map_err(|e| ConfigError::Inconsistent(e.to_string()))?;
    let Some((range, found)) = first_out_of_range(&effective) else { return Ok(()) };
    Err(ConfigError::OutOfRange {
        place: place_of(range.path, texts),
        key: range.path,
        found,
        min: range.min,
        max: range.max,
        why: range.why,
    })
}

/// Where a key was last set.
fn place_of(dotted: &str, texts: &[(PathBuf, String)]) -> String {
    for (path, text) in texts.iter().rev() {
        let Ok(document) = Document::parse(text.as_str()) else { continue };
        let mut keys = dotted.split('.').peekable();
        let mut table: Option<&dyn TableLike> = Some(document.as_table());
        while let (Some(inside), Some(key)) = (table, keys.next()) {
            let span = inside.key(key).and_then(toml_edit::Key::span);
            if let (None, Some(span)) = (keys.peek(), span) {
                return format!("{}:{}", path.display(), line_at(text, span.start));
            }
            table = inside.get(key).and_then(Item::as_table_like);
        }
    }
    "defaults".to_owned()
}

fn check_sense(plan: &Plan) -> Result<(), ConfigError> {
    let wrong = |message: String| Err(ConfigError::Inconsistent(message));
    if plan.venue.symbols.is_empty() {
        return wrong(
            "venue.symbols is empty: name at least one symbol, as in symbols = [\"BTCUSDT\"]".to_owned(),
        );
    }
    if plan.venue.symbols.len() > crate::limits::INSTRUMENTS_MAX {
        return wrong(format!(
            "venue.symbols has {} entries; at most {} are possible",
            plan.venue.symbols.len(),
            crate::limits::INSTRUMENTS_MAX
        ));
    }
    for symbol in &plan.venue.symbols {
        if symbol.is_empty() || !symbol.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit()) {
            return wrong(format!(
                "venue.symbols: {symbol:?} is not a symbol as the venue writes it, like \"BTCUSDT\""
            ));
        }
        if plan.venue.symbols.iter().filter(|s| *s == symbol).count() > 1 {
            return wrong(format!("venue.symbols: {symbol:?} is there twice"));
        }
    }
    if plan.strategy.len() > crate::limits::STRATEGIES_MAX {
        return wrong(format!(
            "{} strategies; at most {}",
            plan.strategy.len(),
            crate::limits::STRATEGIES_MAX
        ));
    }
    for strategy in &plan.strategy {
        if let Err(error) = crate::strategy::check(&strategy.name, &strategy.params) {
            return wrong(format!("[[strategy]] {error}"));
        }
        if let Some(foreign) = strategy.symbols.iter().find(|s| !plan.venue.symbols.contains(s)) {
            return wrong(format!("strategy {}: symbol {foreign:?} is not in venue.symbols", strategy.name));
        }
    }
    if let Err(error) = plan.risk.check() {
        return wrong(error.to_string());
    }
    if plan.reconcile.max_age_s < 2 * plan.reconcile.every_s {
        return wrong(format!(
            "reconcile.max_age_s = {} is under two rounds of reconcile.every_s = {}: one slow round would stop the engine",
            plan.reconcile.max_age_s, plan.reconcile.every_s
        ));
    }
    if let Err(error) = plan.shadow.check() {
        return wrong(error);
    }
    if let Err(error) = plan.bounded_live.check(&plan.bounded_live_phase2) {
        return wrong(error.to_string());
    }
    if let Err(error) =
        crate::ops::gates::check(&plan.environment, &plan.gates).and_then(|()| plan.readiness.check())
    {
        return wrong(error);
    }
    if plan.paper.latency_min_us > plan.paper.latency_max_us {
        return wrong(format!(
            "paper.latency_min_us = {} is over paper.latency_max_us = {}",
            plan.paper.latency_min_us, plan.paper.latency_max_us
        ));
    }
    Ok(())
}

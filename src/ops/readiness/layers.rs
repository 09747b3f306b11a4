//! The capital preservation level, for readiness and for the shadow programme's health: from the engine that runs, or from what
//! the last one left. One place, so that two reports can't tell two levels.

use serde_json::Value;

use crate::event::layers::Level;
use crate::ops::client::read_status;
use crate::ops::paths::Paths;

/// The capital preservation level by name, or why it is not known.
pub fn preservation_level(paths: &Paths) -> Result<String, String> {
    match read_status(paths) {
        Ok(status) if !status.view.layers.level.is_empty() => Ok(status.view.layers.level),
        _ => at_rest(paths).map(|level| level.name().to_owned()),
    }
}

/// The capital preservation level, and that entries are not stopped by it. Crisis and lockdown are not ready.
pub(super) fn preservation(paths: &Paths) -> Result<String, String> {
    let level = preservation_level(paths)?;
    if [Level::Normal, Level::Cautious, Level::Defensive].iter().any(|l| l.name() == level) {
        Ok(format!("capital preservation is {level}"))
    } else {
        Err(format!("Capital preservation in {} mode", level.to_uppercase()))
    }
}

/// The worst level of all books that the last session left.
fn at_rest(paths: &Paths) -> Result<Level, String> {
    let place = paths.state();
    let unknown = |why: String| format!("the capital preservation level is not known: {why}");
    let bytes = std::fs::read(&place).map_err(|e| unknown(format!("{}: {e}", place.display())))?;
    let file: Value = serde_json::from_slice(&bytes).map_err(|e| unknown(e.to_string()))?;
    let books = file.get("books").and_then(Value::as_object).filter(|books| !books.is_empty());
    let books = books.ok_or_else(|| unknown(format!("{} holds no session", place.display())))?;
    let level = |book: &Value| {
        let number = book.pointer("/account/preservation").and_then(Value::as_u64);
        Level::of(number.and_then(|n| u8::try_from(n).ok()).unwrap_or(u8::MAX))
    };
    Ok(books.values().map(level).max().unwrap_or(Level::Lockdown))
}

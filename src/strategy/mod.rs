//! What do we want? One file and one line in [`STRATEGIES`] for each strategy; indicators beside them.
//!
//! A strategy is a fold with wishes: it sees facts of one instrument, in the order of the line, and may ask for orders. It has
//! no clock, no randomness, no I/O and no memory to ask for: the same facts give the same wishes, which the conformance
//! test proves for every line of the table. What it asks for is judged by risk, like the operator's own closes.

pub mod context;
pub mod indicator;
mod ma_crossover;
mod order_flow_imbalance;
pub mod params;

use std::collections::BTreeMap;

use crate::event::{Bar, Change, Quote, Trade};
use crate::types::{Book, Instrument, Reason};

pub use context::{Context, ContextParts, Own, Wish, Wishes};
pub use params::{ParamError, ParamKind, ParamSpec, Params};

/// News of one of the strategy's own orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrderNews {
    /// What changed.
    pub change: Change,
    /// Why, when something was refused or lost; [`Reason::None`] otherwise.
    pub reason: Reason,
}

/// A strategy on one instrument. Every method has an empty default: implement what is of interest.
pub trait Strategy: Send {
    /// Length of the bars that it wants, if it wants any.
    fn bar_interval_ns(&self) -> Option<i64> {
        None
    }
    /// A bar of history, before the live ones: to warm up. No wish can be made.
    fn on_history(&mut self, _bar: &Bar) {}
    /// The best prices changed.
    fn on_quote(&mut self, _context: &mut Context<'_>, _quote: &Quote) {}
    /// A public trade.
    fn on_trade(&mut self, _context: &mut Context<'_>, _trade: &Trade) {}
    /// An update of the book is complete and the book is valid.
    fn on_book(&mut self, _context: &mut Context<'_>, _book: &Book) {}
    /// A bar of the wanted length closed.
    fn on_bar(&mut self, _context: &mut Context<'_>, _bar: &Bar) {}
    /// One of its orders changed.
    fn on_order(&mut self, _context: &mut Context<'_>, _news: &OrderNews) {}
    /// Time passed.
    fn on_timer(&mut self, _context: &mut Context<'_>) {}
    /// The market stream was cut: what was seen may not join what comes.
    fn on_market_cut(&mut self) {}
}

/// Makes a strategy for an instrument.
pub type Make = fn(&Params, &Instrument) -> Result<Box<dyn Strategy>, ParamError>;

/// One line of the table.
#[derive(Clone, Copy)]
pub struct StrategyEntry {
    /// Name in the configuration.
    pub name: &'static str,
    /// What it does.
    pub help: &'static str,
    /// Its parameters.
    pub params: &'static [ParamSpec],
    /// Makes one for an instrument.
    pub make: Make,
}

impl core::fmt::Debug for StrategyEntry {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("StrategyEntry").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Every strategy.
pub const STRATEGIES: &[StrategyEntry] = &[ma_crossover::ENTRY, order_flow_imbalance::ENTRY];

/// Makes a strategy by name for one instrument, from the parameters of a configuration.
pub fn build(
    name: &str,
    params: &BTreeMap<String, toml::Value>,
    instrument: &Instrument,
) -> Result<Box<dyn Strategy>, ParamError> {
    let (entry, params) = read(name, params)?;
    (entry.make)(&params, instrument)
}

/// Checks name and parameters as far as that goes without an instrument.
pub fn check(name: &str, params: &BTreeMap<String, toml::Value>) -> Result<(), ParamError> {
    read(name, params).map(drop)
}

fn read(
    name: &str,
    params: &BTreeMap<String, toml::Value>,
) -> Result<(&'static StrategyEntry, Params), ParamError> {
    let Some(entry) = STRATEGIES.iter().find(|entry| entry.name == name) else {
        let nearest = params::nearest(name, STRATEGIES.iter().map(|entry| entry.name));
        return Err(ParamError::UnknownStrategy { name: name.to_owned(), nearest });
    };
    Ok((entry, Params::read(entry.name, entry.params, params)?))
}

//! The embedded venue's server: Binance Spot's REST, market streams and WebSocket API on loopback, over TLS with an
//! authority made at start, or plain for benches.
//!
//! One thread owns everything, so nothing is locked; connections are tasks on it. The JSON is made with `serde`, the frames
//! with this room's own codec: nothing is shared with the engine's codecs, so that a mistake there isn't mirrored here. It
//! is a venue for tests and demonstrations: it refuses to listen anywhere but on loopback.

mod book;
mod clock;
mod conn;
mod diffs;
mod error;
mod exec;
mod file;
mod frame;
mod http;
mod hub;
mod keys;
mod limits;
mod listener;
mod market_json;
mod ops;
mod ops_market;
mod ops_trade;
mod outbox;
mod params;
mod persona;
mod replay;
mod shapes;
mod start;
mod state;
mod streams;
mod tls;
mod venue;
mod ws_api;

pub use conn::ConnectionRules;
pub use file::{CA_FILE, ControlAccess, VENUE_CONFIG, VENUE_FILE, VenueFile, VenueUrls};
pub use keys::{ApiKey, DemoKeys, Permission};
pub use limits::LimitRules;
pub use persona::Persona;
pub use start::{VenueHandle, start};
pub use state::Stats;

use std::net::SocketAddr;
use std::path::PathBuf;

use super::exchange::{SpecError, SymbolSpec};
use super::faults::FaultPlan;
use super::recording::{RecordingConfig, RecordingError};
use crate::types::{Price, Qty};

/// A venue's language.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// Binance Spot.
    Binance,
}

impl Dialect {
    /// From its name on the command line.
    pub fn parse(name: &str) -> Option<Self> {
        (name == "binance").then_some(Self::Binance)
    }
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Binance => "binance",
        }
    }
}

/// How a venue is set up.
#[derive(Clone, Debug)]
pub struct VenueConfig {
    /// Who it plays.
    pub persona: Persona,
    /// Where to listen: the persona's own address, port 0 = any.
    pub listen: SocketAddr,
    /// Seed of the order flow.
    pub seed: u64,
    /// What is listed. With a recording, its symbols are listed too.
    pub symbols: Vec<SymbolSpec>,
    /// Where `venue.json` and the authority's certificate go.
    pub data_dir: PathBuf,
    /// A recording to play instead of the order flow.
    pub recording: Option<RecordingConfig>,
    /// Faults from the start.
    pub faults: FaultPlan,
    /// Whether to speak TLS.
    pub tls: bool,
    /// Languages.
    pub dialects: Vec<Dialect>,
    /// Activity of the order flow in hundredths of the default; 0 = nobody trades, books stay empty.
    pub flow_percent: u32,
    /// Minutes of made-up trades before the start.
    pub history_mins: u32,
    /// What the demo account holds of each asset at the start, by name; assets not named get none.
    pub balances: Vec<(String, Qty)>,
    /// Rate limits.
    pub limits: LimitRules,
    /// Rules of WebSocket connections.
    pub connections: ConnectionRules,
}

impl VenueConfig {
    /// A venue that plays someone, at its own address.
    pub fn playing(persona: Persona, data_dir: PathBuf) -> Self {
        Self { persona, listen: SocketAddr::from((persona.address(), 0)), ..Self::demo(data_dir) }
    }

    /// The demo's venue: BTCUSDT and ETHUSDT with order flow, over TLS, on any port of loopback.
    pub fn demo(data_dir: PathBuf) -> Self {
        let units = |whole: i64| Qty::from_units(whole * Qty::ONE.units());
        Self {
            persona: Persona::Demo,
            listen: SocketAddr::from((Persona::Demo.address(), 0)),
            seed: 1,
            symbols: vec![SymbolSpec::btcusdt(), SymbolSpec::ethusdt()],
            data_dir,
            recording: None,
            faults: FaultPlan::default(),
            tls: true,
            dialects: vec![Dialect::Binance],
            flow_percent: 100,
            history_mins: 500,
            balances: vec![
                ("USDT".to_owned(), units(1_000_000)),
                ("BTC".to_owned(), units(10)),
                ("ETH".to_owned(), units(100)),
                ("BNB".to_owned(), units(1_000)),
                ("SOL".to_owned(), units(5_000)),
                ("XRP".to_owned(), units(500_000)),
                ("DOGE".to_owned(), units(5_000_000)),
            ],
            limits: LimitRules::default(),
            connections: ConnectionRules::default(),
        }
    }
}

/// What the venue can list: base, quote, decimals of tick and lot (Binance's), and a price to start from in cents.
const LISTINGS: &[(&str, &str, u32, u32, i64)] = &[
    ("BTC", "USDT", 2, 5, 6_000_000),
    ("ETH", "USDT", 2, 4, 250_000),
    ("BNB", "USDT", 2, 3, 55_000),
    ("SOL", "USDT", 2, 3, 15_000),
    ("XRP", "USDT", 4, 1, 60),
    ("DOGE", "USDT", 5, 0, 12),
];

/// The symbols of these names. The error names the first one that the venue can't list, and those that it can.
pub fn symbol_specs(names: &[String]) -> Result<Vec<SymbolSpec>, String> {
    let spec = |name: &String| {
        let (base, quote, tick, step, cents) =
            LISTINGS.iter().find(|(base, quote, ..)| *name == format!("{base}{quote}"))?;
        let tick = Price::from_units(Price::ONE.units() / 10i64.pow(*tick));
        let step = Qty::from_units(Qty::ONE.units() / 10i64.pow(*step));
        SymbolSpec::spot(base, quote, tick, step, Price::from_units(cents * (Price::ONE.units() / 100)))
    };
    let known =
        || LISTINGS.iter().map(|(base, quote, ..)| format!("{base}{quote}")).collect::<Vec<_>>().join(", ");
    let wrong = |name: &String| format!("the embedded venue doesn't list {name:?}; it lists {}", known());
    names.iter().map(|name| spec(name).ok_or_else(|| wrong(name))).collect()
}

/// Why a venue can't start.
#[derive(Debug, thiserror::Error)]
pub enum VenueError {
    /// Not on loopback.
    #[error("the embedded venue listens on loopback only, not on {0}; use 127.0.0.1:PORT or [::1]:PORT")]
    NotLoopback(SocketAddr),
    /// Another persona's address.
    #[error(
        "the embedded venue plays {} and listens on {} for it, not on {at}",
        persona.name(),
        persona.address()
    )]
    NotItsAddress {
        /// Who it plays.
        persona: Persona,
        /// Where it was to listen.
        at: SocketAddr,
    },
    /// The address is taken or not ours.
    #[error("the embedded venue can't listen on {at}: {source}")]
    Listen {
        /// The address.
        at: SocketAddr,
        /// What the system says.
        source: std::io::Error,
    },
    /// A file can't be written.
    #[error("the embedded venue can't write {path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// No certificate.
    #[error("the embedded venue can't make its certificate: {0}")]
    Tls(String),
    /// No keys.
    #[error("the embedded venue can't make API keys: {0}")]
    Keys(&'static str),
    /// A symbol that can't be listed.
    #[error("the embedded venue can't list a symbol: {0}")]
    Symbol(#[from] SpecError),
    /// Money that can't be paid in.
    #[error("the embedded venue can't fund the demo account: {0}")]
    Balance(String),
    /// A recording that can't be played.
    #[error(transparent)]
    Recording(#[from] RecordingError),
    /// No thread or no runtime.
    #[error("the embedded venue can't start its thread: {0}")]
    Thread(std::io::Error),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listings_are_exact_and_unknown_names_are_told_apart() {
        let all: Vec<String> = LISTINGS.iter().map(|(base, quote, ..)| format!("{base}{quote}")).collect();
        for spec in symbol_specs(&all).unwrap() {
            assert_eq!(spec.check(), Ok(()));
        }
        assert_eq!(symbol_specs(&all[..2]).unwrap(), [SymbolSpec::btcusdt(), SymbolSpec::ethusdt()]);
        let error = symbol_specs(&["BTCUSDT".to_owned(), "NOPE".to_owned()]).unwrap_err();
        assert!(error.contains("NOPE") && error.contains("ETHUSDT"), "{error}");
    }
}

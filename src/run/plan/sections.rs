//! The sections of the configuration, with their defaults: what `interlock config show` prints and `docs` describe.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::agent::IdleStrategy;
use crate::ops::emergency::EmergencyConfig;
use crate::ops::gates::{EnforcementSection, EnvironmentSection, GatesSection};
use crate::ops::readiness::ReadinessSection;
use crate::risk::{BoundedLimits, BoundedLive, RiskConfig};
use crate::sim::fill::CancelsAhead;

use super::orders::{ExitsSection, ReconcileSection};
use super::shadow::ShadowSection;

/// Which edges stand at the two ends of the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// The embedded venue on both ends, over TLS on loopback.
    #[default]
    Demo,
    /// A venue's market data; nothing behind risk: decisions are recorded and go nowhere.
    Shadow,
    /// A venue's market data; fills from the fill model.
    Paper,
    /// A test venue on both ends: real protocol, play money.
    Testnet,
    /// The venue on both ends: real money, behind all gates.
    Live,
}

impl Mode {
    /// All, in the order of the ladder.
    pub const ALL: [Self; 5] = [Self::Demo, Self::Shadow, Self::Paper, Self::Testnet, Self::Live];

    /// As in configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Demo => "demo",
            Self::Shadow => "shadow",
            Self::Paper => "paper",
            Self::Testnet => "testnet",
            Self::Live => "live",
        }
    }

    /// From its name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.name() == name)
    }
}

/// The whole configuration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Plan {
    /// Which edges stand at the two ends of the line.
    pub mode: Mode,
    /// Everything but the write: orders are encoded and signed, and stop there (also by `--dry-run`).
    pub dry_run: bool,
    /// Where orders and data go.
    pub venue: VenueSection,
    /// Which stage runs on which core.
    pub placement: PlacementSection,
    /// Market data: staleness, retries.
    pub feed: FeedSection,
    /// Our own limits.
    pub risk: RiskConfig,
    /// The bounds of a live session.
    pub bounded_live: BoundedLive,
    /// What they are in phase 2.
    pub bounded_live_phase2: BoundedLimits,
    /// Orders: deadlines, pacing.
    pub gateway: GatewaySection,
    /// The record of everything.
    pub journal: JournalSection,
    /// Kill switch and lease.
    pub kill: KillSection,
    /// What follows a trip: incidents, rollback, the end of the process.
    pub emergency: EmergencyConfig,
    /// The fill model behind paper mode.
    pub paper: PaperSection,
    /// Comparing our record with the venue's.
    pub reconcile: ReconcileSection,
    /// Stops and targets that the engine manages; a strategy's own section goes before it.
    pub exits: ExitsSection,
    /// What shadow mode records.
    pub shadow: ShadowSection,
    /// The switches of the transition to live (R-GATE-1).
    pub environment: EnvironmentSection,
    /// That bounded limits are enforced (R-GATE-4).
    pub bounded_live_enforcement: EnforcementSection,
    /// Who signs, who proposes, and how long it holds.
    pub gates: GatesSection,
    /// From what figures on the evidence says GO.
    pub readiness: ReadinessSection,
    /// What trades.
    pub strategy: Vec<StrategySection>,
}

/// Where orders and data go.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct VenueSection {
    /// Symbols to subscribe and trade; also the allowlist.
    pub symbols: Vec<String>,
    /// REST base, `https://host[:port]`. Empty: from `venue.json` or the embedded venue.
    pub rest_url: String,
    /// Market streams, `wss://host[:port]`.
    pub stream_url: String,
    /// WebSocket API, `wss://host[:port]/ws-api/v3`.
    pub ws_api_url: String,
    /// PEM file with the only certificate authority to trust; empty = the public web's.
    pub ca_file: PathBuf,
    /// File (mode 0600) with the API key; never the key itself.
    pub api_key_file: PathBuf,
    /// How orders are authenticated: `ed25519` logs the session on once, `hmac` signs each request.
    pub signing: Signing,
    /// Seed of the embedded venue's order flow.
    pub seed: u64,
}

/// How orders are authenticated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Signing {
    /// The session is logged on with an Ed25519 signature; orders carry none. The faster one.
    #[default]
    Ed25519,
    /// Each request carries an HMAC-SHA256 signature.
    Hmac,
}

/// How many threads the four stages share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Layout {
    /// By the cores that the host truly grants: 1-3 -> one, 4-5 -> two, 6 and more -> four.
    #[default]
    Auto,
    /// All four stages on one thread.
    One,
    /// Feed and signal on one thread, risk and gateway on another.
    Two,
    /// One thread each.
    Four,
}

/// What a stage does when there is nothing to do. `auto` spins on a core of its own and yields on a shared one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Idle {
    /// Spin where the host has a core to spare for each stage thread, else yield.
    #[default]
    Auto,
    /// Burn the core.
    Spin,
    /// Give the core away between polls.
    Yield,
    /// Sleep up to 50 us between empty polls.
    Park,
}

impl Idle {
    /// The strategy, or `None` for `auto`.
    pub const fn fixed(self) -> Option<IdleStrategy> {
        match self {
            Self::Auto => None,
            Self::Spin => Some(IdleStrategy::Spin),
            Self::Yield => Some(IdleStrategy::Yield),
            Self::Park => Some(IdleStrategy::Park),
        }
    }
}

/// Which stage runs on which core (R-HOT-7).
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PlacementSection {
    /// How many threads the four stages share.
    pub layout: Layout,
    /// The cores of those threads, in the order feed to gateway; empty = chosen from the granted ones, the last first.
    pub cores: Vec<usize>,
    /// Whether threads are pinned at all.
    pub unpinned: bool,
    /// What a stage does when there is nothing to do.
    pub idle: Idle,
}

/// Market data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FeedSection {
    /// No data for this long on a stream means stale, whatever the socket says.
    pub stale_after_ms: u64,
    /// Attempts in a row before the engine halts.
    pub retries_max: u32,
    /// Attempts of one link within five minutes. The venue's bound is per address, and three links share it.
    pub connects_per_5min_max: u32,
    /// Whether attempts of earlier boots count too (F22).
    pub connect_budget: ConnectBudget,
    /// Bars of history per symbol loaded at start (0 = none).
    pub history_bars: u32,
    /// A connection is renewed after this long; the venue cuts it at 24 h.
    pub renew_after_s: u64,
}

/// Whether a restart begins with the connection attempts of the boots before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ConnectBudget {
    /// Unless the venue is one on this machine, which bans nobody else.
    #[default]
    Auto,
    /// There too.
    Always,
}

/// Orders.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GatewaySection {
    /// No answer for this long makes an order's outcome unknown.
    pub answer_timeout_ms: u64,
    /// A decision older than this at the write is not sent.
    pub decision_age_max_ms: u64,
    /// `recvWindow` of each request.
    pub recv_window_ms: u64,
    /// Beyond the receive window, how much longer the venue's word that it has no such order is not yet believed: queries may
    /// be answered by a replica that lags.
    pub absent_settle_ms: u64,
    /// Share of every rate budget kept for cancels and queries.
    pub reserve_percent: u32,
}

/// The record of everything.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct JournalSection {
    /// A segment is closed at this size.
    pub segment_mib: u64,
    /// Records are made durable at least this often.
    pub sync_every_ms: u64,
    /// A signed checkpoint is made this often.
    pub checkpoint_every_s: u64,
}

/// Kill switch and lease.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KillSection {
    /// How long the control thread vouches for the engine at a time.
    pub lease_ms: u64,
    /// A stage that does not poll for this long trips the switch.
    pub stall_after_ms: u64,
    /// User ids, beside root and the engine's own, that may use the admin socket.
    pub operator_uids: Vec<u32>,
    /// A step of the wall clock beyond this trips the switch.
    pub clock_step_max_ms: u64,
}

/// The fill model behind paper mode.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PaperSection {
    /// From the gateway to the model's book and back, microseconds, shortest.
    pub latency_min_us: u64,
    /// The same, longest.
    pub latency_max_us: u64,
    /// Maker fee in hundredths of a basis point (1000 = 10 bp = 0.1 %).
    pub maker_fee_centi_bp: u32,
    /// Taker fee in hundredths of a basis point.
    pub taker_fee_centi_bp: u32,
    /// How much worse than the shown levels takers fare, beside walking them, hundredths of a basis point.
    pub slippage_centi_bp: u32,
    /// Whose the cancels at a waiting order's price are taken to be: `proportional`, or all of them `from_behind` (the hardest).
    pub cancels_ahead: CancelsAhead,
    /// Starting balances by asset, as decimal text.
    pub balances: BTreeMap<String, String>,
}

/// One running strategy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StrategySection {
    /// Name in the strategy table (`interlock strategies` lists it).
    pub name: String,
    /// Symbols it runs on; empty = all of the venue section's.
    #[serde(default)]
    pub symbols: Vec<String>,
    /// Its own stops and targets, instead of the common ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exits: Option<ExitsSection>,
    /// Its parameters; names and ranges are declared by the strategy.
    #[serde(default)]
    pub params: BTreeMap<String, toml::Value>,
}

impl StrategySection {
    fn named(name: &str) -> Self {
        Self { name: name.to_owned(), symbols: Vec::new(), exits: None, params: BTreeMap::new() }
    }
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            mode: Mode::default(),
            dry_run: false,
            venue: VenueSection::default(),
            placement: PlacementSection::default(),
            feed: FeedSection::default(),
            risk: RiskConfig::default(),
            bounded_live: BoundedLive::default(),
            bounded_live_phase2: BoundedLimits::phase2(),
            gateway: GatewaySection::default(),
            journal: JournalSection::default(),
            kill: KillSection::default(),
            emergency: EmergencyConfig::default(),
            paper: PaperSection::default(),
            reconcile: ReconcileSection::default(),
            exits: ExitsSection::default(),
            shadow: ShadowSection::default(),
            environment: EnvironmentSection::default(),
            bounded_live_enforcement: EnforcementSection::default(),
            gates: GatesSection::default(),
            readiness: ReadinessSection::default(),
            strategy: vec![
                StrategySection::named("ma_crossover"),
                StrategySection::named("order_flow_imbalance"),
            ],
        }
    }
}

impl Default for VenueSection {
    fn default() -> Self {
        Self {
            symbols: vec!["BTCUSDT".to_owned(), "ETHUSDT".to_owned()],
            rest_url: String::new(),
            stream_url: String::new(),
            ws_api_url: String::new(),
            ca_file: PathBuf::new(),
            api_key_file: PathBuf::new(),
            signing: Signing::default(),
            seed: 1,
        }
    }
}

impl Default for FeedSection {
    fn default() -> Self {
        Self {
            stale_after_ms: 5_000,
            retries_max: 5,
            connects_per_5min_max: 60,
            connect_budget: ConnectBudget::Auto,
            history_bars: 500,
            renew_after_s: 23 * 3600,
        }
    }
}

impl Default for GatewaySection {
    fn default() -> Self {
        Self {
            answer_timeout_ms: 10_000,
            decision_age_max_ms: 250,
            recv_window_ms: 5_000,
            absent_settle_ms: 30_000,
            reserve_percent: 25,
        }
    }
}

impl Default for JournalSection {
    fn default() -> Self {
        Self { segment_mib: 64, sync_every_ms: 5, checkpoint_every_s: 60 }
    }
}

impl Default for KillSection {
    fn default() -> Self {
        Self { lease_ms: 500, stall_after_ms: 2_000, operator_uids: Vec::new(), clock_step_max_ms: 250 }
    }
}

impl Default for PaperSection {
    fn default() -> Self {
        let balances = [("USDT", "100000"), ("BTC", "1"), ("ETH", "10")];
        Self {
            latency_min_us: 500,
            latency_max_us: 2_000,
            maker_fee_centi_bp: 1_000,
            taker_fee_centi_bp: 1_000,
            slippage_centi_bp: 0,
            cancels_ahead: CancelsAhead::default(),
            balances: balances.map(|(a, q)| (a.to_owned(), q.to_owned())).into(),
        }
    }
}

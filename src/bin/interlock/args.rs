//! The command line: verbs, options, examples. Completions and man pages are generated from here.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::PossibleValuesParser;
use clap::{Args, Parser, Subcommand, ValueEnum};
use interlock::run::plan::Mode;
use interlock::sim::server::Persona;

/// A low-latency trading engine that cannot trade by accident.
///
/// Without a verb it runs the demo: the embedded venue, the four stages and both first strategies, in this terminal.
#[derive(Debug, Parser)]
#[command(name = "interlock", version = env!("CARGO_PKG_VERSION"), max_term_width = 110)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(subcommand)]
    pub(crate) verb: Option<Verb>,
}

/// What every verb takes.
#[derive(Debug, Clone, Args)]
pub(crate) struct Common {
    /// Where state, journal and sockets are. Two engines need two.
    #[arg(long, global = true, default_value = "data", value_name = "DIR")]
    pub(crate) data_dir: PathBuf,
    /// Configuration file; repeatable, later wins.
    #[arg(short, long = "config", global = true, value_name = "FILE")]
    pub(crate) config: Vec<PathBuf>,
    /// How read verbs answer.
    #[arg(short, long, global = true, value_enum, default_value_t = Output::Table)]
    pub(crate) output: Output,
}

/// Answer formats of read verbs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people.
    Table,
    /// One documented object with stable keys.
    Json,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Run the engine (the demo, unless told otherwise).
    #[command(
        after_help = "Examples:\n  interlock run --duration 30s\n  interlock run --venue data-venue/venue.json\n  \
        interlock run --recording spot_btcusdt_20240808.gz\n  interlock run -c config/paper.toml\n  \
        interlock run -c config/shadow.toml\n  \
        interlock run -c config/testnet.toml --dry-run"
    )]
    Run(RunArgs),
    /// Run the embedded venue alone.
    #[command(after_help = "Example:\n  interlock venue --data-dir data-venue\n  \
        interlock run --venue data-venue/venue.json\n  \
        interlock venue --persona testnet --data-dir data-testnet\n  \
        interlock run --mode testnet --venue data-testnet/venue.json")]
    Venue(VenueArgs),
    /// One look at a running engine.
    #[command(after_help = "Example:\n  interlock status -o json | jq .kill")]
    Status {
        /// Look again every second until interrupted.
        #[arg(long)]
        watch: bool,
    },
    /// The kill switch.
    #[command(subcommand, after_help = "Example:\n  interlock kill trip --reason drill --triggered-by me")]
    Kill(KillVerb),
    /// The protective layers: daily loss, circuit breaker, emergency stop, capital preservation.
    #[command(subcommand)]
    Layers(crate::layers::LayersVerb),
    /// Going live: gates, arming, sign-offs, the transition record.
    #[command(subcommand, after_help = "Example:\n  interlock live gates -c config/live.toml")]
    Live(crate::live::LiveVerb),
    /// Readiness for live: exit 0 `GO`, 10 `CONDITIONAL`, 11 `NO_GO`.
    #[command(after_help = "Example:\n  interlock ready --quiet || echo \"not ready for live\"")]
    Ready {
        /// The exit code only.
        #[arg(long)]
        quiet: bool,
    },
    /// Working orders.
    Orders,
    /// Compare our record with the venue's now: orders, fills, positions, balances. Exit 5 when they differ.
    #[command(after_help = "Examples:\n  interlock reconcile\n  \
        interlock reconcile --adopt --by me --cause \"deposit of 500 USDT this morning\"")]
    Reconcile(crate::reconcile::ReconcileVerb),
    /// Positions; and closing them.
    #[command(after_help = "Examples:\n  interlock positions\n  \
        interlock positions close BTCUSDT --reason \"stuck\"\n  interlock positions close-all --confirm --reason \"leaving\"")]
    Positions {
        #[command(subcommand)]
        verb: Option<crate::positions::PositionsVerb>,
    },
    /// Incidents: what happened, what was done, what it cost, and the post-mortem.
    #[command(subcommand)]
    Incident(crate::incident::IncidentVerb),
    /// Rollbacks: what may not be started until a named person says so.
    #[command(subcommand)]
    Rollback(crate::incident::RollbackVerb),
    /// Evidence packs.
    #[command(subcommand)]
    Evidence(crate::evidence::EvidenceVerb),
    /// The shadow programme.
    #[command(subcommand, after_help = "Example:\n  interlock shadow health")]
    Shadow(crate::shadow::ShadowVerb),
    /// How far bounded live has come, from the evidence; and the reviews.
    #[command(subcommand)]
    Progress(crate::progress::ProgressVerb),
    /// The journal.
    #[command(subcommand, after_help = "Example:\n  interlock journal verify && interlock journal replay")]
    Journal(JournalVerb),
    /// The configuration.
    #[command(subcommand, after_help = "Example:\n  interlock config show -c config/demo.toml")]
    Config(ConfigVerb),
    /// The limits: those in force, what they did, and the switch of a strategy that they disabled.
    #[command(
        after_help = "Examples:\n  interlock limits -c config/paper.toml -c config/bounded_live.toml\n  \
        interlock limits rate\n  \
        interlock limits enable ma_crossover --cause \"60 entries an hour are meant\" --by me"
    )]
    Limits(LimitsArgs),
    /// The strategies, their parameters and ranges.
    Strategies,
    /// Shell completions, to stdout.
    #[command(after_help = "Example:\n  interlock completions bash > /etc/bash_completion.d/interlock")]
    Completions {
        /// For which shell.
        shell: clap_complete::Shell,
    },
    /// Man pages, into a folder.
    Man {
        /// Where to.
        #[arg(long, value_name = "DIR")]
        to: PathBuf,
    },
}

/// `interlock run`.
#[derive(Debug, Clone, Default, Args)]
#[expect(clippy::struct_excessive_bools, reason = "flags of a command line")]
pub(crate) struct RunArgs {
    /// Which edges stand at the ends of the line; overrides the configuration.
    #[arg(long, value_name = "MODE", value_parser = PossibleValuesParser::new(Mode::ALL.map(Mode::name)))]
    pub(crate) mode: Option<String>,
    /// Rehearse: encode and sign every order, and stop before the write. Questions leave, and so do a halt's cancels.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// For live: the hash of the effective configuration (`interlock config hash`) that is to be run.
    #[arg(long, value_name = "HASH")]
    pub(crate) live_confirm: Option<String>,
    /// Stop by itself after this long, such as 30s or 5m.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) duration: Option<Duration>,
    /// Replay this recording through the embedded venue; repeatable, in order.
    #[arg(long, value_name = "FILE", conflicts_with = "venue")]
    pub(crate) recording: Vec<PathBuf>,
    /// Replay the recording as fast as it goes instead of at its own pace.
    #[arg(long, requires = "recording")]
    pub(crate) full_speed: bool,
    /// Trade on the embedded venue that runs apart: its `venue.json`.
    #[arg(long, value_name = "FILE")]
    pub(crate) venue: Option<PathBuf>,
    /// No live table, only the log lines.
    #[arg(long)]
    pub(crate) plain: bool,
    /// Start tripped and wait for `interlock kill recover`, also in the demo.
    #[arg(long)]
    pub(crate) no_arm: bool,
}

/// `interlock venue`.
#[derive(Debug, Clone, Args)]
pub(crate) struct VenueArgs {
    /// Whom to play: each has its own address (127.0.0.1, .2, .3), certificate and keys.
    #[arg(long, default_value = "demo", value_name = "WHO",
        value_parser = PossibleValuesParser::new(Persona::ALL.map(Persona::name)))]
    pub(crate) persona: String,
    /// Address to listen on, the persona's own; port 0 takes any.
    #[arg(long, value_name = "ADDR")]
    pub(crate) listen: Option<String>,
    /// Which venues to speak as.
    #[arg(long, value_delimiter = ',', default_value = "binance", value_parser = ["binance"])]
    pub(crate) dialect: Vec<String>,
    /// Replay this recording instead of making order flow; repeatable, in order.
    #[arg(long, value_name = "FILE")]
    pub(crate) recording: Vec<PathBuf>,
    /// Replay as fast as the clients take it.
    #[arg(long, requires = "recording")]
    pub(crate) full_speed: bool,
    /// Faults to inject (TOML).
    #[arg(long, value_name = "FILE")]
    pub(crate) faults: Option<PathBuf>,
    /// Seed of the order flow and of the faults.
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub(crate) seed: u64,
    /// Symbols.
    #[arg(long, value_delimiter = ',', default_value = "BTCUSDT,ETHUSDT", value_name = "SYMBOLS")]
    pub(crate) symbols: Vec<String>,
    /// Stop by itself after this long.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) duration: Option<Duration>,
}

/// `interlock kill`.
#[derive(Debug, Subcommand)]
pub(crate) enum KillVerb {
    /// Trip: nothing that adds risk leaves any more, everything open is cancelled. Never refused, never asks back.
    #[command(after_help = "Example:\n  interlock kill trip --reason drill --triggered-by me")]
    Trip {
        /// Why, for the record.
        #[arg(long, default_value = "operator", value_name = "TEXT")]
        reason: String,
        /// Who, for the record.
        #[arg(long, default_value = "", value_name = "NAME")]
        triggered_by: String,
        /// Also close positions, reduce-only.
        #[arg(long)]
        flatten: bool,
        /// How long to wait for the venue's answer that nothing is open.
        #[arg(long, default_value = "30s", value_name = "TIME", value_parser = duration)]
        wait: Duration,
    },
    /// Where the switch stands.
    Status,
    /// Try what must work in an emergency, timed, on a venue and an engine of its own; leaves an evidence pack.
    #[command(after_help = "Example:\n  interlock kill drill --dry-run\n  interlock kill drill -n 20\n  \
                      interlock kill drill --running --by me")]
    Drill(crate::drill::DrillArgs),
    /// Arm again: needs a cause, a person and a reconcile that balances.
    #[command(after_help = "Example:\n  interlock kill recover --cause \"drill finished\" --by me")]
    Recover {
        /// What was wrong and is not any more.
        #[arg(long, value_name = "TEXT")]
        cause: String,
        /// Who says so.
        #[arg(long, value_name = "NAME")]
        by: String,
        /// How long to wait for the reconcile. An order that the venue denies to have counts as absent only once it can't
        /// arrive any more, which takes `gateway.recv_window_ms` and `gateway.absent_settle_ms`.
        #[arg(long, default_value = "60s", value_name = "TIME", value_parser = duration)]
        wait: Duration,
    },
}

/// `interlock limits`.
#[derive(Debug, Args)]
pub(crate) struct LimitsArgs {
    #[command(subcommand)]
    pub(crate) verb: Option<LimitsVerb>,
}

/// `interlock limits`.
#[derive(Debug, Subcommand)]
pub(crate) enum LimitsVerb {
    /// The limits that a session of this configuration runs under (without a verb, too).
    Show,
    /// What became of the orders that were asked for: execution rate, block rate, refusals by reason.
    Rate,
    /// Let a strategy enter again that losses in a row (L3), repeated executions or refusals (C9), or a person disabled.
    /// Durable before it takes effect; nothing else enables it, no restart either.
    Enable {
        /// Its name in the configuration; the second one of a name is `name#2`.
        strategy: String,
        /// What was found when it was looked at.
        #[arg(long, value_name = "TEXT")]
        cause: String,
        /// Who says so.
        #[arg(long, value_name = "NAME")]
        by: String,
    },
    /// Let a strategy enter no more, until it is enabled, over restarts. Exits and cancels go on.
    Disable {
        /// Its name in the configuration; the second one of a name is `name#2`.
        strategy: String,
        /// Why.
        #[arg(long, value_name = "TEXT")]
        cause: String,
        /// Who says so.
        #[arg(long, value_name = "NAME")]
        by: String,
    },
}

/// `interlock journal`.
#[derive(Debug, Subcommand)]
pub(crate) enum JournalVerb {
    /// Check every record, the chain and, if given, a checkpoint. Exit 5 names the first bad record.
    Verify {
        /// A checkpoint file kept elsewhere: the journal may not be shorter or other than it says.
        #[arg(long, value_name = "FILE")]
        checkpoint: Option<PathBuf>,
        /// The public key that the checkpoint must be signed by (`name+id+key`, as `checkpoint` printed it), kept elsewhere too.
        /// Without it the data directory's own key counts, which whoever owns the host could replace.
        #[arg(long, value_name = "KEY", requires = "checkpoint")]
        key: Option<String>,
    },
    /// Print records.
    Cat {
        /// From this record.
        #[arg(long, default_value_t = 0, value_name = "SEQ")]
        from: u64,
        /// At most so many.
        #[arg(short, long, value_name = "N")]
        number: Option<u64>,
        /// Only this session (the last one: `last`).
        #[arg(long, value_name = "ID")]
        session: Option<String>,
    },
    /// Run the recorded facts through the stages and compare every decision, byte for byte. Exit 5 on a difference.
    Replay {
        /// Which session; the last one if not given.
        #[arg(long, value_name = "ID")]
        session: Option<String>,
    },
    /// Sign the journal's present length and head, to be kept elsewhere.
    Checkpoint {
        /// Where to write it; stdout if not given.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// The sessions in it.
    Sessions,
}

/// `interlock config`.
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigVerb {
    /// Check the files and say nothing if they are sound.
    Check,
    /// The effective configuration.
    Show,
    /// Its hash.
    Hash,
    /// Every key with type, default and bounds, as a JSON Schema.
    Schema,
}

/// `30s`, `5m`, `250ms`, `1h 30m`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let parsed: jiff::SignedDuration =
        text.parse().map_err(|_| format!("{text:?} is no time span; write it like 30s, 5m or 1h"))?;
    Duration::try_from(parsed).map_err(|_| format!("{text:?} is negative"))
}

//! The engine and its verbs: parses, calls, turns results into exit codes. Everything else is in the library.

mod args;
mod config;
mod drill;
mod engine;
mod entry;
mod evidence;
mod incident;
mod journal;
mod kill;
mod layers;
mod limits;
mod live;
mod positions;
mod progress;
mod ready;
mod reconcile;
mod screen;
mod shadow;
mod venue;

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{CommandFactory as _, Parser as _};
use interlock::agent::clock;
use interlock::ops::client::{self, Console, Format};
use interlock::ops::paths::Paths;

use crate::args::{Cli, Common, Output, Verb};

/// Exit codes beyond those of `ops::client::exit`.
pub(crate) mod exit {
    /// Wrong usage or configuration; nothing was started.
    pub(crate) const USAGE: u8 = 2;
    /// A verification found a difference.
    pub(crate) const DIFFERENCE: u8 = 5;
    /// `ready`: CONDITIONAL.
    pub(crate) const CONDITIONAL: u8 = 10;
    /// `ready`: `NO_GO`.
    pub(crate) const NO_GO: u8 = 11;
}

/// A failure whose exit code is not the general one.
#[derive(Debug)]
pub(crate) struct Failure {
    /// The exit code.
    pub(crate) code: u8,
    /// What, where, and what to do.
    pub(crate) error: anyhow::Error,
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self { code: client::exit::FAILED, error: error.into() }
    }
}

impl Failure {
    /// Wrong usage or configuration.
    pub(crate) fn usage(error: impl Into<anyhow::Error>) -> Self {
        Self { code: exit::USAGE, error: error.into() }
    }
}

/// What a verb returns: its exit code, or why it failed.
pub(crate) type Outcome = Result<u8, Failure>;

fn main() -> ExitCode {
    // Keys will be in memory: no core dump holds them, and no other process of the same user may look (R-GATE-9).
    let _not_critical =
        rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
    // A closed pipe ends a program quietly, as it does everywhere.
    let cli = Cli::parse();
    let code = match run(cli) {
        Ok(code) => code,
        Err(failure) => {
            let _closed = writeln!(std::io::stderr(), "interlock: {}", told_once(&failure.error));
            failure.code
        }
    };
    ExitCode::from(code)
}

/// An error and its causes, without those that the text before them has told already.
fn told_once(error: &anyhow::Error) -> String {
    error.chain().fold(String::new(), |text, cause| {
        let cause = cause.to_string();
        match text.as_str() {
            "" => cause,
            told if told.contains(&cause) => text,
            told => format!("{told}: {cause}"),
        }
    })
}

fn run(cli: Cli) -> Outcome {
    let common = cli.common;
    match cli.verb.unwrap_or_else(|| Verb::Run(args::RunArgs::default())) {
        Verb::Run(args) => engine::run(&common, &args),
        Verb::Shadow(verb) => shadow::run(&common, &verb),
        Verb::Venue(args) => venue::run(&common, &args),
        Verb::Status { watch } => Ok(status(&common, watch)),
        Verb::Kill(verb) => kill::run(&common, verb),
        Verb::Layers(verb) => Ok(layers::run(&common, verb)),
        Verb::Reconcile(verb) => Ok(reconcile::run(&common, &verb)),
        Verb::Orders => Ok(with_console(&common, client::orders)),
        Verb::Positions { verb: None } => Ok(with_console(&common, client::positions)),
        Verb::Positions { verb: Some(verb) } => positions::run(&common, &verb),
        Verb::Live(verb) => live::run(&common, verb),
        Verb::Ready { quiet } => ready::run(&common, quiet),
        Verb::Incident(verb) => incident::run(&common, verb),
        Verb::Rollback(verb) => incident::rollback(&common, verb),
        Verb::Evidence(verb) => evidence::run(&common, verb),
        Verb::Progress(verb) => progress::run(&common, verb),
        Verb::Journal(verb) => journal::run(&common, verb),
        Verb::Config(verb) => config::run(&common, &verb),
        Verb::Limits(verb) => limits::run(&common, verb.verb),
        Verb::Strategies => config::strategies(&common),
        Verb::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "interlock", &mut std::io::stdout());
            Ok(client::exit::DONE)
        }
        Verb::Man { to } => man(&to),
    }
}

/// Runs a read verb over stdout and stderr.
pub(crate) fn with_console(common: &Common, verb: impl FnOnce(&Paths, &mut Console<'_>) -> u8) -> u8 {
    let (mut out, mut err) = (std::io::stdout().lock(), std::io::stderr());
    let format = match common.output {
        Output::Table => Format::Table,
        Output::Json => Format::Json,
    };
    let mut console = Console { out: &mut out, err: &mut err, format };
    verb(&Paths::new(&common.data_dir, None), &mut console)
}

fn status(common: &Common, watch: bool) -> u8 {
    loop {
        let code = with_console(common, client::status);
        if !watch || code != client::exit::DONE {
            return code;
        }
        clock::sleep(std::time::Duration::from_secs(1));
    }
}

fn man(to: &std::path::Path) -> Outcome {
    std::fs::create_dir_all(to).with_context(|| format!("making {}", to.display()))?;
    clap_mangen::generate_to(Cli::command(), to)
        .with_context(|| format!("writing man pages into {}", to.display()))?;
    Ok(client::exit::DONE)
}

//! `interlock progress`: how far bounded live has come, from the evidence, and the reviews that are part of it.

use std::io::Write as _;

use anyhow::anyhow;
use clap::Subcommand;
use interlock::agent::Clock;
use interlock::ops::client::exit::DONE;
use interlock::ops::events::{Event, Events, Level};
use interlock::ops::paths::Paths;
use interlock::ops::progress::{DAILY_REVIEW, FORMAL_REVIEW, Progress};
use interlock::run::session::journal_dir;

use crate::Failure;
use crate::Outcome;
use crate::args::{Common, Output};

/// `interlock progress`.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum ProgressVerb {
    /// Each criterion of the next phase and of the ramp's stages, with its evidence.
    #[command(after_help = "Example:\n  interlock progress show -o json")]
    Show,
    /// Put on record that a day was reviewed, or that the formal review was held.
    #[command(after_help = "Example:\n  interlock progress review --day 2026-11-20 --by alice")]
    Review {
        /// The day, UTC, YYYY-MM-DD.
        #[arg(long, value_name = "DAY", required_unless_present = "formal", conflicts_with = "formal")]
        day: Option<String>,
        /// The formal review of the phase, not that of a day.
        #[arg(long)]
        formal: bool,
        /// Who reviewed.
        #[arg(long, value_name = "NAME")]
        by: String,
        /// What was odd; without it nothing was.
        #[arg(long, value_name = "TEXT")]
        anomaly: Option<String>,
    },
}

pub(crate) fn run(common: &Common, verb: ProgressVerb) -> Outcome {
    match verb {
        ProgressVerb::Show => show(common),
        ProgressVerb::Review { day, formal, by, anomaly } => review(common, day, formal, &by, anomaly),
    }
}

/// Shows the criteria. It only reads: whether a step is allowed is the gates' to say.
fn show(common: &Common) -> Outcome {
    let paths = Paths::new(&common.data_dir, None);
    let progress =
        Progress::gather(&journal_dir(&paths), &paths.events()).map_err(|e| Failure::from(anyhow!(e)))?;
    let mut out = std::io::stdout().lock();
    match common.output {
        Output::Table => writeln!(out, "{}", progress.render())?,
        Output::Json => writeln!(out, "{}", serde_json::to_string(&progress)?)?,
    }
    Ok(DONE)
}

fn review(common: &Common, day: Option<String>, formal: bool, by: &str, anomaly: Option<String>) -> Outcome {
    if by.trim().is_empty() {
        return Err(Failure::usage(anyhow!("--by: a review has a name")));
    }
    let now_ns = Clock::system().now().ns;
    let paths = Paths::new(&common.data_dir, None);
    let event = if formal {
        Event::new(now_ns, Level::Info, FORMAL_REVIEW)
    } else {
        let day = day.unwrap_or_default();
        day.parse::<jiff::civil::Date>()
            .map_err(|e| Failure::usage(anyhow!("--day {day:?}: {e}; write it like 2026-11-20")))?;
        Event::new(now_ns, Level::Info, DAILY_REVIEW).with("day", day)
    };
    let event =
        event.with("by", by).with("anomaly", anomaly.is_some()).with("text", anomaly.unwrap_or_default());
    std::fs::create_dir_all(&paths.data)?;
    let mut events = Events::open(&paths.events())?;
    events.emit(&event);
    if events.lost() > 0 {
        return Err(Failure::from(anyhow!("{}: the review could not be written", paths.events().display())));
    }
    writeln!(std::io::stdout(), "{}", event.line())?;
    Ok(DONE)
}

//! `interlock shadow`: the shadow programme's reports.

use std::io::Write as _;

use clap::Subcommand;
use interlock::agent::Clock;
use interlock::ops::client::exit::{DONE, FAILED};
use interlock::ops::paths::Paths;
use interlock::ops::readiness;
use interlock::ops::shadow_health::{self, Health};

use crate::Outcome;
use crate::args::{Common, Output};

/// `interlock shadow`.
#[derive(Debug, Subcommand)]
pub(crate) enum ShadowVerb {
    /// The daily health report: computed, written to DATA/reports/, shown. Exit 1 if it is CRITICAL.
    #[command(
        after_help = "Example (crontab):\n  0 6 * * * interlock shadow health --data-dir /var/lib/interlock"
    )]
    Health,
}

pub(crate) fn run(common: &Common, verb: &ShadowVerb) -> Outcome {
    match verb {
        ShadowVerb::Health => health(common),
    }
}

fn health(common: &Common) -> Outcome {
    let paths = Paths::new(&common.data_dir, None);
    let preservation = readiness::preservation_level(&paths);
    let report = shadow_health::assess(&paths, &preservation, Clock::system().now().ns);
    let path = shadow_health::write(&paths, &report)?;
    let mut out = std::io::stdout().lock();
    match common.output {
        Output::Json => writeln!(out, "{}", report.json)?,
        Output::Table => {
            let collected = &report.json["shadow_collection"];
            writeln!(out, "{}  ({})", report.health.name(), path.display())?;
            writeln!(
                out,
                "decisions in 24 h {}, not settled yet {}, of all time {}",
                collected["decisions_today"], collected["pending_decisions"], collected["total_all_time"]
            )?;
            writeln!(out, "refused in 24 h {}", report.json["tradegate"]["rejections_today"])?;
            for alert in &report.alerts {
                writeln!(out, "! {alert}")?;
            }
        }
    }
    Ok(if report.health == Health::Critical { FAILED } else { DONE })
}

//! `interlock kill drill`.

use std::io::Write as _;

use anyhow::{Context as _, anyhow};
use clap::Args;
use interlock::agent::Clock;
use interlock::ops::client::exit::{DONE, FAILED, REFUSED};
use interlock::ops::drills::{DrillResult, Spread};
use interlock::ops::events::{self, Event, Level};
use interlock::ops::evidence;
use interlock::ops::paths::Paths;
use interlock::run::drill::{self, DRILLS, Done, Drill, Ground, RUNNING, Running};
use interlock::run::plan;
use interlock::run::session::build_id;
use serde_json::json;

use crate::Failure;
use crate::Outcome;
use crate::args::{Common, Output};

/// `interlock kill drill`.
#[derive(Debug, Clone, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub(crate) struct DrillArgs {
    /// Show what would be done, and whether it can be; start nothing, leave nothing.
    #[arg(long)]
    dry_run: bool,
    /// How often each drill is run.
    #[arg(short = 'n', long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=10_000))]
    number: u64,
    /// Only this one; repeatable.
    #[arg(long, value_name = "NAME", value_parser = name)]
    only: Vec<String>,
    /// Keep venue, engine log and journal of the drills.
    #[arg(long)]
    keep: bool,
    /// Trip and recover the engine that runs in the data directory, instead: everything that it has open is cancelled.
    #[arg(long, requires = "by", conflicts_with_all = ["only", "keep"])]
    running: bool,
    /// With `--running`: who does it. Trip and recovery are this person's acts.
    #[arg(long, value_name = "WHO", requires = "running")]
    by: Option<String>,
    /// With `--running`: also an engine that trades live.
    #[arg(long, requires = "running")]
    live_too: bool,
}

/// What `--running` does, in words.
const RUNNING_WHAT: &str =
    "an operator trips the engine that runs; everything open is cancelled; it is recovered";

fn name(text: &str) -> Result<String, String> {
    if DRILLS.iter().any(|drill| drill.name == text) {
        return Ok(text.to_owned());
    }
    let names: Vec<_> = DRILLS.iter().map(|drill| drill.name).collect();
    Err(format!("no drill {text:?}; there are: {}", names.join(", ")))
}

pub(crate) fn run(common: &Common, args: &DrillArgs) -> Outcome {
    if args.running {
        return run_on_running(common, args);
    }
    // What a drill would refuse halfway is refused now.
    plan::load(&common.config).map_err(Failure::usage)?;
    let wanted = |drill: &&Drill| args.only.is_empty() || args.only.iter().any(|name| name == drill.name);
    let drills: Vec<_> = DRILLS.iter().filter(wanted).collect();
    if args.dry_run {
        return show_plan(common, args, &drills);
    }
    let paths = Paths::new(&common.data_dir, None);
    let program = std::env::current_exe().context("finding this program")?;
    let scratch = drill::scratch(&paths);
    let config = common.config.iter().map(std::path::absolute).collect::<Result<Vec<_>, _>>()?;
    let mut done = Vec::new();
    for drill in drills {
        let dir = std::path::absolute(scratch.join(drill.name))?;
        let ground = Ground { program: program.clone(), config: config.clone(), dir: dir.clone() };
        let one = drill::run(drill, &ground, args.number, &mut |text| {
            let _closed = writeln!(std::io::stderr(), "{text}");
        });
        for failure in &one.result.failures {
            let _closed = writeln!(std::io::stderr(), "{}: FAILED: {failure}", drill.name);
        }
        if !args.keep {
            drill::clear(&dir);
        }
        done.push(one);
    }
    if args.keep {
        let _closed = writeln!(std::io::stderr(), "kept: {}", scratch.display());
    } else {
        drill::clear(&scratch);
    }
    conclude(common, &paths, args.number, &done)
}

/// The drill on the engine that runs.
fn run_on_running(common: &Common, args: &DrillArgs) -> Outcome {
    let paths = Paths::new(&common.data_dir, None);
    let refusal = drill::refusal(&paths, args.live_too);
    if args.dry_run {
        let mut out = std::io::stdout().lock();
        if common.output == Output::Json {
            let row = json!({ "name": RUNNING, "what": RUNNING_WHAT });
            let answer = json!({ "dry_run": true, "n": args.number, "drills": [row], "obstacles": refusal });
            writeln!(out, "{}", serde_json::to_string_pretty(&answer)?)?;
        } else {
            writeln!(out, "{RUNNING:<16}{} time(s): {RUNNING_WHAT}", args.number)?;
        }
    }
    if let Some(why) = refusal {
        let _closed = writeln!(std::io::stderr(), "interlock: refused: {why}");
        return Ok(REFUSED);
    }
    if args.dry_run {
        return Ok(DONE);
    }
    let by = args.by.clone().unwrap_or_default();
    let what = Running { by, live_too: args.live_too, times: args.number };
    let one = drill::run_on_running(&paths, &what, &mut |text| {
        let _closed = writeln!(std::io::stderr(), "{text}");
    });
    for failure in &one.result.failures {
        let _closed = writeln!(std::io::stderr(), "{RUNNING}: FAILED: {failure}");
    }
    conclude(common, &paths, args.number, &[one])
}

/// The figures, the evidence, the event.
fn conclude(common: &Common, paths: &Paths, number: u64, done: &[Done]) -> Outcome {
    let clock = Clock::system();
    let passed = done.iter().all(|d| d.result.passed);
    let manifest = drill::pack(paths, done, &build_id(), &clock).context("packing the evidence")?;
    let names: Vec<_> = done.iter().map(|d| d.result.name.clone()).collect();
    let event = Event::new(clock.now().ns, if passed { Level::Info } else { Level::Error }, "DRILL")
        .with("pack", manifest.id.clone())
        .with("drills", names)
        .with("runs", number)
        .with("passed", passed);
    events::append(&paths.events(), &event)
        .with_context(|| format!("writing {}", paths.events().display()))?;
    let mut out = std::io::stdout().lock();
    if common.output == Output::Json {
        let rows: Vec<_> = done.iter().map(|d| &d.result).collect();
        let answer =
            json!({ "dry_run": false, "n": number, "passed": passed, "pack": manifest.id, "drills": rows });
        writeln!(out, "{}", serde_json::to_string_pretty(&answer)?)?;
    } else {
        writeln!(
            out,
            "{:<16}{:>6}  {:<36}{:<36}{:<36}",
            "drill", "runs", "trip to last order", "trip to nothing open", "recover to trading"
        )?;
        writeln!(out, "{:<24}{}", "", "p50 / p99 / max                     ".repeat(3).trim_end())?;
        for one in done {
            let r = &one.result;
            writeln!(
                out,
                "{:<16}{:>6}  {:<36}{:<36}{:<36}{}",
                r.name,
                r.runs,
                spread(r.last_order),
                spread(r.silent),
                spread(r.recovered),
                verdict(r)
            )?;
        }
        writeln!(out, "evidence: {}", evidence::folder(paths).join(&manifest.id).display())?;
    }
    Ok(if passed { DONE } else { FAILED })
}

fn verdict(result: &DrillResult) -> &'static str {
    if result.passed { "passed" } else { "FAILED" }
}

fn spread(spread: Option<Spread>) -> String {
    spread
        .map_or_else(|| "-".to_owned(), |s| format!("{} / {} / {}", us(s.p50_us), us(s.p99_us), us(s.max_us)))
}

/// Microseconds, or milliseconds with one decimal.
fn us(us: u64) -> String {
    if us < 10_000 { format!("{us} us") } else { format!("{}.{} ms", us / 1_000, us / 100 % 10) }
}

fn show_plan(common: &Common, args: &DrillArgs, drills: &[&Drill]) -> Outcome {
    let mut out = std::io::stdout().lock();
    let ready = drill::obstacles(&common.data_dir);
    if common.output == Output::Json {
        let rows: Vec<_> = drills.iter().map(|d| json!({ "name": d.name, "what": d.what })).collect();
        let answer = json!({ "dry_run": true, "n": args.number, "drills": rows, "obstacles": ready });
        writeln!(out, "{}", serde_json::to_string_pretty(&answer)?)?;
    } else {
        for drill in drills {
            writeln!(out, "{:<16}{} time(s): {}", drill.name, args.number, drill.what)?;
        }
        writeln!(
            out,
            "each on an embedded venue and an engine of its own; measured: trip to last order, to nothing open, to recovered"
        )?;
        for obstacle in &ready {
            writeln!(out, "OBSTACLE: {obstacle}")?;
        }
    }
    if ready.is_empty() { Ok(DONE) } else { Err(anyhow!("{} obstacle(s)", ready.len()).into()) }
}

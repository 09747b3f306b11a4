//! `interlock run`, `interlock journal replay`.

use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use interlock::agent::cpu::Granted;
use interlock::agent::{Clock, clock};
use interlock::ops::client::exit::{DONE, FAILED, REFUSED};
use interlock::ops::client::read_status;
use interlock::ops::emergency::halted::{EXIT_CODE, Effect};
use interlock::ops::emergency::holds;
use interlock::ops::events::{Event, Level};
use interlock::ops::paths::Paths;
use interlock::run::access::Access;
use interlock::run::audit::Audit;
use interlock::run::carry::{self, Book, CarryOver};
use interlock::run::clearance;
use interlock::run::connects;
use interlock::run::edges::Edges;
use interlock::run::last_resort::{self, seconds};
use interlock::run::papers;
use interlock::run::placement::Stage;
use interlock::run::plan::{self, Environment, Mode, Plan};
use interlock::run::prepare::{self, PrepareError, Prepared};
use interlock::run::reconcile::Boot;
use interlock::run::session::{self, Ground, Session, Setup, StartError};
use interlock::run::wiring::Brain;
use interlock::sim::recording::{RecordingClock, RecordingConfig, Speed};
use interlock::sim::server::{VenueConfig, VenueError, VenueHandle};
use serde_json::json;

use crate::Failure;
use crate::Outcome;
use crate::args::{Common, Output, RunArgs};
use crate::entry::{self, Entry, Instead};
use crate::exit;
use crate::screen::{Screen, summary};

/// How often the live table is drawn.
const FRAME: Duration = Duration::from_millis(500);
/// How long stopping the threads may take.
const END_WITHIN: Duration = Duration::from_secs(30);

/// Set by SIGINT and SIGTERM.
pub(crate) fn stop_signal() -> anyhow::Result<Arc<AtomicBool>> {
    let flag = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        // The second one ends the process at once, should the graceful way hang.
        signal_hook::flag::register_conditional_shutdown(signal, 130, Arc::clone(&flag))?;
        signal_hook::flag::register(signal, Arc::clone(&flag))?;
    }
    Ok(flag)
}

fn say(text: &str) {
    let _closed = writeln!(std::io::stderr(), "{text}");
}

pub(crate) fn run(common: &Common, args: &RunArgs) -> Outcome {
    let mut plan = plan::load(&common.config).map_err(Failure::usage)?;
    if let Some(mode) = args.mode.as_deref().and_then(Mode::parse) {
        plan.mode = mode;
    }
    // Not a part of the configuration's hash: what is rehearsed is what will be run.
    let dry_run = plan.dry_run || args.dry_run;
    let environment = Environment::read();
    if let Some(line) = plan.override_turnover(&environment.turnover).map_err(Failure::usage)? {
        say(&line);
    }
    let granted = Granted::read().context("reading the granted cores")?;
    let stop = stop_signal().context("listening for signals")?;
    let held = Ground::lock(&common.data_dir).map_err(started_nothing)?;
    // A rollback, an emergency stop: what a named person has not lifted holds back, whatever the flags say.
    holds::check(&Paths::new(&common.data_dir, None), plan.mode.name())
        .map_err(|why| Failure { code: REFUSED, error: anyhow::anyhow!(why) })?;
    let clock = Clock::system();
    let (venue, access) = open_venue(common, args, &mut plan, &environment)?;
    // Before anything is asked of anyone: a mode that does not fit its venue has started nothing.
    let is_embedded = venue.is_some() || args.venue.is_some();
    let asked = (args.live_confirm.as_deref(), dry_run, clock.now().ns);
    let Entry { held, cleared, judged, instead } =
        entry::enter(&mut plan, &environment, &access, held, asked)?;
    let edges = Edges::choose((plan.mode, dry_run), access, &environment, is_embedded, cleared)
        .map_err(|error| Failure { code: REFUSED, error: error.into() })?;
    let access = edges.access().clone();
    let rest = prepare::rest_of(&access);
    if venue.is_some() && !args.recording.is_empty() {
        // The engine lives in the recording's time, so that its bars fall where they fell.
        if let Some(offset) = interlock::run::rest_worker::measure_clock(&rest, &clock) {
            clock.shift(offset.offset_ns);
        }
    }
    let prepared = prepare::prepare(&plan, &rest, &clock).map_err(|e| match e {
        PrepareError::Venue { .. } => Failure::from(e),
        PrepareError::UnknownSymbol(_) | PrepareError::Strategy { .. } => Failure::usage(e),
    })?;
    tell_unknown_filters(&prepared);
    let arm = !args.no_arm && ended_cleanly(&held.0);
    let ground = Ground::take(held, &clock).map_err(started_nothing)?;
    last_resort::on_panic(&ground.shared.page, &clock, plan.mode != Mode::Shadow);
    let paths = ground.paths.clone();
    let book = Book::of(&plan, &access, dry_run);
    let audited = (!args.recording.is_empty()).then(|| Audit::new(&prepared.table));
    let (audit, finding) = audited.unzip();
    let manner =
        Manner { granted, kill_environment: environment.kill_switch, arm, instead: instead.as_ref() };
    let session = start(&plan, edges, rest, prepared, ground, manner, audit)?;
    if !args.recording.is_empty() {
        follow_recording(&session.shared.clock, &paths, &access);
    }
    // After the session, whose start keeps every later thread off the hot cores.
    let attended = match clearance::attend(&plan, &judged, &environment, &session, dry_run) {
        Ok(attended) => attended,
        Err(error) => {
            session.stop().context("stopping the threads")?;
            return Err(Failure::from(error));
        }
    };
    let code = watch((args, &plan), &paths, session, &stop, venue)?;
    if let Some(book) = book {
        // Best effort: without it the next boot reads the journal.
        if let Err(error) = carry::save(&paths, &book, clock.now().ns) {
            say(&format!("interlock: {error}"));
        }
    }
    drop(attended);
    if let Some(finding) = finding.and_then(|f| f.recv().ok()) {
        write!(std::io::stdout(), "{finding}")?;
    }
    writeln!(std::io::stdout(), "System shutdown complete")?;
    // However well paper went: live was asked for, and refused.
    Ok(if code == DONE && instead.is_some() { REFUSED } else { code })
}

/// Whether the engine may arm itself. No mode but live reaches real money, so they do, and say so; live's start is the act of
/// arming, behind its gates. But never over the end of a session that nobody has looked at.
fn ended_cleanly(paths: &Paths) -> bool {
    let unclean = session::ended_uncleanly(paths);
    if unclean {
        say(
            "the previous session did not end by itself: starting tripped. Look at `interlock orders`, then run\n  \
             interlock kill recover --cause \"WHY IT ENDED\" --by YOU",
        );
    }
    !unclean
}

fn tell_unknown_filters(prepared: &Prepared) {
    for filter in &prepared.unknown_filters {
        say(&format!("interlock: the venue has a filter that is not known here and not applied: {filter}"));
    }
}

/// The recording begins to play when its first subscriber is there, and its clock to run: the engine's clock follows it.
fn follow_recording(clock: &Clock, paths: &Paths, access: &Access) {
    let market_is_up =
        || read_status(paths).is_ok_and(|s| s.view.links.iter().any(|link| link.link == "market" && link.up));
    for _ in 0..100 {
        if market_is_up() {
            break;
        }
        clock::sleep(Duration::from_millis(50));
    }
    if let Some(offset) = interlock::run::rest_worker::measure_clock(&prepare::rest_of(access), clock) {
        clock.shift_more(offset.offset_ns);
    }
}

/// Errors of a start: the user's to mend, so exit code 2.
pub(crate) fn started_nothing(error: StartError) -> Failure {
    match error {
        StartError::Lock(_)
        | StartError::DataDir { .. }
        | StartError::Placement(_)
        | StartError::Parts(_) => Failure::usage(error),
        StartError::Journal(_) | StartError::Socket(_) | StartError::Io { .. } => Failure::from(error),
    }
}

/// The venue: the one given, the configured one, or an embedded one in this process.
fn open_venue(
    common: &Common,
    args: &RunArgs,
    plan: &mut Plan,
    environment: &Environment,
) -> Result<(Option<VenueHandle>, Access), Failure> {
    if let Some(file) = &args.venue {
        let access = Access::from_venue_file(file).map_err(Failure::usage)?;
        if plan.venue == Plan::default().venue && !access.symbols.is_empty() {
            plan.venue.symbols.clone_from(&access.symbols);
        }
        return Ok((None, access));
    }
    if !plan.venue.rest_url.is_empty() {
        let access = Access::from_plan(plan, environment.api_key_file.clone()).map_err(Failure::usage)?;
        return Ok((None, access));
    }
    if matches!(plan.mode, Mode::Testnet | Mode::Live) {
        return Err(Failure::usage(anyhow::anyhow!(
            "mode {} needs a venue: give -c config/{}.toml, or `interlock venue --persona {}` and --venue FILE",
            plan.mode.name(),
            plan.mode.name(),
            plan.mode.name()
        )));
    }
    let config = VenueConfig {
        seed: plan.venue.seed,
        recording: recording(&args.recording, args.full_speed),
        ..VenueConfig::demo(common.data_dir.join("venue"))
    };
    let handle = interlock::sim::server::start(config).map_err(no_venue)?;
    let access = Access::from_venue_file(handle.file_path()).map_err(Failure::from)?;
    if !args.recording.is_empty() {
        plan.venue.symbols.clone_from(&access.symbols);
    }
    say(&format!("embedded venue at {}", handle.urls().rest));
    Ok((Some(handle), access))
}

/// What was asked of the embedded venue is the user's to mend; what the host did not give is not.
pub(crate) fn no_venue(error: VenueError) -> Failure {
    match error {
        VenueError::NotLoopback(_)
        | VenueError::NotItsAddress { .. }
        | VenueError::Symbol(_)
        | VenueError::Balance(_)
        | VenueError::Recording(_) => Failure::usage(error),
        VenueError::Listen { .. }
        | VenueError::File { .. }
        | VenueError::Tls(_)
        | VenueError::Keys(_)
        | VenueError::Thread(_) => Failure::from(error),
    }
}

pub(crate) fn recording(files: &[PathBuf], full_speed: bool) -> Option<RecordingConfig> {
    (!files.is_empty()).then(|| RecordingConfig {
        files: files.to_vec(),
        klines: Vec::new(),
        speed: if full_speed { Speed::Full } else { Speed::Original },
        clock: RecordingClock::Recorded,
    })
}

/// How a session is started, besides its parts.
struct Manner<'a> {
    granted: Granted,
    kill_environment: bool,
    arm: bool,
    instead: Option<&'a Instead>,
}

#[expect(clippy::too_many_arguments, reason = "everything that a session is made of, once")]
fn start(
    plan: &Plan,
    edges: Edges,
    rest: interlock::net::Rest,
    prepared: Prepared,
    ground: Ground,
    manner: Manner<'_>,
    audit: Option<Audit>,
) -> Result<Session, Failure> {
    let first = Setup::first_answers(&prepared);
    let Prepared { table, limits, running, strategies, .. } = prepared;
    let books = if edges.has_account() {
        let (access, clock) = (edges.access(), &ground.shared.clock);
        Boot::with_account(plan, access, (&table, &strategies), &ground.paths, clock)
            .map_err(started_nothing)?
    } else if plan.mode == Mode::Paper {
        Boot::on_paper(plan, (&table, &strategies), &ground.paths).map_err(started_nothing)?
    } else {
        Boot::default()
    };
    let (mut first_events, mut record, mut before) = (Vec::new(), None, None);
    let opened = connects::open(plan, edges.access(), &ground.paths, &ground.shared.clock);
    if let Some((kept, known, told)) = opened.map_err(started_nothing)? {
        (first_events, record, before) = (told, Some(kept), Some(known));
    }
    let book = Book::of(plan, edges.access(), matches!(edges, Edges::Rehearsal(_)))
        .map(|book| book.on(books.account.as_deref()));
    let now_ns = ground.shared.clock.now().ns;
    let session_names = (&table, strategies.as_slice());
    let mut carried = CarryOver::read(&ground.paths, book, session_names, &plan.limits().layers, now_ns)
        .map_err(started_nothing)?;
    let papers = papers::gather(plan, &ground.paths, now_ns).map_err(started_nothing)?;
    carried.notes.extend(papers.notes.into_iter().chain(manner.instead.map(Instead::note)));
    carried.events.extend(papers.events.into_iter().chain(manner.instead.map(|i| i.event(now_ns))));
    let seed = ground.shared.page.boot_id();
    let brain = Brain {
        epoch: ground.epoch,
        table: table.clone(),
        running,
        limits,
        allowed: None,
        connects: before,
        balances: carried.balances.take(),
        seed,
    };
    let rest_url = rest.endpoint().to_string();
    let setup = Setup {
        mode: plan.mode.name().to_owned(),
        halt: edges.access().halt_reference(rest_url, plan.venue.symbols.clone(), edges.sends_orders()),
        prepared_table: table,
        strategies,
        rest,
        first,
        granted: manner.granted,
        kill_environment: manner.kill_environment,
        arm: manner.arm,
        audit,
        last_stage: Stage::Gateway,
        dry_run: false,
        carried,
        first_events,
        connects: record,
        cleared: None,
        allowed: None,
        books,
        plan: plan.clone(),
    };
    edges.start(ground, plan, brain, setup).map_err(started_nothing)
}

/// Shows the running engine until it is to stop, then stops it and says how it went.
fn watch(
    (args, plan): (&RunArgs, &Plan),
    paths: &Paths,
    mut session: Session,
    stop: &AtomicBool,
    venue: Option<VenueHandle>,
) -> anyhow::Result<u8> {
    let began_ns = session.shared.clock.mono_ns();
    let until_ns =
        args.duration.map(|d| began_ns.saturating_add(i64::try_from(d.as_nanos()).unwrap_or(i64::MAX)));
    let clock = session.shared.clock.clone();
    let mut screen = Screen::new(!args.plain && std::io::stdout().is_terminal());
    Screen::banner(&session);
    let mut last_market_ns = 0;
    loop {
        // Acquire pairs with the handler's release.
        let asked = stop.load(Ordering::Acquire);
        let over = until_ns.is_some_and(|until| clock.mono_ns() >= until);
        // The snapshots are drained, so that the one that is looked at in the end is the latest.
        let market_ns = session.snapshot().market_ns;
        // A recording is over when the venue has played it and no more of it arrives.
        let played =
            venue.as_ref().is_some_and(VenueHandle::is_recording_done) && market_ns == last_market_ns;
        last_market_ns = market_ns;
        if asked || over || played || ends_by_itself(&session) {
            break;
        }
        if let Ok(status) = read_status(paths) {
            screen.draw(&status);
        }
        clock::sleep(FRAME);
    }
    let last = read_status(paths).ok();
    let name = session.session.clone();
    let code = halted_ops(&session, seconds(plan.emergency.halt_within_s));
    // A thread that hangs must not keep the process: the venue's own rules and the halt tool do the rest.
    last_resort::end_within(END_WITHIN, code.max(FAILED));
    let ended = session.stop().context("stopping the threads")?;
    if let Some(venue) = venue {
        venue.stop();
    }
    let mut out = std::io::stdout().lock();
    write!(out, "{}", summary(&name, last.as_ref(), &ended))?;
    Ok(code)
}

/// Whether an operational fault is in force after which nothing in this boot can be armed again.
fn ends_by_itself(session: &Session) -> bool {
    let shared = &session.shared;
    last_resort::fault(&shared.page, &shared.clock).is_some_and(|fault| fault.effect == Effect::Ends)
}

/// The exit code of a session that ends now. With an operational fault in force: everything is cancelled first, as far as the
/// venue can be reached in time, and the fault is told (R-KILL-8).
fn halted_ops(session: &Session, within: Duration) -> u8 {
    let (page, clock) = (&session.shared.page, &session.shared.clock);
    let Some(fault) = last_resort::fault(page, clock) else { return DONE };
    let silent = !session.has_gateway || last_resort::wait_for_silence(page, clock, fault.reason, within);
    let open = page.open_orders();
    let event = Event::new(clock.now().ns, Level::Error, "HALTED_OPS")
        .with("reason", fault.reason.name())
        .with("silent", silent)
        .with("open_orders", open)
        .with("remedy", fault.remedy);
    session.events().send(event);
    say(&format!("interlock: HALTED_OPS: {}: {}", fault.reason.name(), fault.remedy));
    if !silent {
        say(&format!(
            "interlock: the venue has NOT said that nothing is open ({open} orders may be): run interlock-halt NOW"
        ));
    }
    EXIT_CODE
}

pub(crate) fn replay(common: &Common, dir: &Path, session: Option<&str>) -> Outcome {
    let report = interlock::run::replay::replay(dir, session.unwrap_or("last"))?;
    let mut out = std::io::stdout().lock();
    match common.output {
        Output::Table => writeln!(out, "{report}")?,
        Output::Json => {
            let difference = report.difference.as_ref();
            let row = json!({
                "session": report.session, "facts": report.facts, "intents": report.intents,
                "decisions": report.decisions, "requests": report.requests, "withheld": report.withheld,
                "own_requests": report.own_requests, "beyond_the_end": report.beyond_the_end,
                "digest": report.digest, "same": difference.is_none(),
                "difference": difference.map(|d| json!({ "fact_seq": d.fact_seq, "what": d.what })),
            });
            writeln!(out, "{row}")?;
        }
    }
    Ok(if report.difference.is_none() { DONE } else { exit::DIFFERENCE })
}

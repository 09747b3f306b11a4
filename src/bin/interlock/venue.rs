//! `interlock venue`: the embedded venue alone, playing a demo, a test network or the live venue.

use std::io::Write as _;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use interlock::agent::{Clock, clock};
use interlock::ops::client::exit::DONE;
use interlock::sim::faults::FaultPlan;
use interlock::sim::server::{Persona, VenueConfig, symbol_specs};

use crate::Failure;
use crate::Outcome;
use crate::args::{Common, VenueArgs};
use crate::engine::{no_venue, recording, stop_signal};

pub(crate) fn run(common: &Common, args: &VenueArgs) -> Outcome {
    let stop = stop_signal().context("listening for signals")?;
    let persona = Persona::parse(&args.persona).unwrap_or_default();
    let mut config = VenueConfig::playing(persona, common.data_dir.clone());
    if let Some(listen) = &args.listen {
        config.listen = listen.parse().map_err(|_| {
            Failure::usage(anyhow!("--listen {listen:?} is not an address like {}:9443", persona.address()))
        })?;
    }
    let faults = match &args.faults {
        None => FaultPlan::default(),
        Some(path) => {
            let text = std::fs::read_to_string(path)
                .with_context(|| format!("reading {}", path.display()))
                .map_err(Failure::usage)?;
            FaultPlan::from_toml(&text).map_err(|e| Failure::usage(anyhow!("{}: {e}", path.display())))?
        }
    };
    let config = VenueConfig {
        seed: args.seed,
        recording: recording(&args.recording, args.full_speed),
        faults,
        symbols: symbol_specs(&args.symbols).map_err(|e| Failure::usage(anyhow!("--symbols: {e}")))?,
        ..config
    };
    let handle = interlock::sim::server::start(config).map_err(no_venue)?;
    let mut out = std::io::stdout().lock();
    let urls = handle.urls();
    writeln!(out, "persona     {}", persona.name())?;
    writeln!(out, "rest        {}", urls.rest)?;
    writeln!(out, "ws_streams  {}", urls.ws_streams)?;
    writeln!(out, "ws_api      {}", urls.ws_api)?;
    writeln!(out, "venue.json  {}", handle.file_path().display())?;
    out.flush()?;
    let clock = Clock::system();
    let began_ns = clock.mono_ns();
    let until_ns =
        args.duration.map(|d| began_ns.saturating_add(i64::try_from(d.as_nanos()).unwrap_or(i64::MAX)));
    // Acquire pairs with the handler's release.
    while !stop.load(Ordering::Acquire) && until_ns.is_none_or(|until| clock.mono_ns() < until) {
        clock::sleep(Duration::from_millis(100));
    }
    handle.stop();
    writeln!(out, "System shutdown complete")?;
    Ok(DONE)
}

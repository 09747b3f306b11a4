//! The engine's memory of its trips, across restarts: what the count of trips in a day is taken from. `data/trips.json`,
//! written by the control thread alone, durably, after each trip.

use std::fs;
use std::io;

use serde::{Deserialize, Serialize};

use crate::ops::files::{self, Durability};
use crate::ops::paths::Paths;

/// Trips that are kept.
const KEPT: usize = 1_000;

/// One trip.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TripLine {
    /// When, nanoseconds since the epoch.
    pub at_ns: i64,
    /// Why, by the name of the reason code.
    pub reason: String,
    /// Who.
    pub by: String,
    /// In which mode.
    pub mode: String,
    /// Whether it was a drill: recorded, not counted.
    pub drill: bool,
}

/// The file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trips {
    /// Version of this object.
    pub v: u32,
    /// Oldest first.
    pub trips: Vec<TripLine>,
}

impl Trips {
    /// Reads it; empty if there is none yet.
    pub fn read(paths: &Paths) -> io::Result<Self> {
        match fs::read(paths.data.join("trips.json")) {
            Ok(bytes) => Ok(serde_json::from_slice(&bytes)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self { v: 1, trips: Vec::new() }),
            Err(error) => Err(error),
        }
    }

    /// Adds one.
    pub fn push(&mut self, line: TripLine) {
        self.trips.push(line);
        let beyond = self.trips.len().saturating_sub(KEPT);
        self.trips.drain(..beyond);
    }

    /// Writes it, durably.
    pub fn write(&self, paths: &Paths) -> io::Result<()> {
        let text = serde_json::to_string(self)?;
        files::replace(&paths.data.join("trips.json"), text.as_bytes(), Durability::Synced)
    }

    /// Times of those that count, after `since_ns`.
    pub fn counted(&self, since_ns: i64) -> Vec<i64> {
        self.trips.iter().filter(|t| !t.drill && t.at_ns > since_ns).map(|t| t.at_ns).collect()
    }
}

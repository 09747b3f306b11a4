//! Where things are in a data directory. One table, so that engine, client and halt tool can't disagree.

use std::path::{Path, PathBuf};

/// The paths of one engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paths {
    /// The data directory (`--data-dir`).
    pub data: PathBuf,
    /// The directory of the sockets (`--run-dir`), `run` in the data directory unless told otherwise.
    pub run: PathBuf,
}

impl Paths {
    /// For a data directory and, if it is elsewhere, a directory for the sockets.
    pub fn new(data: &Path, run: Option<&Path>) -> Self {
        Self { data: data.to_path_buf(), run: run.map_or_else(|| data.join("run"), Path::to_path_buf) }
    }
    /// The kill page.
    pub fn kill_page(&self) -> PathBuf {
        self.data.join("kill.page")
    }
    /// The marker that outlives the process: it is there while a trip has not been recovered from.
    pub fn marker(&self) -> PathBuf {
        self.data.join("killed")
    }
    /// The file whose presence trips: for operators without any tool (`touch`).
    pub fn kill_file(&self) -> PathBuf {
        self.data.join("live_kill_switch.txt")
    }
    /// The lock of the one engine of this directory.
    pub fn lock(&self) -> PathBuf {
        self.data.join("lock")
    }
    /// The heartbeat.
    pub fn heartbeat(&self) -> PathBuf {
        self.data.join("heartbeat.json")
    }
    /// What earlier sessions left: a cache, of which the journal is the truth.
    pub fn state(&self) -> PathBuf {
        self.data.join("state.json")
    }
    /// The event log.
    pub fn events(&self) -> PathBuf {
        self.data.join("events.jsonl")
    }
    /// Connection attempts of the last minutes (F22).
    pub fn connects(&self) -> PathBuf {
        self.data.join("connects.json")
    }
    /// Decisions and what would have come of them, one JSON object a line (R-SHD-1).
    pub fn shadow_decisions(&self) -> PathBuf {
        self.data.join("rl").join("shadow_decisions.jsonl")
    }
    /// The collector's sign of life.
    pub fn shadow_heartbeat(&self) -> PathBuf {
        self.data.join("rl").join("paper_live_heartbeat.json")
    }
    /// What the halt tool reads when it isn't given a `venue.json`.
    pub fn halt_config(&self) -> PathBuf {
        self.data.join("halt.json")
    }
    /// The operators' socket.
    pub fn admin_socket(&self) -> PathBuf {
        self.run.join("admin.sock")
    }
    /// The readers' socket.
    pub fn ro_socket(&self) -> PathBuf {
        self.run.join("ro.sock")
    }
}

//! What `interlock status` shows. [`Status`] is the documented object of `-o json`: keys are stable, new ones are only added,
//! and nothing in it is a secret, because nothing that goes in ever held one.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use comfy_table::{Cell, CellAlignment, Table, presets};
use serde::{Deserialize, Serialize};

use super::latency::Figures;
use super::reconcile::{Outcome, Report};
use super::watch::{Snapshot, render_execution};
use crate::types::Cash;

/// Version of the object.
pub const VERSION: u32 = 1;

/// One look at a running engine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Version of this object.
    pub v: u32,
    /// When, RFC 3339.
    pub at: String,
    /// Version of the engine.
    pub build: String,
    /// What stands at the ends of the line: `demo`, `paper`, ...
    pub mode: String,
    /// Process id.
    pub pid: u32,
    /// Boot id, hexadecimal.
    pub boot_id: String,
    /// Seconds since the control thread began.
    pub uptime_s: i64,
    /// The kill switch.
    pub kill: KillStatus,
    /// The journal.
    pub journal: JournalStatus,
    /// The threads and how long ago each last moved.
    pub threads: Vec<ThreadStatus>,
    /// The last comparison of our record with the venue's; absent where there is no account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reconcile: Option<Report>,
    /// Reviews that a person owes (R-KILL-6); none of them halts anything.
    #[serde(default)]
    pub reviews: Vec<String>,
    /// Latency by metric.
    pub latency: BTreeMap<String, Figures>,
    /// Counters by name.
    pub counters: BTreeMap<String, u64>,
    /// Refusals by reason, those that happened.
    #[serde(default)]
    pub refusals: BTreeMap<String, u64>,
    /// What the engine sees and did.
    pub view: Snapshot,
}

/// The kill switch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "each is a documented key of the status object")]
pub struct KillStatus {
    /// Whether orders that add risk may leave: level below risk-off and a running lease.
    pub trading: bool,
    /// Halt level by name: `ARMED`, `RISK_OFF`, `CANCEL_ALL`, ...
    pub level: String,
    /// Halt level as a number; 3 and above is tripped.
    pub level_number: u8,
    /// How often the state changed in this boot.
    pub epoch: u64,
    /// Cause of the trip in force, `NONE` while armed.
    pub reason: String,
    /// When it was tripped, RFC 3339; empty while armed.
    pub tripped_at: String,
    /// Whether the lease runs.
    pub lease_valid: bool,
    /// How long it runs yet.
    pub lease_remaining_ms: i64,
    /// Why the lease is not being renewed; empty if it is.
    pub lease_withheld: String,
    /// The halt epoch that the gateway acted on.
    pub seen_epoch: u64,
    /// Orders that may be open, as the gateway counts.
    pub open_orders: u64,
    /// Whether the venue said, within this halt epoch, that nothing is open.
    pub silent: bool,
    /// Whether a reconcile balanced within this halt epoch.
    pub reconciled: bool,
    /// Whether the marker of an unrecovered trip is there.
    pub marker: bool,
    /// Whether the kill file is there.
    pub kill_file: bool,
    /// Whether the environment asked for a trip at start.
    pub kill_environment: bool,
}

/// The journal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalStatus {
    /// Number of the last record written.
    pub records: u64,
    /// Number of the last durable one.
    pub durable: u64,
    /// Bytes written.
    pub bytes: u64,
    /// Whether it failed.
    pub failed: bool,
}

/// A thread.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ThreadStatus {
    /// Its name.
    pub name: String,
    /// How long ago it last moved.
    pub age_ms: i64,
}

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header.to_vec());
    table
}

fn right(text: impl ToString) -> Cell {
    Cell::new(text).set_alignment(CellAlignment::Right)
}

fn shown<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(|| "-".to_owned(), |v| v.to_string())
}

impl Status {
    /// As tables, for people.
    pub fn render(&self) -> String {
        let view = &self.view;
        let mut out = format!(
            "interlock {} · {} · pid {} · up {}\n{}\n",
            self.build,
            self.mode,
            self.pid,
            duration(self.uptime_s),
            self.kill.render(),
        );
        let failed = if self.journal.failed { ", FAILED" } else { "" };
        let links = view
            .links
            .iter()
            .map(|l| if l.up { format!("{} up", l.link) } else { format!("{} DOWN ({})", l.link, l.reason) });
        let links = links.collect::<Vec<_>>().join("   ");
        let (records, durable) = (self.journal.records, self.journal.durable);
        // Writing into a String can't fail.
        let _written = write!(
            out,
            "journal   {records} records, {durable} durable{failed}   facts {}   exposure {}\nlinks     {links}\n\n",
            view.fact_seq, view.exposure,
        );
        if let Some(report) = &self.reconcile {
            out += &render_reconcile(report);
            out += "\n\n";
        }
        for review in &self.reviews {
            let _written = write!(out, "REVIEW    {review}\n\n");
        }
        for part in
            [render_instruments(view), render_orders(view), render_execution(view), self.render_latency()]
        {
            if !part.is_empty() {
                out += &part;
                out += "\n\n";
            }
        }
        let t = view.totals;
        let _written = write!(
            out,
            "orders {} sent, {} accepted, {} refused by the venue, {} unknown   fills {}   intents {}: {} approved, \
             {} refused",
            t.orders_sent, t.accepted, t.rejected, t.unknown, t.fills, t.intents, t.approved, t.refused
        );
        out
    }

    /// The latency figures as a table; empty when nothing was measured.
    pub fn render_latency(&self) -> String {
        let measured: Vec<_> = self.latency.iter().filter(|(_, f)| f.count > 0).collect();
        if measured.is_empty() {
            return String::new();
        }
        let mut table = table(&["latency (ns)", "p50", "p99", "p99.9", "max", "count"]);
        for (name, f) in measured {
            table.add_row(vec![
                Cell::new(name),
                right(f.p50_ns),
                right(f.p99_ns),
                right(f.p999_ns),
                right(f.max_ns),
                right(f.count),
            ]);
        }
        table.to_string()
    }
}

impl KillStatus {
    /// In two lines, for people.
    pub fn render(&self) -> String {
        let state = if self.trading {
            "ARMED, trading".to_owned()
        } else if self.level_number < 3 {
            format!("armed, but the lease does not run: {}", self.lease_withheld)
        } else {
            format!("TRIPPED ({}) by {} at {}", self.level, self.reason, self.tripped_at)
        };
        let mut notes = Vec::new();
        if self.level_number >= 3 {
            notes.push(if self.silent {
                "the venue says that nothing is open".to_owned()
            } else {
                format!("{} orders may be open", self.open_orders)
            });
        }
        for (set, text) in [
            (self.marker, "marker of an unrecovered trip"),
            (self.kill_file, "kill file is there"),
            (self.kill_environment, "LIVE_KILL_SWITCH was set at start"),
        ] {
            if set {
                notes.push(text.to_owned());
            }
        }
        if self.lease_valid {
            notes.push(format!("lease {} ms", self.lease_remaining_ms));
        } else if !self.lease_withheld.is_empty() && self.level_number >= 3 {
            notes.push(format!("lease withheld: {}", self.lease_withheld));
        }
        format!("kill      {state}\n          epoch {}   {}", self.epoch, notes.join("   "))
    }
}

/// A round of the reconcile, for people.
pub fn render_reconcile(report: &Report) -> String {
    let outcome = match report.outcome {
        Outcome::None => return "reconcile none has ended yet".to_owned(),
        Outcome::Balanced => "balanced",
        Outcome::Mismatch => "MISMATCH",
        Outcome::Unknown => "UNKNOWN: the venue could not be asked",
        Outcome::Moving => "not settled yet",
    };
    let mut out = format!("reconcile {outcome} at {}", super::events::rfc3339(report.at_ns));
    for (count, what) in [
        (report.fills_recovered, "fills recovered"),
        (report.orders_adopted, "orders adopted"),
        (report.orders_resolved, "orders resolved"),
        (report.foreign_orders, "foreign orders"),
    ] {
        if count > 0 {
            // Writing into a String can't fail.
            let _written = write!(out, "   {count} {what}");
        }
    }
    for difference in &report.differences {
        out += "\n          ";
        out += difference;
    }
    out
}

/// The instruments, as a table; empty if there are none.
pub fn render_instruments(view: &Snapshot) -> String {
    if view.instruments.is_empty() {
        return String::new();
    }
    let mut table = table(&[
        "symbol",
        "bid",
        "ask",
        "book",
        "position",
        "average",
        "realised",
        "unrealised",
        "fees",
        "fills",
        "open",
    ]);
    for line in &view.instruments {
        table.add_row(vec![
            Cell::new(&line.symbol),
            right(shown(line.bid)),
            right(shown(line.ask)),
            Cell::new(if line.book_valid { "valid" } else { &line.book_reason }),
            right(line.position),
            right(shown(line.average_price)),
            right(cents(line.realised)),
            right(line.unrealised.map_or_else(|| "-".to_owned(), cents)),
            right(cents(line.fees)),
            right(line.fills),
            right(line.working),
        ]);
    }
    table.to_string()
}

/// The working orders, as a table; empty if there are none.
pub fn render_orders(view: &Snapshot) -> String {
    if view.orders.is_empty() {
        return String::new();
    }
    let mut table =
        table(&["order", "venue id", "symbol", "strategy", "side", "price", "qty", "filled", "state"]);
    for line in &view.orders {
        table.add_row(vec![
            Cell::new(&line.client_id),
            right(line.venue_id),
            Cell::new(&line.symbol),
            Cell::new(&line.strategy),
            Cell::new(&line.side),
            right(line.price),
            right(line.qty),
            right(line.filled),
            Cell::new(&line.state),
        ]);
    }
    table.to_string()
}

/// Money with at least two decimals.
fn cents(cash: Cash) -> String {
    format!("{cash:.2}")
}

fn duration(seconds: i64) -> String {
    let (h, m, s) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    if h > 0 { format!("{h}h {m:02}m {s:02}s") } else { format!("{m}m {s:02}s") }
}

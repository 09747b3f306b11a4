//! Bounded limits under watch (`[bounded_live.monitoring]`): an event when four fifths of one are used, and one when prices have
//! carried what is held past it. Orders can't pass a limit; this tells of what no order did. It only tells: the loss of a
//! day has layers of its own.

use core::cmp::Ordering;

use serde_json::json;

use super::Control;
use crate::limits::{EXIT_REFUSALS_MAX, INSTRUMENTS_MAX};
use crate::ops::events::Level;
use crate::ops::watch::Snapshot;
use crate::shared::HaltLevel;
use crate::types::{Cash, InstrumentTable, Now, Qty, Reason};

/// The limits that are watched, in the units in which they hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitMarks {
    /// Largest total exposure.
    pub exposure_max: Cash,
    /// Positions that may be open at once.
    pub open_positions_max: u32,
    /// Whether an event tells that four fifths are used.
    pub on_warning: bool,
    /// Whether an event tells that a limit is passed.
    pub on_breach: bool,
}

/// How near a limit is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
enum Near {
    #[default]
    Far,
    Warning,
    Breach,
}

/// What was told last, so that each rise is told once.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Told {
    exposure: Near,
    positions: Near,
    /// By instrument, how many exits in a row had been refused when it was last told.
    exits: [u32; INSTRUMENTS_MAX],
}

fn near(used: Cash, held: Cash, max: Cash) -> Near {
    let (used, max_wide) = (i128::from(used.units()), i128::from(max.units()));
    if held > max {
        Near::Breach
    } else if used * 5 >= max_wide * 4 {
        Near::Warning
    } else {
        Near::Far
    }
}

/// What is held at the middle of each instrument's quote (at its own cost without one), and in how many instruments more than
/// can't be sold is held.
fn held(view: &Snapshot, table: &InstrumentTable) -> (Cash, u32) {
    let (mut sum, mut positions) = (Cash::ZERO, 0);
    for (line, instrument) in view.instruments.iter().zip(table.all()) {
        let price = line.middle().or(line.average_price).unwrap_or_default();
        let qty = Qty::from_units(line.position.units().saturating_abs());
        let value = Cash::notional_for_limit(price, qty).unwrap_or(Cash::MAX);
        sum = sum.checked_add(value).unwrap_or(Cash::MAX);
        let sellable = qty >= instrument.lot.min && !qty.is_zero() && value >= instrument.notional.min;
        positions += u32::from(sellable);
    }
    (sum, positions)
}

impl Control {
    /// Looks at the limits, once a second.
    pub(super) fn watch_limits(&mut self, now: Now) {
        let Some(marks) = self.config.limits else { return };
        let view = self.parts.watcher.latest();
        let (value, positions) = held(view, &self.parts.table);
        let used = view.exposure.max(value);
        let exposure = near(used, value, marks.exposure_max);
        let in_positions = match positions.cmp(&marks.open_positions_max) {
            Ordering::Greater => Near::Breach,
            Ordering::Equal => Near::Warning,
            Ordering::Less => Near::Far,
        };
        let after = Told { exposure, positions: in_positions, ..self.told };
        let before = core::mem::replace(&mut self.told, after);
        let max = marks.exposure_max.to_string();
        self.tell_limit(now, "max_total_notional", (before.exposure, exposure), (&used.to_string(), &max));
        let (found, max) = (positions.to_string(), marks.open_positions_max.to_string());
        self.tell_limit(now, "max_open_positions", (before.positions, in_positions), (&found, &max));
    }

    /// Looks for exits that the venue refuses again and again, once a second: nothing more is bought then, and somebody must
    /// look. The exits themselves go on, at the pace that signal gives them.
    pub(super) fn watch_exits(&mut self, now: Now) {
        let view = self.parts.watcher.latest().clone();
        for (line, at) in view.instruments.iter().zip(0..INSTRUMENTS_MAX) {
            let told = &mut self.told.exits[at];
            // Taken meanwhile: the next ones are counted from nothing. Recovered meanwhile: as many more trip again.
            *told = (*told).min(line.exits_refused);
            if line.exits_refused - *told < EXIT_REFUSALS_MAX {
                continue;
            }
            *told = line.exits_refused;
            let fields = [
                ("symbol", json!(line.symbol)),
                ("refused_in_a_row", json!(line.exits_refused)),
                ("reason", json!(line.exit_refusal)),
                ("position", json!(line.position.to_string())),
            ];
            self.event(now, Level::Critical, "EXIT_REFUSED", &fields);
            let text = format!(
                "the venue refused {} exits on {} in a row ({}); {} is held",
                line.exits_refused, line.symbol, line.exit_refusal, line.position
            );
            self.trip(now, HaltLevel::RiskOff, Reason::ExitRefused, &text);
        }
    }

    fn tell_limit(&mut self, now: Now, limit: &str, (before, after): (Near, Near), figures: (&str, &str)) {
        let Some(marks) = self.config.limits.filter(|_| after > before) else { return };
        let fields = [("limit", json!(limit)), ("found", json!(figures.0)), ("max", json!(figures.1))];
        match after {
            Near::Breach if marks.on_breach => self.event(now, Level::Error, "LIMIT_BREACH", &fields),
            Near::Warning if marks.on_warning => self.event(now, Level::Warn, "LIMIT_WARNING", &fields),
            Near::Breach | Near::Warning | Near::Far => {}
        }
    }
}

//! `[readiness]`: from what figure on a condition is met, and where its evidence is.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Verdict;

/// From which verdict on a live session trips (R-GATE-5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum TripsAt {
    /// From anything that isn't GO, as a start is refused.
    #[default]
    #[serde(rename = "CONDITIONAL")]
    Conditional,
    /// Only from `NO_GO`; `CONDITIONAL` is told.
    #[serde(rename = "NO_GO")]
    NoGo,
}

impl TripsAt {
    /// The mildest verdict that trips.
    pub const fn verdict(self) -> Verdict {
        match self {
            Self::Conditional => Verdict::Conditional,
            Self::NoGo => Verdict::NoGo,
        }
    }
}

/// `[readiness]` (R-RDY-1, R-RDY-2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReadinessSection {
    /// Loopback address of `GET /health/readiness`; empty = not served.
    pub listen: String,
    /// Data directory of the paper programme; empty = this one.
    pub paper_dir: PathBuf,
    /// Data directory of the shadow programme; empty = this one.
    pub shadow_dir: PathBuf,
    /// The newest daily report may be so old, hours.
    pub report_age_max_h: u32,
    /// Consecutive days of paper trading, up to today or yesterday.
    pub paper_streak_days_min: u32,
    /// Weeks with paper trading in them.
    pub paper_weeks_min: u32,
    /// A day counts from so many minutes of paper trading on.
    pub paper_day_minutes_min: u32,
    /// The shadow programme's heartbeat may be so old, seconds.
    pub heartbeat_age_max_s: u32,
    /// Entries that the trade gate blocked, of all that were wanted: at least so many percent.
    pub turnover_block_percent_min: u32,
    /// The same, at most.
    pub turnover_block_percent_max: u32,
    /// Execution realism compares the average slippage of so many sessions with that of as many before.
    pub execution_sessions: u32,
    /// It drifts when the average has grown by more than this, hundredths of a basis point.
    pub execution_drift_centi_bp_max: u32,
    /// No CRITICAL event for so many days.
    pub critical_free_days: u32,
    /// A live session is judged anew so often, seconds.
    pub live_every_s: u32,
    /// From which verdict on it trips: `CONDITIONAL` or `NO_GO`.
    pub live_trips_at: TripsAt,
}

impl Default for ReadinessSection {
    fn default() -> Self {
        Self {
            listen: String::new(),
            paper_dir: PathBuf::new(),
            shadow_dir: PathBuf::new(),
            report_age_max_h: 24,
            paper_streak_days_min: 14,
            paper_weeks_min: 2,
            paper_day_minutes_min: 60,
            heartbeat_age_max_s: 7_200,
            turnover_block_percent_min: 5,
            turnover_block_percent_max: 70,
            execution_sessions: 7,
            execution_drift_centi_bp_max: 200,
            critical_free_days: 14,
            live_every_s: 60,
            live_trips_at: TripsAt::Conditional,
        }
    }
}

impl ReadinessSection {
    /// Whether the figures make sense.
    pub fn check(&self) -> Result<(), String> {
        let ranges: [(&str, u32, u32, u32, &str); 10] = [
            ("report_age_max_h", self.report_age_max_h, 1, 48, "a daily report is of the day"),
            (
                "paper_streak_days_min",
                self.paper_streak_days_min,
                1,
                366,
                "0 would need no paper trading at all",
            ),
            ("paper_weeks_min", self.paper_weeks_min, 1, 53, "0 would need no paper trading at all"),
            ("paper_day_minutes_min", self.paper_day_minutes_min, 0, 1_440, "a day has 1440"),
            ("heartbeat_age_max_s", self.heartbeat_age_max_s, 10, 86_400, "an old beat is none"),
            ("turnover_block_percent_max", self.turnover_block_percent_max, 1, 100, "a share"),
            ("execution_sessions", self.execution_sessions, 1, 90, "0 would compare nothing"),
            ("execution_drift_centi_bp_max", self.execution_drift_centi_bp_max, 1, 100_000, "10 % at most"),
            ("critical_free_days", self.critical_free_days, 1, 366, "0 would look at nothing"),
            ("live_every_s", self.live_every_s, 1, 3_600, "0 would never look"),
        ];
        for (key, value, min, max, why) in ranges {
            if value < min || value > max {
                return Err(format!("readiness.{key} = {value} is out of range: {min} to {max} ({why})"));
            }
        }
        if self.turnover_block_percent_min > self.turnover_block_percent_max {
            return Err(format!(
                "readiness.turnover_block_percent_min = {} is over turnover_block_percent_max = {}",
                self.turnover_block_percent_min, self.turnover_block_percent_max
            ));
        }
        if !self.listen.is_empty() {
            let address: Result<std::net::SocketAddr, _> = self.listen.parse();
            if !address.is_ok_and(|a| a.ip().is_loopback()) {
                return Err(format!(
                    "readiness.listen = {:?} is not a loopback address like \"127.0.0.1:8000\"; nothing else is served",
                    self.listen
                ));
            }
        }
        Ok(())
    }
}

//! Times are nanoseconds since the Unix epoch in an `i64`, with the unit in the name (`recv_ns`). Durations likewise.

/// Nanoseconds in a microsecond.
pub const NS_PER_US: i64 = 1_000;
/// Nanoseconds in a millisecond.
pub const NS_PER_MS: i64 = 1_000_000;
/// Nanoseconds in a second.
pub const NS_PER_S: i64 = 1_000_000_000;
/// Nanoseconds in a minute.
pub const NS_PER_MIN: i64 = 60 * NS_PER_S;
/// Nanoseconds in a day.
pub const NS_PER_DAY: i64 = 86_400 * NS_PER_S;

/// One reading of the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Now {
    /// Nanoseconds since the Unix epoch.
    pub ns: i64,
    /// Nanoseconds since this process made its clock; never steps.
    pub mono_ns: i64,
}

//! Latency stamps: raw ticks of the time-stamp counter, for measuring only, never for deciding (so a replay needs none).

/// One duration of one stage, in ticks. Small, so that a ring of them is cheap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Sample {
    /// Which measurement: index into `shared::latency::METRICS`.
    pub metric: u16,
    /// How long, in ticks (saturating).
    pub ticks: u32,
}

/// All stamps of one order's way through the engine, in raw ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct OrderTrace {
    /// The last byte of the market-data frame was read.
    pub read: u64,
    /// It was decoded and pushed to the line.
    pub decoded: u64,
    /// Signal raised the intent.
    pub signal: u64,
    /// Risk approved it.
    pub risk: u64,
    /// The request was encoded and signed.
    pub encoded: u64,
    /// The last byte was handed to the socket.
    pub written: u64,
}

//! The gateway's figures; `run` makes them from the plan.

use crate::types::time::{NS_PER_MS, NS_PER_S};
use crate::wire::retry::RetryConfig;

/// The figures of the gateway and of its order session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GatewayConfig {
    /// A new order whose fact is older than this at the write does not leave.
    pub decision_age_max_ns: i64,
    /// How long after its timestamp the venue may still accept a request (`recvWindow`).
    pub recv_window_ns: i64,
    /// After the receive window, how much longer the venue's word that it has no such order is not yet believed: queries may
    /// be answered by a replica that lags (F7).
    pub absent_settle_ns: i64,
    /// First pause before asking again for an order whose outcome is unknown; doubles up to `query_longest_ns`.
    pub query_first_ns: i64,
    /// Longest pause between two queries of one order.
    pub query_longest_ns: i64,
    /// First pause between the rounds of cancel-all and query while a halt is being carried out; doubles. A first round that an
    /// order of ours crossed on its way proves nothing, and the second one must not be what the halt waits for.
    pub sweep_pause_ns: i64,
    /// An answer to a query of the sweep or of the start-up that takes longer is asked for again.
    pub answer_timeout_ns: i64,
    /// A connection without a single frame (the venue pings every 20 s) for this long is dead.
    pub quiet_after_ns: i64,
    /// Opening, handshake, logon and start-up queries together may take this long.
    pub open_timeout_ns: i64,
    /// A connection is renewed after this long; the venue ends it at 24 hours.
    pub renew_after_ns: i64,
    /// Share of every rate budget that only cancels and queries may use, in percent (F21).
    pub reserve_percent: u8,
    /// Polls between two reads of the order link while nothing is outstanding.
    pub read_every: u32,
    /// Everything but the write: orders are encoded and signed, and stop there. Questions to the venue leave, and so do the
    /// cancels of a halt.
    pub dry_run: bool,
    /// Reconnects.
    pub retry: RetryConfig,
}

impl GatewayConfig {
    /// How long after it was written an order may still arrive: the receive window, the venue's own queue behind its check, and
    /// the error of our estimate of its clock.
    pub const fn arrival_ns(&self) -> i64 {
        self.recv_window_ns + NS_PER_S
    }

    /// How long after it was written the venue's word that it has no such order is not believed (F7).
    pub const fn absent_ns(&self) -> i64 {
        self.recv_window_ns + self.absent_settle_ns
    }
}

impl Default for GatewayConfig {
    fn default() -> Self {
        Self {
            decision_age_max_ns: 500 * NS_PER_MS,
            recv_window_ns: 5 * NS_PER_S,
            absent_settle_ns: 30 * NS_PER_S,
            query_first_ns: 250 * NS_PER_MS,
            query_longest_ns: 5 * NS_PER_S,
            sweep_pause_ns: 25 * NS_PER_MS,
            answer_timeout_ns: 2 * NS_PER_S,
            quiet_after_ns: 65 * NS_PER_S,
            open_timeout_ns: 10 * NS_PER_S,
            renew_after_ns: (24 * 3_600 - 900) * NS_PER_S,
            reserve_percent: 20,
            read_every: 4,
            dry_run: false,
            retry: RetryConfig::default(),
        }
    }
}

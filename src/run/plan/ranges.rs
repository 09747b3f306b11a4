//! The bounds of the configuration's figures: one table, walked over the effective configuration, so that no figure is
//! checked in one place and forgotten in another.

use toml::Value;

/// One bound.
#[derive(Debug)]
pub(super) struct Range {
    /// Dotted path.
    pub path: &'static str,
    /// Least.
    pub min: i64,
    /// Most.
    pub max: i64,
    /// Why.
    pub why: &'static str,
}

const fn range(path: &'static str, min: i64, max: i64, why: &'static str) -> Range {
    Range { path, min, max, why }
}

/// Every figure with a bound.
pub(super) const RANGES: &[Range] = &[
    range(
        "feed.stale_after_ms",
        100,
        600_000,
        "shorter than a quiet second halts for nothing; longer is blind",
    ),
    range("feed.retries_max", 1, 100, "0 would never connect"),
    range(
        "feed.connects_per_5min_max",
        1,
        100,
        "the venue counts 300 for each address, and three links share them",
    ),
    range("feed.history_bars", 0, 1_000, "the venue serves at most 1000 klines a request"),
    range("feed.renew_after_s", 60, 86_000, "the venue cuts a connection at 86400 s"),
    range("gateway.answer_timeout_ms", 100, 60_000, "the venue itself gives up after 10 s"),
    range("gateway.decision_age_max_ms", 1, 10_000, "an old decision trades on an old book"),
    range("gateway.recv_window_ms", 1, 60_000, "the venue's bound"),
    range("gateway.absent_settle_ms", 0, 600_000, "how far a replica of the venue may lag"),
    range("gateway.reserve_percent", 1, 90, "cancels need a share, and so do orders"),
    range("journal.segment_mib", 1, 4_096, "a segment is verified as a whole"),
    range("journal.sync_every_ms", 1, 1_000, "how much a power cut may lose"),
    range("journal.checkpoint_every_s", 1, 86_400, "how much a cut tail may hide"),
    range("kill.lease_ms", 100, 10_000, "how long a hung control thread goes unnoticed"),
    range("kill.stall_after_ms", 50, 60_000, "how long a hung stage goes unnoticed"),
    range("kill.clock_step_max_ms", 1, 60_000, "how far the clock may jump"),
    range("reconcile.every_s", 1, 3_600, "a difference that nobody looks for grows"),
    range("reconcile.max_age_s", 5, 86_400, "how long books that nobody compared may be traded on"),
    range("reconcile.confirmations", 1, 20, "how often a difference is looked at again before it halts"),
    range("exits.stop_loss_bp", 0, 9_999, "0 for none; a price can fall by less than 100 %"),
    range("exits.take_profit_bp", 0, 100_000, "0 for none; ten times the price is far enough"),
    range("exits.trailing_bp", 0, 9_999, "0 for none; a price can fall by less than 100 %"),
    range("emergency.rollback_trips", 1, 100, "0 would roll back before the first trip"),
    range("emergency.rollback_window_h", 1, 168, "a week at most"),
    range(
        "emergency.rollback_loss_percent",
        100,
        1_000,
        "below the limit itself it would act before the limit does",
    ),
    range("emergency.rollback_offline_min", 1, 1_440, "a day at most"),
    range(
        "emergency.review_slippage_expected_centi_bp",
        1,
        100_000,
        "a fill without any cost is not to be expected",
    ),
    range(
        "emergency.review_slippage_percent",
        100,
        1_000,
        "below what is expected there is nothing to look at",
    ),
    range("emergency.review_fill_percent_min", 0, 100, "0 for none"),
    range("emergency.review_orders_min", 1, 100_000, "a few orders say nothing"),
    range("emergency.post_mortem_h", 1, 168, "what is not written within days is forgotten"),
    range("emergency.paper_first_s", 1, 604_800, "a week at most"),
    range("emergency.halt_within_s", 1, 600, "how long a broken engine may take to end"),
    range("emergency.watchdog_ms", 100, 60_000, "how long a hung control thread goes unnoticed"),
    range("emergency.rest_stall_s", 10, 3_600, "shorter than a request's own end trips for nothing"),
    range("paper.latency_min_us", 0, 10_000_000, "a model of a network, not of a mail coach"),
    range("paper.latency_max_us", 0, 10_000_000, "a model of a network, not of a mail coach"),
    range("paper.maker_fee_centi_bp", 0, 100_000, "10 % at most"),
    range("paper.taker_fee_centi_bp", 0, 100_000, "10 % at most"),
    range("paper.slippage_centi_bp", 0, 10_000, "1 % at most: beyond that there is no market"),
    range(
        "shadow.followed_max",
        1,
        1_000_000,
        "each followed decision takes about 100 bytes for its longest horizon",
    ),
    range(
        "shadow.heartbeat_s",
        1,
        3_600,
        "after two hours without one, the shadow programme counts as stopped",
    ),
];

/// The first figure that is out of its bounds, with what was found.
pub(super) fn first_out_of_range(effective: &Value) -> Option<(&'static Range, i64)> {
    RANGES.iter().find_map(|range| {
        let found = range.path.split('.').try_fold(effective, |v, key| v.get(key))?.as_integer()?;
        (found < range.min || found > range.max).then_some((range, found))
    })
}

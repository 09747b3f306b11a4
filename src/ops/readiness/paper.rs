//! What the paper programme's sessions say: how many days without a gap, how much the trade gate blocks, whether fills get worse.

use std::collections::BTreeMap;

use super::config::ReadinessSection;
use super::digest::Digest;
use crate::types::time::{NS_PER_DAY, NS_PER_S};

/// Nanoseconds of a minute.
const MINUTE_NS: i64 = 60 * NS_PER_S;
/// 1970-01-01 was a Thursday: so many days after a Monday.
const EPOCH_WEEKDAY: i64 = 3;

/// Days (UTC, counted from the epoch) with enough paper trading.
pub(super) fn days(digests: &[Digest], minutes_min: u32) -> Vec<i64> {
    let mut minutes: BTreeMap<i64, i64> = BTreeMap::new();
    for digest in digests {
        let (mut from, until) = (digest.started_ns, digest.ended_ns);
        while from <= until {
            let day = from.div_euclid(NS_PER_DAY);
            let next = (day + 1).saturating_mul(NS_PER_DAY);
            *minutes.entry(day).or_default() += (until.min(next) - from) / MINUTE_NS;
            from = next;
        }
    }
    minutes.into_iter().filter(|(_, m)| *m >= i64::from(minutes_min)).map(|(day, _)| day).collect()
}

/// Days in a row up to today, or up to yesterday while today has not enough yet.
pub(super) fn streak(days: &[i64], today: i64) -> u32 {
    let has = |day: i64| days.binary_search(&day).is_ok();
    let last = if has(today) { today } else { today - 1 };
    // At most one for each day that there is.
    let ahead = i64::try_from(days.len()).unwrap_or(i64::MAX);
    let count = (0..ahead).take_while(|back| has(last - back)).count();
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// Calendar weeks (from Monday) with at least one of the days.
pub(super) fn weeks(days: &[i64]) -> u32 {
    let mut weeks: Vec<i64> = days.iter().map(|day| (day + EPOCH_WEEKDAY).div_euclid(7)).collect();
    weeks.dedup();
    u32::try_from(weeks.len()).unwrap_or(u32::MAX)
}

/// The share of entries that the trade gate blocked, in the sessions that execution realism looks at too.
pub(super) fn block_rate(digests: &[Digest], section: &ReadinessSection) -> Result<String, String> {
    let recent = last_with(digests, section, |d| d.entries > 0);
    let (entries, gated) = recent.iter().fold((0, 0), |(e, g), d| (e + d.entries, g + d.gated));
    if entries == 0 {
        return Err("Turnover block rate can't be told: no paper session wanted an entry".to_owned());
    }
    let percent = gated.saturating_mul(100) / entries;
    let min = u64::from(section.turnover_block_percent_min);
    let max = u64::from(section.turnover_block_percent_max);
    if percent < min {
        return Err(format!("Turnover block rate ({percent}%) below {min}%"));
    }
    if percent > max {
        return Err(format!("Turnover block rate ({percent}%) exceeds {max}%"));
    }
    Ok(format!("{percent}% of {entries} entries"))
}

/// Average slippage of the last sessions against that of as many before.
pub(super) fn realism(digests: &[Digest], section: &ReadinessSection) -> Result<String, String> {
    let wanted = usize::try_from(section.execution_sessions).unwrap_or(usize::MAX);
    let measured: Vec<_> = digests.iter().filter(|d| d.measured > 0).collect();
    if measured.len() < wanted.saturating_mul(2) {
        return Err(format!(
            "Execution realism can't be told: {} paper sessions with fills, {} are compared",
            measured.len(),
            wanted.saturating_mul(2)
        ));
    }
    let (before, recent) = measured[measured.len() - 2 * wanted..].split_at(wanted);
    let average = |some: &[&Digest]| {
        let (sum, count) = some.iter().fold((0i128, 0i128), |(sum, count), d| {
            (sum + i128::from(d.slippage_centi_bp), count + i128::from(d.measured))
        });
        sum / count.max(1)
    };
    let (before, recent) = (average(before), average(recent));
    let text = format!("{recent} against {before} hundredths of a basis point");
    if recent - before > i128::from(section.execution_drift_centi_bp_max) {
        return Err(format!("Execution realism degradation detected: slippage {text}"));
    }
    Ok(format!("slippage {text}"))
}

/// The last sessions that have something to say.
fn last_with(digests: &[Digest], section: &ReadinessSection, says: fn(&Digest) -> bool) -> Vec<Digest> {
    let wanted = usize::try_from(section.execution_sessions).unwrap_or(usize::MAX);
    digests.iter().rev().filter(|d| says(d)).take(wanted).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(day: i64, minutes: i64) -> Digest {
        let started_ns = day * NS_PER_DAY + MINUTE_NS;
        Digest { started_ns, ended_ns: started_ns + minutes * MINUTE_NS, ..Digest::default() }
    }

    #[test]
    fn r_rdy_2_a_streak_ends_at_the_first_day_without_enough_paper_trading() {
        let digests: Vec<_> = [10, 11, 13, 14, 15].map(|day| session(day, 61)).into();
        let days = days(&digests, 60);
        assert_eq!(days, [10, 11, 13, 14, 15]);
        assert_eq!(streak(&days, 15), 3);
        assert_eq!(streak(&days, 16), 3, "today may still become a day");
        assert_eq!(streak(&days, 17), 0, "yesterday is missing");
        assert_eq!(super::days(&[session(10, 59)], 60), Vec::<i64>::new());
        assert_eq!(super::days(&[session(10, 30), session(10, 31)], 60), [10], "two halves make a day");
        // From one day into the next: each has its own minutes.
        let night = Digest { ended_ns: 12 * NS_PER_DAY + 90 * MINUTE_NS, ..session(11, 0) };
        assert_eq!(super::days(&[night], 60), [11, 12]);
    }

    #[test]
    fn weeks_begin_on_monday() {
        // 1970-01-05 was a Monday, day 4.
        assert_eq!(weeks(&[3]), 1);
        assert_eq!(weeks(&[3, 4]), 2);
        assert_eq!(weeks(&[4, 10]), 1);
        assert_eq!(weeks(&[4, 11]), 2);
        assert_eq!(weeks(&[]), 0);
    }

    #[test]
    fn the_block_rate_has_a_band_and_no_data_is_outside_of_it() {
        let section = ReadinessSection::default();
        let rate = |entries, gated| block_rate(&[Digest { entries, gated, ..Digest::default() }], &section);
        assert!(block_rate(&[], &section).is_err());
        assert!(rate(0, 0).is_err());
        assert!(rate(100, 4).unwrap_err().contains("below 5%"));
        assert!(rate(100, 5).is_ok());
        assert!(rate(100, 70).is_ok());
        assert!(rate(100, 71).unwrap_err().contains("exceeds 70%"));
    }

    #[test]
    fn fills_that_get_worse_are_drift_and_too_few_sessions_are_no_knowledge() {
        let section = ReadinessSection { execution_sessions: 2, ..ReadinessSection::default() };
        let with = |cost: i64| Digest { measured: 10, slippage_centi_bp: 10 * cost, ..Digest::default() };
        assert!(realism(&[with(100), with(100), with(100)], &section).is_err());
        assert!(realism(&[with(100), with(100), with(300), with(300)], &section).is_ok());
        assert!(realism(&[with(100), with(100), with(301), with(301)], &section).is_err());
        assert!(realism(&[with(900), with(900), with(100), with(100)], &section).is_ok(), "better is fine");
    }
}

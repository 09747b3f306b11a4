//! Times in raw ticks to a table in nanoseconds. Integers only: tenths of a nanosecond are enough, since the counter moves in
//! steps of about ten.

use interlock::agent::Clock;

/// One variant's figures: for each round its percentiles, in tenths of a nanosecond.
pub(crate) struct Series {
    pub(crate) name: String,
    rounds: Vec<[u64; 3]>,
}

/// Variants that are measured in turn, round by round, so that what the host does falls on all of them alike.
pub(crate) struct Table<'a> {
    title: &'static str,
    clock: &'a Clock,
    pub(crate) series: Vec<Series>,
}

impl<'a> Table<'a> {
    pub(crate) fn new(title: &'static str, clock: &'a Clock) -> Self {
        Self { title, clock, series: Vec::new() }
    }

    /// One round of a variant: each sample is the time, in ticks, that `per` operations took.
    pub(crate) fn add(&mut self, name: &str, mut ticks: Vec<u64>, per: u64) {
        assert!(!ticks.is_empty(), "{name}: nothing was measured");
        ticks.sort_unstable();
        let at = |thousandths: usize| {
            let index = (ticks.len() - 1) * thousandths / 1_000;
            self.clock.ticks_to_ns(ticks[index] * 1_000) / (100 * per)
        };
        let round = [at(500), at(990), at(999)];
        match self.series.iter_mut().find(|s| s.name == name) {
            Some(series) => series.rounds.push(round),
            None => self.series.push(Series { name: name.to_owned(), rounds: vec![round] }),
        }
    }

    /// Prints medians over the rounds, and ratios taken inside a round against the first variant.
    #[expect(clippy::print_stdout, reason = "the table is what the bench is run for")]
    pub(crate) fn print(&self) {
        println!("\n{}, ns", self.title);
        println!("{:<58} {:>9} {:>9} {:>9} {:>17} {:>7}", "", "p50", "p99", "p99.9", "p50 min..max", "ratio");
        let base = &self.series[0];
        for series in &self.series {
            let column = |i: usize| series.rounds.iter().map(move |round| round[i]);
            let ratios = series.rounds.iter().zip(&base.rounds).map(|(x, b)| x[0] * 1_000 / b[0].max(1));
            let (low, high) = (column(0).min().unwrap_or(0), column(0).max().unwrap_or(0));
            println!(
                "{:<58} {:>9} {:>9} {:>9} {:>17} {:>7}",
                series.name,
                tenths(median(column(0))),
                tenths(median(column(1))),
                tenths(median(column(2))),
                format!("{}..{}", tenths(low), tenths(high)),
                thousandths(median(ratios)),
            );
        }
    }
}

pub(crate) fn median(values: impl Iterator<Item = u64>) -> u64 {
    let mut values: Vec<u64> = values.collect();
    values.sort_unstable();
    values.get(values.len() / 2).copied().unwrap_or(0)
}

fn tenths(value: u64) -> String {
    format!("{}.{}", value / 10, value % 10)
}

fn thousandths(value: u64) -> String {
    format!("{}.{:03}", value / 1_000, value % 1_000)
}

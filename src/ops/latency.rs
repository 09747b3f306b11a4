//! Latency histograms, kept off the hot threads (R-HOT-5): the stages push raw ticks into rings, this drains them.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use rtrb::Consumer;
use serde::{Deserialize, Serialize};

use crate::agent::Clock;
use crate::event::{OrderTrace, Sample};
use crate::shared::latency::Metric;

/// Longest duration that is told apart; longer ones count as this long.
const NS_MAX: u64 = 60 * 1_000_000_000;
/// Significant digits: 0.1 % wide buckets.
const DIGITS: u8 = 3;
/// Samples taken from a ring in one drain.
const DRAIN_MAX: usize = 8_192;

/// The figures of one metric.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Figures {
    /// Samples.
    pub count: u64,
    /// Median, nanoseconds.
    pub p50_ns: u64,
    /// 99th percentile.
    pub p99_ns: u64,
    /// 99.9th percentile.
    pub p999_ns: u64,
    /// Largest.
    pub max_ns: u64,
}

/// The histograms of a session and the rings that feed them.
#[derive(Debug)]
pub struct Histograms {
    clock: Clock,
    by_metric: Vec<Histogram<u64>>,
    samples: Vec<Consumer<Sample>>,
    traces: Vec<Consumer<OrderTrace>>,
}

impl Histograms {
    /// With the rings of all stages.
    pub fn new(clock: Clock, samples: Vec<Consumer<Sample>>, traces: Vec<Consumer<OrderTrace>>) -> Self {
        let by_metric = Metric::ALL.iter().filter_map(|_| Histogram::new_with_bounds(1, NS_MAX, DIGITS).ok());
        let by_metric: Vec<_> = by_metric.collect();
        assert_eq!(by_metric.len(), Metric::ALL.len(), "the bounds of the histograms are constants");
        Self { clock, by_metric, samples, traces }
    }

    /// Takes what is in the rings; returns how much.
    pub fn drain(&mut self) -> usize {
        let mut taken = 0;
        for ring in &mut self.samples {
            for _ in 0..DRAIN_MAX {
                let Ok(sample) = ring.pop() else { break };
                let ns = self.clock.ticks_to_ns(u64::from(sample.ticks));
                if let Some(histogram) = self.by_metric.get_mut(usize::from(sample.metric)) {
                    histogram.saturating_record(ns);
                }
                taken += 1;
            }
        }
        for ring in &mut self.traces {
            for _ in 0..DRAIN_MAX {
                let Ok(trace) = ring.pop() else { break };
                for (metric, ticks) in spans(&trace) {
                    let ns = self.clock.ticks_to_ns(ticks);
                    self.by_metric[metric as usize].saturating_record(ns);
                }
                taken += 1;
            }
        }
        taken
    }

    /// The figures of one metric.
    pub fn figures(&self, metric: Metric) -> Figures {
        let histogram = &self.by_metric[metric as usize];
        Figures {
            count: histogram.len(),
            p50_ns: histogram.value_at_quantile(0.5),
            p99_ns: histogram.value_at_quantile(0.99),
            p999_ns: histogram.value_at_quantile(0.999),
            max_ns: histogram.max(),
        }
    }

    /// All figures, by the metric's name.
    pub fn all(&self) -> BTreeMap<String, Figures> {
        Metric::ALL.iter().map(|&metric| (metric.name().to_owned(), self.figures(metric))).collect()
    }
}

/// What an order's stamps tell beside the stages' own samples, which count every message and not only those that led to an
/// order. A stamp that is missing (0) or out of order gives nothing: better no figure than a wrong one.
fn spans(trace: &OrderTrace) -> impl Iterator<Item = (Metric, u64)> {
    [(Metric::Encode, trace.risk, trace.encoded), (Metric::TickToTrade, trace.read, trace.written)]
        .into_iter()
        .filter(|&(_, from, to)| from != 0 && to >= from)
        .map(|(metric, from, to)| (metric, to - from))
}

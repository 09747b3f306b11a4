//! Exposure by instrument and by group of instruments that move together: the correlation limit.

use super::config::{CorrelationConfig, GROUPS_MAX};
use crate::types::{Cash, InstrumentId, InstrumentTable, Reason};

#[derive(Clone, Debug)]
pub(in crate::risk) struct Groups {
    exposure_max: i128,
    /// Of each instrument the groups that it is in, one bit each; never none.
    of: Box<[u8]>,
    /// Of each instrument its part of the total exposure.
    own: Box<[i128]>,
    sums: [i128; GROUPS_MAX],
}

const _: () = assert!(GROUPS_MAX <= 8, "one bit of a byte each");

impl Groups {
    pub(in crate::risk) fn new(config: &CorrelationConfig, table: &InstrumentTable) -> Self {
        let mask = |symbol: &str| {
            let named = config.groups.values().enumerate().filter(|(_, its)| its.iter().any(|s| s == symbol));
            let bits = named.fold(0u8, |bits, (at, _)| bits | 1 << at);
            // What no group names is in the last one, with all that are like it.
            if bits == 0 { 1 << (GROUPS_MAX - 1) } else { bits }
        };
        Self {
            exposure_max: config.exposure_max.units().into(),
            of: table.all().iter().map(|i| mask(i.symbol.as_str())).collect(),
            own: vec![0; table.all().len()].into_boxed_slice(),
            sums: [0; GROUPS_MAX],
        }
    }

    /// The instrument's part of the exposure changed.
    #[inline]
    pub(in crate::risk) fn add(&mut self, instrument: InstrumentId, delta: i128) {
        let at = instrument.index();
        let (Some(own), Some(&mask)) = (self.own.get_mut(at), self.of.get(at)) else { return };
        *own += delta;
        for (group, sum) in self.sums.iter_mut().enumerate() {
            if mask >> group & 1 == 1 {
                *sum += delta;
            }
        }
    }

    /// The instrument's part of the exposure.
    pub(in crate::risk) fn own(&self, instrument: InstrumentId) -> i128 {
        self.own.get(instrument.index()).copied().unwrap_or(i128::MAX)
    }

    pub(in crate::risk) fn room(&self, instrument: InstrumentId, value: Cash) -> Result<(), Reason> {
        let mask = self.of.get(instrument.index()).copied().ok_or(Reason::UnknownInstrument)?;
        let value = i128::from(value.units());
        let full = self
            .sums
            .iter()
            .enumerate()
            .any(|(group, sum)| mask >> group & 1 == 1 && sum + value > self.exposure_max);
        if full { Err(Reason::Correlation) } else { Ok(()) }
    }
}

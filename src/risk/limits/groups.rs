//! Exposure by instrument and by group of instruments that move together: the correlation limit.

use super::config::{CorrelationConfig, GROUPS_MAX};
use crate::limits::INSTRUMENTS_MAX;
use crate::types::{Cash, InstrumentId, InstrumentTable, Reason};

#[derive(Clone, Debug)]
pub(in crate::risk) struct Groups {
    exposure_max: i128,
    /// Of each instrument the groups that it is in, one bit each; never none.
    of: Box<[u8]>,
    /// Of each instrument its part of the total exposure.
    own: Box<[i128]>,
    sums: [i128; GROUPS_MAX],
    /// Of each instrument those that share a group with it, one bit each.
    peers: Box<[u16]>,
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
        let of: Box<[u8]> = table.all().iter().map(|i| mask(i.symbol.as_str())).collect();
        let share = |own: u8| {
            let sharing = of.iter().enumerate().take(INSTRUMENTS_MAX).filter(|(_, other)| **other & own != 0);
            sharing.fold(0u16, |bits, (at, _)| bits | 1 << at)
        };
        Self {
            exposure_max: config.exposure_max.units().into(),
            peers: of.iter().map(|own| share(*own)).collect(),
            of,
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

    /// The same for what moves together by measurement or by configuration: around no instrument may more than the bound stand.
    pub(in crate::risk) fn room_measured(
        &self,
        instrument: InstrumentId,
        value: Cash,
        together: &[u16],
    ) -> Result<(), Reason> {
        let value = i128::from(value.units());
        // All of it together within the bound: then every part of it is, and that is the usual case.
        if self.own.iter().sum::<i128>() + value <= self.exposure_max {
            return Ok(());
        }
        let near = |at: usize| {
            let measured = together.get(at).copied().unwrap_or(u16::MAX);
            self.peers.get(at).copied().unwrap_or(u16::MAX) | measured | 1 << at
        };
        let its = near(instrument.index());
        let sum = |mask: u16| -> i128 {
            self.own.iter().enumerate().filter(|(at, _)| mask >> at & 1 == 1).map(|(_, own)| own).sum()
        };
        let full = (0..self.own.len())
            .filter(|at| its >> at & 1 == 1)
            .any(|at| sum(near(at)) + value > self.exposure_max);
        if full { Err(Reason::Correlation) } else { Ok(()) }
    }
}

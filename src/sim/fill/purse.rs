//! The paper account's money. Sums are `i128`, so that no sequence of fills can overflow them; what is shown is clamped.

use crate::types::instrument::Multiplier;
use crate::types::{AssetId, Qty};

#[derive(Clone, Copy, Debug, Default)]
struct Pocket {
    free: i128,
    locked: i128,
}

/// Free and locked amounts by asset.
#[derive(Debug)]
pub(super) struct Purse {
    pockets: Vec<Pocket>,
}

impl Purse {
    pub(super) fn new(assets: usize, start: &[(AssetId, Qty)]) -> Self {
        let mut purse = Self { pockets: vec![Pocket::default(); assets] };
        for &(asset, amount) in start {
            if let Some(pocket) = purse.pockets.get_mut(asset.index()) {
                pocket.free += i128::from(amount.units());
            }
        }
        purse
    }

    fn pocket(&mut self, asset: AssetId) -> &mut Pocket {
        &mut self.pockets[asset.index()]
    }

    pub(super) fn free(&self, asset: AssetId) -> i128 {
        self.pockets[asset.index()].free
    }

    /// Free and locked together.
    pub(super) fn total(&self, asset: AssetId) -> i128 {
        let pocket = self.pockets[asset.index()];
        pocket.free + pocket.locked
    }

    /// Locks an amount; `false` when not enough is free.
    pub(super) fn lock(&mut self, asset: AssetId, amount: i128) -> bool {
        let pocket = self.pocket(asset);
        if pocket.free < amount {
            return false;
        }
        pocket.free -= amount;
        pocket.locked += amount;
        true
    }

    pub(super) fn unlock(&mut self, asset: AssetId, amount: i128) {
        let pocket = self.pocket(asset);
        pocket.locked -= amount;
        pocket.free += amount;
    }

    pub(super) fn pay(&mut self, asset: AssetId, amount: i128) {
        self.pocket(asset).free -= amount;
    }

    /// Receives an amount less its fee and returns the fee, rounded up: against us.
    pub(super) fn receive(&mut self, asset: AssetId, amount: i128, rate: Multiplier) -> i128 {
        let one = i128::from(Multiplier::ONE.units());
        let fee = (amount * i128::from(rate.units()) + one - 1).div_euclid(one);
        self.pocket(asset).free += amount - fee;
        fee
    }

    /// Free and locked as the venue would report them.
    pub(super) fn shown(&self, asset: AssetId) -> (Qty, Qty) {
        let pocket = self.pockets[asset.index()];
        (clamp(pocket.free), clamp(pocket.locked))
    }

    pub(super) fn assets(&self) -> impl Iterator<Item = AssetId> + use<> {
        (0..self.pockets.len()).filter_map(|at| u16::try_from(at).ok().map(AssetId))
    }
}

/// Shown figures saturate; the sums do not.
pub(super) fn clamp(units: i128) -> Qty {
    Qty::from_units(i64::try_from(units).unwrap_or(if units < 0 { i64::MIN } else { i64::MAX }))
}

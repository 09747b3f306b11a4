//! Who owns what. Every movement of money goes through here, and each one conserves: what all accounts hold, free and
//! locked, plus the fees taken equals what was paid in, for each asset, exactly, at all times.

use super::spec::Ratio;
use crate::types::{AssetId, Cash, Qty};

/// Index of an account.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct AccountId(pub u32);

impl AccountId {
    /// As an index.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// How an account is set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccountConfig {
    /// Fee of fills as maker, of what is received.
    pub maker_rate: Ratio,
    /// Fee of fills as taker, of what is received.
    pub taker_rate: Ratio,
    /// Whether its events, orders and trades are kept. The order flow's own accounts have no reader.
    pub reports: bool,
    /// Whether `MAX_NUM_ORDERS` binds it.
    pub orders_limited: bool,
}

impl AccountConfig {
    /// A client: 0.1 % fees either way, everything reported.
    pub const CLIENT: Self = Self {
        maker_rate: Ratio::from_units(100_000),
        taker_rate: Ratio::from_units(100_000),
        reports: true,
        orders_limited: true,
    };
    /// A participant of the order flow: no fees, nothing reported.
    pub const FLOW: Self =
        Self { maker_rate: Ratio::ZERO, taker_rate: Ratio::ZERO, reports: false, orders_limited: false };
}

/// What an account holds of an asset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Holding {
    /// Free to use.
    pub free: Qty,
    /// Locked by open orders.
    pub locked: Qty,
}

impl Holding {
    /// Free and locked together.
    pub fn total(&self) -> i128 {
        i128::from(self.free.units()) + i128::from(self.locked.units())
    }
}

/// One account.
#[derive(Clone, Debug)]
pub struct Account {
    /// How it is set up.
    pub config: AccountConfig,
    /// Holdings by [`AssetId`].
    pub holdings: Vec<Holding>,
    /// When it last changed.
    pub updated_ns: i64,
}

/// A deposit that the venue does not take: the sum of an asset over all accounts must fit an `i64`, so that no later
/// movement can overflow; and nobody withdraws what is not free.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("asset {} cannot take a change of {} on account {}", .asset.0, .delta, .account.0)]
pub struct DepositError {
    /// Whose.
    pub account: AccountId,
    /// Of what.
    pub asset: AssetId,
    /// How much.
    pub delta: Qty,
}

/// All accounts.
#[derive(Debug)]
pub(super) struct Accounts {
    all: Vec<Account>,
    fees: Vec<Qty>,
    deposited: Vec<Qty>,
}

/// Which part of a holding pays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pocket {
    /// Nothing was locked for it (market orders).
    Free,
    /// Locked at placement; this much was locked for what is now paid.
    Locked(Qty),
}

impl Accounts {
    pub(super) fn new(assets: usize) -> Self {
        Self { all: Vec::new(), fees: vec![Qty::ZERO; assets], deposited: vec![Qty::ZERO; assets] }
    }

    pub(super) fn open(&mut self, config: AccountConfig) -> AccountId {
        let id = AccountId(u32::try_from(self.all.len()).unwrap_or(u32::MAX));
        self.all.push(Account { config, holdings: vec![Holding::default(); self.fees.len()], updated_ns: 0 });
        id
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    pub(super) fn get(&self, id: AccountId) -> &Account {
        &self.all[id.index()]
    }

    pub(super) fn holding(&self, id: AccountId, asset: AssetId) -> Holding {
        self.all[id.index()].holdings[asset.index()]
    }

    fn holding_mut(&mut self, id: AccountId, asset: AssetId) -> &mut Holding {
        &mut self.all[id.index()].holdings[asset.index()]
    }

    /// Money comes (or goes, when negative) other than by trading.
    pub(super) fn deposit(&mut self, id: AccountId, asset: AssetId, delta: Qty) -> Result<(), DepositError> {
        let error = DepositError { account: id, asset, delta };
        let total = self.deposited[asset.index()].checked_add(delta).ok_or(error)?;
        let free = self.holding(id, asset).free.checked_add(delta).ok_or(error)?;
        if free < Qty::ZERO {
            return Err(error);
        }
        self.deposited[asset.index()] = total;
        self.holding_mut(id, asset).free = free;
        Ok(())
    }

    /// Locks funds of an order; `false` when not enough is free.
    pub(super) fn lock(&mut self, id: AccountId, asset: AssetId, amount: Qty) -> bool {
        let holding = self.holding_mut(id, asset);
        if holding.free < amount {
            return false;
        }
        holding.free = minus(holding.free, amount);
        holding.locked = plus(holding.locked, amount);
        true
    }

    /// Gives locked funds back.
    pub(super) fn unlock(&mut self, id: AccountId, asset: AssetId, amount: Qty) {
        let holding = self.holding_mut(id, asset);
        holding.locked = minus(holding.locked, amount);
        holding.free = plus(holding.free, amount);
    }

    /// Takes `amount` out of a holding. What was locked beyond it (a buy filled below its limit) becomes free.
    pub(super) fn pay(&mut self, id: AccountId, asset: AssetId, amount: Qty, pocket: Pocket) {
        let holding = self.holding_mut(id, asset);
        match pocket {
            Pocket::Free => holding.free = minus(holding.free, amount),
            Pocket::Locked(locked) => {
                holding.locked = minus(holding.locked, locked);
                holding.free = plus(holding.free, minus(locked, amount));
            }
        }
    }

    /// Puts `amount` less the fee into a holding and returns the fee. The fee is rounded down to `1e-8`.
    pub(super) fn receive(&mut self, id: AccountId, asset: AssetId, amount: Qty, maker: bool) -> Qty {
        let config = self.all[id.index()].config;
        let rate = if maker { config.maker_rate } else { config.taker_rate };
        let fee = fee_floor(amount, rate);
        let holding = self.holding_mut(id, asset);
        holding.free = plus(holding.free, minus(amount, fee));
        self.fees[asset.index()] = plus(self.fees[asset.index()], fee);
        fee
    }

    pub(super) fn stamp(&mut self, id: AccountId, now_ns: i64) {
        self.all[id.index()].updated_ns = now_ns;
    }

    /// Paid in, minus what all accounts hold and the fees taken: zero for every asset, always.
    pub(super) fn imbalance(&self, asset: AssetId) -> i128 {
        let held: i128 = self.all.iter().map(|a| a.holdings[asset.index()].total()).sum();
        i128::from(self.deposited[asset.index()].units())
            - held
            - i128::from(self.fees[asset.index()].units())
    }

    pub(super) fn fees(&self, asset: AssetId) -> Qty {
        self.fees[asset.index()]
    }
}

/// A fee: `amount * rate` towards zero.
pub(super) fn fee_floor(amount: Qty, rate: Ratio) -> Qty {
    let units = i128::from(amount.units()) * i128::from(rate.units()) / i128::from(Ratio::ONE.units());
    Qty::from_units(i64::try_from(units).unwrap_or(i64::MAX))
}

/// Cash as a quantity of the quote asset: the scales are the same.
pub(super) const fn as_qty(cash: Cash) -> Qty {
    Qty::from_units(cash.units())
}

/// Sums stay within what was deposited of the asset, which fits: overflow is a bug of ours and stops the venue.
pub(super) fn plus(a: Qty, b: Qty) -> Qty {
    a.checked_add(b).unwrap_or_else(|| panic!("balance {a} + {b} overflows"))
}

/// Nothing is paid that is not there: a negative balance is a bug of ours and stops the venue.
pub(super) fn minus(a: Qty, b: Qty) -> Qty {
    match a.checked_sub(b) {
        Some(rest) if rest >= Qty::ZERO => rest,
        _ => panic!("balance {a} - {b} is below zero"),
    }
}

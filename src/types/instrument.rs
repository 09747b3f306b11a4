//! What may be traded, and by which rules: the venue's filters as exact values.
//!
//! A rule that the venue gives as 0 is switched off, as Binance documents for its price filters.

use super::{AssetId, Cash, InstrumentId, Price, Qty, Symbol};

/// A multiplier (percent price filter) in units of `1e-8`: `Qty` has the same scale and its own checked arithmetic.
pub type Multiplier = Qty;

/// One instrument and the venue's rules for it. `Copy`, so that every stage owns its table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instrument {
    /// Index in the session's table.
    pub id: InstrumentId,
    /// The venue's name.
    pub symbol: Symbol,
    /// What is bought and sold.
    pub base: AssetId,
    /// What is paid.
    pub quote: AssetId,
    /// Whether the venue's status allows new orders (`TRADING`).
    pub trading: bool,
    /// Whether the venue's status allows at least cancels (`TRADING`, `CANCEL_ONLY`, `HALT`, ...).
    pub cancel_allowed: bool,
    /// Price rules (`PRICE_FILTER`).
    pub price: PriceRule,
    /// Quantity rules of limit orders (`LOT_SIZE`).
    pub lot: LotRule,
    /// Quantity rules of market orders (`MARKET_LOT_SIZE`).
    pub market_lot: LotRule,
    /// Notional rules (NOTIONAL, `MIN_NOTIONAL`).
    pub notional: NotionalRule,
    /// Price bands (`PERCENT_PRICE`, `PERCENT_PRICE_BY_SIDE`) around the venue's average price.
    pub band: PercentPriceRule,
    /// Most open orders on the symbol (`MAX_NUM_ORDERS`); 0 = no rule.
    pub orders_max: u32,
    /// Largest position including open buys (`MAX_POSITION`); zero = no rule.
    pub position_max: Qty,
    /// Largest iceberg part count (`ICEBERG_PARTS`); 0 = no rule. We never send icebergs, so it is only shown.
    pub iceberg_parts_max: u32,
    /// Decimals of a price in an order, from the tick size.
    pub price_decimals: u8,
    /// Decimals of a quantity in an order, from the lot size.
    pub qty_decimals: u8,
}

/// `PRICE_FILTER`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct PriceRule {
    /// Lowest price; zero = no rule.
    pub min: Price,
    /// Highest price; zero = no rule.
    pub max: Price,
    /// The price grid; zero = no rule.
    pub tick: Price,
}

/// `LOT_SIZE` and `MARKET_LOT_SIZE`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct LotRule {
    /// Smallest quantity.
    pub min: Qty,
    /// Largest quantity; zero = no rule.
    pub max: Qty,
    /// The quantity grid; zero = no rule.
    pub step: Qty,
}

/// NOTIONAL and `MIN_NOTIONAL`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct NotionalRule {
    /// Smallest notional; zero = no rule.
    pub min: Cash,
    /// Whether `min` binds market orders.
    pub min_for_market: bool,
    /// Largest notional; zero = no rule.
    pub max: Cash,
    /// Whether `max` binds market orders.
    pub max_for_market: bool,
}

/// `PERCENT_PRICE`(_`BY_SIDE)`: a limit price must lie within these multiples of the reference price.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct PercentPriceRule {
    /// Upper bound for buys; zero = no rule.
    pub bid_up: Multiplier,
    /// Lower bound for buys; zero = no rule.
    pub bid_down: Multiplier,
    /// Upper bound for sells; zero = no rule.
    pub ask_up: Multiplier,
    /// Lower bound for sells; zero = no rule.
    pub ask_down: Multiplier,
}

/// The instruments and assets of a session, by index and by name. Small: looked up by a linear scan of the symbols.
#[derive(Clone, Debug, Default)]
pub struct InstrumentTable {
    instruments: Vec<Instrument>,
    assets: Vec<Symbol>,
}

impl InstrumentTable {
    /// The index of an asset, entered if it is new; `None` when the table is full.
    pub fn intern_asset(&mut self, name: Symbol) -> Option<AssetId> {
        if let Some(id) = self.asset(name.as_bytes()) {
            return Some(id);
        }
        (self.assets.len() < crate::limits::ASSETS_MAX).then(|| {
            self.assets.push(name);
            AssetId(u16::try_from(self.assets.len() - 1).unwrap_or(u16::MAX))
        })
    }
    /// Enters an instrument under the next index (its `id` is set); `None` when the table is full.
    pub fn push(&mut self, mut instrument: Instrument) -> Option<InstrumentId> {
        if self.instruments.len() >= crate::limits::INSTRUMENTS_MAX {
            return None;
        }
        let id = InstrumentId(u16::try_from(self.instruments.len()).ok()?);
        instrument.id = id;
        self.instruments.push(instrument);
        Some(id)
    }
    /// All instruments, by index.
    pub fn all(&self) -> &[Instrument] {
        &self.instruments
    }
    /// All assets, by index.
    pub fn assets(&self) -> &[Symbol] {
        &self.assets
    }
    /// One instrument.
    pub fn get(&self, id: InstrumentId) -> Option<&Instrument> {
        self.instruments.get(id.index())
    }
    /// By the venue's symbol, as it writes it.
    #[inline]
    pub fn find(&self, symbol: &[u8]) -> Option<InstrumentId> {
        self.instruments.iter().find(|i| i.symbol.as_bytes() == symbol).map(|i| i.id)
    }
    /// The index of an asset.
    pub fn asset(&self, name: &[u8]) -> Option<AssetId> {
        let at = self.assets.iter().position(|a| a.as_bytes() == name)?;
        u16::try_from(at).ok().map(AssetId)
    }
}

//! What the venue lists and by which rules: the source of `exchangeInfo`.
//!
//! These types repeat on purpose what `types::instrument` says: the venue keeps its own rules and its own checks of them, so
//! that a mistake in the engine's is not mirrored here.

use super::order::{StpMode, venue_names};
use crate::types::{Cash, Price, Qty, Symbol};

/// A factor or rate in units of `1e-8`.
pub type Ratio = Qty;

/// Index of a symbol in the venue's list.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct SymbolId(pub u16);

impl SymbolId {
    /// As an index.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

venue_names! {
    /// Whether a symbol trades.
    SymbolStatus {
        /// All is allowed.
        Trading = "TRADING",
        /// Nothing is allowed.
        Halt = "HALT",
        /// Nothing is allowed for a moment.
        Break = "BREAK",
        /// Only cancels are allowed.
        CancelOnly = "CANCEL_ONLY",
    }
}

/// `PRICE_FILTER`; zero switches a part off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PriceFilter {
    /// Lowest price.
    pub min: Price,
    /// Highest price.
    pub max: Price,
    /// Price grid.
    pub tick: Price,
}

/// `LOT_SIZE` and `MARKET_LOT_SIZE`; a zero step is no grid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LotFilter {
    /// Smallest quantity.
    pub min: Qty,
    /// Largest quantity.
    pub max: Qty,
    /// Quantity grid.
    pub step: Qty,
}

/// NOTIONAL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotionalFilter {
    /// Smallest notional.
    pub min: Cash,
    /// Whether `min` binds market orders.
    pub apply_min_to_market: bool,
    /// Largest notional.
    pub max: Cash,
    /// Whether `max` binds market orders.
    pub apply_max_to_market: bool,
    /// Minutes of the average price that market orders are valued at; 0 = last price.
    pub avg_price_mins: u32,
}

/// `PERCENT_PRICE_BY_SIDE`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PercentPriceFilter {
    /// Upper bound of buys.
    pub bid_up: Ratio,
    /// Lower bound of buys.
    pub bid_down: Ratio,
    /// Upper bound of sells.
    pub ask_up: Ratio,
    /// Lower bound of sells.
    pub ask_down: Ratio,
    /// Minutes of the average price; 0 = last price.
    pub avg_price_mins: u32,
}

/// The filters of a symbol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Filters {
    /// `PRICE_FILTER`.
    pub price: PriceFilter,
    /// `LOT_SIZE`.
    pub lot: LotFilter,
    /// `MARKET_LOT_SIZE`.
    pub market_lot: LotFilter,
    /// NOTIONAL.
    pub notional: NotionalFilter,
    /// `PERCENT_PRICE_BY_SIDE`.
    pub percent_price: PercentPriceFilter,
    /// `MAX_NUM_ORDERS`.
    pub orders_max: u32,
    /// `MAX_NUM_ALGO_ORDERS` (shown; the venue takes none).
    pub algo_orders_max: u32,
    /// `ICEBERG_PARTS` (shown; the venue takes none).
    pub iceberg_parts: u32,
    /// `MAX_NUM_ORDER_AMENDS`.
    pub amends_max: u32,
    /// `MAX_NUM_ORDER_LISTS` (shown; the venue takes none).
    pub order_lists_max: u32,
    /// `MAX_POSITION`; `None` = no such filter.
    pub position_max: Option<Qty>,
}

/// One symbol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SymbolSpec {
    /// Its name.
    pub symbol: Symbol,
    /// What is bought and sold.
    pub base: Symbol,
    /// What is paid.
    pub quote: Symbol,
    /// Whether it trades.
    pub status: SymbolStatus,
    /// Its rules.
    pub filters: Filters,
    /// Self-trade prevention of orders that do not say (all modes are allowed).
    pub stp_default: StpMode,
    /// A price to start from: what orders are valued at before the first trade.
    pub reference_price: Price,
}

/// Why a symbol can't be listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpecError {
    /// A product of tick and step must be a whole number of `1e-8`, or balances could not be exact.
    #[error("symbol {0}: tick size times lot step is finer than 1e-8; make one of them coarser")]
    Inexact(Symbol),
    /// Tick, step and reference price must be positive.
    #[error("symbol {0}: tick size, lot step and reference price must be above zero")]
    NotPositive(Symbol),
    /// Twice the same name.
    #[error("symbol {0} is listed twice")]
    Twice(Symbol),
}

impl SymbolSpec {
    /// A symbol with Binance-like filters. `base` and `quote` must be asset names; tick, step and the reference price say the
    /// rest. `None` when a name is not a name.
    pub fn spot(base: &str, quote: &str, tick: Price, step: Qty, reference_price: Price) -> Option<Self> {
        let name = format!("{base}{quote}");
        Some(Self {
            symbol: Symbol::new(name.as_bytes())?,
            base: Symbol::new(base.as_bytes())?,
            quote: Symbol::new(quote.as_bytes())?,
            status: SymbolStatus::Trading,
            filters: Filters {
                price: PriceFilter {
                    min: tick,
                    max: Price::from_units(1_000_000 * Price::ONE.units()),
                    tick,
                },
                lot: LotFilter { min: step, max: Qty::from_units(9_000 * Qty::ONE.units()), step },
                market_lot: LotFilter {
                    min: Qty::ZERO,
                    max: Qty::from_units(120 * Qty::ONE.units()),
                    step: Qty::ZERO,
                },
                notional: NotionalFilter {
                    min: Cash::from_units(5 * Cash::ONE.units()),
                    apply_min_to_market: true,
                    max: Cash::from_units(9_000_000 * Cash::ONE.units()),
                    apply_max_to_market: false,
                    avg_price_mins: 5,
                },
                percent_price: PercentPriceFilter {
                    bid_up: Ratio::from_units(5 * Ratio::ONE.units()),
                    bid_down: Ratio::from_units(Ratio::ONE.units() / 5),
                    ask_up: Ratio::from_units(5 * Ratio::ONE.units()),
                    ask_down: Ratio::from_units(Ratio::ONE.units() / 5),
                    avg_price_mins: 5,
                },
                orders_max: 200,
                algo_orders_max: 5,
                iceberg_parts: 100,
                amends_max: 10,
                order_lists_max: 20,
                position_max: None,
            },
            stp_default: StpMode::ExpireMaker,
            reference_price,
        })
    }

    /// `BTCUSDT` with Binance's tick and lot.
    pub fn btcusdt() -> Self {
        let price = Price::from_units(60_000 * Price::ONE.units());
        Self::spot("BTC", "USDT", Price::from_units(10_000_000), Qty::from_units(1_000), price)
            .unwrap_or_else(|| unreachable!("constant names are names"))
    }

    /// `ETHUSDT` with Binance's tick and lot.
    pub fn ethusdt() -> Self {
        let price = Price::from_units(2_500 * Price::ONE.units());
        Self::spot("ETH", "USDT", Price::from_units(10_000_000), Qty::from_units(10_000), price)
            .unwrap_or_else(|| unreachable!("constant names are names"))
    }

    /// Whether the venue can keep exact books of it.
    pub fn check(&self) -> Result<(), SpecError> {
        let (tick, step) = (self.filters.price.tick, self.filters.lot.step);
        if tick.units() <= 0 || step.units() <= 0 || self.reference_price.units() <= 0 {
            return Err(SpecError::NotPositive(self.symbol));
        }
        let product = i128::from(tick.units()) * i128::from(step.units());
        if product % i128::from(Price::ONE.units()) != 0 {
            return Err(SpecError::Inexact(self.symbol));
        }
        Ok(())
    }
}

/// How the venue is set up.
#[derive(Clone, Debug)]
pub struct ExchangeConfig {
    /// What it lists.
    pub symbols: Vec<SymbolSpec>,
    /// Closed orders remembered for each account and symbol; older ones are forgotten.
    pub orders_kept_max: usize,
    /// Fills remembered for each account and symbol.
    pub trades_kept_max: usize,
    /// Public trades remembered for each symbol.
    pub public_trades_kept_max: usize,
    /// First order book update id of each symbol.
    pub update_id_start: u64,
    /// First order id and trade id of the first symbol; each further symbol starts a billion later, so that a client that
    /// mixes symbols up is found out.
    pub id_start: u64,
}

impl Default for ExchangeConfig {
    fn default() -> Self {
        Self {
            symbols: vec![SymbolSpec::btcusdt(), SymbolSpec::ethusdt()],
            orders_kept_max: 1_000,
            trades_kept_max: 1_000,
            public_trades_kept_max: 5_000,
            update_id_start: 1_000_000,
            id_start: 1_000_000,
        }
    }
}

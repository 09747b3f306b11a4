//! The session header: the first record of a session and its `BOOT_SEAL` (R-GATE-7). It holds all that a replay needs besides
//! the records: mode, build, effective configuration, instruments with the venue's rules, strategies.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::types::instrument::{LotRule, NotionalRule, PercentPriceRule, PriceRule};
use crate::types::{Cash, Instrument, InstrumentId, InstrumentTable, Price, Qty, Symbol};

/// The journal format of this version.
pub const FORMAT: u32 = 1;

/// The start of a session. The lead of a mode fills it in; the journal makes it durable before anything else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionHeader {
    /// Journal format, [`FORMAT`].
    pub format: u32,
    /// Version of the engine.
    pub version: String,
    /// Name of the session, unique in its data directory.
    pub session: String,
    /// Mode: demo, paper, live, ...
    pub mode: String,
    /// The boot epoch that the session's client order ids carry.
    pub boot_epoch: u32,
    /// Build id of the binary.
    pub build_id: String,
    /// Hash of the effective configuration, as the gates compare it: 64 hexadecimal digits.
    pub config_hash: String,
    /// When it began, nanoseconds since the epoch.
    pub started_ns: i64,
    /// The effective configuration, as text. Never a secret: those are not in configurations (R-GATE-9).
    pub config: String,
    /// Asset names by `AssetId`.
    pub assets: Vec<String>,
    /// Instruments by `InstrumentId`.
    pub instruments: Vec<InstrumentRow>,
    /// Strategy names by `StrategyId`.
    pub strategies: Vec<String>,
    /// Anything else worth keeping (clock source, host, cores).
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub notes: Map<String, Value>,
}

/// One instrument and its rules, as text that people can read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "the venue's own switches, one by one")]
pub struct InstrumentRow {
    /// The venue's name.
    pub symbol: String,
    /// Index of the base asset.
    pub base: u16,
    /// Index of the quote asset.
    pub quote: u16,
    /// Whether it may be traded.
    pub trading: bool,
    /// Whether orders may be cancelled.
    pub cancel_allowed: bool,
    /// Lowest, highest price and tick.
    pub price: [Price; 3],
    /// Smallest, largest quantity and step.
    pub lot: [Qty; 3],
    /// The same for market orders.
    pub market_lot: [Qty; 3],
    /// Smallest notional.
    pub notional_min: Cash,
    /// Whether it binds market orders.
    pub notional_min_for_market: bool,
    /// Largest notional.
    pub notional_max: Cash,
    /// Whether it binds market orders.
    pub notional_max_for_market: bool,
    /// Price band: bid up, bid down, ask up, ask down.
    pub band: [Qty; 4],
    /// Most open orders.
    pub orders_max: u32,
    /// Largest position.
    pub position_max: Qty,
    /// Most iceberg parts.
    pub iceberg_parts_max: u32,
    /// Decimals of a price in an order.
    pub price_decimals: u8,
    /// Decimals of a quantity in an order.
    pub qty_decimals: u8,
}

impl InstrumentRow {
    fn from_instrument(instrument: &Instrument) -> Self {
        // Every field by name: a new rule does not compile until the journal keeps it.
        let Instrument {
            id: _,
            symbol,
            base,
            quote,
            trading,
            cancel_allowed,
            price,
            lot,
            market_lot,
            notional,
            band,
            orders_max,
            position_max,
            iceberg_parts_max,
            price_decimals,
            qty_decimals,
        } = *instrument;
        Self {
            symbol: symbol.as_str().to_owned(),
            base: base.0,
            quote: quote.0,
            trading,
            cancel_allowed,
            price: [price.min, price.max, price.tick],
            lot: [lot.min, lot.max, lot.step],
            market_lot: [market_lot.min, market_lot.max, market_lot.step],
            notional_min: notional.min,
            notional_min_for_market: notional.min_for_market,
            notional_max: notional.max,
            notional_max_for_market: notional.max_for_market,
            band: [band.bid_up, band.bid_down, band.ask_up, band.ask_down],
            orders_max,
            position_max,
            iceberg_parts_max,
            price_decimals,
            qty_decimals,
        }
    }

    fn to_instrument(&self) -> Option<Instrument> {
        Some(Instrument {
            id: InstrumentId::default(),
            symbol: Symbol::new(self.symbol.as_bytes())?,
            base: crate::types::AssetId(self.base),
            quote: crate::types::AssetId(self.quote),
            trading: self.trading,
            cancel_allowed: self.cancel_allowed,
            price: PriceRule { min: self.price[0], max: self.price[1], tick: self.price[2] },
            lot: LotRule { min: self.lot[0], max: self.lot[1], step: self.lot[2] },
            market_lot: LotRule {
                min: self.market_lot[0],
                max: self.market_lot[1],
                step: self.market_lot[2],
            },
            notional: NotionalRule {
                min: self.notional_min,
                min_for_market: self.notional_min_for_market,
                max: self.notional_max,
                max_for_market: self.notional_max_for_market,
            },
            band: PercentPriceRule {
                bid_up: self.band[0],
                bid_down: self.band[1],
                ask_up: self.band[2],
                ask_down: self.band[3],
            },
            orders_max: self.orders_max,
            position_max: self.position_max,
            iceberg_parts_max: self.iceberg_parts_max,
            price_decimals: self.price_decimals,
            qty_decimals: self.qty_decimals,
        })
    }
}

impl SessionHeader {
    /// Keeps the session's table.
    pub fn set_table(&mut self, table: &InstrumentTable) {
        self.assets = table.assets().iter().map(|a| a.as_str().to_owned()).collect();
        self.instruments = table.all().iter().map(InstrumentRow::from_instrument).collect();
    }

    /// The session's table, for a replay. The error names the entry that can't be one.
    pub fn table(&self) -> Result<InstrumentTable, String> {
        let mut table = InstrumentTable::default();
        for (at, name) in self.assets.iter().enumerate() {
            let symbol =
                Symbol::new(name.as_bytes()).ok_or_else(|| format!("asset {name:?} is not a name"))?;
            let id = table.intern_asset(symbol).ok_or_else(|| format!("asset {name:?} is one too many"))?;
            if id.index() != at {
                return Err(format!("asset {name:?} stands twice"));
            }
        }
        for row in &self.instruments {
            let instrument =
                row.to_instrument().ok_or_else(|| format!("instrument {:?} is not a symbol", row.symbol))?;
            table.push(instrument).ok_or_else(|| format!("instrument {:?} is one too many", row.symbol))?;
        }
        Ok(table)
    }

    /// The configuration hash as bytes; `None` if it is not 64 hexadecimal digits.
    pub fn config_hash_bytes(&self) -> Option<[u8; 32]> {
        let mut out = [0u8; 32];
        if self.config_hash.len() != 64 || !self.config_hash.is_ascii() {
            return None;
        }
        for (byte, digits) in out.iter_mut().zip(self.config_hash.as_bytes().chunks_exact(2)) {
            *byte = u8::from_str_radix(core::str::from_utf8(digits).ok()?, 16).ok()?;
        }
        Some(out)
    }
}

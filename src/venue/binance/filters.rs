//! A symbol of `exchangeInfo` and its filters as an [`Instrument`] (R-ORD-5).
//!
//! Every filter of the venue's documents (September 2026) is named below: either it becomes a rule, or it is about something
//! that we never send. A filter that is not named is listed for the operator. Maxima beyond our range become the largest
//! value that we have, which is the stricter.

use crate::types::decimal::decimals_needed;
use crate::types::instrument::{LotRule, NotionalRule, PercentPriceRule, PriceRule};
use crate::types::{Cash, DecimalError, Instrument, InstrumentId, Price, Qty, Symbol};
use crate::venue::Malformed;
use crate::venue::binance::fields::Fields;
use crate::venue::binance::rest::ExchangeInfo;
use crate::wire::json::Value;

const MESSAGE: &str = "exchangeInfo";

/// Enters a symbol of `exchangeInfo` into the table.
pub(super) fn read_symbol(
    symbol: Value<'_>,
    exchange_filters: Option<Value<'_>>,
    info: &mut ExchangeInfo,
) -> Result<(), Malformed> {
    let fields = Fields::new(MESSAGE, symbol);
    let ascii = |field: &'static str| {
        Symbol::new(fields.str(field)?.as_bytes())
            .ok_or_else(|| fields.wrong(field, "up to 23 printable ASCII characters"))
    };
    let full = |()| fields.wrong("symbol", "a table with room for it: too many instruments or assets");
    // Two sets of rules for one name: which of them would bind?
    if info.table.find(fields.str("symbol")?.as_bytes()).is_some() {
        return Err(fields.wrong("symbol", "a symbol that is listed once"));
    }
    let base = info.table.intern_asset(ascii("baseAsset")?).ok_or(()).map_err(full)?;
    let quote = info.table.intern_asset(ascii("quoteAsset")?).ok_or(()).map_err(full)?;
    let status = fields.str("status")?;
    // Older answers have no such flag; where it is there, it must be set.
    let spot = symbol.get("isSpotTradingAllowed").is_none_or(|flag| flag.as_bool() == Some(true));
    let mut instrument = Instrument {
        id: InstrumentId::default(),
        symbol: ascii("symbol")?,
        base,
        quote,
        trading: status == "TRADING" && spot,
        cancel_allowed: !matches!(status, "BREAK" | "END_OF_DAY"),
        price: PriceRule::default(),
        lot: LotRule::default(),
        market_lot: LotRule::default(),
        notional: NotionalRule::default(),
        band: PercentPriceRule::default(),
        orders_max: 0,
        position_max: Qty::ZERO,
        iceberg_parts_max: 0,
        price_decimals: 8,
        qty_decimals: 8,
    };
    let own = fields.array("filters")?;
    for filter in own.items().chain(exchange_filters.into_iter().flat_map(Value::items)) {
        let name = Fields::new(MESSAGE, filter).str("filterType")?;
        if !read_filter(&Fields::new(MESSAGE, filter), name, &mut instrument)? {
            let line = format!("{}: {name}", instrument.symbol);
            if !info.unknown_filters.contains(&line) {
                info.unknown_filters.push(line);
            }
        }
    }
    let tick = instrument.price.tick;
    if !tick.is_zero() {
        instrument.price_decimals = decimals(tick.units(), Price::DECIMALS);
    }
    let step = instrument.lot.step;
    if !step.is_zero() {
        instrument.qty_decimals = decimals(step.units(), Qty::DECIMALS);
    }
    info.table.push(instrument).ok_or(()).map_err(full)?;
    Ok(())
}

fn decimals(grid: i64, decimals: u32) -> u8 {
    u8::try_from(decimals_needed(grid, decimals)).unwrap_or(8)
}

/// Takes one filter over; false when it is unknown.
fn read_filter(filter: &Fields<'_>, name: &str, to: &mut Instrument) -> Result<bool, Malformed> {
    match name {
        "PRICE_FILTER" => {
            to.price = PriceRule {
                min: filter.price("minPrice")?,
                max: Price::from_units(max(filter, "maxPrice", Price::DECIMALS)?),
                tick: filter.price("tickSize")?,
            };
        }
        "LOT_SIZE" => to.lot = lot(filter)?,
        "MARKET_LOT_SIZE" => to.market_lot = lot(filter)?,
        "NOTIONAL" => {
            tighten(&mut to.notional.min, cash(filter, "minNotional")?, true);
            to.notional.min_for_market |= filter.bool("applyMinToMarket")?;
            let most = Cash::from_units(max(filter, "maxNotional", Cash::DECIMALS)?);
            tighten(&mut to.notional.max, most, false);
            to.notional.max_for_market |= filter.bool("applyMaxToMarket")?;
        }
        "MIN_NOTIONAL" => {
            tighten(&mut to.notional.min, cash(filter, "minNotional")?, true);
            to.notional.min_for_market |= filter.bool("applyToMarket")?;
        }
        "PERCENT_PRICE" => {
            let (up, down) = (filter.qty("multiplierUp")?, filter.qty("multiplierDown")?);
            to.band = PercentPriceRule { bid_up: up, bid_down: down, ask_up: up, ask_down: down };
        }
        "PERCENT_PRICE_BY_SIDE" => {
            to.band = PercentPriceRule {
                bid_up: filter.qty("bidMultiplierUp")?,
                bid_down: filter.qty("bidMultiplierDown")?,
                ask_up: filter.qty("askMultiplierUp")?,
                ask_down: filter.qty("askMultiplierDown")?,
            };
        }
        "MAX_NUM_ORDERS" => {
            let field = ["maxNumOrders", "limit"];
            let field = field.into_iter().find(|f| filter.value.get(f).is_some()).unwrap_or(field[0]);
            tighten_count(&mut to.orders_max, count(filter, field)?);
        }
        // The whole account's limit binds each symbol too.
        "EXCHANGE_MAX_NUM_ORDERS" => tighten_count(&mut to.orders_max, count(filter, "maxNumOrders")?),
        "MAX_POSITION" => to.position_max = Qty::from_units(max(filter, "maxPosition", Qty::DECIMALS)?),
        "ICEBERG_PARTS" => to.iceberg_parts_max = count(filter, "limit")?,
        // About stop, trailing and iceberg orders, order lists and amendments, none of which we send.
        "MAX_NUM_ALGO_ORDERS"
        | "MAX_NUM_ICEBERG_ORDERS"
        | "MAX_NUM_ORDER_AMENDS"
        | "MAX_NUM_ORDER_LISTS"
        | "TRAILING_DELTA"
        | "EXCHANGE_MAX_NUM_ALGO_ORDERS"
        | "EXCHANGE_MAX_NUM_ICEBERG_ORDERS"
        | "EXCHANGE_MAX_NUM_ORDER_LISTS"
        | "EXCHANGE_MAX_ALGO_ORDERS" => {}
        _ => return Ok(false),
    }
    Ok(true)
}

fn lot(filter: &Fields<'_>) -> Result<LotRule, Malformed> {
    Ok(LotRule {
        min: filter.qty("minQty")?,
        max: Qty::from_units(max(filter, "maxQty", Qty::DECIMALS)?),
        step: filter.qty("stepSize")?,
    })
}

fn cash(filter: &Fields<'_>, field: &'static str) -> Result<Cash, Malformed> {
    filter.qty(field).map(|amount| Cash::from_units(amount.units()))
}

fn count(filter: &Fields<'_>, field: &'static str) -> Result<u32, Malformed> {
    u32::try_from(filter.u64(field)?).map_err(|_| filter.wrong(field, "a count below 2^32"))
}

/// A maximum: one beyond our range is our range's end.
fn max(filter: &Fields<'_>, field: &'static str, decimals: u32) -> Result<i64, Malformed> {
    match filter.get(field)?.as_decimal(decimals) {
        Some(Ok(units)) if units >= 0 => Ok(units),
        Some(Err(DecimalError::Overflow)) => Ok(i64::MAX),
        _ => Err(filter.wrong(field, "a decimal that is not negative")),
    }
}

/// Of two rules, the stricter; zero is no rule.
fn tighten(rule: &mut Cash, other: Cash, minimum: bool) {
    let stricter = if minimum { other > *rule } else { other < *rule };
    if rule.is_zero() || (stricter && !other.is_zero()) {
        *rule = other;
    }
}

fn tighten_count(rule: &mut u32, other: u32) {
    if *rule == 0 || (other != 0 && other < *rule) {
        *rule = other;
    }
}

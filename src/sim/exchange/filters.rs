//! The venue's checks of an order before it reaches the book: shape first, then the filters that `exchangeInfo` shows.
//! Written apart from the engine's own rules (`types::rules`), on purpose.

use super::order::{NewOrder, OrderKind};
use super::refusal::Refusal;
use super::spec::{Filters, LotFilter, Ratio};
use crate::types::{Price, Qty, Side};

/// What an order wants, once its shape is right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Want {
    /// Base quantity at a price or better.
    Limit(Price, Qty),
    /// Base quantity at any price.
    Market(Qty),
    /// Quote value at any price.
    MarketQuote(crate::types::Cash),
}

/// Checks that the parameters fit the type.
pub(super) fn shape(order: &NewOrder) -> Result<Want, Refusal> {
    match order.kind {
        OrderKind::Limit | OrderKind::LimitMaker => {
            if order.quote_qty.is_some() {
                return Err(Refusal::QUOTE_QTY_NOT_REQUIRED);
            }
            let qty = order.qty.ok_or(Refusal::QTY_MISSING)?;
            let price = order.price.ok_or(Refusal::PRICE_MISSING)?;
            if qty.units() <= 0 {
                return Err(Refusal::INVALID_QUANTITY);
            }
            if price.units() <= 0 {
                return Err(Refusal::INVALID_PRICE);
            }
            Ok(Want::Limit(price, qty))
        }
        OrderKind::Market => match (order.price, order.qty, order.quote_qty) {
            (Some(_), _, _) => Err(Refusal::PRICE_NOT_REQUIRED),
            (None, None, None) => Err(Refusal::BOTH_QTY_MISSING),
            (None, Some(_), Some(_)) => Err(Refusal::BOTH_QTY_SENT),
            (None, Some(qty), None) if qty.units() > 0 => Ok(Want::Market(qty)),
            (None, None, Some(quote)) if quote.units() > 0 => Ok(Want::MarketQuote(quote)),
            _ => Err(Refusal::INVALID_QUANTITY),
        },
        OrderKind::StopLoss => Err(Refusal::NO_STOP_LOSS),
        OrderKind::StopLossLimit => Err(Refusal::NO_STOP_LOSS_LIMIT),
        OrderKind::TakeProfit => Err(Refusal::NO_TAKE_PROFIT),
        OrderKind::TakeProfitLimit => Err(Refusal::NO_TAKE_PROFIT_LIMIT),
    }
}

/// Prices that the filters value orders at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reference {
    /// Average over the filter's minutes (or the last price, or the listing's).
    pub(super) average: Price,
}

/// Checks one order against the symbol's filters that need no account.
pub(super) fn check(filters: &Filters, side: Side, want: Want, reference: Reference) -> Result<(), Refusal> {
    match want {
        Want::Limit(price, qty) => {
            price_filter(filters, price)?;
            percent_price(filters, side, price, reference)?;
            if !lot_allows(&filters.lot, qty) {
                return Err(Refusal::LOT_SIZE);
            }
            notional(filters, price, qty, false)
        }
        Want::Market(qty) => {
            if !lot_allows(&filters.lot, qty) {
                return Err(Refusal::LOT_SIZE);
            }
            if !lot_allows(&filters.market_lot, qty) {
                return Err(Refusal::MARKET_LOT_SIZE);
            }
            notional(filters, reference.average, qty, true)
        }
        Want::MarketQuote(quote) => bounds(filters, i128::from(quote.units()) * SCALE_OF_CASH, true),
    }
}

/// A product of price (1e-9) and quantity (1e-8) units counts `1e-17`; a cash unit (1e-8) is this many of them.
const SCALE_OF_CASH: i128 = 1_000_000_000;

fn price_filter(filters: &Filters, price: Price) -> Result<(), Refusal> {
    let rule = filters.price;
    let low = rule.min.units() != 0 && price < rule.min;
    let high = rule.max.units() != 0 && price > rule.max;
    let off_grid = rule.tick.units() != 0 && price.units() % rule.tick.units() != 0;
    if low || high || off_grid { Err(Refusal::PRICE_FILTER) } else { Ok(()) }
}

fn percent_price(filters: &Filters, side: Side, price: Price, reference: Reference) -> Result<(), Refusal> {
    let rule = filters.percent_price;
    let (up, down) = match side {
        Side::Buy => (rule.bid_up, rule.bid_down),
        Side::Sell => (rule.ask_up, rule.ask_down),
    };
    // Compared without a division: price * 1 against average * ratio.
    let scaled = i128::from(price.units()) * i128::from(Ratio::ONE.units());
    let bound = |ratio: Ratio| i128::from(reference.average.units()) * i128::from(ratio.units());
    let above = up.units() != 0 && scaled > bound(up);
    let below = down.units() != 0 && scaled < bound(down);
    if above || below { Err(Refusal::PERCENT_PRICE_BY_SIDE) } else { Ok(()) }
}

fn lot_allows(rule: &LotFilter, qty: Qty) -> bool {
    qty >= rule.min
        && (rule.max.units() == 0 || qty <= rule.max)
        && (rule.step.units() == 0 || qty.units() % rule.step.units() == 0)
}

fn notional(filters: &Filters, price: Price, qty: Qty, market: bool) -> Result<(), Refusal> {
    bounds(filters, i128::from(price.units()) * i128::from(qty.units()), market)
}

fn bounds(filters: &Filters, product: i128, market: bool) -> Result<(), Refusal> {
    let rule = filters.notional;
    let min = i128::from(rule.min.units()) * SCALE_OF_CASH;
    let max = i128::from(rule.max.units()) * SCALE_OF_CASH;
    let min_binds = min != 0 && (!market || rule.apply_min_to_market);
    let max_binds = max != 0 && (!market || rule.apply_max_to_market);
    if (min_binds && product < min) || (max_binds && product > max) {
        return Err(Refusal::NOTIONAL);
    }
    Ok(())
}

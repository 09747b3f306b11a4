//! The venue's rules for one order, checked before it is sent (R-ORD-5): pure, and always against us. Where a rule needs
//! something that is not known (a reference price), the order is refused: a check that lacks the data never says fine.

use super::{Cash, Instrument, OrderType, Price, Qty, Reason, Side};

/// What the rules look at in an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrderTerms {
    /// Buy or sell.
    pub side: Side,
    /// Limit, market, post only.
    pub order_type: OrderType,
    /// Limit price; ignored for market orders, whose notional is judged at the reference price.
    pub price: Price,
    /// Quantity.
    pub qty: Qty,
}

/// What the rules need to know besides the order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct RuleContext {
    /// The price that bands and market notionals are measured from: the venue's reference or average price, or our best
    /// knowledge of it. `None` refuses every order that a band or a market notional binds.
    pub reference: Option<Price>,
    /// Our open orders on the symbol, this one not included (`MAX_NUM_ORDERS`).
    pub orders_open: u32,
    /// What we hold of the base asset plus what our open buys could add (`MAX_POSITION`).
    pub position_with_open_buys: Qty,
}

impl Instrument {
    /// Whether the venue's rules let this order in; otherwise the first rule that does not.
    pub fn check(&self, terms: &OrderTerms, context: &RuleContext) -> Result<(), Reason> {
        if !self.trading {
            return Err(Reason::SymbolNotAllowed);
        }
        let market = terms.order_type == OrderType::Market;
        if !market {
            self.check_price(terms.price)?;
            self.check_band(terms.side, terms.price, context.reference)?;
        }
        self.check_qty(terms.qty, market)?;
        self.check_notional(terms, market, context.reference)?;
        if self.orders_max != 0 && context.orders_open >= self.orders_max {
            return Err(Reason::OpenOrders);
        }
        self.check_position(terms, context.position_with_open_buys)
    }

    /// `PRICE_FILTER`.
    pub fn check_price(&self, price: Price) -> Result<(), Reason> {
        let rule = &self.price;
        // No rule can switch this one off: a price of zero or less is a mistake.
        if price <= Price::ZERO
            || (!rule.min.is_zero() && price < rule.min)
            || (!rule.max.is_zero() && price > rule.max)
        {
            return Err(Reason::PriceRange);
        }
        if price.is_multiple_of(rule.tick) { Ok(()) } else { Err(Reason::PriceTick) }
    }

    /// `LOT_SIZE` for every order, `MARKET_LOT_SIZE` for market orders as well.
    pub fn check_qty(&self, qty: Qty, market: bool) -> Result<(), Reason> {
        if qty <= Qty::ZERO {
            return Err(Reason::QtyRange);
        }
        let rules = [Some(&self.lot), market.then_some(&self.market_lot)];
        for rule in rules.into_iter().flatten() {
            if qty < rule.min || (!rule.max.is_zero() && qty > rule.max) {
                return Err(Reason::QtyRange);
            }
            if !qty.is_multiple_of(rule.step) {
                return Err(Reason::QtyStep);
            }
        }
        Ok(())
    }

    /// `PERCENT_PRICE` and `PERCENT_PRICE_BY_SIDE`: the bound itself is allowed, its rounding is not.
    fn check_band(&self, side: Side, price: Price, reference: Option<Price>) -> Result<(), Reason> {
        let (up, down) = match side {
            Side::Buy => (self.band.bid_up, self.band.bid_down),
            Side::Sell => (self.band.ask_up, self.band.ask_down),
        };
        if up.is_zero() && down.is_zero() {
            return Ok(());
        }
        let Some(reference) = reference else { return Err(Reason::ReferenceMissing) };
        // Compared without dividing, so that nothing is rounded at all: price * 1e8 against reference * multiplier.
        let scaled = i128::from(price.units()) * i128::from(Qty::ONE.units());
        let bound = |multiplier: Qty| i128::from(reference.units()) * i128::from(multiplier.units());
        if (!up.is_zero() && scaled > bound(up)) || (!down.is_zero() && scaled < bound(down)) {
            return Err(Reason::PriceRange);
        }
        Ok(())
    }

    /// `NOTIONAL` and `MIN_NOTIONAL`: the minimum is met by what is left after rounding down, the maximum is kept by what
    /// comes out of rounding up.
    fn check_notional(
        &self,
        terms: &OrderTerms,
        market: bool,
        reference: Option<Price>,
    ) -> Result<(), Reason> {
        let rule = &self.notional;
        let min_binds = !rule.min.is_zero() && (!market || rule.min_for_market);
        let max_binds = !rule.max.is_zero() && (!market || rule.max_for_market);
        if !min_binds && !max_binds {
            return Ok(());
        }
        let price = if market {
            let Some(reference) = reference else { return Err(Reason::ReferenceMissing) };
            reference
        } else {
            terms.price
        };
        if min_binds && Cash::notional_floor(price, terms.qty).ok_or(Reason::Overflow)? < rule.min {
            return Err(Reason::NotionalRange);
        }
        if max_binds && Cash::notional_for_limit(price, terms.qty).ok_or(Reason::Overflow)? > rule.max {
            return Err(Reason::NotionalRange);
        }
        Ok(())
    }

    /// `MAX_POSITION`: buys only.
    fn check_position(&self, terms: &OrderTerms, position_with_open_buys: Qty) -> Result<(), Reason> {
        if self.position_max.is_zero() || terms.side == Side::Sell {
            return Ok(());
        }
        let after = position_with_open_buys.checked_add(terms.qty).ok_or(Reason::Overflow)?;
        if after > self.position_max { Err(Reason::QtyRange) } else { Ok(()) }
    }
}

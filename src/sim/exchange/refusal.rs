//! How the venue says no: the codes and texts that Binance documents, in one place, so that the server only prints them.

use core::fmt;

/// A request that the venue did not carry out. `msg` is the venue's own text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The venue's code.
    pub code: i32,
    /// The venue's text.
    pub msg: &'static str,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.code, self.msg)
    }
}

impl std::error::Error for Refusal {}

impl Refusal {
    /// `r` of an execution report.
    pub(super) fn reject_reason(self) -> &'static str {
        match self {
            Self::INSUFFICIENT_BALANCE => "INSUFFICIENT_BALANCES",
            Self::WOULD_TAKE => "WOULD_MATCH_IMMEDIATELY",
            _ => "NONE",
        }
    }
}

macro_rules! refusals {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $msg:literal;)*) => {
        impl Refusal {
            $($(#[$doc])* pub const $name: Self = Self { code: $code, msg: $msg };)*
        }
    };
}

refusals! {
    /// The symbol does not trade.
    MARKET_CLOSED = -1013, "Market is closed.";
    /// A price or quantity that is zero or less.
    NOTHING_TO_TRADE = -1013, "Price * QTY is zero or less.";
    /// A quantity that is zero or less.
    INVALID_QUANTITY = -1013, "Invalid quantity.";
    /// A price that is zero or less.
    INVALID_PRICE = -1013, "Invalid price.";
    /// `PRICE_FILTER`.
    PRICE_FILTER = -1013, "Filter failure: PRICE_FILTER";
    /// `PERCENT_PRICE_BY_SIDE`.
    PERCENT_PRICE_BY_SIDE = -1013, "Filter failure: PERCENT_PRICE_BY_SIDE";
    /// `LOT_SIZE`.
    LOT_SIZE = -1013, "Filter failure: LOT_SIZE";
    /// `MARKET_LOT_SIZE`.
    MARKET_LOT_SIZE = -1013, "Filter failure: MARKET_LOT_SIZE";
    /// NOTIONAL.
    NOTIONAL = -1013, "Filter failure: NOTIONAL";
    /// `MAX_NUM_ORDERS`.
    MAX_NUM_ORDERS = -1013, "Filter failure: MAX_NUM_ORDERS";
    /// `MAX_POSITION`.
    MAX_POSITION = -1013, "Filter failure: MAX_POSITION";
    /// An STP mode that the symbol does not have.
    STP_MODE = -1013, "This symbol does not allow the specified self-trade prevention mode.";
    /// A stop loss order: the venue has none.
    NO_STOP_LOSS = -1013, "Stop loss orders are not supported for this symbol.";
    /// A stop loss limit order: the venue has none.
    NO_STOP_LOSS_LIMIT = -1013, "Stop loss limit orders are not supported for this symbol.";
    /// A take profit order: the venue has none.
    NO_TAKE_PROFIT = -1013, "Take profit orders are not supported for this symbol.";
    /// A take profit limit order: the venue has none.
    NO_TAKE_PROFIT_LIMIT = -1013, "Take profit limit orders are not supported for this symbol.";
    /// Quote quantity market order against an empty book.
    NO_LIQUIDITY = -1013, "Order book liquidity is less than symbol minimum quantity.";
    /// Quote quantity market order that buys less than the smallest lot.
    LIQUIDITY_LOT_SIZE = -1013, "Order book liquidity is less than LOT_SIZE filter minimum quantity.";
    /// A limit order without its price.
    PRICE_MISSING = -1102, "Mandatory parameter 'price' was not sent, was empty/null, or malformed.";
    /// An order without a quantity.
    QTY_MISSING = -1102, "Mandatory parameter 'quantity' was not sent, was empty/null, or malformed.";
    /// A market order with neither quantity.
    BOTH_QTY_MISSING =
        -1102, "Param 'quantity' or 'quoteOrderQty' must be sent, but both were empty/null!";
    /// A market order with both quantities.
    BOTH_QTY_SENT = -1128, "Combination of optional parameters invalid.";
    /// A limit order with a quote quantity.
    QUOTE_QTY_NOT_REQUIRED = -1106, "Parameter 'quoteOrderQty' sent when not required.";
    /// A market order with a price.
    PRICE_NOT_REQUIRED = -1106, "Parameter 'price' sent when not required.";
    /// No such symbol.
    INVALID_SYMBOL = -1121, "Invalid symbol.";
    /// Not enough free balance.
    INSUFFICIENT_BALANCE = -2010, "Account has insufficient balance for requested action.";
    /// A post-only order that would take.
    WOULD_TAKE = -2010, "Order would immediately match and take.";
    /// An open order has this client id.
    DUPLICATE = -2010, "Duplicate order sent.";
    /// A cancel of nothing.
    UNKNOWN_ORDER = -2011, "Unknown order sent.";
    /// A cancel whose restriction does not hold.
    CANCEL_RESTRICTED = -2011, "Order was not canceled due to cancel restrictions.";
    /// A query of nothing.
    NO_SUCH_ORDER = -2013, "Order does not exist.";
    /// One half of a cancel-replace failed.
    REPLACE_PARTIAL = -2021, "Order cancel-replace partially failed.";
    /// A cancel-replace failed.
    REPLACE_FAILED = -2022, "Order cancel-replace failed.";
    /// An amendment up.
    AMEND_INCREASE = -2038, "Order amend (quantity increase) is not supported.";
    /// An amendment that changes nothing.
    AMEND_NOTHING = -2038, "The requested action would change no state; rejecting.";
    /// An amendment of nothing.
    AMEND_UNKNOWN = -2038, "Unknown order sent.";
    /// An amendment to what is done already, or less.
    AMEND_BELOW_EXECUTED = -2038, "Order amend (quantity not above the executed quantity) is not supported.";
    /// Amended too often.
    AMEND_LIMIT = -2038, "Filter failure: MAX_NUM_ORDER_AMENDS";
}

//! Parameters of a request, whatever carried them: query string, form body or the `params` object of a WebSocket request.

use serde_json::Value;

use super::error::ApiError;
use crate::types::{Price, Qty, Side};

/// Names and values in the order of the request.
#[derive(Debug, Default, Clone)]
pub(super) struct Params {
    pairs: Vec<(String, String)>,
}

impl Params {
    /// From a query string and a form body. On duplicates the query wins, as documented.
    pub(super) fn from_http(query: &str, body: &str) -> Self {
        let mut pairs: Vec<(String, String)> = Vec::new();
        for text in [query, body] {
            let decoded: Vec<(String, String)> = serde_urlencoded::from_str(text).unwrap_or_default();
            for (name, value) in decoded {
                if !pairs.iter().any(|(n, _)| *n == name) {
                    pairs.push((name, value));
                }
            }
        }
        Self { pairs }
    }

    /// From the `params` of a WebSocket request. Arrays keep their JSON text, which is also how REST writes them.
    pub(super) fn from_json(params: &serde_json::Map<String, Value>) -> Self {
        let text = |v: &Value| match v {
            Value::String(s) => s.clone(),
            other => other.to_string(),
        };
        let kept = params.iter().filter(|(_, v)| !v.is_null());
        Self { pairs: kept.map(|(n, v)| (n.clone(), text(v))).collect() }
    }

    /// The payload that a WebSocket request's signature covers: everything but the signature, sorted by name, raw.
    pub(super) fn sorted_payload(&self) -> String {
        let mut kept: Vec<&(String, String)> = self.pairs.iter().filter(|(n, _)| n != "signature").collect();
        kept.sort();
        let joined: Vec<String> = kept.iter().map(|(n, v)| format!("{n}={v}")).collect();
        joined.join("&")
    }

    /// A parameter that is there and not empty.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str()).filter(|v| !v.is_empty())
    }

    /// A parameter that must be there.
    pub(super) fn need(&self, name: &'static str) -> Result<&str, ApiError> {
        match self.pairs.iter().find(|(n, _)| n == name) {
            Some((_, v)) if !v.is_empty() => Ok(v),
            Some(_) => Err(ApiError::empty(name)),
            None => Err(ApiError::missing(name)),
        }
    }

    /// A whole number, if given.
    pub(super) fn int(&self, name: &'static str) -> Result<Option<i64>, ApiError> {
        self.get(name).map(|v| v.parse().map_err(|_| ApiError::illegal(name))).transpose()
    }

    /// A whole number within bounds; beyond the upper one it is cut, as the venue does with `limit`.
    pub(super) fn limit(&self, default: usize, max: usize) -> Result<usize, ApiError> {
        match self.int("limit")? {
            None => Ok(default),
            Some(n) if n < 1 => Err(ApiError::illegal("limit")),
            Some(n) => Ok(usize::try_from(n).unwrap_or(max).min(max)),
        }
    }

    /// A yes or no, if given.
    pub(super) fn flag(&self, name: &'static str) -> Result<Option<bool>, ApiError> {
        match self.get(name) {
            None => Ok(None),
            Some(v) if v.eq_ignore_ascii_case("true") => Ok(Some(true)),
            Some(v) if v.eq_ignore_ascii_case("false") => Ok(Some(false)),
            Some(_) => Err(ApiError::illegal(name)),
        }
    }

    /// A price, if given. Too many decimals are their own error, as documented (-1111).
    pub(super) fn price(&self, name: &'static str) -> Result<Option<Price>, ApiError> {
        self.get(name).map(|v| Price::parse(v.as_bytes()).map_err(|e| ApiError::decimal(name, e))).transpose()
    }

    /// A quantity, if given.
    pub(super) fn qty(&self, name: &'static str) -> Result<Option<Qty>, ApiError> {
        self.get(name).map(|v| Qty::parse(v.as_bytes()).map_err(|e| ApiError::decimal(name, e))).transpose()
    }

    /// The side of an order.
    pub(super) fn side(&self) -> Result<Side, ApiError> {
        match self.need("side")? {
            "BUY" => Ok(Side::Buy),
            "SELL" => Ok(Side::Sell),
            _ => Err(ApiError::bad_enum("side")),
        }
    }

    /// A list of names: one (`symbol`) or several (`symbols`, a JSON array).
    pub(super) fn symbols(&self) -> Result<Option<Vec<String>>, ApiError> {
        match (self.get("symbol"), self.get("symbols")) {
            (Some(_), Some(_)) => Err(ApiError::combination()),
            (Some(one), None) => Ok(Some(vec![one.to_owned()])),
            (None, Some(many)) => {
                serde_json::from_str(many).map(Some).map_err(|_| ApiError::illegal("symbols"))
            }
            (None, None) => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_query_wins_over_the_body() {
        let p = Params::from_http("symbol=BTCUSDT&limit=5", "symbol=ETHUSDT&side=BUY");
        assert_eq!(p.get("symbol"), Some("BTCUSDT"));
        assert_eq!(p.side().unwrap(), Side::Buy);
        assert_eq!(p.limit(100, 1000).unwrap(), 5);
    }

    #[test]
    fn websocket_payloads_are_sorted_and_raw() {
        let value: Value = serde_json::from_str(
            r#"{"symbol":"１２３","timestamp":1645423376532,"apiKey":"k","signature":"s","price":"0.10","x":null}"#,
        )
        .unwrap();
        let p = Params::from_json(value.as_object().unwrap());
        assert_eq!(p.sorted_payload(), "apiKey=k&price=0.10&symbol=１２３&timestamp=1645423376532");
    }

    #[test]
    fn bad_values_name_their_parameter() {
        let p = Params::from_http("limit=x&quantity=0.123456789&price=&side=HOLD", "");
        assert_eq!(p.limit(1, 2).unwrap_err().code, -1100);
        assert_eq!(p.qty("quantity").unwrap_err().code, -1111);
        assert_eq!(p.need("price").unwrap_err().code, -1105);
        assert_eq!(p.need("type").unwrap_err().code, -1102);
        assert_eq!(p.side().unwrap_err().code, -1117);
    }
}

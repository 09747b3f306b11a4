//! Rate limits in fixed windows, as the venue counts them: request weight by address, orders by account.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::Serialize;

use super::error::ApiError;
use crate::types::time::{NS_PER_DAY, NS_PER_MIN, NS_PER_S};

/// The venue's figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitRules {
    /// Request weight a minute and address.
    pub weight_per_min: u32,
    /// Orders an account may place within 10 s.
    pub orders_per_10s: u32,
    /// Orders an account may place within a day (UTC).
    pub orders_per_day: u32,
    /// Requests within 5 minutes and address.
    pub raw_per_5min: u32,
    /// WebSocket connection attempts within 5 minutes and address.
    pub connects_per_5min: u32,
    /// Requests answered 429 before an address is banned (418).
    pub ignored_before_ban: u32,
    /// How long a ban lasts, seconds.
    pub ban_s: i64,
}

impl Default for LimitRules {
    fn default() -> Self {
        Self {
            weight_per_min: 6_000,
            orders_per_10s: 50,
            orders_per_day: 160_000,
            raw_per_5min: 300_000,
            connects_per_5min: 300,
            ignored_before_ban: 10,
            ban_s: 120,
        }
    }
}

/// A counter that begins anew with each window.
#[derive(Clone, Copy, Debug, Default)]
struct Window {
    number: i64,
    used: u32,
}

impl Window {
    fn at(&mut self, now_ns: i64, length_ns: i64) -> &mut u32 {
        let number = now_ns.div_euclid(length_ns);
        if number != self.number {
            *self = Self { number, used: 0 };
        }
        &mut self.used
    }
}

#[derive(Debug, Default)]
struct Address {
    weight: Window,
    raw: Window,
    connects: Window,
    ignored: u32,
    banned_until_ns: i64,
}

#[derive(Debug, Default)]
struct Orders {
    ten_seconds: Window,
    day: Window,
}

/// All counters.
#[derive(Debug)]
pub(super) struct Limits {
    rules: LimitRules,
    addresses: BTreeMap<IpAddr, Address>,
    accounts: BTreeMap<u32, Orders>,
}

/// A limit as `exchangeInfo` and the WebSocket API show it; `count` where usage is told.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ShownLimit {
    rate_limit_type: &'static str,
    interval: &'static str,
    interval_num: u32,
    limit: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<u32>,
}

const TEN_SECONDS_NS: i64 = 10 * NS_PER_S;
const FIVE_MINUTES_NS: i64 = 5 * NS_PER_MIN;

fn seconds_left(now_ns: i64, window_ns: i64) -> i64 {
    (window_ns - now_ns.rem_euclid(window_ns)) / NS_PER_S + 1
}

impl Limits {
    pub(super) fn new(rules: LimitRules) -> Self {
        Self { rules, addresses: BTreeMap::new(), accounts: BTreeMap::new() }
    }

    /// Counts a request of `weight`; an error when the address has used up its share or is banned.
    pub(super) fn charge(&mut self, from: IpAddr, weight: u32, now_ns: i64) -> Result<(), ApiError> {
        let rules = self.rules;
        let address = self.addresses.entry(from).or_default();
        if now_ns < address.banned_until_ns {
            return Err(ban(address.banned_until_ns, now_ns));
        }
        let raw = address.raw.at(now_ns, FIVE_MINUTES_NS);
        *raw = raw.saturating_add(1);
        let raw_over = *raw > rules.raw_per_5min;
        let used = address.weight.at(now_ns, NS_PER_MIN);
        *used = used.saturating_add(weight);
        if *used <= rules.weight_per_min && !raw_over {
            address.ignored = 0;
            return Ok(());
        }
        address.ignored += 1;
        if address.ignored > rules.ignored_before_ban {
            address.ignored = 0;
            address.banned_until_ns = now_ns + rules.ban_s * NS_PER_S;
            return Err(ban(address.banned_until_ns, now_ns));
        }
        let why = format!(
            "Too much request weight used; current limit is {} request weight per 1 MINUTE. \
             Please use WebSocket Streams for live updates to avoid polling the API.",
            rules.weight_per_min
        );
        Err(ApiError::too_many(false, seconds_left(now_ns, NS_PER_MIN), &why))
    }

    /// Counts an attempt to open a WebSocket connection, which also costs weight.
    pub(super) fn charge_connect(&mut self, from: IpAddr, now_ns: i64) -> Result<(), ApiError> {
        let max = self.rules.connects_per_5min;
        let connects = self.addresses.entry(from).or_default().connects.at(now_ns, FIVE_MINUTES_NS);
        *connects = connects.saturating_add(1);
        if *connects > max {
            let why = format!("Too many connection attempts; current limit is {max} per 5 MINUTE.");
            return Err(ApiError::too_many(false, seconds_left(now_ns, FIVE_MINUTES_NS), &why));
        }
        self.charge(from, 2, now_ns)
    }

    /// Weight used in this minute.
    pub(super) fn weight_used(&mut self, from: IpAddr, now_ns: i64) -> u32 {
        *self.addresses.entry(from).or_default().weight.at(now_ns, NS_PER_MIN)
    }

    /// Counts orders of an account; an error when it has placed too many.
    pub(super) fn charge_orders(&mut self, account: u32, count: u32, now_ns: i64) -> Result<(), ApiError> {
        let rules = self.rules;
        let orders = self.accounts.entry(account).or_default();
        let ten = *orders.ten_seconds.at(now_ns, TEN_SECONDS_NS) + count;
        let day = *orders.day.at(now_ns, NS_PER_DAY) + count;
        let (limit, per, left) = if ten > rules.orders_per_10s {
            (rules.orders_per_10s, "10 SECOND", seconds_left(now_ns, TEN_SECONDS_NS))
        } else if day > rules.orders_per_day {
            (rules.orders_per_day, "1 DAY", seconds_left(now_ns, NS_PER_DAY))
        } else {
            orders.ten_seconds.used = ten;
            orders.day.used = day;
            return Ok(());
        };
        let msg = format!("Too many new orders; current limit is {limit} orders per {per}.");
        let mut error = ApiError::with_status(429, -1015, msg);
        error.retry_after_s = Some(left);
        Err(error)
    }

    /// Gives an order's place back: it has had its first fill.
    pub(super) fn release_order(&mut self, account: u32, now_ns: i64) {
        let orders = self.accounts.entry(account).or_default();
        let ten = orders.ten_seconds.at(now_ns, TEN_SECONDS_NS);
        *ten = ten.saturating_sub(1);
        let day = orders.day.at(now_ns, NS_PER_DAY);
        *day = day.saturating_sub(1);
    }

    /// Orders counted: within 10 s and within the day.
    pub(super) fn orders_used(&mut self, account: u32, now_ns: i64) -> (u32, u32) {
        let orders = self.accounts.entry(account).or_default();
        (*orders.ten_seconds.at(now_ns, TEN_SECONDS_NS), *orders.day.at(now_ns, NS_PER_DAY))
    }

    /// The limits without usage: `exchangeInfo`.
    pub(super) fn shown(&self) -> Vec<ShownLimit> {
        let limit = |rate_limit_type, interval, interval_num, limit| ShownLimit {
            rate_limit_type,
            interval,
            interval_num,
            limit,
            count: None,
        };
        vec![
            limit("REQUEST_WEIGHT", "MINUTE", 1, self.rules.weight_per_min),
            limit("ORDERS", "SECOND", 10, self.rules.orders_per_10s),
            limit("ORDERS", "DAY", 1, self.rules.orders_per_day),
            limit("RAW_REQUESTS", "MINUTE", 5, self.rules.raw_per_5min),
        ]
    }

    /// The order limits with an account's usage.
    pub(super) fn shown_orders(&mut self, account: u32, now_ns: i64) -> Vec<ShownLimit> {
        let (ten, day) = self.orders_used(account, now_ns);
        let mut shown: Vec<ShownLimit> =
            self.shown().into_iter().filter(|l| l.rate_limit_type == "ORDERS").collect();
        shown[0].count = Some(ten);
        shown[1].count = Some(day);
        shown
    }

    /// What a WebSocket API reply tells: the weight, and the orders when it was about orders.
    pub(super) fn shown_usage(
        &mut self,
        from: IpAddr,
        orders_of: Option<u32>,
        now_ns: i64,
    ) -> Vec<ShownLimit> {
        let mut shown = match orders_of {
            Some(account) => self.shown_orders(account, now_ns),
            None => Vec::new(),
        };
        let mut weight = self.shown().swap_remove(0);
        weight.count = Some(self.weight_used(from, now_ns));
        shown.push(weight);
        shown
    }
}

fn ban(until_ns: i64, now_ns: i64) -> ApiError {
    let why = format!(
        "Way too much request weight used; IP banned until {}. Please use WebSocket Streams for live updates to avoid bans.",
        until_ns / 1_000_000
    );
    ApiError::too_many(true, (until_ns - now_ns) / NS_PER_S + 1, &why)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    #[test]
    fn too_much_is_429_and_ignoring_that_is_418() {
        let rules = LimitRules { weight_per_min: 10, ignored_before_ban: 2, ..LimitRules::default() };
        let mut limits = Limits::new(rules);
        assert!(limits.charge(HERE, 10, 0).is_ok());
        let statuses: Vec<u16> = (0..4).map(|_| limits.charge(HERE, 1, 1).unwrap_err().status).collect();
        assert_eq!(statuses, [429, 429, 418, 418]);
        assert_eq!(limits.charge(HERE, 1, 2).unwrap_err().retry_after_s, Some(120));
        // The next minute forgives the weight, not the ban.
        assert_eq!(limits.charge(HERE, 1, 61 * NS_PER_S).unwrap_err().status, 418);
        assert!(limits.charge(HERE, 1, 180 * NS_PER_S).is_ok());
        assert_eq!(limits.weight_used(HERE, 180 * NS_PER_S), 1);
    }

    #[test]
    fn order_limits_are_given_back_by_fills() {
        let rules = LimitRules { orders_per_10s: 2, ..LimitRules::default() };
        let mut limits = Limits::new(rules);
        assert!(limits.charge_orders(1, 1, 0).is_ok() && limits.charge_orders(1, 1, 0).is_ok());
        assert_eq!(limits.charge_orders(1, 1, 0).unwrap_err().code, -1015);
        assert!(limits.charge_orders(2, 1, 0).is_ok(), "another account");
        limits.release_order(1, 0);
        assert!(limits.charge_orders(1, 1, 0).is_ok());
        assert!(limits.charge_orders(1, 2, 10 * NS_PER_S).is_ok(), "the next window");
        assert_eq!(limits.orders_used(1, 10 * NS_PER_S), (2, 4));
    }
}

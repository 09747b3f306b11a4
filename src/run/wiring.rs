//! The real edges: TCP and TLS links to a venue at both ends of the line.

use std::sync::Arc;

use rustls::ClientConfig;

use crate::event::fact::LinkId;
use crate::feed::{AccountSide, FeedConfig, MarketSide};
use crate::gateway::{GatewayConfig, Limit, WireDoor, channel_config};
use crate::net::{Endpoint, TcpConnector, TcpTimeouts, client_config};
use crate::ops::gates::plain_symbol;
use crate::risk::Risk;
use crate::signal::{ExitLevels, Running, Signal};
use crate::types::time::{NS_PER_MS, NS_PER_S};
use crate::types::{AssetId, InstrumentId, InstrumentTable, Qty, StrategyId};
use crate::venue::binance::account::AccountSession;
use crate::venue::binance::market::{MarketConfig, MarketSession};
use crate::venue::binance::orders::{OrderConfig, OrderSession};

use super::access::{Access, AccessError};
use super::connects::Before;
use super::destination::{Destination, Rehearsal};
use super::dry::DryDoor;
use super::line::Parts;
use super::paper::{PaperDoor, assumed_balances};
use super::plan::Plan;
use super::session::StartError;
use super::shadow::{Safety, ShadowParts};

/// The door to a venue over TCP and TLS.
pub type VenueDoor = WireDoor<TcpConnector>;

/// What the four stages need to be made.
#[derive(Debug)]
pub struct Brain {
    /// Boot epoch.
    pub epoch: u32,
    /// Instruments.
    pub table: InstrumentTable,
    /// Strategies.
    pub running: Vec<Running>,
    /// The venue's rate limits.
    pub limits: Vec<Limit>,
    /// Symbols that may be entered; `None` = all of the session's. Exits are never bound by it.
    pub allowed: Option<Vec<String>>,
    /// What the paper account held when its last session ended, instead of the configured balances.
    pub balances: Option<Vec<(AssetId, Qty)>>,
    /// Connection attempts of earlier boots, where they count.
    pub connects: Option<Before>,
    /// Entropy for masks and jitter.
    pub seed: u64,
}

/// Feed's figures from the plan.
pub fn feed_config(plan: &Plan) -> FeedConfig {
    let mut config = FeedConfig {
        stale_after_ns: ms(plan.feed.stale_after_ms),
        renew_after_ns: ms(plan.feed.renew_after_s.saturating_mul(1_000)),
        ..FeedConfig::default()
    };
    config.stream_stale_after_ns = config.stream_stale_after_ns.max(config.stale_after_ns);
    config.retry.attempts_in_a_row_max = plan.feed.retries_max;
    config.retry.attempts_per_window = plan.feed.connects_per_5min_max as usize;
    config
}

/// The gateway's figures from the plan.
pub fn gateway_config(plan: &Plan) -> GatewayConfig {
    let mut config = GatewayConfig {
        decision_age_max_ns: ms(plan.gateway.decision_age_max_ms),
        recv_window_ns: ms(plan.gateway.recv_window_ms),
        absent_settle_ns: ms(plan.gateway.absent_settle_ms),
        reserve_percent: u8::try_from(plan.gateway.reserve_percent).unwrap_or(90),
        ..GatewayConfig::default()
    };
    config.retry.attempts_in_a_row_max = plan.feed.retries_max;
    config.retry.attempts_per_window = plan.feed.connects_per_5min_max as usize;
    config
}

/// The order session's figures from the plan.
pub(super) fn order_config(plan: &Plan) -> OrderConfig {
    OrderConfig {
        recv_window_ms: u32::try_from(plan.gateway.recv_window_ms).unwrap_or(u32::MAX),
        reply_timeout_ns: ms(plan.gateway.answer_timeout_ms),
        ..OrderConfig::default()
    }
}

fn ms(ms: u64) -> i64 {
    i64::try_from(ms).unwrap_or(i64::MAX / NS_PER_S).saturating_mul(NS_PER_MS)
}

fn connector(endpoint: &Endpoint, tls: &Arc<ClientConfig>) -> TcpConnector {
    TcpConnector::new(endpoint.clone(), Arc::clone(tls), TcpTimeouts::default())
}

/// The exits that signal manages for each strategy of a plan: its own, or the common ones.
pub(super) fn manage_exits(plan: &Plan, signal: &mut Signal) {
    for (at, section) in (0u8..).zip(&plan.strategy) {
        let exits = section.exits.unwrap_or(plan.exits);
        let levels = ExitLevels {
            stop_loss_bp: exits.stop_loss_bp,
            take_profit_bp: exits.take_profit_bp,
            trailing_bp: exits.trailing_bp,
        };
        signal.manage_exits(StrategyId(at), levels);
    }
}

/// The instruments that may be entered: those of a list, or all where nothing narrows them. A name that the session does not
/// have allows nothing.
pub fn allowed_of(table: &InstrumentTable, symbols: Option<&[String]>) -> Vec<InstrumentId> {
    let is_allowed = |symbol: &str| {
        symbols.is_none_or(|list| list.iter().any(|s| plain_symbol(s) == plain_symbol(symbol)))
    };
    table.all().iter().filter(|i| is_allowed(i.symbol.as_str())).map(|i| i.id).collect()
}

/// Signal and risk of a plan.
fn minds(plan: &Plan, brain: Brain) -> Result<(Signal, Risk, InstrumentTable, Vec<Limit>), StartError> {
    let allowed = allowed_of(&brain.table, brain.allowed.as_deref());
    let mut signal = Signal::new(brain.epoch, &brain.table, brain.running)
        .map_err(|e| StartError::Parts(e.to_string()))?
        .with_layers(&plan.limits().layers);
    manage_exits(plan, &mut signal);
    let risk =
        Risk::new(&plan.limits(), &brain.table, &allowed).map_err(|e| StartError::Parts(e.to_string()))?;
    Ok((signal, risk, brain.table, brain.limits))
}

/// The market side over TCP and TLS.
fn market_side(
    plan: &Plan,
    access: &Access,
    table: &InstrumentTable,
    tls: &Arc<ClientConfig>,
    (connects, seed): (Option<&Before>, u64),
) -> MarketSide<TcpConnector> {
    let session = MarketSession::new(table, MarketConfig::default());
    let host = access.stream.host_header();
    let mut side =
        MarketSide::new(connector(&access.stream, tls), host, session, table, &feed_config(plan), seed);
    if let Some(before) = connects {
        side.remember(before.memory(LinkId::Market));
    }
    side
}

/// The parts of a line between a venue and itself: market data in, orders out, both over TLS. Only to a destination, which
/// is proof that the venue fits the mode.
pub fn venue_parts(
    plan: &Plan,
    destination: &Destination,
    brain: Brain,
) -> Result<Parts<TcpConnector, TcpConnector, VenueDoor>, StartError> {
    door_parts(plan, destination.access(), brain)
}

/// The same for a dry run: the gateway stops before the write, and behind it stands a door that writes no order.
pub fn rehearsal_parts(
    plan: &Plan,
    rehearsal: &Rehearsal,
    brain: Brain,
) -> Result<Parts<TcpConnector, TcpConnector, DryDoor<VenueDoor>>, StartError> {
    let Parts { feed, market, account, signal, risk, forward_market, gateway, door, limits } =
        door_parts(plan, rehearsal.access(), brain)?;
    let gateway = GatewayConfig { dry_run: true, ..gateway };
    let door = DryDoor::over(door);
    Ok(Parts { feed, market, account, signal, risk, forward_market, gateway, door, limits })
}

fn door_parts(
    plan: &Plan,
    access: &Access,
    brain: Brain,
) -> Result<Parts<TcpConnector, TcpConnector, VenueDoor>, StartError> {
    let setting = |e: AccessError| StartError::Parts(e.to_string());
    let tls = client_config(&access.roots);
    let seed = brain.seed;
    let signing = plan.venue.signing;
    let connects = brain.connects.clone();
    let (signal, risk, table, limits) = minds(plan, brain)?;
    let (feed, gateway) = (feed_config(plan), gateway_config(plan));
    let account = AccountSession::new(&table, access.credentials(signing).map_err(setting)?);
    let orders = OrderSession::new(&table, access.credentials(signing).map_err(setting)?, order_config(plan));
    let host = access.ws_api.host_header();
    let channel = channel_config(&gateway, host.clone(), &orders);
    let mut door = WireDoor::new(connector(&access.ws_api, &tls), channel, orders, seed ^ 2);
    let mut private = AccountSide::new(connector(&access.ws_api, &tls), host, account, &feed, seed ^ 1);
    if let Some(before) = &connects {
        door.remember(before.memory(LinkId::Orders));
        private.remember(before.memory(LinkId::Account));
    }
    Ok(Parts {
        feed,
        market: market_side(plan, access, &table, &tls, (connects.as_ref(), seed)),
        account: Some(private),
        signal,
        risk,
        forward_market: false,
        door,
        gateway,
        limits,
    })
}

/// The parts of a paper line: a venue's market data in, the fill model behind the gateway, no account.
pub fn paper_parts(
    plan: &Plan,
    access: &Access,
    mut brain: Brain,
) -> Result<Parts<TcpConnector, TcpConnector, PaperDoor>, StartError> {
    let tls = client_config(&access.roots);
    let seed = brain.seed;
    let held = brain.balances.take();
    let connects = brain.connects.take();
    let (signal, risk, table, limits) = minds(plan, brain)?;
    Ok(Parts {
        feed: feed_config(plan),
        market: market_side(plan, access, &table, &tls, (connects.as_ref(), seed)),
        account: None,
        signal,
        risk,
        forward_market: true,
        door: PaperDoor::new(&table, &plan.paper, held, order_config(plan), seed)?,
        gateway: gateway_config(plan),
        limits,
    })
}

/// The parts of a shadow line: a venue's market data in, nothing behind risk.
pub fn shadow_parts(
    plan: &Plan,
    safety: &Safety,
    brain: Brain,
) -> Result<ShadowParts<TcpConnector>, StartError> {
    let access = safety.access();
    let tls = client_config(&access.roots);
    let seed = brain.seed;
    let connects = brain.connects.clone();
    let (signal, risk, table, _) = minds(plan, brain)?;
    Ok(ShadowParts {
        feed: feed_config(plan),
        market: market_side(plan, access, &table, &tls, (connects.as_ref(), seed)),
        signal,
        risk,
        balances: assumed_balances(&plan.paper, &table)?,
    })
}

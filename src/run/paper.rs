//! Paper: the fill model behind the gateway. Requests are encoded and signed as for the venue, so that the record and its replay
//! are the same; then, instead of a socket, the model takes them.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::Ed25519KeyPair;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::SecretString;

use crate::event::Fact;
use crate::gateway::{Door, DoorEvent, Encoded, Request, encode_request, summary};
use crate::sim::fill::{FillConfig, FillEvent, FillModel, Latency};
use crate::types::time::{NS_PER_MS, NS_PER_US};
use crate::types::{AssetId, InstrumentTable, Now, Qty, Reason};
use crate::venue::binance::Credentials;
use crate::venue::binance::orders::{OrderConfig, OrderSession};
use crate::wire::text::TextBuf;

use super::plan::PaperSection;
use super::session::StartError;

/// Credentials of a key that exists nowhere else: for sessions that only encode. An Ed25519 session's requests carry neither key
/// nor signature once it is logged on, so any key gives the same texts.
pub fn throwaway_credentials() -> Option<Credentials> {
    let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).ok()?;
    let key = SecretString::from(STANDARD.encode(pkcs8.as_ref()));
    Credentials::ed25519(SecretString::from("none".to_owned()), &key).ok()
}

/// The door to the fill model.
#[derive(Debug)]
pub struct PaperDoor {
    model: FillModel,
    session: OrderSession,
    text: TextBuf,
    encoded: Option<Request>,
    own_cancels: u64,
    is_ready_told: bool,
    /// The time of the last fact: what the model's answers must repeat from.
    fact_ns: i64,
}

impl PaperDoor {
    /// Over the session's instruments, with the money that the configuration gives, or with what the account held when its
    /// last session ended.
    pub fn new(
        table: &InstrumentTable,
        section: &PaperSection,
        held: Option<Vec<(AssetId, Qty)>>,
        orders: OrderConfig,
        seed: u64,
    ) -> Result<Self, StartError> {
        let wrong = |what: String| StartError::Parts(what);
        let mut balances = assumed_balances(section, table)?;
        if let Some(held) = held {
            // An asset that is new to the session starts with what is configured.
            balances.retain(|(asset, _)| held.iter().all(|(known, _)| known != asset));
            balances.extend(held);
        }
        let latency = Latency::Uniform {
            min_ns: us(section.latency_min_us) / 2,
            max_ns: us(section.latency_max_us) / 2,
        };
        let config = FillConfig {
            request_latency: latency,
            report_latency: latency,
            maker_rate: rate(section.maker_fee_centi_bp),
            taker_rate: rate(section.taker_fee_centi_bp),
            slippage_centi_bp: section.slippage_centi_bp,
            cancels_ahead: section.cancels_ahead,
            balances,
            seed,
            ..FillConfig::default()
        };
        let credentials =
            throwaway_credentials().ok_or_else(|| wrong("no randomness for a key".to_owned()))?;
        Ok(Self {
            model: FillModel::new(table, config),
            session: OrderSession::for_replay(table, credentials, orders),
            text: TextBuf::new(),
            encoded: None,
            own_cancels: 0,
            is_ready_told: false,
            fact_ns: 0,
        })
    }
}

/// The money that paper and shadow start with, by asset of the session.
pub fn assumed_balances(
    section: &PaperSection,
    table: &InstrumentTable,
) -> Result<Vec<(AssetId, Qty)>, StartError> {
    let mut balances = Vec::new();
    for (asset, text) in &section.balances {
        let qty: Qty = text.parse().map_err(|e| {
            StartError::Parts(format!("paper.balances.{asset} = {text:?}: {e}; write it like \"1000\""))
        })?;
        // An asset that the session does not trade has no use here.
        if let Some(id) = table.asset(asset.as_bytes()) {
            balances.push((id, qty));
        }
    }
    Ok(balances)
}

fn us(us: u64) -> i64 {
    i64::try_from(us).unwrap_or(i64::MAX / NS_PER_US).saturating_mul(NS_PER_US)
}

/// Hundredths of a basis point as a rate in `1e-8`.
fn rate(centi_bp: u32) -> Qty {
    Qty::from_units(i64::from(centi_bp) * (Qty::ONE.units() / 1_000_000))
}

impl Door for PaperDoor {
    fn drive(&mut self, _now: Now, may_read: bool, out: &mut dyn FnMut(DoorEvent)) -> usize {
        if !self.is_ready_told {
            self.is_ready_told = true;
            out(DoorEvent::Ready);
            return 1;
        }
        if !may_read {
            return 0;
        }
        self.model.poll(&mut |event: FillEvent| match event {
            FillEvent::Body(body) => out(DoorEvent::Body(body)),
            FillEvent::OpenOrders { count } => out(DoorEvent::OpenOrders { count }),
            FillEvent::AccountRead => out(DoorEvent::AccountRead),
        })
    }

    fn is_ready(&self) -> bool {
        self.is_ready_told
    }

    fn set_urgent(&mut self, _urgent: bool, _now: Now) {}

    fn pending(&self) -> usize {
        self.model.pending()
    }

    fn encode(&mut self, request: &Request, venue_ns: i64) -> Result<Encoded, Reason> {
        let timestamp_ms = venue_ns / NS_PER_MS;
        self.text.clear();
        let own_cancels = &mut self.own_cancels;
        let encoded = encode_request(&mut self.session, request, own_cancels, timestamp_ms, &mut self.text)
            .map_err(crate::venue::binance::orders::EncodeError::reason)?;
        self.encoded = Some(*request);
        Ok(summary(&encoded, timestamp_ms, self.text.text()))
    }

    fn write(&mut self, now: Now) -> Result<(), Reason> {
        let Some(request) = self.encoded.take() else { return Err(Reason::LineFull) };
        let at_ns = if self.fact_ns > 0 { self.fact_ns } else { now.ns };
        match request {
            Request::Order(order) => self.model.place(&order, at_ns),
            Request::Cancel { client, instrument } => self.model.cancel(instrument, client, at_ns),
            Request::CancelAll(instrument) => self.model.cancel_all(instrument, at_ns),
            Request::OrderStatus { client, instrument } => self.model.query_order(instrument, client, at_ns),
            Request::OpenOrders => self.model.query_open_orders(at_ns),
            Request::Account => self.model.query_account(at_ns),
        }
        Ok(())
    }

    fn observe(&mut self, fact: &Fact, _now: Now, _out: &mut dyn FnMut(DoorEvent)) {
        self.fact_ns = self.fact_ns.max(fact.recv_ns);
        self.model.on_fact(fact);
    }
}

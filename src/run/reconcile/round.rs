//! One round: ask, compare, recover, and again, until everything agrees or the same difference was found often enough.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::json;

use super::{Reconciler, pause_ms};
use crate::agent::clock::sleep;
use crate::event::{Body, CarriedOrder, OrderUpdate};
use crate::ops::events::Level;
use crate::ops::reconcile::books::{OpenHere, exact};
use crate::ops::reconcile::{BooksView, Comparison, Difference, Outcome, Report, VenueView, compare};
use crate::run::plan::{ForeignOrders, Plan};
use crate::run::wiring::gateway_config;
use crate::types::time::NS_PER_S;
use crate::types::{ClientOrderId, InstrumentId, OrderState, Qty, StrategyId, TradeId, VenueOrderId};
use crate::venue::binance::rest_account::OrderName;

/// Most attempts of a round: an account that never stands still is said to be moving.
const ATTEMPTS_MAX: u32 = 20;
/// Attempts in a row that may fail before the round says that the venue can't be asked.
const FAILURES_MAX: u32 = 3;

/// The choices of the configuration.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// How often, nanoseconds.
    pub every_ns: i64,
    /// How often a difference must be found before it counts.
    pub confirmations: u32,
    /// Whether an open order of somebody else is a difference.
    pub foreign_halts: bool,
    /// How long after its request was written an order may still arrive at the venue, nanoseconds.
    pub arrival_ns: i64,
}

impl Rules {
    /// From the configuration.
    pub fn of(plan: &Plan) -> Self {
        let (section, gateway) = (&plan.reconcile, gateway_config(plan));
        Self {
            every_ns: i64::try_from(section.every_s).unwrap_or(i64::MAX / NS_PER_S).saturating_mul(NS_PER_S),
            confirmations: section.confirmations,
            foreign_halts: section.foreign_orders == ForeignOrders::Halt,
            arrival_ns: gateway.arrival_ns(),
        }
    }
}

/// How an attempt ended.
enum Step {
    /// The round is over.
    Done(Outcome),
    /// Everything is to be asked again.
    Again,
}

impl Reconciler {
    /// A whole round.
    pub(super) fn round(&mut self) -> Report {
        let mut adopt = self.parts.standing.take_adopt();
        let mut report = Report::default();
        let mut found: BTreeMap<Difference, u32> = BTreeMap::new();
        let mut failures = 0;
        while report.attempts < ATTEMPTS_MAX && !self.parts.stop.is_stopped() {
            if report.attempts > 0 {
                sleep(Duration::from_millis(pause_ms(report.attempts)));
            }
            report.attempts += 1;
            match self.attempt(&mut adopt, &mut found, &mut report) {
                Ok(Step::Done(outcome)) => {
                    report.outcome = outcome;
                    return report;
                }
                Ok(Step::Again) => failures = 0,
                Err(why) => {
                    failures += 1;
                    report.differences = vec![why];
                    if failures == FAILURES_MAX {
                        break;
                    }
                }
            }
        }
        report.outcome = if failures > 0 { Outcome::Unknown } else { Outcome::Moving };
        report
    }

    fn attempt(
        &mut self,
        adopt: &mut bool,
        found: &mut BTreeMap<Difference, u32>,
        report: &mut Report,
    ) -> Result<Step, String> {
        let (venue, view) = if self.parts.source.is_some() {
            // The record after the venue: what the venue says must be in it, or is missing.
            let venue = self.ask()?;
            (venue, self.view()?)
        } else {
            let view = self.view()?;
            (VenueView::told_by(&view), view)
        };
        let mut comparison =
            compare((&view, &venue, &self.parts.ground), &self.parts.table, self.parts.rules.foreign_halts);
        report.foreign_orders = u32::try_from(comparison.foreign.len()).unwrap_or(u32::MAX);
        self.tell_foreign(&comparison);
        let carried = self.recover_fills(&comparison, &view, report)?;
        self.take_up(&comparison, &carried, report);
        let unsettled = self.resolve(&mut comparison, report)?;
        report.differences = unsettled;
        if self.settle(&comparison, &venue, &view) {
            self.record(&view, report);
            return Ok(Step::Done(Outcome::Balanced));
        }
        found.retain(|difference, _| comparison.differences.contains(difference));
        for difference in &comparison.differences {
            *found.entry(*difference).or_insert(0) += 1;
        }
        let confirmed: Vec<_> = found
            .iter()
            .filter(|(_, times)| **times >= self.parts.rules.confirmations)
            .map(|(d, _)| *d)
            .collect();
        if confirmed.is_empty() {
            let table = &self.parts.table;
            report.differences.extend(comparison.differences.iter().map(|d| d.describe(table)));
            return Ok(Step::Again);
        }
        if *adopt && self.adopt(&confirmed, &venue, &view) {
            // Once: what was told must come round before anything is judged again.
            *adopt = false;
            found.clear();
            return Ok(Step::Again);
        }
        self.mismatch(&confirmed, &view, report);
        Ok(Step::Done(Outcome::Mismatch))
    }

    /// Everything that the venue has to say, between two looks at the balances.
    fn ask(&mut self) -> Result<VenueView, String> {
        let next = self.parts.ground.next_trade.clone();
        let Some(source) = &mut self.parts.source else { return Ok(VenueView::default()) };
        let before = source.totals()?.totals;
        let mut fills = Vec::new();
        for instrument in self.parts.table.all() {
            let from = next.get(instrument.id.index()).copied().unwrap_or_default();
            fills.extend(source.fills(instrument.id, from)?);
        }
        let open = source.open()?;
        let after = source.totals()?.totals;
        Ok(VenueView { before, after, fills, open, is_told: false })
    }

    /// Whether everything agrees; the ground is then moved up to here.
    fn settle(&mut self, comparison: &Comparison, venue: &VenueView, view: &BooksView) -> bool {
        if !comparison.is_complete || !comparison.differences.is_empty() {
            return false;
        }
        let is_first = self.parts.ground.expected.iter().all(Option::is_none);
        if is_first {
            let held: Vec<_> = self
                .parts
                .table
                .assets()
                .iter()
                .zip(&venue.after)
                .filter_map(|(asset, total)| Some(format!("{} {}", (*total)?, asset.as_str())))
                .collect();
            self.event(Level::Info, "ACCOUNT_ADOPTED", &[("holds", json!(held))]);
        }
        self.rebase(venue, view);
        true
    }

    /// From here on the venue's figures are what the record rests on. Within a comparison that balanced that changes nothing but
    /// the last decimal that a venue rounds.
    pub(super) fn rebase(&mut self, venue: &VenueView, view: &BooksView) {
        let ground = &mut self.parts.ground;
        let totals = venue.after.iter().enumerate();
        let moved = |at: usize| view.moved.get(at).copied().unwrap_or(0);
        // An asset that the venue does not name is one that the account has nothing of; one that the line was not told of yet is
        // not known.
        let held =
            |total: &Option<Qty>| if venue.is_told { total.map(exact) } else { Some(total.map_or(0, exact)) };
        ground.expected = totals.map(|(at, total)| held(total).map(|held| held - moved(at))).collect();
        ground.next_trade.resize(self.parts.table.all().len(), TradeId(0));
        for fill in &venue.fills {
            let next = &mut ground.next_trade[fill.instrument.index()];
            *next = (*next).max(TradeId(fill.trade.0 + 1));
        }
        let next_trade = &ground.next_trade;
        ground.booked.retain(|(instrument, trade, _), _| *trade >= next_trade[instrument.index()]);
    }

    /// One order at the venue; an account that does not exist has none to ask about.
    fn order(&mut self, instrument: InstrumentId, name: OrderName) -> Result<Option<OrderUpdate>, String> {
        self.parts.source.as_mut().map_or(Ok(None), |source| source.order(instrument, name))
    }

    fn tell_foreign(&mut self, comparison: &Comparison) {
        for order in &comparison.foreign {
            if self.foreign_told.insert(order.venue_order) {
                let fields = [
                    ("order", json!(order.venue_order.0)),
                    ("side", json!(order.side.as_str())),
                    ("price", json!(order.price.to_string())),
                    ("qty", json!(order.qty.to_string())),
                ];
                self.event(Level::Warn, "FOREIGN_ORDER", &fields);
            }
        }
    }

    /// Fills that the venue lists and nobody told us of. Those of orders that are ours and not known bring their order along:
    /// which ones that were.
    fn recover_fills(
        &mut self,
        comparison: &Comparison,
        view: &BooksView,
        report: &mut Report,
    ) -> Result<BTreeSet<ClientOrderId>, String> {
        let mut names: BTreeMap<(InstrumentId, VenueOrderId), ClientOrderId> = BTreeMap::new();
        let mut ends: Vec<OrderUpdate> = Vec::new();
        let mut carried = BTreeSet::new();
        for fill in &comparison.missing {
            let key = (fill.instrument, fill.venue_order);
            let known = names.get(&key).copied().or_else(|| view.client_of(fill.venue_order));
            let client = if let Some(client) = known {
                client
            } else {
                let order = self.order(fill.instrument, OrderName::Venue(fill.venue_order))?;
                let client = order.map_or(ClientOrderId::NONE, |o| o.client);
                if let Some(order) = order.filter(|o| is_unknown(o, view)) {
                    let missing = comparison.missing.iter().filter(|f| f.venue_order == fill.venue_order);
                    self.carry(&order, missing.map(|f| f.qty));
                    carried.insert(client);
                    ends.push(order);
                }
                client
            };
            names.insert(key, client);
            self.tell(Body::Order(OrderUpdate { client, snapshot: true, filled: Qty::ZERO, ..*fill }));
            report.fills_recovered += 1;
            let ours = client != ClientOrderId::NONE;
            let fields = [
                ("trade", json!(fill.trade.0)),
                ("order", json!(fill.venue_order.0)),
                ("client", if ours { json!(client.to_string()) } else { json!(null) }),
                ("side", json!(fill.side.as_str())),
                ("price", json!(fill.price.to_string())),
                ("qty", json!(fill.qty.to_string())),
            ];
            self.event(Level::Warn, if ours { "FILL_RECOVERED" } else { "FOREIGN_FILL" }, &fields);
        }
        for order in ends {
            self.tell(Body::Order(order));
            report.orders_adopted += 1;
        }
        Ok(carried)
    }

    /// Brings an order of an earlier boot onto the line that no record tells of: its record was lost with the process.
    fn carry(&mut self, order: &OrderUpdate, missing: impl Iterator<Item = Qty>) {
        let missing = missing.fold(Qty::ZERO, |sum, qty| sum.checked_add(qty).unwrap_or(Qty::MAX));
        self.tell(Body::Carried(CarriedOrder {
            client: order.client,
            venue_order: order.venue_order,
            instrument: order.instrument,
            strategy: StrategyId::OPERATOR,
            side: order.side,
            reduce_only: false,
            price: order.price,
            qty: order.qty,
            filled: order.filled.checked_sub(missing).unwrap_or_default().max(Qty::ZERO),
            placed_ns: order.venue_ns,
        }));
        if self.adopted_told.insert(order.client) {
            let fields =
                [("client", json!(order.client.to_string())), ("state", json!(format!("{:?}", order.state)))];
            self.event(Level::Warn, "ORDER_ADOPTED", &fields);
        }
    }

    /// Orders of ours that are open at the venue and not known here.
    fn take_up(&mut self, comparison: &Comparison, carried: &BTreeSet<ClientOrderId>, report: &mut Report) {
        for order in comparison.unknown.iter().filter(|o| !carried.contains(&o.client)) {
            // No fill of it is missing: those that it has had are booked.
            self.carry(order, std::iter::empty());
            self.tell(Body::Order(*order));
            report.orders_adopted += 1;
        }
    }

    /// Asks what became of orders that the venue's list of open ones leaves out. In words, those that stay unsettled.
    fn resolve(&mut self, comparison: &mut Comparison, report: &mut Report) -> Result<Vec<String>, String> {
        let (mut unsettled, mut denied) = (Vec::new(), 0);
        let asked = comparison.ask.clone();
        for here in &asked {
            let asked_ns = self.parts.clock.now().ns;
            match self.order(here.instrument, OrderName::Client(here.client))? {
                Some(order) => {
                    // Its fills come out of the list of trades; an end that counts them must not come before them.
                    if order.filled <= here.filled || comparison.missing.is_empty() {
                        self.tell(Body::Order(order));
                        report.orders_resolved += 1;
                    }
                }
                None if was_at_the_venue(here) => {
                    comparison.differences.push(Difference::NoSuchOrder(here.client));
                }
                // Never seen there: the gateway's watermark decides when that may be believed. Until then it is counted in
                // full and its instrument is frozen; once it can't arrive any more, the rest need not wait for it.
                None => {
                    let until_ns = here.placed_ns.saturating_add(self.parts.rules.arrival_ns);
                    let can_arrive = here.placed_ns == 0 || asked_ns <= until_ns;
                    denied += usize::from(here.state == OrderState::Unknown && !can_arrive);
                    unsettled.push(format!(
                        "order {}: its outcome is unknown; the venue has no such order, {}",
                        here.client,
                        if can_arrive {
                            "and it may still arrive"
                        } else {
                            "which a replica that lags may say too"
                        }
                    ));
                }
            }
        }
        if denied == asked.len() {
            comparison.is_complete |= comparison.is_told_in_full;
        }
        Ok(unsettled)
    }

    fn mismatch(&mut self, confirmed: &[Difference], view: &BooksView, report: &mut Report) {
        let table = &self.parts.table;
        report.differences = confirmed.iter().map(|d| d.describe(table)).collect();
        let frozen: Option<Vec<Vec<InstrumentId>>> =
            confirmed.iter().map(|d| d.instruments(table, view)).collect();
        report.frozen = frozen.unwrap_or_default().concat();
        let fields = [("differences", json!(report.differences)), ("attempts", json!(report.attempts))];
        self.event(Level::Error, "RECONCILE_MISMATCH", &fields);
    }
}

/// Whether an order is ours and neither open here nor known by a number.
fn is_unknown(order: &OrderUpdate, view: &BooksView) -> bool {
    order.client != ClientOrderId::NONE
        && !view.open.iter().any(|o| o.client == order.client)
        && !view.names.iter().any(|(_, client)| *client == order.client)
}

/// Whether the venue has ever spoken of an order.
fn was_at_the_venue(order: &OpenHere) -> bool {
    order.venue_order.0 != 0
        || !order.filled.is_zero()
        || matches!(order.state, OrderState::Acknowledged | OrderState::PartiallyFilled)
}

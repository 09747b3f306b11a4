//! The comparison: our record against what the venue says, without an opinion on what to do about it. Pure.
//!
//! The venue is asked for the balances before and after everything else. If both answers agree, nothing was filled meanwhile, and
//! every trade that made those balances is in the list between them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::books::{Booked, BooksView, Exact, OpenHere, TradeKey, exact, key_of};
use crate::event::OrderUpdate;
use crate::types::{
    AssetId, ClientOrderId, InstrumentId, InstrumentTable, OrderState, Price, Qty, StrategyId, TradeId,
    VenueOrderId,
};

/// What the venue says.
#[derive(Clone, Debug, Default)]
pub struct VenueView {
    /// Totals by asset, asked first; `None` where the venue names no such asset.
    pub before: Vec<Option<Qty>>,
    /// Totals by asset, asked last.
    pub after: Vec<Option<Qty>>,
    /// Fills of the account from the agreed numbers on, ours and others'. They bear no id of ours.
    pub fills: Vec<OrderUpdate>,
    /// Everything open on the account; the instrument is `None` for a symbol that the session does not have.
    pub open: Vec<(Option<InstrumentId>, OrderUpdate)>,
    /// Nobody was asked: only balances can be compared.
    pub is_told: bool,
}

impl VenueView {
    /// Where nobody can be asked: the balances that the line was told of, against its fills. Orders say nothing then.
    pub fn told_by(view: &BooksView) -> Self {
        Self { before: view.balances.clone(), after: view.balances.clone(), is_told: true, ..Self::default() }
    }

    /// Whether nothing moved while the venue was asked.
    pub fn is_still(&self) -> bool {
        self.before == self.after
    }
}

/// What our record rests on besides the facts of this session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Footing {
    /// What the account held when the session began, by asset, as our record had it; `None` where nothing is on record.
    pub expected: Vec<Option<Exact>>,
    /// Trades below these, by instrument, are agreed upon.
    pub next_trade: Vec<TradeId>,
    /// Trades at or above those that earlier sessions have booked.
    pub booked: BTreeMap<TradeKey, Booked>,
    /// What the session began with by instrument, as the stages have it ...
    pub held: Vec<Held>,
    /// ... and what the venue's trades came to by then; `None` where no record says.
    pub traded: Vec<Option<Exact>>,
    /// This boot: an order with its number that is not on record is not the consequence of a crash.
    pub epoch: u32,
}

/// A position as a session took it over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// How much.
    pub net: Exact,
    /// Its average price; zero for none.
    pub price: Price,
    /// Whose, if it is one strategy's alone.
    pub owner: Option<StrategyId>,
}

impl Footing {
    /// What was taken over on an instrument.
    pub fn held(&self, at: usize) -> Held {
        self.held.get(at).copied().unwrap_or_default()
    }

    /// For a session: where no record says what the trades came to when it began, what was taken over stands for it.
    pub fn begin(&mut self, instruments: usize) {
        self.held.resize(instruments, Held::default());
        self.traded.resize(instruments, None);
        for (traded, held) in self.traded.iter_mut().zip(&self.held) {
            *traded = traded.or(Some(held.net));
        }
    }

    /// The position as the engine has it, and as the venue's trades make it, by instrument.
    pub fn positions(&self, view: &BooksView) -> Vec<(Exact, Exact)> {
        let sums = view.booked.iter().zip(&view.traded).enumerate();
        sums.map(|(at, (booked, traded))| {
            let held = self.held(at).net;
            let before = self.traded.get(at).copied().flatten().unwrap_or(held);
            (held + booked, before + traded)
        })
        .collect()
    }
}

/// Something that does not agree. Two of them are the same difference when they are equal: a difference counts only after it
/// was found again, unchanged, in a comparison made from nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Difference {
    /// A balance is not what the trades make it.
    Balance {
        /// Of what.
        asset: AssetId,
        /// By our record.
        expected: Exact,
        /// By the venue.
        found: Exact,
    },
    /// We booked a fill that the venue does not list.
    NoSuchTrade(TradeKey),
    /// A position, with what it was when the session began, is not what the venue's trades make it.
    Quantity {
        /// On what.
        instrument: InstrumentId,
        /// As the engine has it.
        booked: Exact,
        /// By the trade records.
        traded: Exact,
    },
    /// More is booked as held than the account has.
    Uncovered {
        /// Of what.
        asset: AssetId,
        /// The positions in it.
        booked: Exact,
        /// By the venue.
        found: Exact,
    },
    /// An order with an id of this boot is open at the venue and not on record: it can't have left by the gateway.
    Unrecorded(ClientOrderId),
    /// Our record says that the order has ended; it is open at the venue.
    StillOpen(ClientOrderId),
    /// Our record says that the order is open; the venue has none such.
    NoSuchOrder(ClientOrderId),
    /// An order of somebody else, where nobody else may trade.
    Foreign(VenueOrderId),
}

impl Difference {
    /// The instruments on which no entry may be made until it is settled; `None` = all of them.
    pub fn instruments(&self, table: &InstrumentTable, view: &BooksView) -> Option<Vec<InstrumentId>> {
        let of_order =
            |client: ClientOrderId| view.open.iter().find(|o| o.client == client).map(|o| vec![o.instrument]);
        match *self {
            Self::Balance { asset, .. } | Self::Uncovered { asset, .. } => {
                let of_base: Vec<_> = table.all().iter().filter(|i| i.base == asset).map(|i| i.id).collect();
                let is_quote = table.all().iter().any(|i| i.quote == asset);
                (!is_quote && !of_base.is_empty()).then_some(of_base)
            }
            Self::NoSuchTrade((instrument, ..)) | Self::Quantity { instrument, .. } => Some(vec![instrument]),
            Self::Unrecorded(client) | Self::StillOpen(client) | Self::NoSuchOrder(client) => {
                of_order(client)
            }
            Self::Foreign(_) => None,
        }
    }

    /// For people.
    pub fn describe(&self, table: &InstrumentTable) -> String {
        let symbol = |id: InstrumentId| table.get(id).map_or("?", |i| i.symbol.as_str()).to_owned();
        match *self {
            Self::Balance { asset, expected, found } => {
                let name = table.assets().get(asset.index()).map_or("?", |a| a.as_str());
                format!(
                    "balance of {name}: the venue says {}, our record {} ({} too {})",
                    Shown(found),
                    Shown(expected),
                    Shown((found - expected).abs()),
                    if found > expected { "much" } else { "little" }
                )
            }
            Self::NoSuchTrade((instrument, trade, order)) => {
                format!(
                    "{}: trade {} of order {} is booked and the venue does not list it",
                    symbol(instrument),
                    trade.0,
                    order.0
                )
            }
            Self::Quantity { instrument, booked, traded } => format!(
                "position on {}: booked {}, the venue's trades come to {}",
                symbol(instrument),
                Shown(booked),
                Shown(traded)
            ),
            Self::Uncovered { asset, booked, found } => {
                let name = table.assets().get(asset.index()).map_or("?", |a| a.as_str());
                let (booked, found) = (Shown(booked), Shown(found));
                format!("position in {name}: booked {booked}, the account holds {found}")
            }
            Self::Unrecorded(client) => format!("order {client} is open at the venue and is not on record"),
            Self::StillOpen(client) => {
                format!("order {client} has ended by our record and is open at the venue")
            }
            Self::NoSuchOrder(client) => {
                format!("order {client} is open by our record and the venue has no such order")
            }
            Self::Foreign(order) => format!("order {} at the venue is not ours", order.0),
        }
    }
}

/// An [`Exact`] amount as decimal text.
struct Shown(Exact);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const ONE: Exact = 100_000_000_000_000_000;
        let sign = if self.0 < 0 { "-" } else { "" };
        let digits = format!("{:017}", self.0.unsigned_abs() % ONE.unsigned_abs());
        let fraction = digits.trim_end_matches('0');
        let dot = if fraction.is_empty() { "" } else { "." };
        write!(f, "{sign}{}{dot}{fraction}", self.0.unsigned_abs() / ONE.unsigned_abs())
    }
}

/// What came out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    /// Fills at the venue that are not booked: to be recovered.
    pub missing: Vec<OrderUpdate>,
    /// Orders of ours that are open at the venue and not known here: to be taken up.
    pub unknown: Vec<OrderUpdate>,
    /// Orders that our record has open (or of unknown outcome) and that the venue's list leaves out: to be asked about.
    pub ask: Vec<OpenHere>,
    /// Orders of others.
    pub foreign: Vec<OrderUpdate>,
    /// What does not agree.
    pub differences: Vec<Difference>,
    /// Nothing moved, and nothing is to be recovered: but for the orders to be asked about, everything could be compared.
    pub is_told_in_full: bool,
    /// Everything could be compared: nothing is to be asked either.
    pub is_complete: bool,
}

/// Compares. A balance may be off by one unit of `1e-8` a trade, for what the venue rounds.
pub fn compare(
    (view, venue, ground): (&BooksView, &VenueView, &Footing),
    table: &InstrumentTable,
    foreign_halts: bool,
) -> Comparison {
    let mut out = Comparison::default();
    if !venue.is_told {
        fills(view, venue, ground, &mut out);
        orders(view, venue, ground, foreign_halts, &mut out);
    }
    for ((booked, traded), at) in ground.positions(view).into_iter().zip(0u16..).filter(|((b, t), _)| b != t)
    {
        out.differences.push(Difference::Quantity { instrument: InstrumentId(at), booked, traded });
    }
    let same_trades =
        out.missing.is_empty() && !out.differences.iter().any(|d| matches!(d, Difference::NoSuchTrade(_)));
    if venue.is_still() && same_trades {
        balances(view, venue, ground, &mut out);
        cover((view, venue, ground), table, &mut out);
    }
    out.is_told_in_full = venue.is_still() && out.missing.is_empty() && out.unknown.is_empty();
    out.is_complete = out.is_told_in_full && out.ask.is_empty();
    out
}

fn fills(view: &BooksView, venue: &VenueView, ground: &Footing, out: &mut Comparison) {
    let is_new = |key: &TradeKey| ground.next_trade.get(key.0.index()).is_none_or(|next| key.1 >= *next);
    let listed: BTreeSet<TradeKey> = venue.fills.iter().map(key_of).collect();
    let known = |key: &TradeKey| view.trades.contains_key(key) || ground.booked.contains_key(key);
    out.missing = venue.fills.iter().filter(|f| is_new(&key_of(f)) && !known(&key_of(f))).copied().collect();
    let booked: BTreeSet<&TradeKey> = view.trades.keys().chain(ground.booked.keys()).collect();
    for key in booked.into_iter().filter(|key| is_new(key) && !listed.contains(key)) {
        out.differences.push(Difference::NoSuchTrade(*key));
    }
}

fn orders(view: &BooksView, venue: &VenueView, ground: &Footing, foreign_halts: bool, out: &mut Comparison) {
    for (_, there) in &venue.open {
        if there.client == ClientOrderId::NONE {
            out.foreign.push(*there);
            if foreign_halts {
                out.differences.push(Difference::Foreign(there.venue_order));
            }
            continue;
        }
        match view.open.iter().find(|o| o.client == there.client) {
            Some(here) if here.recorded => {}
            Some(_) if there.client.epoch() != ground.epoch => {}
            Some(_) => out.differences.push(Difference::Unrecorded(there.client)),
            None if view.names.iter().any(|(_, client)| *client == there.client) => {
                out.differences.push(Difference::StillOpen(there.client));
            }
            None if there.client.epoch() == ground.epoch => {
                out.differences.push(Difference::Unrecorded(there.client));
            }
            None => out.unknown.push(*there),
        }
    }
    for here in &view.open {
        let is_listed = venue.open.iter().any(|(_, there)| there.client == here.client);
        // Not sent yet, or on its way: its own answer comes first.
        let is_on_its_way =
            matches!(here.state, OrderState::Created | OrderState::Approved | OrderState::Sent);
        if !is_listed && !is_on_its_way {
            out.ask.push(*here);
        }
    }
}

/// One unit of `1e-8`: what a venue may round.
const UNIT: Exact = 1_000_000_000;

fn balances(view: &BooksView, venue: &VenueView, ground: &Footing, out: &mut Comparison) {
    let trades = i128::try_from(view.trades.len() + ground.booked.len()).unwrap_or(i128::MAX / UNIT);
    for (at, found) in (0u16..).zip(&venue.after) {
        let index = usize::from(at);
        let Some(Some(base)) = ground.expected.get(index) else { continue };
        if venue.is_told && found.is_none() {
            continue;
        }
        let expected = base + view.moved.get(index).copied().unwrap_or(0);
        // An asset that the venue does not name is one that the account has nothing of.
        let found = found.map_or(0, exact);
        if (found - expected).abs() > UNIT * trades {
            out.differences.push(Difference::Balance { asset: AssetId(at), expected, found });
        }
    }
}

/// Whether the account has what the positions say is held. An asset that others are paid in says nothing of a position in it, nor
/// does one that pays the fees of other instruments.
fn cover(
    (view, venue, ground): (&BooksView, &VenueView, &Footing),
    table: &InstrumentTable,
    out: &mut Comparison,
) {
    let positions = ground.positions(view);
    let trades = i128::try_from(view.trades.len() + ground.booked.len() + 1).unwrap_or(i128::MAX / UNIT);
    for (at, found) in (0u16..).zip(&venue.after) {
        let asset = AssetId(at);
        let is_spent = view.fees_elsewhere.get(usize::from(at)).is_some_and(|spent| *spent != 0);
        let is_paid_in = table.all().iter().any(|i| i.quote == asset);
        if is_spent || is_paid_in || (venue.is_told && found.is_none()) {
            continue;
        }
        let of_base = table.all().iter().filter(|i| i.base == asset);
        let booked: Exact =
            of_base.filter_map(|i| positions.get(i.id.index())).map(|(booked, _)| booked).sum();
        let found = found.map_or(0, exact);
        if booked > found + UNIT * trades {
            out.differences.push(Difference::Uncovered { asset, booked, found });
        }
    }
}

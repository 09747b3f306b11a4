//! What would have come of a decision: followed from the market that it would have met to a few horizons, by the quotes that the
//! line saw. It claims no more than a paper model would: an order that takes is entered at the touch of the first quote after
//! the assumed latency; one that waits is entered at its own price once the other side has come through it; otherwise it is
//! unfilled. What is marked is marked at the middle, and costs what leaving there would cost: the fee both ways and half the
//! spread. Without a quote near the horizon the result is unknown, which is neither a gain nor a loss.

use std::collections::{BTreeSet, VecDeque};

use crate::event::{OrderSpec, Quote};
use crate::types::time::NS_PER_S;
use crate::types::{ClientOrderId, InstrumentId, OrderType, Price, Side, TimeInForce};

/// A horizon's quote may come this late.
const LATE_NS_MAX: i64 = 10 * NS_PER_S;
/// Hundredths of a basis point in one.
const CENTI_BP: i128 = 1_000_000;

/// What is assumed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assumptions {
    /// From a decision to the venue's book.
    pub latency_ns: i64,
    /// Fee of an entry that waited, hundredths of a basis point.
    pub maker_centi_bp: i64,
    /// Fee of everything else.
    pub taker_centi_bp: i64,
    /// Horizons, ascending.
    pub horizons_ns: Vec<i64>,
    /// Decisions that are followed at once.
    pub followed_max: usize,
}

/// How a decision stood at a horizon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It would have been entered, and would be worth this.
    Marked {
        /// Where it would have been entered.
        entry: Price,
        /// The middle at the horizon.
        mark: Price,
        /// Gain before costs, hundredths of a basis point of the entry.
        gross_centi_bp: i64,
        /// Fees both ways and half the spread.
        cost_centi_bp: i64,
    },
    /// The market never came to it.
    Unfilled,
    /// No quote in time: nobody knows.
    Unknown,
}

/// A counterfactual result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The decision.
    pub client: ClientOrderId,
    /// Of what.
    pub instrument: InstrumentId,
    /// The horizon.
    pub horizon_ns: i64,
    /// When the quote that it was marked with came, nanoseconds since the epoch.
    pub at_ns: i64,
    /// How it stood.
    pub standing: Standing,
}

/// One decision that is followed.
#[derive(Clone, Copy, Debug)]
struct Followed {
    client: ClientOrderId,
    side: Side,
    price: Price,
    may_wait: bool,
    entry: Option<(Price, bool)>,
    horizons_left: usize,
}

/// One instrument's.
#[derive(Debug, Default)]
struct Room {
    /// Not at the book yet: when they arrive, and which.
    arriving: VecDeque<(i64, usize)>,
    /// Waiting buys and sells by price.
    waiting: [BTreeSet<(Price, usize)>; 2],
    /// By horizon: when it is due, and which.
    due: Vec<VecDeque<(i64, usize)>>,
}

/// Follows decisions.
#[derive(Debug)]
pub struct Follower {
    assumptions: Assumptions,
    rooms: Vec<Room>,
    slots: Vec<Option<Followed>>,
    free: Vec<usize>,
}

impl Follower {
    /// Over so many instruments.
    pub fn new(assumptions: Assumptions, instruments: usize) -> Self {
        let horizons = assumptions.horizons_ns.len();
        let room = || Room { due: vec![VecDeque::new(); horizons], ..Room::default() };
        Self {
            assumptions,
            rooms: (0..instruments).map(|_| room()).collect(),
            slots: Vec::new(),
            free: Vec::new(),
        }
    }

    /// How many are followed.
    pub fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Follows a decision of this time. `false`: there is no room, or the instrument is not known.
    pub fn follow(
        &mut self,
        client: ClientOrderId,
        instrument: InstrumentId,
        spec: &OrderSpec,
        at_ns: i64,
    ) -> bool {
        if self.len() >= self.assumptions.followed_max || instrument.index() >= self.rooms.len() {
            return false;
        }
        let rests = spec.order_type == OrderType::LimitMaker
            || (spec.order_type == OrderType::Limit && spec.time_in_force == TimeInForce::Gtc);
        let followed = Followed {
            client,
            side: spec.side,
            price: spec.price,
            may_wait: rests,
            entry: None,
            horizons_left: self.assumptions.horizons_ns.len(),
        };
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() - 1
        });
        self.slots[slot] = Some(followed);
        let room = &mut self.rooms[instrument.index()];
        room.arriving.push_back((at_ns.saturating_add(self.assumptions.latency_ns), slot));
        for (due, horizon_ns) in room.due.iter_mut().zip(&self.assumptions.horizons_ns) {
            due.push_back((at_ns.saturating_add(*horizon_ns), slot));
        }
        true
    }

    /// A quote of this time: what arrives, what is entered, what is due.
    pub fn on_quote(&mut self, quote: &Quote, now_ns: i64, out: &mut dyn FnMut(Outcome)) {
        let (bid, ask) = (quote.bid.price, quote.ask.price);
        if bid <= Price::ZERO || ask < bid {
            return;
        }
        let Some(room) = self.rooms.get_mut(quote.instrument.index()) else { return };
        while let Some((_, slot)) = room.arriving.pop_front_if(|(at_ns, _)| *at_ns <= now_ns) {
            let Some(followed) = self.slots[slot].as_mut() else { continue };
            let touch = match followed.side {
                Side::Buy if followed.price >= ask => Some(ask),
                Side::Sell if followed.price <= bid => Some(bid),
                Side::Buy | Side::Sell => None,
            };
            if let Some(touch) = touch {
                followed.entry = Some((touch, false));
            } else if followed.may_wait {
                room.waiting[side_index(followed.side)].insert((followed.price, slot));
            }
        }
        // A waiting order is only sure to be filled when the market has come through its price.
        let [buys, sells] = &mut room.waiting;
        while let Some((price, slot)) = buys
            .last()
            .copied()
            .filter(|(price, _)| *price > ask)
            .or_else(|| sells.first().copied().filter(|(price, _)| *price < bid))
        {
            let _one_of_them = buys.remove(&(price, slot)) || sells.remove(&(price, slot));
            if let Some(followed) = self.slots[slot].as_mut() {
                followed.entry = Some((price, true));
            }
        }
        self.settle(quote.instrument, now_ns, Some((bid, ask)), out);
    }

    /// Time passes without a quote: what has waited too long for one is unknown.
    pub fn on_time(&mut self, now_ns: i64, out: &mut dyn FnMut(Outcome)) {
        for at in 0..self.rooms.len() {
            let instrument = InstrumentId(u16::try_from(at).unwrap_or(u16::MAX));
            self.settle(instrument, now_ns.saturating_sub(LATE_NS_MAX + 1), None, out);
        }
    }

    /// What is due until then, marked between these prices.
    fn settle(
        &mut self,
        instrument: InstrumentId,
        until_ns: i64,
        touch: Option<(Price, Price)>,
        out: &mut dyn FnMut(Outcome),
    ) {
        for at in 0..self.assumptions.horizons_ns.len() {
            let horizon_ns = self.assumptions.horizons_ns[at];
            let room = &mut self.rooms[instrument.index()];
            while let Some((due_ns, slot)) = room.due[at].pop_front_if(|(due_ns, _)| *due_ns <= until_ns) {
                let Some(followed) = self.slots[slot].as_mut() else { continue };
                let touch = touch.filter(|_| until_ns - due_ns <= LATE_NS_MAX);
                let standing = standing(&self.assumptions, followed, touch);
                let client = followed.client;
                out(Outcome { client, instrument, horizon_ns, at_ns: until_ns, standing });
                followed.horizons_left -= 1;
                if followed.horizons_left == 0 {
                    room.waiting[side_index(followed.side)].remove(&(followed.price, slot));
                    // With a latency beyond its longest horizon it never arrived.
                    room.arriving.retain(|(_, arriving)| *arriving != slot);
                    self.slots[slot] = None;
                    self.free.push(slot);
                }
            }
        }
    }
}

fn standing(assumptions: &Assumptions, followed: &Followed, touch: Option<(Price, Price)>) -> Standing {
    let Some((bid, ask)) = touch else { return Standing::Unknown };
    let Some((entry, waited)) = followed.entry else { return Standing::Unfilled };
    let mark = bid.midpoint(ask);
    // Rounded down: a gain shows no larger than it is, a cost (told as a negative gain) no smaller.
    let of_entry = |difference: i128| {
        let centi_bp = difference.checked_mul(CENTI_BP)?.checked_div_euclid(i128::from(entry.units()))?;
        i64::try_from(centi_bp).ok()
    };
    let moved = i128::from(mark.units()) - i128::from(entry.units());
    let gained = if followed.side == Side::Buy { moved } else { -moved };
    let half_spread = (i128::from(ask.units()) - i128::from(bid.units()) + 1) / 2;
    let (Some(gross_centi_bp), Some(leaving)) = (of_entry(gained), of_entry(-half_spread)) else {
        return Standing::Unknown;
    };
    let entering = if waited { assumptions.maker_centi_bp } else { assumptions.taker_centi_bp };
    let cost_centi_bp = entering.saturating_add(assumptions.taker_centi_bp).saturating_sub(leaving);
    Standing::Marked { entry, mark, gross_centi_bp, cost_centi_bp }
}

const fn side_index(side: Side) -> usize {
    match side {
        Side::Buy => 0,
        Side::Sell => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{Level, Qty};

    const HORIZON_NS: i64 = 60 * NS_PER_S;

    fn follower() -> Follower {
        let assumptions = Assumptions {
            latency_ns: NS_PER_S,
            maker_centi_bp: 500,
            taker_centi_bp: 1_000,
            horizons_ns: vec![HORIZON_NS, 2 * HORIZON_NS],
            followed_max: 2,
        };
        Follower::new(assumptions, 1)
    }

    fn quote(bid: i64, ask: i64) -> Quote {
        let level = |price| Level { price: Price::from_units(price * Price::ONE.units()), qty: Qty::ONE };
        Quote {
            instrument: InstrumentId(0),
            conflated: false,
            update_id: 1,
            bid: level(bid),
            ask: level(ask),
        }
    }

    fn spec(side: Side, time_in_force: TimeInForce, price: i64) -> OrderSpec {
        let price = Price::from_units(price * Price::ONE.units());
        OrderSpec { side, order_type: OrderType::Limit, time_in_force, price, qty: Qty::ONE }
    }

    fn run(follower: &mut Follower, quotes: &[(i64, i64, i64)]) -> Vec<Standing> {
        let mut standings = Vec::new();
        for (seconds, bid, ask) in quotes {
            follower.on_quote(&quote(*bid, *ask), seconds * NS_PER_S, &mut |r| standings.push(r.standing));
        }
        standings
    }

    fn one(spec: &OrderSpec, quotes: &[(i64, i64, i64)]) -> Vec<Standing> {
        let mut follower = follower();
        assert!(follower.follow(ClientOrderId(7), InstrumentId(0), spec, 0));
        let standings = run(&mut follower, quotes);
        assert_eq!(follower.is_empty(), standings.len() == 2);
        standings
    }

    #[test]
    fn one_that_takes_meets_the_quote_after_its_latency_and_pays_both_ways() {
        let buy = spec(Side::Buy, TimeInForce::Ioc, 10_010);
        // The quote before its arrival is not the one that it meets.
        let standings =
            one(&buy, &[(0, 9_000, 9_001), (1, 10_000, 10_004), (60, 10_104, 10_108), (125, 10_000, 10_004)]);
        let at = |price: i64| Price::from_units(price * Price::ONE.units());
        let Standing::Marked { entry, mark, gross_centi_bp, cost_centi_bp } = standings[0] else {
            panic!("{standings:?}")
        };
        assert_eq!((entry, mark), (at(10_004), at(10_106)));
        // 102 of 10004 are 1.01959 %, half the spread (2) is 1.99 bp.
        assert_eq!((gross_centi_bp, cost_centi_bp), (10_195, 1_000 + 1_000 + 200));
        let Standing::Marked { gross_centi_bp, .. } = standings[1] else { panic!("{standings:?}") };
        assert_eq!(gross_centi_bp, -200, "a loss is a loss");
    }

    #[test]
    fn one_that_waits_is_entered_only_when_the_market_came_through_it() {
        let buy = spec(Side::Buy, TimeInForce::Gtc, 10_000);
        let untouched = one(&buy, &[(1, 10_000, 10_004), (60, 9_999, 10_000), (120, 10_002, 10_004)]);
        assert_eq!(untouched, [Standing::Unfilled, Standing::Unfilled], "touched is not through");
        let through =
            one(&buy, &[(1, 10_000, 10_004), (5, 9_996, 9_998), (60, 10_008, 10_012), (120, 10_008, 10_012)]);
        let Standing::Marked { entry, cost_centi_bp, .. } = through[0] else { panic!("{through:?}") };
        assert_eq!(entry, Price::from_units(10_000 * Price::ONE.units()), "at its own price");
        assert_eq!(cost_centi_bp, 500 + 1_000 + 200, "in as maker, out as taker");
    }

    #[test]
    fn one_that_may_not_wait_is_gone() {
        let sell = spec(Side::Sell, TimeInForce::Ioc, 10_100);
        assert_eq!(one(&sell, &[(1, 10_000, 10_004), (60, 10_200, 10_204)]), [Standing::Unfilled]);
    }

    #[test]
    fn without_a_quote_near_the_horizon_nobody_knows() {
        let buy = spec(Side::Buy, TimeInForce::Ioc, 10_010);
        assert_eq!(one(&buy, &[(1, 10_000, 10_004), (71, 10_000, 10_004)]), [Standing::Unknown]);
        let mut silent = follower();
        assert!(silent.follow(ClientOrderId(7), InstrumentId(0), &buy, 0));
        let mut told = Vec::new();
        silent.on_time(70 * NS_PER_S, &mut |r| told.push(r.standing));
        assert!(told.is_empty(), "it may still come");
        silent.on_time(200 * NS_PER_S, &mut |r| told.push(r.standing));
        assert_eq!(told, [Standing::Unknown, Standing::Unknown]);
        assert!(silent.is_empty());
    }

    #[test]
    fn no_more_are_followed_than_there_is_room_for() {
        let mut full = follower();
        let buy = spec(Side::Buy, TimeInForce::Gtc, 10_000);
        let follow = |full: &mut Follower, id| full.follow(ClientOrderId(id), InstrumentId(0), &buy, 0);
        assert!(follow(&mut full, 1) && follow(&mut full, 2));
        assert!(!follow(&mut full, 3));
        assert!(!full.follow(ClientOrderId(4), InstrumentId(9), &buy, 0), "an instrument that is not there");
        run(&mut full, &[(121, 10_000, 10_004)]);
        assert!(follow(&mut full, 5), "room again");
    }
}

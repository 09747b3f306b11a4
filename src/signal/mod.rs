//! Stage 2: runs strategies over the line, and turns what they and the operator want into intents.
//!
//! [`Signal`] is the stage without its rings: a replay or a backtest calls [`Signal::on_fact`] as the [`Stage`] does. It
//! decides on facts alone: the same facts give the same intents, byte for byte. It never places an order itself and
//! knows no limit; that is risk's part.
//!
//! For each fact at most [`INTENTS_PER_FACT_MAX`] intents come out. What a strategy asked for beyond is not raised, and the
//! strategy, which sees its working orders, asks again.

mod bars;
mod exits;
mod operator;
mod stage;

use crate::event::command::ALL_INSTRUMENTS;
use crate::event::fact::LinkId;
use crate::event::layers::{FULL_BP, LayersConfig};
use crate::event::ledger::tracked;
use crate::event::{
    Action, Bar, Body, CarriedOrder, CarriedPosition, Carry, Change, Command, CommandKind, Depth, Fact,
    Intent, Layers, Ledger, Quote, Reply, ReplyKind, Tracked, Trade,
};
use crate::limits::{BOOK_LEVELS_MAX, INTENTS_PER_FACT_MAX, STRATEGIES_MAX};
use crate::strategy::context::has_passed;
use crate::strategy::{Context, ContextParts, OrderNews, Own, Strategy, Wish, Wishes};
use crate::types::time::NS_PER_MS;
use crate::types::{
    Book, ClientOrderId, Instrument, InstrumentId, InstrumentTable, OrderState, Position, Price, Qty, Reason,
    StrategyId, TradeId,
};

use exits::{Exits, Refusals};
use operator::{Progress, Task};

pub use bars::{BarBuilder, GRACE_NS};
pub use exits::ExitLevels;
pub use stage::{Ports, Stage};

/// A strategy on an instrument, as the plan wants it run.
pub struct Running {
    /// Index of the strategy in the session's list; several instruments of one strategy share it.
    pub id: StrategyId,
    /// On what.
    pub instrument: InstrumentId,
    /// The strategy.
    pub strategy: Box<dyn Strategy>,
}

impl core::fmt::Debug for Running {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Running")
            .field("id", &self.id)
            .field("instrument", &self.instrument)
            .finish_non_exhaustive()
    }
}

/// The session can't be run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignalError {
    /// Boot epochs are 1 to 2^24 - 1.
    BootEpoch(u32),
    /// A strategy is to run on an instrument that is not in the table.
    UnknownInstrument(InstrumentId),
    /// More running strategies than there is room for.
    TooManyStrategies(usize),
}

impl core::fmt::Display for SignalError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::BootEpoch(epoch) => write!(f, "boot epoch {epoch} is out of range 1 to {}", (1 << 24) - 1),
            Self::UnknownInstrument(id) => {
                write!(f, "a strategy is to run on instrument {}, which is not in the table", id.0)
            }
            Self::TooManyStrategies(n) => {
                write!(f, "{n} strategies times instruments; at most {RUNNERS_MAX}")
            }
        }
    }
}

impl std::error::Error for SignalError {}

/// How long a strategy's orders are not heard after one of them was refused, by whomever.
const REFUSAL_PAUSE_NS: i64 = 100 * NS_PER_MS;
/// Every strategy on every instrument.
const RUNNERS_MAX: usize = STRATEGIES_MAX * crate::limits::INSTRUMENTS_MAX;

/// Where intents go: called for each, in order; `false` if it could not be taken, and then it was not raised.
pub type Sink<'a> = dyn FnMut(&Intent) -> bool + 'a;

struct Runner {
    id: StrategyId,
    instrument: InstrumentId,
    bar_interval_ns: i64,
    strategy: Box<dyn Strategy>,
    position: Position,
    /// Open time of the last bar it was given.
    last_bar_ns: i64,
    /// When an order of its was last refused; 0 = never.
    refused_ns: i64,
    exits: Exits,
    exit_refusals: Refusals,
}

/// Who asks, and on what.
#[derive(Clone, Copy)]
struct Who {
    /// Whose position the fills belong to; beyond the list: nobody's.
    runner: usize,
    strategy: StrategyId,
    instrument: InstrumentId,
}

impl Who {
    const fn operator(runner: usize, instrument: InstrumentId) -> Self {
        Self { runner, strategy: StrategyId::OPERATOR, instrument }
    }
}

#[derive(Clone, Debug)]
struct Market {
    instrument: Instrument,
    book: Book,
    book_valid: bool,
    quote: Option<Quote>,
    bars: Vec<BarBuilder>,
    /// Runners of this instrument: a range of the list, which is sorted by instrument.
    runners: core::ops::Range<usize>,
    /// The sum of all fills of ours, the strategies' and the operator's.
    net: Position,
    /// No entries here, by command.
    frozen: bool,
    operator: Progress,
}

/// The stage without its rings.
pub struct Signal {
    epoch: u32,
    counter: u64,
    markets: Vec<Market>,
    runners: Vec<Runner>,
    ledger: Ledger<Own>,
    /// The order that was raised last and is not in the ledger yet.
    raised: Option<Tracked<Own>>,
    /// Losses, drawdown, weights: what entries are sized by, and what ends them.
    layers: Layers,
    wishes: Wishes,
    /// Venue's clock minus ours, less the error of the measurement.
    venue_ahead_ns: Option<i64>,
    stopping: bool,
    /// Intents left for the current fact.
    budget: usize,
    bars_closed: u64,
    /// Which runner hears a timer first: each in turn, so that the budget starves none.
    timer_first: usize,
}

impl core::fmt::Debug for Signal {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Signal")
            .field("epoch", &self.epoch)
            .field("counter", &self.counter)
            .finish_non_exhaustive()
    }
}

impl Signal {
    /// For a boot, the instruments of a session, and what runs on them.
    pub fn new(epoch: u32, table: &InstrumentTable, mut running: Vec<Running>) -> Result<Self, SignalError> {
        if epoch == 0 || epoch >= 1 << 24 {
            return Err(SignalError::BootEpoch(epoch));
        }
        if let Some(stray) = running.iter().find(|r| table.get(r.instrument).is_none()) {
            return Err(SignalError::UnknownInstrument(stray.instrument));
        }
        if running.len() > RUNNERS_MAX {
            return Err(SignalError::TooManyStrategies(running.len()));
        }
        // Stable: strategies of an instrument keep the order of the plan.
        running.sort_by_key(|r| r.instrument);
        let runners: Vec<Runner> = running.into_iter().map(Runner::new).collect();
        let markets = table.all().iter().map(|instrument| Market::new(instrument, &runners)).collect();
        Ok(Self {
            epoch,
            counter: 0,
            markets,
            runners,
            ledger: Ledger::default(),
            raised: None,
            layers: Layers::new(&LayersConfig::default(), table.all().len()),
            wishes: Wishes::default(),
            venue_ahead_ns: None,
            stopping: false,
            budget: 0,
            bars_closed: 0,
            timer_first: 0,
        })
    }

    /// With the session's figures of the layers. Before the first fact.
    #[must_use]
    pub fn with_layers(mut self, config: &LayersConfig) -> Self {
        self.layers = Layers::new(config, self.markets.len());
        self
    }

    /// The exits that are managed for a strategy. Before the first fact.
    pub fn manage_exits(&mut self, strategy: StrategyId, levels: ExitLevels) {
        for runner in self.runners.iter_mut().filter(|r| r.id == strategy) {
            runner.exits.set_levels(levels);
        }
    }

    /// Bars closed so far.
    pub const fn bars_closed(&self) -> u64 {
        self.bars_closed
    }
    /// Intents raised so far.
    pub const fn intents_raised(&self) -> u64 {
        self.counter
    }
    /// The sum of all fills of ours on an instrument.
    pub fn position(&self, instrument: InstrumentId) -> Position {
        self.markets.get(instrument.index()).map(|m| m.net).unwrap_or_default()
    }
    /// Orders of ours that may be open.
    pub const fn open_orders(&self) -> usize {
        self.ledger.open_len()
    }
    /// The book of an instrument, if it is valid.
    pub fn book(&self, instrument: InstrumentId) -> Option<&Book> {
        self.markets.get(instrument.index()).filter(|m| m.book_valid).map(|m| &m.book)
    }

    /// Folds a fact, and raises what it causes.
    pub fn on_fact(&mut self, fact: &Fact, sink: &mut Sink<'_>) {
        self.begin(fact, sink);
        self.finish(fact, sink);
    }

    /// The first half of [`on_fact`](Self::on_fact): what strategies want. [`finish`](Self::finish) must follow before the next
    /// fact.
    #[inline]
    fn begin(&mut self, fact: &Fact, sink: &mut Sink<'_>) {
        self.budget = INTENTS_PER_FACT_MAX;
        self.layers.on_time(fact.recv_ns);
        match &fact.body {
            Body::Quote(quote) => self.on_quote(fact, quote, sink),
            Body::Trade(trade) => self.on_trade(fact, trade, sink),
            Body::Depth(depth) => self.on_depth(fact, depth, sink),
            Body::BookStatus(status) => {
                if let Some(market) = self.markets.get_mut(status.instrument.index()) {
                    market.book_valid = status.valid;
                }
            }
            Body::Bar(bar) => self.on_history(bar),
            Body::Link(link) if link.link == LinkId::Market && !link.up => self.on_market_cut(),
            Body::Order(update) => {
                // An order that is ours and can't be kept is risk's to freeze; here it has no strategy.
                if let Some(Ok(change)) = self.ledger.on_update(update) {
                    self.on_change(fact, (&change, update.trade), Reason::None, sink);
                }
            }
            Body::Carried(order) => self.on_carried(order),
            Body::Stop(level) => {
                for runner in &mut self.runners {
                    if runner.id == level.strategy && runner.instrument == level.instrument {
                        runner.exits.claim(level.stop);
                        runner.exits.follow(&runner.position);
                    }
                }
            }
            Body::Reply(reply) => self.on_reply(fact, reply, sink),
            Body::Command(command) => {
                self.layers.on_command(command, fact.recv_ns);
                self.on_command(command);
            }
            Body::ClockOffset(offset) => {
                self.venue_ahead_ns =
                    Some(offset.offset_ns.saturating_sub(offset.round_trip_ns.saturating_abs() / 2));
            }
            Body::Timer => self.on_timer(fact, sink),
            Body::Carry(carry) => self.on_carry(carry),
            Body::Balance(_) | Body::Link(_) => {}
        }
    }

    /// The second half: book-keeping of what was raised, and what layers, exits and the operator want.
    #[inline]
    fn finish(&mut self, fact: &Fact, sink: &mut Sink<'_>) {
        self.enter_raised();
        self.obey_layers();
        self.leave_on(fact, sink);
        self.work_for_operator(fact, sink);
        self.enter_raised();
    }

    /// What the daily loss and the emergency stop bring about: what works is cancelled, what is held is closed.
    fn obey_layers(&mut self) {
        let alarm = self.layers.take_alarm();
        let task = match (alarm.emergency, alarm.day_stop) {
            (true, _) if self.layers.flattens() => Task::Flatten,
            (true, _) | (false, true) => Task::CancelAll,
            (false, false) => return,
        };
        for market in &mut self.markets {
            market.operator.begin(task);
        }
    }

    /// What an earlier session left: positions and open orders stand where they stood.
    fn on_carry(&mut self, carry: &Carry) {
        self.layers.on_carry(carry);
        match carry {
            Carry::Net(CarriedPosition { instrument, position, .. }) => {
                if let Some(market) = self.markets.get_mut(instrument.index()) {
                    market.net = (*position).into();
                }
            }
            Carry::Own(CarriedPosition { instrument, strategy, position, .. }) => {
                if let Some(at) = self.runner_of(*strategy, *instrument) {
                    let runner = &mut self.runners[at];
                    runner.position = (*position).into();
                    runner.exits.follow(&runner.position);
                }
            }
            _ => {}
        }
    }

    fn runner_of(&self, strategy: StrategyId, instrument: InstrumentId) -> Option<usize> {
        self.runners.iter().position(|r| r.id == strategy && r.instrument == instrument)
    }

    fn on_quote(&mut self, fact: &Fact, quote: &Quote, sink: &mut Sink<'_>) {
        let Some(market) = self.markets.get_mut(quote.instrument.index()) else { return };
        market.quote = Some(*quote);
        if let Some(middle) = Price::middle(quote.bid.price, quote.ask.price) {
            self.layers.on_middle(quote.instrument, middle, fact.recv_ns);
        }
        for at in market.runners.clone() {
            let Runner { exits, position, .. } = &mut self.runners[at];
            if exits.on_bid(quote.bid.price, position) {
                // The guard's own way out begins anew: it does not wait for what the strategy was refused.
                self.runners[at].exit_refusals = Refusals::default();
                self.leave(at, fact, sink);
            }
            self.call(at, fact, sink, |strategy, context| strategy.on_quote(context, quote));
        }
    }

    fn on_trade(&mut self, fact: &Fact, trade: &Trade, sink: &mut Sink<'_>) {
        let Some(market) = self.markets.get_mut(trade.instrument.index()) else { return };
        let (runners, builders) = (market.runners.clone(), market.bars.len());
        // The bar that a trade closes was over before it.
        for builder in 0..builders {
            let closed = self.markets[trade.instrument.index()].bars[builder].on_trade(trade);
            self.on_bar(fact, closed, sink);
        }
        for at in runners {
            self.call(at, fact, sink, |strategy, context| strategy.on_trade(context, trade));
        }
    }

    fn on_bar(&mut self, fact: &Fact, closed: Option<Bar>, sink: &mut Sink<'_>) {
        let Some(bar) = closed else { return };
        self.bars_closed += 1;
        for at in self.markets[bar.instrument.index()].runners.clone() {
            let runner = &mut self.runners[at];
            if runner.takes(&bar) {
                self.call(at, fact, sink, |strategy, context| strategy.on_bar(context, &bar));
            }
        }
    }

    fn on_history(&mut self, bar: &Bar) {
        let Some(market) = self.markets.get(bar.instrument.index()) else { return };
        for runner in &mut self.runners[market.runners.clone()] {
            if runner.takes(bar) {
                runner.strategy.on_history(bar);
            }
        }
    }

    fn on_depth(&mut self, fact: &Fact, depth: &Depth, sink: &mut Sink<'_>) {
        let Some(market) = self.markets.get_mut(depth.instrument.index()) else { return };
        if depth.snapshot && depth.first {
            market.book.clear();
        }
        for (side, level) in depth.changes() {
            market.book.apply(side, level);
        }
        if !depth.last || !market.book_valid {
            return;
        }
        for at in market.runners.clone() {
            // The book is lent by `call`; the strategy finds it in its context.
            self.call(at, fact, sink, |strategy, context| {
                if let Some(book) = context.book {
                    strategy.on_book(context, book);
                }
            });
        }
    }

    fn on_market_cut(&mut self) {
        for market in &mut self.markets {
            market.quote = None;
            market.book_valid = false;
            market.bars.iter_mut().for_each(BarBuilder::cut);
        }
        for runner in &mut self.runners {
            runner.strategy.on_market_cut();
        }
    }

    /// An order of an earlier boot goes back to its strategy, or to nobody if that is not run any more.
    fn on_carried(&mut self, order: &CarriedOrder) {
        let its = |r: &Runner| r.id == order.strategy && r.instrument == order.instrument;
        let runner = self.runners.iter().position(its).and_then(|at| u16::try_from(at).ok());
        let own = Own { runner: runner.unwrap_or(Own::NOBODY), raised_ns: order.placed_ns, ..Own::default() };
        // No room: risk freezes the instrument over the same fact.
        let _full = self.ledger.carry(order, own);
    }

    fn on_reply(&mut self, fact: &Fact, reply: &Reply, sink: &mut Sink<'_>) {
        let refused = matches!(reply.kind, ReplyKind::NotSent | ReplyKind::Rejected);
        if refused {
            // A cancel that was refused may be asked for again; so may one that rode on a refused replace.
            let replaced = self.ledger.get(reply.client).map(|order| order.extra.replaces);
            let target = if reply.cancel { Some(reply.client) } else { replaced };
            if let Some(own) = target.and_then(|client| self.ledger.extra_mut(client)) {
                own.cancel_asked = false;
            }
        }
        if let Some(change) = self.ledger.on_reply(reply) {
            self.on_change(fact, (&change, TradeId(0)), reply.reason, sink);
        }
    }

    fn on_change(
        &mut self,
        fact: &Fact,
        (change, trade): (&Change, TradeId),
        reason: Reason,
        sink: &mut Sink<'_>,
    ) {
        let Some(market) = self.markets.get_mut(change.instrument.index()) else { return };
        let owner = self.ledger.get(change.client).map(|order| usize::from(order.extra.runner));
        let runner = owner.and_then(|at| self.runners.get_mut(at));
        if let Some(fill) = &change.fill {
            let its = runner.as_ref().map_or(StrategyId::OPERATOR, |r| r.id);
            if let Some(order) = self.ledger.get(change.client) {
                self.layers.on_change((change, trade), order, its, &market.instrument, fact.recv_ns);
            }
            // A sum that left its range stays as it was; risk freezes the instrument over the same fill.
            let _net = fill.book(&mut market.net, &market.instrument);
            if let Some(runner) = runner {
                let _own = fill.book(&mut runner.position, &market.instrument);
                let stop = self.ledger.get(change.client).map_or(Price::ZERO, |order| order.extra.stop);
                runner.exits.claim(stop);
                runner.exits.follow(&runner.position);
            }
        }
        self.note_exit(change, fact.recv_ns);
        if let Some(at) = owner.filter(|&at| at < self.runners.len()) {
            if matches!(change.after, OrderState::NotSent | OrderState::Rejected) {
                self.runners[at].refused_ns = fact.recv_ns;
            }
            let news = OrderNews { change: *change, reason };
            self.call(at, fact, sink, |strategy, context| strategy.on_order(context, &news));
        }
    }

    fn on_command(&mut self, command: &Command) {
        let all = command.instrument == ALL_INSTRUMENTS;
        for market in self.markets.iter_mut().filter(|m| all || m.instrument.id == command.instrument) {
            match command.kind {
                CommandKind::Flatten => market.operator.begin(Task::Flatten),
                CommandKind::CancelAll => market.operator.begin(Task::CancelAll),
                CommandKind::Freeze => market.frozen = true,
                CommandKind::Unfreeze => market.frozen = false,
                CommandKind::Stop => self.stopping = true,
                CommandKind::Tripped
                | CommandKind::Arm
                | CommandKind::Reconcile
                | CommandKind::EnableStrategy
                | CommandKind::DisableStrategy
                | CommandKind::ResetEmergency => {}
            }
        }
    }

    fn on_timer(&mut self, fact: &Fact, sink: &mut Sink<'_>) {
        if let Some(ahead_ns) = self.venue_ahead_ns {
            let venue_ns = fact.recv_ns.saturating_add(ahead_ns);
            for market in 0..self.markets.len() {
                for builder in 0..self.markets[market].bars.len() {
                    let closed = self.markets[market].bars[builder].on_time(venue_ns);
                    self.on_bar(fact, closed, sink);
                }
            }
        }
        let count = self.runners.len();
        for step in 0..count {
            let at = (self.timer_first + step) % count;
            self.call(at, fact, sink, |strategy, context| strategy.on_timer(context));
        }
        self.timer_first = (self.timer_first + 1) % count.max(1);
    }

    /// Lets a strategy see, and raises what it wishes.
    #[inline]
    fn call(
        &mut self,
        at: usize,
        fact: &Fact,
        sink: &mut Sink<'_>,
        see: impl FnOnce(&mut dyn Strategy, &mut Context<'_>),
    ) {
        self.enter_raised();
        let runner = &mut self.runners[at];
        let market = &self.markets[runner.instrument.index()];
        let parts = ContextParts {
            now_ns: fact.recv_ns,
            instrument: &market.instrument,
            quote: market.quote.as_ref(),
            book: market.book_valid.then_some(&market.book),
            position: &runner.position,
            ledger: &self.ledger,
            runner: u16::try_from(at).unwrap_or(Own::NOBODY),
        };
        self.wishes.clear();
        see(runner.strategy.as_mut(), &mut Context::new(&parts, &mut self.wishes));
        if self.wishes.all().is_empty() {
            return;
        }
        let (who, wishes) =
            (Who { runner: at, strategy: runner.id, instrument: runner.instrument }, self.wishes);
        for wish in wishes.all() {
            if self.hears(&who, wish, fact.recv_ns) {
                self.raise(who, &self.sized(&who, wish), fact, sink);
            }
        }
    }

    /// Whether a strategy's wish is heard: nothing while stopping or while the operator is at work, no entry while frozen, and
    /// no order right after one of its was refused: refusals come back within microseconds, and a strategy that asks
    /// again on each would storm.
    fn hears(&self, who: &Who, wish: &Wish, now_ns: i64) -> bool {
        let market = &self.markets[who.instrument.index()];
        let is_cancel = matches!(wish.action, Action::Cancel { .. });
        let refused_ns = self.runners[who.runner].refused_ns;
        let paused = !is_cancel && !has_passed(now_ns, refused_ns, REFUSAL_PAUSE_NS);
        let refused_exit = wish.reduce_only && !self.runners[who.runner].exit_refusals.allow(now_ns);
        let leaving = self.runners[who.runner].exits.is_leaving() && !is_cancel;
        let held_back = market.frozen && !wish.reduce_only && !is_cancel;
        !self.stopping
            && market.operator.task == Task::None
            && !paused
            && !held_back
            && !leaving
            && !refused_exit
    }

    /// An entry at the size that weight and preservation leave of it, on the lot grid. What comes out too small is raised all
    /// the same: risk refuses it, by its reason.
    fn sized(&self, who: &Who, wish: &Wish) -> Wish {
        let mut sized = *wish;
        let size = i128::from(self.layers.size_bp(who.strategy));
        let full = i128::from(FULL_BP);
        if wish.reduce_only || size == full {
            return sized;
        }
        let step = self.markets[who.instrument.index()].instrument.lot.step;
        if let Action::Place(spec) | Action::Replace { spec, .. } = &mut sized.action {
            let qty = i64::try_from(i128::from(spec.qty.units()) * size / full).unwrap_or(0);
            spec.qty = Qty::from_units(qty).floor_to(step);
        }
        sized
    }

    /// Keeps the order that was raised last: behind its intent, which is on its way, and before anyone looks at orders.
    #[inline]
    fn enter_raised(&mut self) {
        if let Some(order) = self.raised.take() {
            let _room_was_seen = self.ledger.enter(order);
        }
    }

    /// Raises one intent and keeps what it places. Whether it was taken.
    fn raise(&mut self, who: Who, wish: &Wish, fact: &Fact, sink: &mut Sink<'_>) -> bool {
        self.enter_raised();
        let Who { runner, strategy, instrument } = who;
        let places = match &wish.action {
            Action::Place(spec) => Some((*spec, ClientOrderId::NONE)),
            Action::Replace { target, spec } => Some((*spec, *target)),
            Action::Cancel { .. } | Action::CancelAll => None,
        };
        // The counter never comes near its end, and an order that can't be kept is not asked for.
        let counter = self.counter + 1;
        let room = places.is_none() || !self.ledger.is_full();
        if self.budget == 0 || !room || counter >= 1 << ClientOrderId::COUNTER_BITS {
            return false;
        }
        let client = ClientOrderId::new(self.epoch, counter);
        let intent = Intent {
            client,
            cause_seq: fact.seq,
            cause_ns: fact.recv_ns,
            strategy,
            owner: self.runners.get(runner).map_or(strategy, |r| r.id),
            instrument,
            reduce_only: wish.reduce_only,
            action: wish.action,
            claim: wish.claim,
        };
        if !sink(&intent) {
            return false;
        }
        self.counter = counter;
        self.budget -= 1;
        if let Some((spec, replaces)) = places {
            let runner = u16::try_from(runner).unwrap_or(Own::NOBODY);
            let stop = if wish.reduce_only { Price::ZERO } else { wish.claim.stop };
            let own = Own { runner, replaces, raised_ns: fact.recv_ns, stop, ..Own::default() };
            let mut order = tracked(client, instrument, strategy, &spec, own);
            order.reduce_only = wish.reduce_only;
            self.raised = Some(order);
        }
        if let Action::Cancel { target } | Action::Replace { target, .. } = wish.action
            && let Some(own) = self.ledger.extra_mut(target)
        {
            own.cancel_asked = true;
            own.cancel_asked_ns = fact.recv_ns;
        }
        true
    }
}

impl Runner {
    fn new(running: Running) -> Self {
        Self {
            id: running.id,
            instrument: running.instrument,
            bar_interval_ns: running.strategy.bar_interval_ns().unwrap_or(0),
            strategy: running.strategy,
            position: Position::default(),
            last_bar_ns: i64::MIN,
            refused_ns: 0,
            exits: Exits::default(),
            exit_refusals: Refusals::default(),
        }
    }

    /// Whether a bar is of the wanted length and comes after the last one; notes that it was given.
    fn takes(&mut self, bar: &Bar) -> bool {
        let wanted = bar.interval_ns == self.bar_interval_ns && bar.open_ns > self.last_bar_ns;
        if wanted {
            self.last_bar_ns = bar.open_ns;
        }
        wanted
    }
}

impl Market {
    fn new(instrument: &Instrument, runners: &[Runner]) -> Self {
        let its = |r: &Runner| r.instrument == instrument.id;
        let first = runners.iter().position(its).unwrap_or(0);
        let count = runners.iter().filter(|r| its(r)).count();
        let mut intervals: Vec<i64> =
            runners.iter().filter(|r| its(r)).map(|r| r.bar_interval_ns).filter(|&ns| ns > 0).collect();
        intervals.sort_unstable();
        intervals.dedup();
        Self {
            instrument: *instrument,
            book: Book::with_capacity(BOOK_LEVELS_MAX),
            book_valid: false,
            quote: None,
            bars: intervals.into_iter().map(|ns| BarBuilder::new(instrument.id, ns)).collect(),
            runners: first..first + count,
            net: Position::default(),
            frozen: false,
            operator: Progress::default(),
        }
    }
}

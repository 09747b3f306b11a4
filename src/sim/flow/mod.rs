//! Seeded order flow: several kinds of participants who trade with one another at the exchange, so that its books look and
//! move like real ones.
//!
//! Pure and deterministic by seed: each participant acts at times drawn from its own process, the exchange is told those
//! times, and nothing depends on how often or how late [`Flow::step`] is called, unless it is so late that the missed time
//! is left out (see [`CATCH_UP_MAX_NS`]). A client's orders do change what follows, as they should.

mod fair;
mod floor;
mod history;
mod makers;
mod sampling;
mod takers;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::exchange::{AccountConfig, AccountId, DepositError, Exchange, SymbolId};
use crate::types::time::{NS_PER_MS, NS_PER_S};
use crate::types::{Cash, Price, Qty};
use fair::FairValue;
use floor::{Floor, Grid};
use makers::{MarketMaker, Shelf};
use sampling::{PPM, exponential_ns, sqrt_seconds_ppm};
use takers::{
    CANCELLER_MEAN_NS, Cancellers, ICEBERG_MEAN_NS, INFORMED_MEAN_NS, Iceberg, InformedTakers,
    MOMENTUM_MEAN_NS, MomentumTakers, NOISE_MEAN_NS, NoiseTakers,
};

/// A step that comes later than this leaves the missed time out instead of living through it in one go.
pub const CATCH_UP_MAX_NS: i64 = 2 * NS_PER_S;
/// Turns of one step at most: a step is bounded work.
pub const TURNS_PER_STEP_MAX: usize = 512;

const MAKERS: usize = 6;
const MAKER_MEAN_NS: i64 = 30 * NS_PER_MS;
const SHELF_MEAN_NS: i64 = 25 * NS_PER_MS;
/// Money of each participant: enough for years, and the sum over all of them fits an asset's `i64`.
const STAKE_QUOTE: Qty = Qty::from_units(500_000_000 * Qty::ONE.units());
const STAKE_BASE: Qty = Qty::from_units(1_000_000 * Qty::ONE.units());

/// How one symbol lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SymbolFlow {
    /// Which.
    pub symbol: SymbolId,
    /// Volatility per square root of a second in `1e-8` of the price (4,000 = 0.4 basis points).
    pub volatility: i64,
    /// Value of a typical quote.
    pub typical_value: Cash,
    /// Move of the fair value in `1e-8` of the price for a taker of 10,000 of the quote currency.
    pub impact: i64,
}

/// How the flow is set up.
#[derive(Clone, Debug)]
pub struct FlowConfig {
    /// Same seed, same flow.
    pub seed: u64,
    /// The symbols that live; others stay empty.
    pub symbols: Vec<SymbolFlow>,
    /// Activity in hundredths of the default.
    pub rate_percent: u32,
    /// Minutes of made-up trades before the start.
    pub history_mins: u32,
}

impl FlowConfig {
    /// Default life for every symbol that the exchange lists.
    pub fn for_exchange(exchange: &Exchange, seed: u64) -> Self {
        let symbols = exchange
            .symbols()
            .map(|(symbol, _)| SymbolFlow {
                symbol,
                volatility: 4_000,
                typical_value: Cash::from_units(1_500 * Cash::ONE.units()),
                impact: 1_500,
            })
            .collect();
        Self { seed, symbols, rate_percent: 100, history_mins: 500 }
    }
}

/// Who acts.
#[derive(Debug)]
enum Participant {
    Maker(MarketMaker),
    Shelf(Shelf),
    Noise(NoiseTakers),
    Informed(InformedTakers),
    Momentum(MomentumTakers),
    Iceberg(Iceberg),
    Cancellers(Cancellers),
}

impl Participant {
    const fn mean_ns(&self) -> i64 {
        match self {
            Self::Maker(_) => MAKER_MEAN_NS,
            Self::Shelf(_) => SHELF_MEAN_NS,
            Self::Noise(_) => NOISE_MEAN_NS,
            Self::Informed(_) => INFORMED_MEAN_NS,
            Self::Momentum(_) => MOMENTUM_MEAN_NS,
            Self::Iceberg(_) => ICEBERG_MEAN_NS,
            Self::Cancellers(_) => CANCELLER_MEAN_NS,
        }
    }

    /// One turn. Returns when it wants the next one.
    fn turn(&mut self, floor: &mut Floor<'_>, mean_ns: i64) -> i64 {
        match self {
            Self::Maker(maker) => maker.turn(floor),
            Self::Shelf(shelf) => shelf.turn(floor),
            Self::Noise(noise) => return noise.turn(floor, mean_ns),
            Self::Informed(informed) => informed.turn(floor),
            Self::Momentum(momentum) => momentum.turn(floor),
            Self::Iceberg(iceberg) => iceberg.turn(floor),
            Self::Cancellers(cancellers) => cancellers.turn(floor),
        }
        floor.now_ns + exponential_ns(floor.rng, mean_ns)
    }
}

#[derive(Debug)]
struct Turn {
    due_ns: i64,
    participant: Participant,
}

/// Where one symbol's participants meet.
#[derive(Debug)]
struct Scene {
    config: SymbolFlow,
    grid: Grid,
    rng: ChaCha8Rng,
    fair: FairValue,
}

/// One symbol's participants.
#[derive(Debug)]
struct Crowd {
    scene: Scene,
    turns: Vec<Turn>,
}

/// The flow.
#[derive(Debug)]
pub struct Flow {
    crowds: Vec<Crowd>,
    rate_percent: i64,
    requests: u64,
}

impl Flow {
    /// Opens the participants' accounts, puts the history on the tape and fills the books: the market is open when it
    /// returns.
    pub fn new(config: &FlowConfig, exchange: &mut Exchange, now_ns: i64) -> Result<Self, DepositError> {
        let mut flow = Self {
            crowds: Vec::with_capacity(config.symbols.len()),
            rate_percent: i64::from(config.rate_percent.max(1)),
            requests: 0,
        };
        for &symbol in &config.symbols {
            let stream = u64::from(symbol.symbol.0);
            let mut rng = ChaCha8Rng::seed_from_u64(config.seed);
            rng.set_stream(stream);
            let mut crowd = Crowd::new(symbol, rng, exchange, now_ns);
            crowd.scene.history(exchange, config.history_mins, now_ns);
            crowd.open(exchange, now_ns, flow.rate_percent)?;
            flow.crowds.push(crowd);
        }
        Ok(flow)
    }

    /// Lets everyone act whose time has come, oldest first, at the time that was theirs. Returns the number of turns;
    /// [`TURNS_PER_STEP_MAX`] means that there may be more to do.
    pub fn step(&mut self, exchange: &mut Exchange, now_ns: i64) -> usize {
        if now_ns - self.next_due_ns() > CATCH_UP_MAX_NS {
            self.leave_out(now_ns);
        }
        let mut turns = 0;
        while turns < TURNS_PER_STEP_MAX {
            let Some((crowd, at, due_ns)) = self.earliest() else { break };
            if due_ns > now_ns {
                break;
            }
            self.requests += self.crowds[crowd].act(exchange, at, self.rate_percent);
            turns += 1;
        }
        exchange.advance(now_ns);
        turns
    }

    /// When somebody wants to act next.
    pub fn next_due_ns(&self) -> i64 {
        self.earliest().map_or(i64::MAX, |(_, _, due_ns)| due_ns)
    }

    /// Requests made so far.
    pub fn requests(&self) -> u64 {
        self.requests
    }

    /// The fair value that the participants believe in.
    pub fn fair_price(&self, symbol: SymbolId) -> Option<Price> {
        let scenes = self.crowds.iter().map(|c| &c.scene);
        scenes.filter(|s| s.config.symbol == symbol).map(|s| s.fair.price()).next()
    }

    /// A few dozen participants: a scan is as fast as a heap, and ties go to the first by index.
    fn earliest(&self) -> Option<(usize, usize, i64)> {
        let turns = self.crowds.iter().enumerate().flat_map(|(crowd, c)| {
            c.turns.iter().enumerate().map(move |(at, turn)| (crowd, at, turn.due_ns))
        });
        turns.min_by_key(|&(_, _, due_ns)| due_ns)
    }

    /// The machine slept: all schedules move on by the time that is left out.
    fn leave_out(&mut self, now_ns: i64) {
        let missed_ns = now_ns - self.next_due_ns();
        for turn in self.crowds.iter_mut().flat_map(|c| c.turns.iter_mut()) {
            turn.due_ns += missed_ns;
        }
    }
}

/// A quote's life, for [`Grid::slack_ticks`].
const QUOTE_LIFE_NS: i64 = 60 * NS_PER_MS;

fn slack_ticks(price: Price, tick: Price, volatility: i64) -> i64 {
    let second = i128::from(price.units()) * i128::from(volatility) / 100_000_000;
    let life = second * i128::from(sqrt_seconds_ppm(QUOTE_LIFE_NS)) / i128::from(PPM);
    i64::try_from(life / i128::from(tick.units().max(1))).unwrap_or(2).max(2)
}

impl Crowd {
    fn new(config: SymbolFlow, rng: ChaCha8Rng, exchange: &Exchange, now_ns: i64) -> Self {
        let spec = exchange.spec(config.symbol);
        let step = spec.filters.lot.step;
        // Twice the smallest notional, at a price that has fallen by half: always enough.
        let min_units = i128::from(spec.filters.notional.min.units()) * 4 * i128::from(Price::ONE.units())
            / i128::from(spec.reference_price.units());
        let qty_min = Qty::from_units(i64::try_from(min_units).unwrap_or(i64::MAX / 2))
            .max(spec.filters.lot.min)
            .ceil_to(step)
            .unwrap_or(step);
        let market_max = spec.filters.market_lot.max;
        let limit_max = spec.filters.lot.max;
        let qty_max = if market_max.is_zero() { limit_max } else { limit_max.min(market_max) };
        let qty_max = if qty_max.is_zero() { Qty::from_units(100 * Qty::ONE.units()) } else { qty_max };
        let grid = Grid {
            tick: spec.filters.price.tick,
            step,
            qty_min,
            qty_max: qty_max.floor_to(step).max(qty_min),
            slack_ticks: slack_ticks(spec.reference_price, spec.filters.price.tick, config.volatility),
        };
        let fair = FairValue::new(spec.reference_price, config.volatility, now_ns);
        Self { scene: Scene { config, grid, rng, fair }, turns: Vec::new() }
    }

    /// Opens accounts and quotes the first book.
    fn open(&mut self, exchange: &mut Exchange, now_ns: i64, rate_percent: i64) -> Result<(), DepositError> {
        let mut participants = Vec::new();
        for _ in 0..MAKERS {
            let account = self.scene.account(exchange, now_ns)?;
            participants.push(Participant::Maker(MarketMaker::new(account, STAKE_BASE)));
        }
        participants.push(Participant::Shelf(Shelf::new(self.scene.account(exchange, now_ns)?)));
        let account = self.scene.account(exchange, now_ns)?;
        participants.push(Participant::Noise(NoiseTakers::new(account, now_ns)));
        let account = self.scene.account(exchange, now_ns)?;
        participants.push(Participant::Informed(InformedTakers::new(account)));
        let account = self.scene.account(exchange, now_ns)?;
        participants.push(Participant::Momentum(MomentumTakers::new(account)));
        participants.push(Participant::Iceberg(Iceberg::new(self.scene.account(exchange, now_ns)?)));
        participants.push(Participant::Cancellers(Cancellers::new(self.scene.account(exchange, now_ns)?)));
        for mut participant in participants {
            let mut floor = self.scene.floor(exchange, now_ns);
            match &mut participant {
                Participant::Maker(maker) => maker.open(&mut floor),
                Participant::Shelf(shelf) => shelf.open(&mut floor),
                _ => {}
            }
            let mean_ns = participant.mean_ns() * 100 / rate_percent;
            let due_ns = now_ns + exponential_ns(&mut self.scene.rng, mean_ns);
            self.turns.push(Turn { due_ns, participant });
        }
        Ok(())
    }

    /// One participant's turn. Returns the requests that it made.
    fn act(&mut self, exchange: &mut Exchange, at: usize, rate_percent: i64) -> u64 {
        let turn = &mut self.turns[at];
        self.scene.fair.advance(&mut self.scene.rng, turn.due_ns);
        let mut floor = self.scene.floor(exchange, turn.due_ns);
        let mean_ns = turn.participant.mean_ns() * 100 / rate_percent;
        turn.due_ns = turn.participant.turn(&mut floor, mean_ns);
        floor.requests
    }
}

impl Scene {
    fn account(&self, exchange: &mut Exchange, now_ns: i64) -> Result<AccountId, DepositError> {
        let account = exchange.open_account(AccountConfig::FLOW);
        let (base, quote) = exchange.pair(self.config.symbol);
        exchange.deposit(account, base, STAKE_BASE, now_ns)?;
        exchange.deposit(account, quote, STAKE_QUOTE, now_ns)?;
        Ok(account)
    }

    fn floor<'a>(&'a mut self, exchange: &'a mut Exchange, now_ns: i64) -> Floor<'a> {
        Floor {
            exchange,
            rng: &mut self.rng,
            fair: &mut self.fair,
            symbol: self.config.symbol,
            grid: self.grid,
            impact: self.config.impact,
            typical_value: self.config.typical_value.units(),
            now_ns,
            requests: 0,
        }
    }
}

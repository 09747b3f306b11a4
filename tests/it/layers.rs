//! The layers' fold (R-LIM-4, 5, 8, 9), what is carried over between sessions (R-ORD-4), and progression (R-LIM-3).

use interlock::event::layers::{Booking, FULL_BP, Level};
use interlock::event::{CarriedPosition, Carry, CarryHead, Command, CommandKind, Fill, Layers, LayersConfig};
use interlock::types::{AssetId, Cash, Instrument, InstrumentId, Price, Qty, Side, StrategyId, TradeId};
use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};

use crate::market::{BTC, ETH, S, START_NS, cash, price, qty, table};
use interlock::event::command::{ALL_INSTRUMENTS, NO_STRATEGY};

const DAY: i64 = 86_400 * S;
/// Midnight UTC before `START_NS`.
const MIDNIGHT: i64 = START_NS - START_NS % DAY;
const FIRST: StrategyId = StrategyId(0);

/// The fold with a clock, over a capital of 10,000.
struct Desk {
    layers: Layers,
    table: interlock::types::InstrumentTable,
    now_ns: i64,
    trade: u64,
}

impl Desk {
    fn new(config: &LayersConfig) -> Self {
        let table = table();
        let layers = Layers::new(config, table.all().len());
        let mut desk = Self { layers, table, now_ns: MIDNIGHT + S, trade: 0 };
        desk.layers.on_time(desk.now_ns);
        desk
    }
    fn instrument(&self, id: InstrumentId) -> Instrument {
        *self.table.get(id).unwrap()
    }
    fn fill(&mut self, owner: StrategyId, id: InstrumentId, side: Side, at: &str, amount: &str) {
        self.fill_exact(owner, id, side, price(at), qty(amount));
    }
    fn fill_exact(&mut self, owner: StrategyId, id: InstrumentId, side: Side, at: Price, amount: Qty) {
        self.trade += 1;
        let fill =
            Fill { side, maker: false, price: at, qty: amount, fee: Qty::ZERO, fee_asset: AssetId::UNKNOWN };
        let (instrument, trade) = (self.instrument(id), TradeId(self.trade));
        let booking =
            Booking { owner, instrument: &instrument, fill: &fill, trade, starts_entry: side == Side::Buy };
        self.layers.book(&booking, self.now_ns);
    }
    /// A round trip that loses (or wins) so much, one unit at 100.
    fn trip(&mut self, owner: StrategyId, sell_at: &str) {
        self.fill(owner, ETH, Side::Buy, "100", "1");
        self.fill(owner, ETH, Side::Sell, sell_at, "1");
    }
    fn mark(&mut self, id: InstrumentId, at: &str) {
        self.layers.on_middle(id, price(at), self.now_ns);
    }
    fn wait(&mut self, ns: i64) {
        self.now_ns += ns;
        self.layers.on_time(self.now_ns);
    }
    fn command(&mut self, kind: CommandKind, strategy: StrategyId) {
        let command =
            Command { kind, instrument: ALL_INSTRUMENTS, uid: 0, ticket: 1, halt_epoch: 0, strategy };
        self.layers.on_command(&command, self.now_ns);
    }
    /// What a session leaves, put into a new one.
    fn reborn(&self, config: &LayersConfig) -> Self {
        let mut desk =
            Self { layers: Layers::new(config, 2), table: table(), now_ns: self.now_ns, trade: self.trade };
        for carry in self.carried() {
            desk.layers.on_carry(&carry);
        }
        desk
    }
    fn carried(&self) -> Vec<Carry> {
        let mut carried = vec![Carry::Begin(CarryHead::default())];
        for id in [BTC, ETH] {
            let mark = self.layers.net(id).unwrap();
            carried.push(Carry::Net(CarriedPosition {
                instrument: id,
                strategy: StrategyId::OPERATOR,
                position: mark.position.into(),
                last_trade: mark.last_trade,
                mark: mark.price,
                opened: Cash::ZERO,
            }));
            for strategy in self.layers.strategies() {
                let (position, opened) = self.layers.own(strategy.strategy, id).unwrap();
                carried.push(Carry::Own(CarriedPosition {
                    instrument: id,
                    strategy: strategy.strategy,
                    position: position.into(),
                    last_trade: TradeId(0),
                    mark: Price::ZERO,
                    opened,
                }));
            }
        }
        carried.extend(self.layers.strategies().map(Carry::Strategy));
        carried.push(Carry::Account(self.layers.account()));
        carried
    }
}

fn at_once() -> LayersConfig {
    LayersConfig { confirm_ms: 0, ..LayersConfig::default() }
}

#[test]
fn r_lim_5_l2_the_days_loss_stops_the_day_until_midnight_utc_and_no_earlier() {
    let mut desk = Desk::new(&at_once());
    desk.fill(FIRST, ETH, Side::Buy, "100", "50");
    desk.mark(ETH, "90.01");
    assert!(!desk.layers.is_day_stopped(), "499.50 of 500");
    desk.mark(ETH, "90");
    assert!(desk.layers.is_day_stopped());
    assert!(desk.layers.take_alarm().day_stop);
    assert!(!desk.layers.take_alarm().day_stop, "told once");
    // The price comes back, a person says so: the day stays over.
    desk.mark(ETH, "150");
    desk.command(CommandKind::ResetEmergency, NO_STRATEGY);
    desk.command(CommandKind::EnableStrategy, FIRST);
    desk.wait(20 * 3_600 * S);
    assert!(desk.layers.is_day_stopped());
    desk.wait(4 * 3_600 * S - 2 * S);
    assert!(desk.layers.is_day_stopped(), "one second before midnight");
    desk.wait(S);
    assert!(!desk.layers.is_day_stopped());
    assert_eq!(desk.layers.day_result(), Cash::ZERO);
}

#[test]
fn r_lim_5_l2_an_amount_that_is_tighter_than_the_share_binds() {
    let mut desk = Desk::new(&LayersConfig { daily_loss_max: cash("100"), ..at_once() });
    assert_eq!(desk.layers.day_loss_max(), cash("100"));
    desk.trip(FIRST, "0.01");
    assert!(!desk.layers.is_day_stopped(), "99.99");
    desk.trip(FIRST, "99.99");
    assert!(desk.layers.is_day_stopped(), "100.00");
}

#[test]
fn r_lim_5_l3_five_losses_in_a_row_disable_a_strategy_and_only_a_person_enables_it() {
    let mut desk = Desk::new(&at_once());
    for _ in 0..4 {
        desk.trip(FIRST, "99");
    }
    desk.trip(FIRST, "101");
    for round in 0..5 {
        assert!(!desk.layers.is_disabled(FIRST), "a gain began the row anew; round {round}");
        desk.trip(FIRST, "99");
    }
    assert!(desk.layers.is_disabled(FIRST));
    assert!(!desk.layers.is_disabled(StrategyId(1)), "another strategy goes on");
    desk.wait(3 * DAY);
    desk.trip(FIRST, "120");
    assert!(desk.layers.is_disabled(FIRST), "neither time nor a gain enables it");
    let mut desk = desk.reborn(&at_once());
    assert!(desk.layers.is_disabled(FIRST), "nor a restart");
    desk.command(CommandKind::EnableStrategy, FIRST);
    assert!(!desk.layers.is_disabled(FIRST));
    desk.command(CommandKind::DisableStrategy, FIRST);
    assert!(desk.layers.is_disabled(FIRST));
}

#[test]
fn r_lim_5_l3_the_operators_close_of_a_strategys_position_ends_its_trade() {
    let mut desk = Desk::new(&at_once());
    for _ in 0..5 {
        desk.fill(FIRST, ETH, Side::Buy, "100", "1");
        // Partly, and with a rest that is too small to be sold.
        desk.fill(FIRST, ETH, Side::Sell, "99", "0.5");
        desk.fill(FIRST, ETH, Side::Sell, "99", "0.49995");
        let (rest, _) = desk.layers.own(FIRST, ETH).unwrap();
        desk.fill_exact(FIRST, ETH, Side::Sell, price("99"), rest.qty);
    }
    assert!(desk.layers.is_disabled(FIRST));
    assert_eq!(desk.layers.strategies().next().unwrap().trades, 5);
}

#[test]
fn r_lim_5_l4_fifteen_percent_below_the_peak_stops_everything_across_restarts() {
    let config = LayersConfig { daily_loss_bp: 500, ..at_once() };
    let mut desk = Desk::new(&config);
    desk.fill(FIRST, ETH, Side::Buy, "100", "100");
    desk.mark(ETH, "120"); // equity 12,000
    desk.mark(ETH, "102.01");
    assert!(!desk.layers.is_emergency(), "14.99 %");
    desk.mark(ETH, "102");
    assert!(desk.layers.is_emergency(), "15 % of 12,000");
    assert!(desk.layers.take_alarm().emergency);
    desk.mark(ETH, "500");
    desk.wait(30 * DAY);
    assert!(desk.layers.is_emergency(), "neither price nor time ends it");
    let mut desk = desk.reborn(&config);
    assert!(desk.layers.is_emergency(), "nor a restart");
    assert!(desk.layers.take_alarm().emergency, "which trips anew");
    desk.command(CommandKind::EnableStrategy, FIRST);
    assert!(desk.layers.is_emergency());
    desk.command(CommandKind::ResetEmergency, NO_STRATEGY);
    assert!(!desk.layers.is_emergency());
    assert_eq!(desk.layers.drawdown_bp(), 0, "measured from the reset on");
}

#[test]
fn a_single_wrong_quote_holds_entries_back_and_closes_nothing() {
    let mut desk = Desk::new(&LayersConfig::default());
    desk.fill(FIRST, ETH, Side::Buy, "100", "50");
    desk.mark(ETH, "1");
    assert!(desk.layers.is_emergency() && desk.layers.is_day_stopped(), "no entry from the first moment");
    desk.wait(S / 2);
    desk.mark(ETH, "100");
    assert!(!desk.layers.is_emergency() && !desk.layers.is_day_stopped());
    assert_eq!(desk.layers.take_alarm(), interlock::event::layers::Alarm::default());
    // The same for longer is a loss.
    desk.mark(ETH, "1");
    for _ in 0..10 {
        desk.wait(S / 10);
    }
    let alarm = desk.layers.take_alarm();
    assert!(alarm.emergency && alarm.day_stop);
    desk.mark(ETH, "100");
    assert!(desk.layers.is_emergency());
}

#[test]
fn r_lim_8_levels_rise_with_the_drawdown_and_fall_by_hours_alone() {
    let config = at_once();
    let mut desk = Desk::new(&config);
    let mut sizes = Vec::new();
    desk.fill(FIRST, ETH, Side::Buy, "100", "100");
    for at in ["98", "97", "94", "91", "88"] {
        desk.mark(ETH, at);
        sizes.push((desk.layers.level(), desk.layers.size_bp(FIRST)));
    }
    let expected = [
        (Level::Normal, 10_000),
        (Level::Cautious, 7_500),
        (Level::Defensive, 5_000),
        (Level::Crisis, 2_500),
        (Level::Lockdown, 0),
    ];
    assert_eq!(sizes, expected);
    // No command lowers it.
    desk.command(CommandKind::ResetEmergency, NO_STRATEGY);
    desk.command(CommandKind::EnableStrategy, FIRST);
    assert_eq!(desk.layers.level(), Level::Lockdown);
    let mut desk = desk.reborn(&config);
    desk.wait(71 * 3_600 * S);
    assert_eq!(desk.layers.level(), Level::Lockdown);
    desk.wait(3_600 * S);
    assert_eq!(desk.layers.level(), Level::Crisis, "72 hours without a new low");
    desk.wait(48 * 3_600 * S);
    assert_eq!(desk.layers.level(), Level::Defensive);
    desk.wait(24 * 3_600 * S);
    desk.wait(24 * 3_600 * S);
    assert_eq!(desk.layers.level(), Level::Normal);
}

#[test]
fn r_lim_8_a_new_low_begins_the_hours_anew_and_a_deeper_one_raises_the_level_again() {
    let mut desk = Desk::new(&at_once());
    desk.fill(FIRST, ETH, Side::Buy, "100", "100");
    desk.mark(ETH, "96");
    desk.wait(23 * 3_600 * S);
    desk.mark(ETH, "95.9");
    desk.wait(23 * 3_600 * S);
    assert_eq!(desk.layers.level(), Level::Cautious);
    desk.wait(3_600 * S);
    assert_eq!(desk.layers.level(), Level::Normal);
    desk.mark(ETH, "95.5");
    assert_eq!(desk.layers.level(), Level::Normal, "served, and hardly deeper");
    desk.mark(ETH, "94.8");
    assert_eq!(desk.layers.level(), Level::Cautious, "deeper by more than a percent");
}

#[test]
fn r_lim_9_a_weight_moves_by_a_tenth_a_day() {
    let mut desk = Desk::new(&at_once());
    let mut strategy = desk.layers.strategies().next().unwrap();
    (strategy.weight_bp, strategy.target_bp) = (FULL_BP, 7_500);
    strategy.weight_day = i32::try_from(MIDNIGHT / DAY).unwrap();
    desk.layers.on_carry(&Carry::Strategy(strategy));
    desk.wait(S);
    assert_eq!(desk.layers.size_bp(FIRST), 10_000);
    let mut weights = Vec::new();
    for _ in 0..4 {
        desk.wait(DAY);
        weights.push(desk.layers.size_bp(FIRST));
    }
    assert_eq!(weights, [9_000, 8_000, 7_500, 7_500]);
}

#[test]
fn r_lim_4_the_canary_may_enter_once_a_day_and_risk_a_tenth_of_a_percent() {
    let mut config = at_once();
    config.ramp.stage = interlock::event::layers::RampStage::Canary;
    let mut desk = Desk::new(&config);
    assert_eq!(desk.layers.trade_risk_max(), cash("10"));
    assert_eq!(desk.layers.day_loss_max(), cash("50"));
    assert_eq!(desk.layers.entries_left(), Some(1));
    desk.fill(FIRST, ETH, Side::Buy, "100", "1");
    assert_eq!(desk.layers.entries_left(), Some(0));
    let mut desk = desk.reborn(&config);
    assert_eq!(desk.layers.entries_left(), Some(0), "a restart gives no second one");
    desk.wait(DAY);
    assert_eq!(desk.layers.entries_left(), Some(1));
}

/// Everything that can be asked.
fn facts_of(layers: &Layers) -> String {
    let strategies: Vec<_> = layers.strategies().take(3).collect();
    let nets: Vec<_> = [BTC, ETH].iter().map(|id| layers.net(*id)).collect();
    let own: Vec<_> = (0..3).flat_map(|s| [BTC, ETH].map(|id| layers.own(StrategyId(s), id))).collect();
    format!(
        "{:?} {strategies:?} {nets:?} {own:?} {:?} {} {}",
        layers.account(),
        layers.level(),
        layers.equity(),
        layers.trade_risk_max()
    )
}

#[test]
fn r_ord_4_a_session_that_is_cut_anywhere_goes_on_as_if_it_had_not_been() {
    let seed: u64 = rand::rng().random();
    println!("seed {seed}");
    let mut rng = SmallRng::seed_from_u64(seed);
    let rounds: u32 = if cfg!(debug_assertions) { 40 } else { 400 };
    for _ in 0..rounds {
        let config = at_once();
        let (mut whole, mut cut) = (Desk::new(&config), Desk::new(&config));
        for _ in 0..rng.random_range(20..200) {
            let id = if rng.random() { BTC } else { ETH };
            let at = Price::from_units(rng.random_range(90..110) * Price::ONE.units());
            let choice = rng.random_range(0..100);
            let strategy = StrategyId(rng.random_range(0..3));
            let side = if rng.random() { Side::Buy } else { Side::Sell };
            let amount = Qty::from_units(rng.random_range(1..500) * 1_000_000);
            let pause = rng.random_range(0..6 * 3_600) * S;
            let kind =
                [CommandKind::EnableStrategy, CommandKind::DisableStrategy, CommandKind::ResetEmergency]
                    [rng.random_range(0..3)];
            if rng.random_range(0..10) == 0 {
                cut = cut.reborn(&config);
            }
            for desk in [&mut whole, &mut cut] {
                match choice {
                    0..50 => desk.fill_exact(strategy, id, side, at, amount),
                    50..80 => desk.layers.on_middle(id, at, desk.now_ns),
                    80..97 => desk.wait(pause),
                    _ => desk.command(kind, strategy),
                }
            }
            assert_eq!(facts_of(&whole.layers), facts_of(&cut.layers), "seed {seed}");
        }
    }
}

#[test]
fn r_lim_5_the_result_is_that_of_a_plain_reckoning() {
    let seed: u64 = rand::rng().random();
    println!("seed {seed}");
    let mut rng = SmallRng::seed_from_u64(seed);
    for _ in 0..50 {
        let mut desk = Desk::new(&at_once());
        // What was paid out, and what is held: nothing else makes a result.
        let (mut paid, mut held, mut last) = (0i128, 0i128, 0i128);
        let (mut peak, mut stopped, mut ended) = (0i128, false, false);
        for _ in 0..300 {
            let at: i64 = rng.random_range(80..120);
            if rng.random() {
                let units: i64 = rng.random_range(1..50);
                let side = if rng.random() { Side::Buy } else { Side::Sell };
                let amount = Qty::from_units(units * Qty::ONE.units());
                desk.fill_exact(FIRST, BTC, side, Price::from_units(at * Price::ONE.units()), amount);
                let signed = i128::from(units * side.sign());
                held += signed;
                paid += signed * i128::from(at);
                last = if last == 0 { i128::from(at) } else { last };
            } else {
                desk.layers.on_middle(BTC, Price::from_units(at * Price::ONE.units()), desk.now_ns);
                last = i128::from(at);
            }
            let result = held * last - paid;
            // Each division rounds against us, by a unit.
            let units = result * i128::from(Cash::ONE.units());
            let found = i128::from(desk.layers.account().result.units());
            assert!((units - 2..=units).contains(&found), "seed {seed}: {found} and {units}");
            peak = peak.max(result);
            stopped |= result <= -500;
            assert_eq!(desk.layers.is_day_stopped(), stopped, "seed {seed}");
            let (lost, bound) = ((peak - result) * 10_000, 1_500 * (10_000 + peak));
            ended |= lost > bound;
            // On the bound itself the roundings decide.
            if lost != bound {
                assert_eq!(desk.layers.is_emergency(), ended, "seed {seed}");
            }
            ended |= desk.layers.is_emergency();
        }
    }
}

//! The limits that look at what happened lately, each on both sides of its boundary; what they never hold back; the figures
//! of the phases (R-LIM-1, 2, 6, 7, 10; C4, C9, C16, C22, C36).

use interlock::event::fact::LinkId;
use interlock::event::{Action, Body, Claim, Command, CommandKind, Intent, OrderSpec};
use interlock::risk::{
    Apply, BoundedLimits, BoundedLive, CHECKS, NewsWindow, PHASES, PaceFigures, PacePatch, RiskConfig,
    RiskConfigError, SymbolLimits, TurnoverConfig,
};
use interlock::types::{OrderState, Qty, Reason, Side, StrategyId};

use super::checks::{Case, NOTHING, World, case};
use crate::market::{BTC, ETH, MS, Placed, S, cash, intent, limits, price, qty, spec};

/// The governor with figures of a test; nothing but what `change` says is demanded.
fn governed(world: &mut World, change: fn(&mut PaceFigures)) {
    world.rebuild(|c| {
        let mut figures = PaceFigures {
            interval_min_s: 0,
            decisions_per_day_max: 0,
            gain_min_percent: 0,
            confidence_min_percent: 0,
            cooldown_losses: 2,
            cooldown_s: 0,
        };
        change(&mut figures);
        c.turnover = TurnoverConfig { apply: Apply::Always, btc: figures, ..TurnoverConfig::default() };
    });
}

fn quote(world: &mut World, bid: &str, ask: &str) {
    world.fact(|f| f.quote_at(BTC, bid, ask));
}

/// An entry and its exit at other prices; `trade` numbers its fills.
fn round_trip(world: &mut World, paid: &str, got: &str) {
    // Past the duplicate window, on fresh data.
    world.pass_time(500 * MS);
    world.ready();
    world.hold(BTC, spec(Side::Buy, paid, "0.001"));
    let sell = spec(Side::Sell, got, "0.001");
    world.pass_time(MS);
    let n = world.next();
    let order = Intent { reduce_only: true, ..intent(n, BTC, Action::Place(sell)) };
    world.decide(&order).unwrap();
    let placed = Placed { client: order.client, instrument: BTC, spec: sell };
    world.fact(|f| f.fill(&placed, sell.price, n, sell.qty, sell.qty));
}

fn switch(world: &mut World, kind: CommandKind, strategy: u8) {
    world.fact(|f| {
        f.body(Body::Command(Command {
            kind,
            instrument: interlock::event::command::ALL_INSTRUMENTS,
            uid: 7,
            ticket: 1,
            halt_epoch: 0,
            strategy: StrategyId(strategy),
        }))
    });
}

fn news(from: &str, to: &str, symbols: &[&str]) -> NewsWindow {
    let symbols = symbols.iter().map(|s| (*s).to_owned()).collect();
    NewsWindow { from: from.to_owned(), to: to.to_owned(), symbols, what: "a test".to_owned() }
}

pub(super) const CASES: &[Case] = &[
    case(
        "strategy",
        Reason::StrategyDisabled,
        |w| switch(w, CommandKind::DisableStrategy, 1),
        |w| switch(w, CommandKind::DisableStrategy, 0),
    ),
    case(
        "strategy",
        Reason::RepeatThrottle, // C9: the third execution within the window disables; a named person enables
        |w| {
            repeated(w);
            switch(w, CommandKind::EnableStrategy, 0);
        },
        |w| {
            repeated(w);
            w.pass_time(7_200 * S); // no timer does
        },
    ),
    case(
        "repeat",
        Reason::RepeatThrottle, // entries that wait count as if they were executed
        |w| {
            w.rebuild(|c| (c.repeat.apply, c.repeat.executions_max) = (Apply::Always, 3));
            w.hold(BTC, spec(Side::Buy, "60000", "0.001"));
            w.place(BTC, spec(Side::Buy, "59990", "0.001"));
        },
        |w| {
            w.rebuild(|c| (c.repeat.apply, c.repeat.executions_max) = (Apply::Always, 3));
            w.hold(BTC, spec(Side::Buy, "60000", "0.001"));
            w.place(BTC, spec(Side::Buy, "59990", "0.001"));
            w.place(BTC, spec(Side::Buy, "59991", "0.001"));
        },
    ),
    case(
        "repeat",
        Reason::RepeatThrottle, // the window's edge
        |w| {
            w.rebuild(|c| {
                (c.repeat.apply, c.repeat.executions_max, c.repeat.window_s) = (Apply::Always, 2, 60);
            });
            w.hold(BTC, spec(Side::Buy, "60000", "0.001"));
            w.place(BTC, spec(Side::Buy, "59990", "0.001"));
            w.pass_time(60 * S - MS);
        },
        |w| {
            w.rebuild(|c| {
                (c.repeat.apply, c.repeat.executions_max, c.repeat.window_s) = (Apply::Always, 2, 60);
            });
            w.hold(BTC, spec(Side::Buy, "60000", "0.001"));
            w.place(BTC, spec(Side::Buy, "59990", "0.001"));
            w.pass_time(60 * S - MS - 1);
        },
    ),
    case("news", Reason::NewsWindow, |w| w.news(&["ETHUSDT"]), |w| w.news(&["BTCUSDT"])),
    case(
        "news",
        Reason::NewsWindow, // until, not including
        |w| {
            w.news(&[]);
            w.pass_time(60 * S);
        },
        |w| {
            w.news(&[]);
            w.pass_time(60 * S - 1);
        },
    ),
    case(
        "data_quality",
        Reason::DataQuality,
        |w| {
            for _ in 0..4 {
                quote(w, "60000", "60000");
            }
            quote(w, "60000", "60000.02");
        },
        |w| {
            for _ in 0..5 {
                quote(w, "60000", "60000");
            }
            quote(w, "60000", "60000.02");
        },
    ),
    case(
        "data_quality",
        Reason::DataQuality, // the pause after the fifth fault: 30 s
        |w| {
            for _ in 0..5 {
                w.fact(|f| f.book_status(BTC, false));
                w.fact(|f| f.book_status(BTC, true));
            }
            w.pass_time(30 * S);
        },
        |w| {
            for _ in 0..5 {
                w.fact(|f| f.link(LinkId::Market, false));
            }
            w.pass_time(30 * S - 1);
        },
    ),
    case(
        "spread",
        Reason::SpreadSpike,
        |w| quote(w, "60000", "60030"), // 5 bp is calm whatever it was before
        |w| quote(w, "60000", "60031"),
    ),
    case(
        "spread",
        Reason::SpreadSpike, // too few quotes to know what is usual
        |w| {
            w.rebuild(|c| c.no_trade.spread_quotes_min = 3);
            quote(w, "60000", "60000.02");
            quote(w, "60000", "60000.02");
        },
        |w| {
            w.rebuild(|c| c.no_trade.spread_quotes_min = 3);
            quote(w, "60000", "60000.02");
        },
    ),
    case(
        "spread",
        Reason::SpreadSpike, // the link was cut: the usual is learned anew
        |w| {
            w.fact(|f| f.link(LinkId::Market, false));
            quote(w, "60000", "60290");
        },
        |w| {
            w.fact(|f| f.link(LinkId::Market, false));
            quote(w, "60000", "60310");
        },
    ),
    case(
        "volatility",
        Reason::VolatilityPause,
        |w| {
            w.rebuild(|c| c.no_trade.volatility_max_bp = 100);
            quote(w, "60599", "60601"); // 59999.99 less: 100 bp of 60000.01
        },
        |w| {
            w.rebuild(|c| c.no_trade.volatility_max_bp = 100);
            quote(w, "60600", "60602");
        },
    ),
    case(
        "volatility",
        Reason::VolatilityPause, // 120 s after it was last seen
        |w| {
            w.rebuild(|c| c.no_trade.volatility_max_bp = 100);
            quote(w, "60700", "60702");
            w.pass_time(120 * S);
        },
        |w| {
            w.rebuild(|c| c.no_trade.volatility_max_bp = 100);
            quote(w, "60700", "60702");
            w.pass_time(120 * S - 1);
        },
    ),
    case(
        "period_collar",
        Reason::PeriodCollar, // near the last quote, and far from where the market was
        |w| {
            w.rebuild(|c| c.collar_period_bp = 200);
            quote(w, "61198", "61200");
            w.spec().price = price("61200");
        },
        |w| {
            w.rebuild(|c| c.collar_period_bp = 200);
            quote(w, "61198", "61200");
            w.spec().price = price("61200.02");
        },
    ),
    case(
        "position_limit",
        Reason::PositionLimit,
        |w| {
            w.own(|own| own.exposure_max = Some(cash("120")));
            w.place(BTC, spec(Side::Buy, "60000", "0.001"));
            w.place(ETH, spec(Side::Buy, "3000", "0.1"));
        },
        |w| {
            w.own(|own| own.exposure_max = Some(cash("119.99999999")));
            w.place(BTC, spec(Side::Buy, "60000", "0.001"));
        },
    ),
    case(
        "position_limit",
        Reason::PositionLimit, // C22: in the instrument's own unit, working orders included
        |w| {
            w.own(|own| own.position_max = Some(qty("0.003")));
            w.hold(BTC, spec(Side::Buy, "60000", "0.001"));
            w.place(BTC, spec(Side::Buy, "59990", "0.001"));
        },
        |w| {
            w.own(|own| own.position_max = Some(qty("0.00299")));
            w.hold(BTC, spec(Side::Buy, "60000", "0.001"));
            w.place(BTC, spec(Side::Buy, "59990", "0.001"));
        },
    ),
    case(
        "order_value",
        Reason::OrderValue,
        |w| w.own(|own| own.order_value_max = Some(cash("60"))),
        |w| w.own(|own| own.order_value_max = Some(cash("59.99999999"))),
    ),
    case(
        "collar",
        Reason::PriceCollar, // a symbol's own collar can only be tighter
        |w| {
            w.own(|own| own.collar_bp = Some(5_000));
            w.spec().price = price("61200.01");
        },
        |w| {
            w.own(|own| own.collar_bp = Some(100));
            w.spec().price = price("60600.02");
        },
    ),
    case(
        "correlation",
        Reason::Correlation, // what no group names moves together, as far as is known
        |w| {
            w.rebuild(|c| c.correlation.exposure_max = cash("360"));
            w.place(ETH, spec(Side::Buy, "3000", "0.1"));
        },
        |w| {
            w.rebuild(|c| c.correlation.exposure_max = cash("359.99"));
            w.place(ETH, spec(Side::Buy, "3000", "0.1"));
        },
    ),
    case(
        "correlation",
        Reason::Correlation,
        |w| {
            w.groups(&[("majors", &["BTCUSDT"])]);
            w.place(ETH, spec(Side::Buy, "3000", "0.1"));
        },
        |w| {
            w.groups(&[("majors", &["BTCUSDT"]), ("all", &["BTCUSDT", "ETHUSDT"])]);
            w.place(ETH, spec(Side::Buy, "3000", "0.1"));
        },
    ),
    case("fan_out", Reason::FanOut, |w| caused(w, 2), |w| caused(w, 3)),
    case(
        "fan_out",
        Reason::FanOut, // by value
        |w| {
            w.rebuild(|c| c.fan_out.value_per_fact_max = cash("119.99"));
            caused_at(w, 1, "59990");
            w.spec().price = price("59990");
            w.intent.cause_seq = 8;
        },
        |w| {
            w.rebuild(|c| c.fan_out.value_per_fact_max = cash("119.99"));
            caused_at(w, 1, "60000");
        },
    ),
    case(
        "fan_out",
        Reason::FanOut, // over the window, whatever caused them
        |w| {
            w.rebuild(|c| (c.fan_out.orders_per_window_max, c.fan_out.window_s) = (1, 10));
            caused_at(w, 1, "59990");
            w.intent.cause_seq = 8;
            w.pass_time(10 * S);
        },
        |w| {
            w.rebuild(|c| (c.fan_out.orders_per_window_max, c.fan_out.window_s) = (1, 10));
            caused_at(w, 1, "59990");
            w.intent.cause_seq = 8;
            w.pass_time(10 * S - 1);
        },
    ),
    case(
        "fan_out",
        Reason::FanOut,
        |w| {
            w.rebuild(|c| c.fan_out.value_per_window_max = cash("120"));
            caused_at(w, 1, "60000");
            w.intent.cause_seq = 8;
        },
        |w| {
            w.rebuild(|c| c.fan_out.value_per_window_max = cash("119.99"));
            caused_at(w, 1, "60000");
            w.intent.cause_seq = 8;
        },
    ),
    case(
        "interval",
        Reason::TurnoverInterval,
        |w| {
            governed(w, |f| f.interval_min_s = 60);
            w.place(BTC, spec(Side::Buy, "59990", "0.001"));
            w.pass_time(60 * S);
        },
        |w| {
            governed(w, |f| f.interval_min_s = 60);
            w.place(BTC, spec(Side::Buy, "59990", "0.001"));
            w.pass_time(60 * S - 1);
        },
    ),
    case(
        "interval",
        Reason::TurnoverInterval, // what takes the place of an entry that works goes on with it
        |w| {
            governed(w, |f| f.interval_min_s = 60);
            let entry = w.place(BTC, spec(Side::Buy, "59990", "0.001"));
            replace(w, &entry);
        },
        |w| {
            governed(w, |f| f.interval_min_s = 60);
            let entry = w.place(BTC, spec(Side::Buy, "59990", "0.001"));
            w.fact(|f| f.order(&entry, OrderState::Cancelled, Qty::ZERO, false));
            replace(w, &entry);
        },
    ),
    case(
        "daily",
        Reason::TurnoverDaily,
        |w| {
            governed(w, |f| f.decisions_per_day_max = 2);
            w.place(BTC, spec(Side::Buy, "59990", "0.001"));
        },
        |w| {
            governed(w, |f| f.decisions_per_day_max = 2);
            w.place(BTC, spec(Side::Buy, "59990", "0.001"));
            w.place(BTC, spec(Side::Buy, "59991", "0.001"));
        },
    ),
    case(
        "daily",
        Reason::TurnoverDaily, // midnight UTC
        |w| {
            governed(w, |f| f.decisions_per_day_max = 1);
            w.place(BTC, spec(Side::Buy, "59990", "0.001"));
            let day_ns = 86_400 * S;
            w.pass_time(day_ns - w.facts.now_ns.rem_euclid(day_ns));
        },
        |w| {
            governed(w, |f| f.decisions_per_day_max = 1);
            w.place(BTC, spec(Side::Buy, "59990", "0.001"));
            let day_ns = 86_400 * S;
            w.pass_time(day_ns - w.facts.now_ns.rem_euclid(day_ns) - 1);
        },
    ),
    case(
        "cooldown",
        Reason::Cooldown, // a gain in between ends the row
        |w| {
            governed(w, |f| f.cooldown_s = 60);
            round_trip(w, "60000", "59990");
            round_trip(w, "60000", "60010");
            round_trip(w, "60000", "59990");
        },
        |w| {
            governed(w, |f| f.cooldown_s = 60);
            round_trip(w, "60000", "59990");
            round_trip(w, "60000", "59990");
        },
    ),
    case(
        "cooldown",
        Reason::Cooldown,
        |w| {
            governed(w, |f| (f.cooldown_s, f.cooldown_losses) = (60, 1));
            round_trip(w, "60000", "59990");
            w.pass_time(60 * S);
        },
        |w| {
            governed(w, |f| (f.cooldown_s, f.cooldown_losses) = (60, 1));
            round_trip(w, "60000", "59990");
            w.pass_time(60 * S - 1);
        },
    ),
    case(
        "gain",
        Reason::TurnoverValue, // 20 bp of fees and 1 bp of spread, twice
        |w| {
            governed(w, |f| f.gain_min_percent = 200);
            quote(w, "59997", "60003");
            w.intent.claim.gain_centi_bp = 4_200;
        },
        |w| {
            governed(w, |f| f.gain_min_percent = 200);
            quote(w, "59997", "60003");
            w.intent.claim.gain_centi_bp = 4_199;
        },
    ),
    case(
        "gain",
        Reason::TurnoverValue, // no claim, no cost: both count against it
        |w| {
            governed(w, |f| f.gain_min_percent = 1);
            w.intent.claim.gain_centi_bp = i32::MAX;
        },
        |w| governed(w, |f| f.gain_min_percent = 1),
    ),
    case(
        "confidence",
        Reason::TurnoverConfidence,
        |w| {
            governed(w, |f| f.confidence_min_percent = 75);
            w.intent.claim.confidence_bp = 7_500;
        },
        |w| {
            governed(w, |f| f.confidence_min_percent = 75);
            w.intent.claim.confidence_bp = 7_499;
        },
    ),
    case("confidence", Reason::TurnoverConfidence, NOTHING, |w| {
        governed(w, |f| f.confidence_min_percent = 1);
    }),
];

/// Three executed entries of strategy 0, which is one too many.
fn repeated(world: &mut World) {
    world.rebuild(|c| (c.repeat.apply, c.repeat.executions_max) = (Apply::Always, 3));
    for at in ["60000", "60000.01", "60000.02"] {
        world.hold(BTC, spec(Side::Buy, at, "0.001"));
    }
}

/// Entries that the fact 7 caused, and another one by it that is judged.
fn caused(world: &mut World, entries: u32) {
    world.rebuild(|c| c.fan_out.orders_per_fact_max = 3);
    for n in 0..entries {
        caused_at(world, 1 + u64::from(n), &format!("5999{n}"));
    }
}

fn caused_at(world: &mut World, n: u64, at: &str) {
    let order = Intent { cause_seq: 7, ..intent(700 + n, BTC, Action::Place(spec(Side::Buy, at, "0.001"))) };
    world.decide(&order).unwrap();
    world.intent.cause_seq = 7;
    // Not a duplicate of what was just approved.
    world.spec().qty = qty("0.001");
}

fn replace(world: &mut World, entry: &Placed) {
    let spec = OrderSpec { price: price("59991"), ..entry.spec };
    world.intent.action = Action::Replace { target: entry.client, spec };
}

impl World {
    /// Limits of BTCUSDT alone.
    fn own(&mut self, change: impl FnOnce(&mut SymbolLimits)) {
        let mut own = SymbolLimits::default();
        change(&mut own);
        self.rebuild(|c| {
            c.symbols.insert("BTCUSDT".to_owned(), own);
        });
    }
    fn groups(&mut self, groups: &[(&str, &[&str])]) {
        self.rebuild(|c| {
            c.correlation.exposure_max = cash("359");
            c.correlation.measure = Apply::Never;
            for (name, symbols) in groups {
                let symbols = symbols.iter().map(|s| (*s).to_owned()).collect();
                c.correlation.groups.insert((*name).to_owned(), symbols);
            }
        });
    }
    /// A window of a minute from now.
    fn news(&mut self, symbols: &[&str]) {
        let at = |ns: i64| jiff::Timestamp::from_nanosecond(ns.into()).unwrap().to_string();
        let now_ns = crate::market::START_NS;
        self.rebuild(|c| c.no_trade.news = vec![news(&at(now_ns), &at(now_ns + 60 * S), symbols)]);
        self.facts.now_ns = now_ns;
        self.pass_time(0);
    }
}

#[test]
fn r_lim_6_no_entry_limit_of_the_table_binds_an_exit_or_a_cancel() {
    // What may hold an exit back: what makes the order itself wrong, and what keeps it an exit.
    let of_exits =
        ["halt", "collar", "venue_rules", "reducing", "self_trade", "order_table", "throttle"].as_slice();
    for check in CHECKS {
        assert_eq!(check.binds_exits, of_exits.contains(&check.name), "{}", check.name);
    }
    // All of the new limits refuse at once, and the exit and the cancel leave all the same.
    let mut world = World::new();
    governed(&mut world, |f| (f.interval_min_s, f.decisions_per_day_max) = (3_600, 1));
    world.hold(BTC, spec(Side::Buy, "60000", "0.002"));
    switch(&mut world, CommandKind::DisableStrategy, 0);
    for _ in 0..5 {
        world.fact(|f| f.book_status(BTC, true));
        world.fact(|f| f.book_status(BTC, false));
    }
    world.fact(|f| f.book_status(BTC, true));
    quote(&mut world, "60000", "60400");
    let sell = spec(Side::Sell, "60200", "0.001");
    let exit = Intent { reduce_only: true, ..intent(800, BTC, Action::Place(sell)) };
    assert_eq!(world.decide(&exit), Ok(()));
    let cancel = intent(801, BTC, Action::Cancel { target: exit.client });
    assert_eq!(world.decide(&cancel), Ok(()));
    let entry = intent(802, BTC, Action::Place(spec(Side::Buy, "60000", "0.001")));
    assert!(world.decide(&entry).is_err());
}

#[test]
fn r_lim_7_the_figures_of_the_governor_are_those_of_the_requirement() {
    let turnover = TurnoverConfig::default();
    let figures = |i, d, g, c, l, s| PaceFigures {
        interval_min_s: i,
        decisions_per_day_max: d,
        gain_min_percent: g,
        confidence_min_percent: c,
        cooldown_losses: l,
        cooldown_s: s,
    };
    assert_eq!(turnover.figures("ETHUSDT", "ETH"), figures(3_600, 0, 100, 60, 2, 7_200));
    assert_eq!(turnover.figures("BTCUSDT", "BTC"), figures(14_400, 3, 200, 75, 2, 21_600));
    assert_eq!(turnover.figures("XBTEUR", "XBT"), PaceFigures::BTC);
    // What a file leaves out of the BTC section stays BTC's, and a symbol's patch goes over its kind's.
    let text = "[btc]\ninterval_min_s = 60\n[symbols.BTCUSDT]\ndecisions_per_day_max = 9\n";
    let turnover: TurnoverConfig = toml::from_str(text).unwrap();
    let own = PaceFigures { interval_min_s: 60, decisions_per_day_max: 9, ..PaceFigures::BTC };
    assert_eq!(turnover.figures("BTCUSDT", "BTC"), own);
    assert_eq!(
        turnover.symbols["BTCUSDT"],
        PacePatch { decisions_per_day_max: Some(9), ..PacePatch::default() }
    );
}

#[test]
fn r_lim_7_default_limits_let_nothing_in_that_claims_nothing() {
    let mut world = World::new();
    world.rebuild(|c| c.turnover = TurnoverConfig::default());
    let order = world.intent;
    assert_eq!(world.decide(&order), Err(Reason::TurnoverValue));
    let claim = Claim { stop: price("59000"), gain_centi_bp: 10_000, confidence_bp: 7_500 };
    assert_eq!(world.decide(&Intent { claim, ..order }), Ok(()));
}

#[test]
fn r_lim_1_r_lim_2_the_tighter_of_risk_and_bounded_holds() {
    let [testnet, first, second] = &PHASES;
    let figures = |l: &BoundedLimits| {
        (l.max_order_notional, l.max_total_notional, l.max_open_positions, l.max_daily_loss_abs)
    };
    assert_eq!(figures(testnet), (cash("100"), cash("500"), 3, cash("100")));
    assert_eq!(figures(first), (cash("50"), cash("500"), 2, cash("100")));
    assert_eq!(figures(second), (cash("100"), cash("1000"), 3, cash("200")));

    let wide = RiskConfig {
        order_value_max: cash("1000"),
        exposure_max: cash("400"),
        open_positions_max: 9,
        ..limits()
    };
    let mut bounded = BoundedLive { enabled: true, ..BoundedLive::default() };
    let phase2 = BoundedLimits::phase2();
    let tight = wide.bounded_by(&bounded, &phase2);
    assert_eq!((tight.order_value_max, tight.exposure_max), (cash("50"), cash("400")));
    assert_eq!((tight.open_positions_max, tight.daily_loss_max), (2, cash("100")));
    bounded.phase = 2;
    assert_eq!(wide.bounded_by(&bounded, &phase2).order_value_max, cash("100"));
    // Not enforced is not applied, and never live.
    bounded.enforcement.enforce_limits = false;
    assert_eq!(wide.bounded_by(&bounded, &phase2), wide);
    assert!(!bounded.live_faults(&RiskConfig::default()).is_empty());
    bounded.enforcement.enforce_limits = true;
    assert!(bounded.live_faults(&RiskConfig::default()).is_empty());
    assert_eq!(bounded.live_faults(&wide).len(), 2, "the governor and the throttle are off in it");
}

#[test]
fn r_gate_4_no_figure_is_above_its_phase() {
    let phase2 = BoundedLimits::phase2();
    let mut bounded = BoundedLive { enabled: true, ..BoundedLive::default() };
    assert_eq!(bounded.check(&phase2), Ok(()));
    bounded.limits.max_order_notional = cash("50.01");
    let message = bounded.check(&phase2).expect_err("over phase 1").to_string();
    assert_eq!(message, "bounded_live.limits.max_order_notional: 50.01 is over the 50 that phase 1 allows");
    bounded.enforcement.allow_override = true;
    assert_eq!(bounded.check(&phase2), Ok(()), "outside live");
    assert_eq!(bounded.live_faults(&RiskConfig::default()).len(), 1);
    bounded.phase = 3;
    assert!(bounded.check(&phase2).is_err());
    bounded.phase = 1;
    bounded.limits.max_daily_loss_pct = cash("0.001");
    assert!(bounded.check(&phase2).is_err(), "hundredths of a percent");
    bounded.limits.max_daily_loss_pct = cash("0");
    assert!(bounded.check(&phase2).is_err(), "zero would never trade");
}

#[test]
fn limits_on_what_is_not_traded_are_refused_by_name() {
    let named = |change: fn(&mut RiskConfig)| {
        let mut config = limits();
        change(&mut config);
        interlock::risk::Risk::new(&config, &crate::market::table(), &[]).expect_err("not traded").to_string()
    };
    let own = |c: &mut RiskConfig| {
        c.symbols.insert("NOPE".to_owned(), SymbolLimits::default());
    };
    assert!(named(own).contains("risk.symbols: NOPE"));
    let pace = |c: &mut RiskConfig| {
        c.turnover.symbols.insert("NOPE".to_owned(), PacePatch::default());
    };
    assert!(named(pace).contains("risk.turnover.symbols: NOPE"));
    let group = |c: &mut RiskConfig| {
        c.correlation.groups.insert("g".to_owned(), vec!["NOPE".to_owned()]);
    };
    assert!(named(group).contains("risk.correlation.groups: NOPE"));
    let window = |c: &mut RiskConfig| {
        c.no_trade.news = vec![news("2026-12-10T13:25:00Z", "2026-12-10T13:35:00Z", &["NOPE"])];
    };
    assert!(named(window).contains("risk.no_trade.news: NOPE"));

    let mut config = limits();
    config.no_trade.news = vec![news("yesterday", "2026-12-10T13:35:00Z", &[])];
    assert!(matches!(config.check(), Err(RiskConfigError::Setting { .. })));
    config.no_trade.news = vec![news("2026-12-10T13:35:00Z", "2026-12-10T13:35:00Z", &[])];
    assert!(config.check().is_err(), "empty");
    config.no_trade.news = Vec::new();
    config.turnover.all.confidence_min_percent = 101;
    let message = config.check().expect_err("a percentage").to_string();
    assert_eq!(
        message,
        "risk.turnover.all.confidence_min_percent: 101 is out of range 0 to 100: a percentage"
    );
}

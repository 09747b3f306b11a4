//! The switch of a strategy: a named person with a cause, durable before it loosens anything (C9, R-LIM-5, R-LIM-6).

use interlock::event::{Action, Claim, CommandKind, Fact, Intent, Record, ReplyKind};
use interlock::limits::EXIT_REFUSALS_MAX;
use interlock::ops::control::LimitMarks;
use interlock::types::{ClientOrderId, Now, Reason, Side, StrategyId};
use serde_json::{Value, json};

use crate::control_rig::{Disk, Operator, Options, Rig};
use crate::market::{BTC, Facts, Placed, cash};

fn ask(cmd: &str, args: &Value) -> Value {
    json!({ "v": 1, "id": 1, "cmd": cmd, "args": args })
}

fn named(strategy: &str) -> Value {
    json!({ "strategy": strategy, "cause": "looked at, and meant", "by": "a person" })
}

#[test]
fn c9_a_strategy_is_enabled_only_once_the_act_is_durable() {
    let mut rig = Rig::new();
    rig.arm();
    while rig.commands.pop().is_ok() {}
    while rig.acts.try_recv().is_ok() {}
    let mut operator = Operator::admin(&rig.paths);
    rig.disk(Disk::Hangs);
    operator.say(&ask("strategy.enable", &named("first")));
    rig.run_for(50);
    let act = rig.acts.try_recv().expect("handed to the journal");
    assert_eq!(
        (act.who.as_str(), act.cause.as_str()),
        ("a person", "strategy.enable first: looked at, and meant")
    );
    assert!(rig.commands.pop().is_err(), "not before it is durable");
    rig.disk(Disk::Works);
    rig.run_for(1);
    let command = rig.commands.pop().expect("durable, so it takes effect");
    assert_eq!((command.kind, command.strategy), (CommandKind::EnableStrategy, StrategyId(0)));
    assert_eq!(command.uid, rustix::process::getuid().as_raw());
    assert!(operator.hear().ok);
    assert!(rig.has_event("STRATEGY_ENABLED"));
}

#[test]
fn c9_what_is_not_durable_enables_nothing_and_disabling_waits_for_no_disk() {
    let mut rig = Rig::new();
    rig.arm();
    while rig.commands.pop().is_ok() {}
    let mut operator = Operator::admin(&rig.paths);
    rig.disk(Disk::Fails);
    operator.say(&ask("strategy.enable", &named("first")));
    rig.run_for(1);
    let answer = operator.hear();
    assert_eq!(answer.error.expect("refused").code, "refused");
    assert!(rig.commands.pop().is_err());
    operator.say(&ask("strategy.disable", &named("first")));
    rig.run_for(1);
    let command = rig.commands.pop().expect("what restricts takes effect at once");
    assert_eq!((command.kind, command.strategy), (CommandKind::DisableStrategy, StrategyId(0)));
    assert!(operator.hear().ok);
}

#[test]
fn c9_nobody_without_a_name_a_cause_or_the_right_switches_a_strategy() {
    let mut rig = Rig::new();
    rig.arm();
    while rig.commands.pop().is_ok() {}
    let mut operator = Operator::admin(&rig.paths);
    let cases = [
        (json!({ "strategy": "first", "cause": "", "by": "me" }), "refused"),
        (json!({ "strategy": "first", "cause": "c", "by": "  " }), "refused"),
        (json!({ "strategy": "operator", "cause": "c", "by": "me" }), "bad_request"),
        (json!({ "strategy": "nope", "cause": "c", "by": "me" }), "bad_request"),
        (json!({ "strategy": "first", "cause": "c" }), "bad_request"),
    ];
    for (args, code) in cases {
        operator.say(&ask("strategy.enable", &args));
        rig.run_for(1);
        assert_eq!(operator.hear().error.expect("refused").code, code, "{args}");
    }
    let mut reader = Operator::reader(&rig.paths);
    reader.say(&ask("strategy.enable", &named("first")));
    rig.run_for(1);
    assert_eq!(reader.hear().error.expect("refused").code, "forbidden");
    assert!(rig.commands.pop().is_err());
}

#[test]
fn r_gate_4_a_bounded_limit_that_prices_carry_past_is_told_once_for_each_rise() {
    let mut options = Options::default();
    options.config.limits = Some(LimitMarks {
        exposure_max: cash("100"),
        open_positions_max: 1,
        on_warning: true,
        on_breach: true,
    });
    let mut rig = Rig::with(options);
    let mut facts = Facts::new();
    let told = |rig: &Rig, name: &str, limit: &str| {
        rig.events().iter().filter(|(n, e)| n == name && e["limit"] == json!(limit)).count()
    };
    let spec = crate::market::spec(Side::Buy, "60000", "0.001");
    let placed = Placed { client: ClientOrderId::new(1, 1), instrument: BTC, spec };
    let see = |rig: &mut Rig, fact: Fact| rig.view.observe(1, &Record::Fact(fact));
    see(&mut rig, facts.quote_at(BTC, "60000", "60000.02"));
    see(&mut rig, facts.fill(&placed, spec.price, 1, spec.qty, spec.qty));
    rig.run_for(3_000);
    assert_eq!(told(&rig, "LIMIT_WARNING", "max_open_positions"), 1, "one of one, told once");
    assert_eq!(told(&rig, "LIMIT_WARNING", "max_total_notional"), 0, "60 of 100");
    see(&mut rig, facts.quote_at(BTC, "80000", "80000.02"));
    rig.run_for(3_000);
    assert_eq!(told(&rig, "LIMIT_WARNING", "max_total_notional"), 1, "80 of 100");
    assert_eq!(told(&rig, "LIMIT_BREACH", "max_total_notional"), 0);
    see(&mut rig, facts.quote_at(BTC, "100000", "100000.02"));
    rig.run_for(3_000);
    assert_eq!(told(&rig, "LIMIT_BREACH", "max_total_notional"), 1, "over 100");
}

/// R-KILL-1: exits that the venue refuses again and again are an incident: nothing more is bought, and somebody must look. A
/// recovery gives it as many tries again; an exit that is taken clears it.
#[test]
fn exits_that_the_venue_refuses_in_a_row_trip_and_are_told() {
    let mut rig = Rig::new();
    rig.arm();
    let mut facts = Facts::new();
    let count = |rig: &Rig| rig.events().iter().filter(|(name, _)| name == "EXIT_REFUSED").count();
    let mut counter = 0;
    let mut exit = |rig: &mut Rig, kind: ReplyKind, reduce_only: bool| {
        counter += 1;
        let client = ClientOrderId::new(1, counter);
        let intent = Intent {
            client,
            cause_seq: 1,
            cause_ns: facts.now_ns,
            strategy: StrategyId(0),
            owner: StrategyId(0),
            instrument: BTC,
            reduce_only,
            action: Action::Place(crate::market::spec(Side::Sell, "60000", "0.001")),
            claim: Claim::NONE,
        };
        rig.view.observe(1, &Record::Intent(intent));
        for kind in [ReplyKind::Sent, kind] {
            let fact = facts.reply(kind, client, false);
            rig.view.observe(1, &Record::Fact(fact));
        }
    };
    let trips = |rig: &Rig| rig.page.view(Now::default()).is_tripped();
    for _ in 0..EXIT_REFUSALS_MAX {
        exit(&mut rig, ReplyKind::Rejected, false);
    }
    for _ in 1..EXIT_REFUSALS_MAX {
        exit(&mut rig, ReplyKind::Rejected, true);
    }
    rig.run_for(3_000);
    assert!(
        !trips(&rig) && count(&rig) == 0,
        "entries do not count, and one exit less than the bound is none"
    );
    exit(&mut rig, ReplyKind::Rejected, true);
    rig.run_for(3_000);
    assert!(trips(&rig) && count(&rig) == 1);
    assert_eq!(rig.page.last_trip().0, Reason::ExitRefused);
    exit(&mut rig, ReplyKind::Rejected, true);
    rig.run_for(3_000);
    assert_eq!(count(&rig), 1, "told once");
    for _ in 1..EXIT_REFUSALS_MAX {
        exit(&mut rig, ReplyKind::Rejected, true);
    }
    rig.run_for(3_000);
    assert_eq!(count(&rig), 2, "and again when as many more were refused");
    exit(&mut rig, ReplyKind::Accepted, true);
    for _ in 1..EXIT_REFUSALS_MAX {
        exit(&mut rig, ReplyKind::Rejected, true);
    }
    rig.run_for(3_000);
    assert_eq!(count(&rig), 2, "one was taken in between");
}

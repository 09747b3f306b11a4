//! Private facts, replies and commands: never lost, in order, before market data.

use interlock::event::command::{ALL_INSTRUMENTS, NO_STRATEGY};
use interlock::event::fact::LinkId;
use interlock::event::{Body, Command, CommandKind, Reply, ReplyKind};
use interlock::types::{ClientOrderId, InstrumentId, Reason, VenueOrderId};

use super::rig::{ROOMY, Rig, Sizes, fill, quote};
use crate::peer::MS;

fn reply(n: u64) -> Body {
    Body::Reply(Reply {
        kind: ReplyKind::Accepted,
        cancel: false,
        instrument: InstrumentId(0),
        reason: Reason::None,
        venue_code: 0,
        client: ClientOrderId::new(1, n),
        venue_order: VenueOrderId(0),
        venue_ns: 0,
    })
}

#[test]
fn user_data_is_subscribed_and_fills_become_facts() {
    let mut rig = Rig::new(&ROOMY);
    let mut account = rig.subscribe();
    let up = |b: &Body| matches!(b, Body::Link(l) if l.link == LinkId::Account && l.up);
    assert_eq!(rig.count(up), 1);
    let client = ClientOrderId::new(2, 7);
    account.say(&fill(core::str::from_utf8(&client.text()).unwrap(), 11));
    rig.run_ms(2);
    let is_ours = |b: &Body| matches!(b, Body::Order(u) if u.client == client && u.trade.0 == 11);
    assert_eq!(rig.count(is_ours), 1);
}

#[test]
fn r_hot_8_private_facts_find_room_on_a_line_that_market_data_has_filled() {
    let sizes = Sizes { line: 64, reserve: 16, journal: 8_192 };
    let (mut rig, mut market) = Rig::synced(&sizes);
    let mut account = rig.subscribe();
    rig.drains = false;
    for n in 0..200 {
        market.say(&quote(1_000 + n, "60000", "60000.01"));
    }
    for _ in 0..8 {
        rig.step(0);
    }
    let client = ClientOrderId::new(2, 7);
    let text = client.text();
    let name = core::str::from_utf8(&text).unwrap();
    for trade in 0..5 {
        account.say(&fill(name, 100 + trade));
    }
    rig.step(MS);
    rig.drain();
    assert_eq!(rig.count(|b| matches!(b, Body::Order(_))), 5, "the reserve took them at once");
}

#[test]
fn r_hot_8_private_facts_that_find_no_room_at_all_wait_in_order() {
    let sizes = Sizes { line: 64, reserve: 16, journal: 8_192 };
    let (mut rig, _market) = Rig::synced(&sizes);
    let mut account = rig.subscribe();
    rig.drains = false;
    let client = ClientOrderId::new(2, 7);
    let text = client.text();
    let name = core::str::from_utf8(&text).unwrap();
    for trade in 1..=300 {
        account.say(&fill(name, trade));
    }
    for n in 0..300 {
        assert!(rig.returns.push(reply(n)).is_ok());
    }
    for _ in 0..50 {
        rig.step(MS);
    }
    assert_eq!(rig.line.waiting(), 64, "full to the last slot");
    rig.drains = true;
    rig.run_ms(200);
    let fills: Vec<u64> = rig
        .facts
        .iter()
        .filter_map(|f| match f.body {
            Body::Order(u) => Some(u.trade.0),
            _ => None,
        })
        .collect();
    assert_eq!(fills, (1..=300).collect::<Vec<_>>(), "each once, in order");
    let replies: Vec<u64> = rig
        .facts
        .iter()
        .filter_map(|f| match f.body {
            Body::Reply(r) => Some(r.client.counter()),
            _ => None,
        })
        .collect();
    assert_eq!(replies, (0..300).collect::<Vec<_>>());
}

#[test]
fn replies_and_commands_go_before_market_data() {
    let (mut rig, mut market) = Rig::synced(&ROOMY);
    market.say(&quote(2_000, "60000", "60000.01"));
    let command = Command {
        kind: CommandKind::Flatten,
        instrument: ALL_INSTRUMENTS,
        uid: 0,
        ticket: 1,
        halt_epoch: 0,
        strategy: NO_STRATEGY,
    };
    assert!(rig.commands.push(command).is_ok());
    assert!(rig.returns.push(reply(1)).is_ok());
    let before = rig.facts.len();
    rig.step(0);
    let kinds: Vec<_> = rig.facts[before..].iter().map(|f| core::mem::discriminant(&f.body)).collect();
    let expected = [reply(1), Body::Command(command)].map(|b| core::mem::discriminant(&b));
    assert_eq!(kinds[..2], expected);
    assert!(matches!(rig.facts[before + 2].body, Body::Quote(_)));
}

#[test]
fn a_lost_account_link_is_told_and_comes_back() {
    let mut rig = Rig::new(&ROOMY);
    let mut account = rig.subscribe();
    account.hang_up();
    rig.run_ms(3);
    let down = |b: &Body| matches!(b, Body::Link(l) if l.link == LinkId::Account && !l.up && l.reason == Reason::Closed);
    assert_eq!(rig.count(down), 1);
    let _account = rig.subscribe();
    let up = |b: &Body| matches!(b, Body::Link(l) if l.link == LinkId::Account && l.up);
    assert_eq!(rig.count(up), 2);
}

#[test]
fn f26_a_refused_subscription_is_no_subscription() {
    let mut rig = Rig::new(&ROOMY);
    let mut peer = crate::peer::Peer::listen(&mut rig.account_links);
    for _ in 0..10 {
        rig.step(MS);
        peer.serve();
    }
    let request = peer.heard.pop().expect("asked");
    let id = crate::peer::id_of(&request);
    peer.say(&format!(r#"{{"id":"{id}","status":401,"error":{{"code":-2015,"msg":"Invalid API-key"}}}}"#));
    rig.run_ms(3);
    let refused = |b: &Body| matches!(b, Body::Link(l) if l.link == LinkId::Account && !l.up && l.reason == Reason::Refused);
    assert_eq!(rig.count(refused), 1);
    assert_eq!(rig.count(|b| matches!(b, Body::Link(l) if l.link == LinkId::Account && l.up)), 0);
}

//! What is measured to move together (R-LIM-6): beside the configured groups, and as long as nothing is known.

use interlock::event::fact::LinkId;
use interlock::risk::{Apply, CHECKS};
use interlock::types::{Reason, Side};

use super::checks::World;
use crate::market::{BTC, ETH, S, cash, spec};

#[test]
fn r_lim_6_what_is_measured_to_move_together_counts_beside_the_configured_groups() {
    let mut w = World::new();
    w.rebuild(|c| {
        c.correlation.exposure_max = cash("359");
        c.correlation.groups.insert("a".to_owned(), vec!["BTCUSDT".to_owned()]);
        c.correlation.groups.insert("b".to_owned(), vec!["ETHUSDT".to_owned()]);
        (c.correlation.measure, c.correlation.interval_s) = (Apply::Always, 60);
        (c.correlation.samples, c.correlation.samples_min) = (8, 4);
    });
    let check = CHECKS.iter().find(|check| check.name == "correlation").unwrap();
    let room = |w: &World| w.risk.run_check(check, &w.intent, w.halt);
    // Another 300 beside the 60 that are asked for: one more than what moves together may hold.
    w.place(ETH, spec(Side::Buy, "3000", "0.1"));
    assert_eq!(room(&w), Err(Reason::Correlation), "nothing is measured yet, and that counts against it");
    let minute = |w: &mut World, step: i64, apart: bool| {
        let up = |bits: i64| i64::from(bits >> (step % 8) & 1 == 1);
        let (btc, eth) = (up(0b0110_0110), if apart { up(0b0101_0101) } else { up(0b0110_0110) });
        w.pass_time(60 * S);
        w.fact(|f| f.book_status(BTC, true));
        w.fact(|f| f.book_status(ETH, true));
        let text = |middle: i64, up: i64| (format!("{}", middle + up), format!("{}.02", middle + up));
        for (instrument, (bid, ask)) in [(BTC, text(60_000, 60 * btc)), (ETH, text(3_000, 3 * eth))] {
            w.fact(|f| f.quote_at(instrument, &bid, &ask));
        }
    };
    for step in 0..12 {
        minute(&mut w, step, true);
    }
    assert_eq!(room(&w), Ok(()), "measured to move apart, and in no common group");
    for step in 12..30 {
        minute(&mut w, step, false);
    }
    assert_eq!(room(&w), Err(Reason::Correlation), "they move together now");
    // A cut of the market data takes the knowledge with it: what comes after is not known yet.
    for step in 30..42 {
        minute(&mut w, step, true);
    }
    assert_eq!(room(&w), Ok(()));
    w.fact(|f| f.link(LinkId::Market, false));
    for _ in 0..6 {
        w.pass_time(60 * S);
    }
    assert_eq!(room(&w), Err(Reason::Correlation));
}

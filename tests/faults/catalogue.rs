//! The table of all scenarios. A row is added here, and nowhere else: tests and document follow from it.

use crate::line::{budgets as b, emergencies as e, fills as f, numbers as n, outcomes as o, records as r};
use crate::process as p;
use crate::run::Run;

/// A scenario.
pub(crate) type Scenario = fn(&mut Run);

/// How a row is shown to hold.
#[derive(Clone, Copy)]
pub(crate) enum Way {
    /// Over the whole line in memory, in virtual time.
    Line(Scenario),
    /// Over the real binary and the embedded venue.
    Process(Scenario),
    /// It can't exist here, and why.
    NotHere(&'static str),
}

/// One row of the catalogue.
pub(crate) struct Row {
    pub(crate) id: &'static str,
    /// What the scenario is called; the test's name.
    pub(crate) name: &'static str,
    /// What must hold.
    pub(crate) rule: &'static str,
    /// What must have occurred over the seeds.
    pub(crate) faults: &'static [&'static str],
    pub(crate) way: Way,
}

macro_rules! catalogue {
    ($($id:literal, $name:ident, [$($fault:literal),*], $rule:literal, $way:expr;)*) => {
        /// The catalogue, in its order.
        pub(crate) const ROWS: &[Row] = &[$(Row {
            id: $id,
            name: stringify!($name),
            rule: $rule,
            faults: &[$($fault),*],
            way: $way,
        },)*];
        $(#[test]
        fn $name() {
            crate::run::run(ROWS.iter().find(|row| row.name == stringify!($name)).unwrap());
        })*
    };
}

use Way::{Line, Process};

catalogue! {
    "F1", f1_a_lost_answer_is_no_refusal, ["ack lost"],
        "no second order; the state is unknown; asked by client id; at most one live order for each intent",
        Line(o::f1_a_lost_answer_is_no_refusal);
    "F2", f2_ten_minutes_of_failed_queries_end_nothing, ["query without answer"],
        "orders stay tracked, a failed query never counts as not found, the exposure stays reserved",
        Line(o::f2_ten_minutes_of_failed_queries_end_nothing);
    "F3", f3_silence_is_no_rejection_and_the_late_fill_is_booked, ["silence past all retries"],
        "the late fill is booked, the position is right, no reject is told",
        Line(o::f3_silence_is_no_rejection_and_the_late_fill_is_booked);
    "F4", f4_a_503_is_asked_about_and_never_sent_again, ["503 after acceptance"],
        "asked about before anything; never sent twice, filled or not",
        Line(o::f4_a_503_is_asked_about_and_never_sent_again);
    "F5", f5_a_lost_cancel_leaves_the_order_counted, ["cancel lost"],
        "the order stays pending and is asked about; no replacement beyond the limit",
        Line(o::f5_a_lost_cancel_leaves_the_order_counted);
    "F6", f6_a_restart_finds_every_order, ["killed with 20 live orders"],
        "the next boot finds all by the epoch in their ids, does not arm itself, and can cancel them",
        Process(p::f6_a_restart_finds_every_order);
    "F7", f7_not_found_is_believed_late_and_from_two_sources, ["not found though it exists"],
        "not terminal before the receive window and the replicas' lag are over, and two sources deny it",
        Line(o::f7_not_found_is_believed_late_and_from_two_sources);
    "F8", f8_an_exit_that_the_venue_forgets_is_not_placed_again, ["order forgotten"],
        "still counted; reduce-only; never placed again beside itself",
        Line(o::f8_an_exit_that_the_venue_forgets_is_not_placed_again);
    "F9", f9_working_orders_are_kept_though_the_position_is_unknown, ["fills without history"],
        "working orders are kept, counted, and end on the operator's word",
        Line(r::f9_working_orders_are_kept_though_the_position_is_unknown);
    "F10", f10_a_balance_that_no_trade_explains_freezes_until_adopted, ["record and venue part"],
        "the break is recorded, the instrument frozen until a person adopts the venue's figure",
        Line(r::f10_a_balance_that_no_trade_explains_freezes_until_adopted);
    "F11", f11_reports_in_any_order_and_twice_come_to_the_same, ["reports reordered and doubled"],
        "the same reports in any order, twice, come to the same state",
        Line(r::f11_reports_in_any_order_and_twice_come_to_the_same);
    "F12", f12_an_account_that_cannot_be_read_is_unknown_and_not_zero, ["account query without answer"],
        "unknown, never zero: no session, no entry, and what is held stays held",
        Line(r::f12_an_account_that_cannot_be_read_is_unknown_and_not_zero);
    "F13", f13_a_fill_in_an_outage_is_recovered, ["fill missed", "fill replayed"],
        "recovered within 20 s, with and without replay; the position is the venue's",
        Line(f::f13_a_fill_in_an_outage_is_recovered);
    "F14", f14_recovery_and_stream_count_each_fill_once, ["recovery overlaps the stream", "doubled"],
        "each fill has its effect once, in whatever interleaving",
        Line(f::f14_recovery_and_stream_count_each_fill_once);
    "F15", f15_an_overfill_is_booked_and_freezes, ["filled beyond the order"],
        "booked, recorded as an overfill, the instrument frozen",
        Line(f::f15_an_overfill_is_booked_and_freezes);
    "F16", f16_one_trade_number_of_two_orders_is_two_fills, ["one trade number on two orders"],
        "a fill is known by order and trade: both are booked",
        Line(f::f16_one_trade_number_of_two_orders_is_two_fills);
    "F17", f17_words_in_any_order_end_where_they_must, ["news before the ack"],
        "every order of ack, partial, fill, cancel, cancel's ack and expiry ends in the legal state",
        Line(f::f17_words_in_any_order_end_where_they_must);
    "F18", f18_what_a_partial_exit_leaves_is_still_sold, ["exit filled in part"],
        "the remainder is sold, at the size that the venue says is held",
        Line(f::f18_what_a_partial_exit_leaves_is_still_sold);
    "F19", f19_a_fee_in_the_base_asset_leaves_dust_and_no_loop, ["fee in base", "fee in a third asset"],
        "no loop of refused sells; the residue is accounted for as dust",
        Line(f::f19_a_fee_in_the_base_asset_leaves_dust_and_no_loop);
    "F20", f20_what_is_refused_again_and_again_is_stopped, ["order refused by the venue"],
        "after 20 refusals within the window the strategy is disabled until a named person enables it (C9)",
        Line(b::f20_what_is_refused_again_and_again_is_stopped);
    "F21", f21_an_empty_order_budget_leaves_cancels_their_reserve, ["order withheld for the budget"],
        "cancels pass from the reserve; a kill reaches zero open orders",
        Line(b::f21_an_empty_order_budget_leaves_cancels_their_reserve);
    "F22", f22_a_thousand_drops_are_no_storm, ["connection dropped"],
        "back-off, jitter, and a budget over a sliding window, which a restart does not reset (`wire::retry`, `ops::connects`)",
        Line(b::f22_a_thousand_drops_are_no_storm);
    "F23", f23_an_invalid_book_asks_for_one_snapshot_at_a_time, ["gap in the book"],
        "one request in flight for each book, at a bounded pace",
        Line(b::f23_an_invalid_book_asks_for_one_snapshot_at_a_time);
    "F24", f24_a_socket_without_data_is_dead, ["open and silent"],
        "judged by the data: no entries, and a new connection",
        Line(b::f24_a_socket_without_data_is_dead);
    "F30", f30_clocks_that_part_pause_orders_and_widen_nothing, ["clocks parted", "orders paused"],
        "orders pause beyond the bound, requests bear the venue's measured time, no deadline is of the wall clock",
        Line(b::f30_clocks_that_part_pause_orders_and_widen_nothing);
    "F31", f31_every_grid_of_the_venue_round_trips_exactly, ["a float would have lost it"],
        "fixed point only: every tick and lot grid of the venue round-trips exactly",
        Line(n::f31_every_grid_of_the_venue_round_trips_exactly);
    "F32", f32_every_figure_is_plain_decimal, ["a float would have shown an exponent"],
        "every figure is plain decimal",
        Line(n::f32_every_figure_is_plain_decimal);
    "F33", f33_a_fault_in_what_judges_is_risk_off, ["the lease ran out", "the page held nonsense"],
        "a fault inside what judges the halt is risk-off itself",
        Line(e::f33_a_fault_in_what_judges_is_risk_off);
    "F34", f34_a_missing_price_is_no_reason_to_flatten, ["no price"],
        "no false flatten; an operator's flatten waits for a price and is then carried out",
        Line(e::f34_a_missing_price_is_no_reason_to_flatten);
    "F35", f35_a_stop_is_for_good, ["stopped again"],
        "a stop repeated changes nothing, ends only when the venue says zero, and a restart recreates nothing",
        Process(p::f35_a_stop_is_for_good);
    "F36", f36_a_shutdown_does_not_hang_on_a_dead_venue, ["venue black-holed"],
        "exits within a deadline (Binance spot has no dead man's switch that would cover the rest)",
        Process(p::f36_a_shutdown_does_not_hang_on_a_dead_venue);
    "F37", f37_a_flatten_ends_when_the_venue_says_flat, ["filled before the cancel"],
        "loops until the venue is flat, reduce-only, and never turns the position over",
        Line(e::f37_a_flatten_ends_when_the_venue_says_flat);
    "F38", f38_a_limit_that_is_swung_over_makes_no_turnover,
        ["exposure swung over its limit", "entry refused at the limit"],
        "no ping-pong: a limit refuses entries and never sells, whatever the market does",
        Line(e::f38_a_limit_that_is_swung_over_makes_no_turnover);
    "F39", f39_no_dead_mans_switch_at_the_venue, [],
        "a switch that fired is noticed and re-armed before quoting",
        Way::NotHere("Binance spot has no dead man's switch and no cancel on disconnect; ours is the lease (F33)");
    "F40", f40_a_second_engine_of_another_configuration_does_not_arm, ["a second engine was started"],
        "no second engine arms beside a running one, whatever its configuration (live: sign-offs bind to one hash)",
        Process(p::f40_a_second_engine_of_another_configuration_does_not_arm);
}

/// The catalogue's numbers: none is missing, none twice; and the document shows the table as it is.
#[test]
fn the_catalogue_is_whole_and_its_document_says_so() {
    let wanted: Vec<String> = (1..=24).chain(30..=40).map(|n| format!("F{n}")).collect();
    let there = |id: &String| ROWS.iter().filter(|row| row.id == id).count();
    for id in &wanted {
        assert_eq!(there(id), 1, "{id}");
    }
    assert_eq!(ROWS.len(), wanted.len());
    let count = |is: fn(&Way) -> bool| ROWS.iter().filter(|row| is(&row.way)).count();
    let not_here = count(|way| matches!(way, Way::NotHere(_)));
    println!(
        "{} rows: {} over the line, {} over the binary, {not_here} not here",
        ROWS.len(),
        count(|way| matches!(way, Line(_))),
        count(|way| matches!(way, Process(_)))
    );
    let document = include_str!("../../docs/faults.md");
    for row in ROWS {
        let line = line_of(row);
        assert!(document.contains(&line), "docs/faults.md must have this line:\n{line}");
    }
}

/// A row as the document shows it.
fn line_of(row: &Row) -> String {
    let (id, name, rule) = (row.id, row.name, row.rule);
    match row.way {
        Way::NotHere(why) => format!("| {id} | not here: {why} | {rule} | |"),
        Line(_) | Process(_) => {
            format!("| {id} | `{name}` | {rule} | `cargo test --test faults {name}` |")
        }
    }
}

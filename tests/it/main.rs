//! The integration tests: one binary, one module for each question. Tests that need real recordings look in `../shared/data`
//! beside the project and say "skipped: no recordings" where it is absent.
#![expect(clippy::print_stdout, reason = "tests say why they skip and which seed they use")]
#![expect(clippy::unwrap_used, reason = "a helper of tests may panic as the tests themselves do")]

mod aftermath;
mod binance_account;
mod binance_market;
mod binance_orders;
mod binance_recording;
mod binance_rest;
mod binance_support;
mod carry;
mod control;
mod control_deeds;
mod control_rig;
mod control_socket;
mod emergency;
mod exchange;
mod exchange_external;
mod exchange_model;
mod feed;
mod fill;
mod flow;
mod flow_strategies;
mod gateway;
mod halt;
mod journal_codec;
mod journal_crash;
mod journal_disk;
mod journal_files;
mod journal_support;
mod journal_tamper;
mod journal_writer;
mod kill;
mod layers;
mod market;
mod modes;
mod net;
mod ops;
mod peer;
mod plan;
mod readiness;
mod reconcile;
mod risk;
mod rules;
mod sign;
mod signal;
mod strategy;
mod support;
mod values;
mod venue_faults;
mod venue_replay;
mod venue_server;
mod venue_support;
mod ws;

//! The engine and its verbs.

mod args;

use clap::Parser;

fn main() {
    let _cli = args::Cli::parse();
}

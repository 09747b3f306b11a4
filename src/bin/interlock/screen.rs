//! What `interlock run` shows: a live table on a terminal, short lines elsewhere, and the summary at the end.

use std::fmt::Write as _;
use std::io::Write as _;

use interlock::ops::status::Status;
use interlock::run::session::{Ended, Session};

/// Frames between two lines where there is no terminal.
const FRAMES_PER_LINE: u32 = 10;

/// The terminal, or what stands in for it.
#[derive(Debug)]
pub(crate) struct Screen {
    live: bool,
    frames: u32,
    was_trading: Option<bool>,
    /// The standing of each link as it was told last.
    links: Vec<(String, bool, String)>,
}

impl Screen {
    pub(crate) const fn new(live: bool) -> Self {
        Self { live, frames: 0, was_trading: None, links: Vec::new() }
    }

    /// What is about to run.
    pub(crate) fn banner(session: &Session) {
        let threads: Vec<String> = session
            .placement
            .threads
            .iter()
            .map(|t| match t.core {
                Some(core) => format!("{} on core {core} ({:?})", t.name(), t.idle),
                None => format!("{} unpinned ({:?})", t.name(), t.idle),
            })
            .collect();
        line(&format!("session {}: {}", session.session, threads.join(", ")));
        if let Some(cut) = &session.recovered {
            line(&format!(
                "the journal's tail was cut off from record {} on ({} at byte {}: {}): what a crash leaves; nothing behind it \
                 was durable, and the cut is recorded",
                cut.first_bad_seq, cut.file, cut.offset, cut.why
            ));
        }
    }

    /// One look.
    pub(crate) fn draw(&mut self, status: &Status) {
        if self.was_trading != Some(status.kill.trading) {
            if self.was_trading.is_some() || status.kill.trading {
                line(if status.kill.trading {
                    match status.mode.as_str() {
                        "shadow" => "armed: decisions are recorded as they would be sent, and nothing can be",
                        "live" => "armed: orders go to the live venue; `interlock kill trip` stops them",
                        _ => "armed: trading is possible; `interlock kill trip` stops it",
                    }
                } else {
                    "tripped: nothing that adds risk leaves"
                });
            }
            self.was_trading = Some(status.kill.trading);
        }
        self.tell_links(status);
        self.frames += 1;
        if self.live {
            let _closed = write!(std::io::stdout(), "\x1b[H\x1b[J{}\n\n(Ctrl-C stops)\n", status.render());
            let _closed = std::io::stdout().flush();
        } else if self.frames % FRAMES_PER_LINE == 1 {
            line(&one_line(status));
        }
    }

    /// Tells of each connection that goes down or changes why, and of its return.
    fn tell_links(&mut self, status: &Status) {
        // A connection that is being made is no news; how it ends is.
        for link in status.view.links.iter().filter(|l| l.up || l.reason != "CONNECTING") {
            let now = (link.link.clone(), link.up, link.reason.clone());
            let before = self.links.iter_mut().find(|(name, ..)| *name == link.link);
            let was_up = before.as_ref().is_none_or(|(_, up, _)| *up);
            match before {
                Some(told) if *told == now => continue,
                Some(told) => *told = now,
                None => self.links.push(now),
            }
            if link.up && !was_up {
                line(&format!("link {} is up again", link.link));
            } else if !link.up {
                line(&format!(
                    "link {} is down: {}{}",
                    link.link,
                    link.reason,
                    hint(&link.link, &link.reason)
                ));
            }
        }
    }
}

/// What to do about a link that is down, where it is known.
fn hint(link: &str, reason: &str) -> &'static str {
    match (link, reason) {
        ("account" | "orders", "REFUSED") => {
            " (the venue refused the logon: is the API key this venue's own, and may it trade?)"
        }
        (_, "TLS") => " (the venue's certificate is not accepted: is the CA file this venue's own?)",
        _ => "",
    }
}

fn line(text: &str) {
    let _closed = writeln!(std::io::stderr(), "{text}");
}

fn one_line(status: &Status) -> String {
    let totals = &status.view.totals;
    format!(
        "{:>4} s  facts {}  orders {}  fills {}  refused {}  open {}  {}",
        status.uptime_s,
        status.view.fact_seq,
        totals.orders_sent,
        totals.fills,
        totals.refused,
        status.kill.open_orders,
        if status.kill.trading { "armed" } else { &status.kill.level }
    )
}

/// How the session went.
pub(crate) fn summary(name: &str, status: Option<&Status>, ended: &Ended) -> String {
    let mut text = String::new();
    let view = &ended.snapshot;
    let totals = &view.totals;
    let _infallible = writeln!(text, "\nsession {name}");
    let _infallible = writeln!(
        text,
        "orders sent {}, fills {}, rejected by the venue {}, refused by risk {}, unknown {}",
        totals.orders_sent, totals.fills, totals.rejected, totals.refused, totals.unknown
    );
    for line in &view.instruments {
        let _infallible = writeln!(
            text,
            "{:<10} position {}  realised {}  fees {}  fills {}",
            line.symbol, line.position, line.realised, line.fees, line.fills
        );
    }
    for refusal in &view.refusals {
        let _infallible =
            writeln!(text, "refused {:<20} {}", refusal.reason, refusal.refused + refusal.withheld);
    }
    if let Some(status) = status {
        let _infallible = writeln!(text, "\n{}", status.render_latency());
    }
    if !ended.all_cancelled {
        let _infallible =
            writeln!(text, "WARNING: {} orders may still be open; run interlock-halt", ended.open_orders);
    }
    text
}

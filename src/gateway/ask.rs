//! Something that is asked of the venue, again until it is answered, at a pace that slows down.

use crate::types::Now;
use crate::types::time::NS_PER_S;

/// Longest pause between two asks of the same thing. A list of all open orders costs 80 of the venue's 6,000 a minute, and
/// a halt must hear the answer soon.
pub const PAUSE_LONGEST_NS: i64 = 2 * NS_PER_S;

/// A question and where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ask {
    is_wanted: bool,
    outstanding: Option<Now>,
    /// When the last answered one was asked.
    answered: Option<Now>,
    next_mono_ns: i64,
    pause_ns: i64,
    first_ns: i64,
    timeout_ns: i64,
}

impl Ask {
    /// Not wanted yet. `first_ns` is the first pause, `timeout_ns` how long an answer may take.
    pub const fn new(first_ns: i64, timeout_ns: i64) -> Self {
        Self {
            is_wanted: false,
            outstanding: None,
            answered: None,
            next_mono_ns: i64::MIN,
            pause_ns: first_ns,
            first_ns,
            timeout_ns,
        }
    }

    /// An answer to a question asked from now on is wanted; the pace goes on.
    pub fn want(&mut self) {
        self.is_wanted = true;
    }

    /// The same, without waiting and whatever is under way.
    pub fn want_at_once(&mut self, now: Now) {
        self.is_wanted = true;
        self.outstanding = None;
        self.pause_ns = self.first_ns;
        self.next_mono_ns = now.mono_ns;
    }

    /// Whether it is to be asked now.
    pub const fn is_due(&self, now: Now) -> bool {
        let is_free = match self.outstanding {
            Some(asked) => now.mono_ns - asked.mono_ns >= self.timeout_ns,
            None => true,
        };
        self.is_wanted && is_free && now.mono_ns >= self.next_mono_ns
    }

    /// It was asked.
    pub fn asked(&mut self, now: Now) {
        self.outstanding = Some(now);
        self.next_mono_ns = now.mono_ns + self.pause_ns;
        self.pause_ns = (self.pause_ns * 2).min(PAUSE_LONGEST_NS);
    }

    /// The answer came: when its question was asked; `None` if nothing was.
    pub fn answered(&mut self) -> Option<Now> {
        let asked = self.outstanding.take()?;
        self.answered = Some(asked);
        self.is_wanted = false;
        Some(asked)
    }

    /// What was under way came to nothing; it is asked again at its pace.
    pub fn failed(&mut self) {
        self.outstanding = None;
    }

    /// When the question was asked that was answered last, if that was at or after a moment.
    pub fn answered_since(&self, mono_ns: i64) -> Option<Now> {
        self.answered.filter(|asked| asked.mono_ns >= mono_ns)
    }

    /// Nothing is asked any more: the next want starts at the first pace.
    pub fn rest(&mut self) {
        self.pause_ns = self.first_ns;
    }
}

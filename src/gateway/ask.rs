//! Something that is asked of the venue, again until it is answered, at a pace that slows down.

use crate::types::Now;
use crate::types::time::NS_PER_S;

/// Longest pause between two asks of the same thing. A list of all open orders costs 80 of the venue's 6,000 a minute, and
/// a halt must hear the answer soon.
pub const PAUSE_LONGEST_NS: i64 = 2 * NS_PER_S;

/// Questions that may be unanswered at once and are still told apart.
const OUTSTANDING_MAX: usize = 8;

/// A question and where it stands.
///
/// An answer does not say to which asking it belongs, so it is taken as the answer to the oldest one that has had none: never
/// as newer evidence than it is. If an answer is lost for good, all later ones count as one round older than they are,
/// until the connection changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ask {
    is_wanted: bool,
    /// When it was asked without an answer so far, oldest first.
    outstanding: [Now; OUTSTANDING_MAX],
    outstanding_len: usize,
    /// Monotonic time of the last asking.
    asked_mono_ns: i64,
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
            outstanding: [Now { ns: 0, mono_ns: 0 }; OUTSTANDING_MAX],
            outstanding_len: 0,
            asked_mono_ns: i64::MIN,
            answered: None,
            next_mono_ns: i64::MIN,
            pause_ns: first_ns,
            first_ns,
            timeout_ns,
        }
    }

    /// An answer is wanted; the pace goes on.
    pub fn want(&mut self) {
        self.is_wanted = true;
    }

    /// The same, without waiting and whatever is under way.
    pub fn want_at_once(&mut self, now: Now) {
        self.is_wanted = true;
        self.asked_mono_ns = i64::MIN;
        self.pause_ns = self.first_ns;
        self.next_mono_ns = now.mono_ns;
    }

    /// Whether it is to be asked now.
    pub const fn is_due(&self, now: Now) -> bool {
        let is_free = self.outstanding_len == 0
            || self.asked_mono_ns == i64::MIN
            || now.mono_ns - self.asked_mono_ns >= self.timeout_ns;
        self.is_wanted && is_free && now.mono_ns >= self.next_mono_ns
    }

    /// It was asked.
    pub fn asked(&mut self, now: Now) {
        if self.outstanding_len < OUTSTANDING_MAX {
            self.outstanding[self.outstanding_len] = now;
            self.outstanding_len += 1;
        }
        self.asked_mono_ns = now.mono_ns;
        self.next_mono_ns = now.mono_ns + self.pause_ns;
        self.pause_ns = (self.pause_ns * 2).min(PAUSE_LONGEST_NS);
    }

    /// It could not be asked after all.
    pub fn not_asked(&mut self) {
        self.outstanding_len = self.outstanding_len.saturating_sub(1);
        self.asked_mono_ns = i64::MIN;
    }

    /// The answer came: when its question was asked; `None` if nothing was.
    pub fn answered(&mut self) -> Option<Now> {
        if self.outstanding_len == 0 {
            return None;
        }
        let asked = self.outstanding[0];
        self.outstanding.copy_within(1.., 0);
        self.outstanding_len -= 1;
        self.answered = Some(asked);
        self.is_wanted = false;
        Some(asked)
    }

    /// The venue refused to answer; it is asked again at its pace.
    pub fn failed(&mut self) {
        self.asked_mono_ns = i64::MIN;
    }

    /// The connection is gone, and every answer with it.
    pub fn lost(&mut self) {
        self.outstanding_len = 0;
        self.asked_mono_ns = i64::MIN;
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

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> Now {
        Now { ns: ms * 1_000_000, mono_ns: ms * 1_000_000 }
    }

    #[test]
    fn a_late_answer_is_never_taken_for_newer_evidence() {
        let mut ask = Ask::new(100_000_000, 2 * NS_PER_S);
        ask.want();
        assert!(ask.is_due(at(0)));
        ask.asked(at(0));
        assert!(!ask.is_due(at(1_999)));
        assert!(ask.is_due(at(2_000)), "no answer in time");
        ask.asked(at(2_000));
        // The answer to the first comes now.
        assert_eq!(ask.answered(), Some(at(0)));
        assert_eq!(ask.answered_since(1), None);
        assert_eq!(ask.answered(), Some(at(2_000)));
        assert_eq!(ask.answered(), None, "nobody asked");
    }

    #[test]
    fn the_pace_slows_down_and_rests() {
        let mut ask = Ask::new(100_000_000, 0);
        let mut times = Vec::new();
        for ms in 0..10_000 {
            ask.want();
            if ask.is_due(at(ms)) {
                ask.asked(at(ms));
                ask.answered();
                times.push(ms);
            }
        }
        assert_eq!(times[..5], [0, 100, 300, 700, 1_500]);
        assert_eq!(times[6] - times[5], 2_000);
        ask.rest();
        ask.want_at_once(at(10_000));
        assert!(ask.is_due(at(10_000)));
    }
}

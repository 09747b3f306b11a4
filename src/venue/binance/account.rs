//! The user data session over the WebSocket API: orders, fills and balances of the account as the venue reports them.

use crate::event::Body;
use crate::types::{InstrumentTable, Now, Reason};
use crate::venue::Malformed;
use crate::venue::binance::Credentials;
use crate::wire::json::Padded;
use crate::wire::text::TextBuf;

/// What a message was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountEvent {
    /// An event of the account; its bodies were given out.
    Data,
    /// The session is logged on; the next request is due.
    LoggedOn,
    /// The subscription stands.
    Subscribed,
    /// Logon or subscription was refused.
    Refused {
        /// The venue's error code.
        code: i32,
    },
    /// The account changed in a way that the event does not spell out: ask for the balances.
    Refresh,
    /// The venue ended the subscription: connect anew.
    Terminated,
    /// The venue will close the connection soon.
    ServerShutdown,
    /// Of no concern.
    Ignored,
}

/// The user data session.
#[derive(Debug)]
pub struct AccountSession {
    credentials: Credentials,
}

impl AccountSession {
    /// A session for the table's instruments and assets.
    pub fn new(_table: &InstrumentTable, credentials: Credentials) -> Self {
        Self { credentials }
    }
    /// Path and query to open.
    pub fn path(&self) -> String {
        String::new()
    }
    /// The connection is open.
    pub fn handle_open(&mut self, _now: Now) {}
    /// The connection is gone.
    pub fn handle_closed(&mut self, _reason: Reason) {}
    /// Writes the next request that is due (logon, subscribe), each once; false when none is.
    pub fn request(&mut self, _timestamp_ms: i64, _text: &mut TextBuf) -> bool {
        self.credentials.needs_logon()
    }
    /// Whether events flow.
    pub fn is_subscribed(&self) -> bool {
        false
    }
    /// Whether the connection nears the venue's 24 hours.
    pub fn poll_renewal(&self, _now: Now) -> bool {
        false
    }
    /// One message.
    pub fn handle_text(
        &mut self,
        _message: Padded<'_>,
        _now: Now,
        _out: &mut impl FnMut(Body),
    ) -> Result<AccountEvent, Malformed> {
        Ok(AccountEvent::Ignored)
    }
    /// The text of the last refusal, for the cold log.
    pub fn last_refusal(&self) -> &str {
        ""
    }
}

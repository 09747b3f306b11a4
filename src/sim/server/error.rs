//! Errors as the venue words them: an HTTP status, a code and a message, sometimes with data.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::Value;

use crate::types::DecimalError;

/// An error answer.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ApiError {
    /// HTTP status, also the `status` of a WebSocket API reply.
    pub(super) status: u16,
    /// The venue's code.
    pub(super) code: i32,
    /// The venue's message.
    pub(super) msg: Cow<'static, str>,
    /// Further data, if the venue gives some.
    pub(super) data: Option<Value>,
    /// Seconds to wait (429 and 418).
    pub(super) retry_after_s: Option<i64>,
}

#[derive(Serialize)]
struct Body<'a> {
    code: i32,
    msg: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a Value>,
}

impl ApiError {
    /// Any error with a status of its own.
    pub(super) fn with_status(status: u16, code: i32, msg: impl Into<Cow<'static, str>>) -> Self {
        Self { status, code, msg: msg.into(), data: None, retry_after_s: None }
    }
    /// A refused request (400).
    pub(super) fn new(code: i32, msg: impl Into<Cow<'static, str>>) -> Self {
        Self::with_status(400, code, msg)
    }
    pub(super) fn missing(name: &str) -> Self {
        Self::new(-1102, format!("Mandatory parameter '{name}' was not sent, was empty/null, or malformed."))
    }
    pub(super) fn empty(name: &str) -> Self {
        Self::new(-1105, format!("Parameter '{name}' was empty."))
    }
    pub(super) fn illegal(name: &str) -> Self {
        Self::new(-1100, format!("Illegal characters found in parameter '{name}'."))
    }
    pub(super) fn bad_enum(name: &str) -> Self {
        match name {
            "side" => Self::new(-1117, "Invalid side."),
            "type" => Self::new(-1116, "Invalid orderType."),
            "timeInForce" => Self::new(-1115, "Invalid timeInForce."),
            "interval" => Self::new(-1120, "Invalid interval."),
            _ => Self::new(-1130, format!("Data sent for parameter '{name}' is not valid.")),
        }
    }
    pub(super) fn decimal(name: &str, error: DecimalError) -> Self {
        match error {
            DecimalError::TooManyDecimals { .. } => {
                Self::new(-1111, format!("Parameter '{name}' has too much precision."))
            }
            _ => Self::illegal(name),
        }
    }
    pub(super) fn combination() -> Self {
        Self::new(-1128, "Combination of optional parameters invalid.")
    }
    pub(super) fn symbol() -> Self {
        Self::new(-1121, "Invalid symbol.")
    }
    pub(super) fn unauthorised() -> Self {
        Self::with_status(401, -2015, "Invalid API-key, IP, or permissions for action.")
    }
    /// The outcome is not known: the caller must ask, not repeat.
    pub(super) fn timeout() -> Self {
        Self::with_status(
            503,
            -1007,
            "Timeout waiting for response from backend server. Send status unknown; execution status unknown.",
        )
    }
    /// Too much; `banned` when it was too much for too long.
    pub(super) fn too_many(banned: bool, retry_after_s: i64, why: &str) -> Self {
        let status = if banned { 418 } else { 429 };
        let mut error = Self::with_status(status, -1003, why.to_owned());
        error.retry_after_s = Some(retry_after_s);
        error
    }

    /// The answer's JSON: what REST sends as its body and the WebSocket API as `error`.
    pub(super) fn json(&self) -> String {
        let body = Body { code: self.code, msg: &self.msg, data: self.data.as_ref() };
        serde_json::to_string(&body).unwrap_or_else(|_| "{}".to_owned())
    }
}

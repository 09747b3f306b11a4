//! Heads of HTTP/1.1 responses, borrowed from the bytes that hold them. Only what a WebSocket handshake needs: no bodies, no
//! chunking, no continuation lines; REST goes through a real HTTP client.

use crate::limits;

/// Headers that a head may have. Binance sends about 12, Cloudflare in front of Kraken about 20.
const HEADERS_MAX: usize = 64;

/// Why a head can't be had from these bytes. The peer is to blame for both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeadError {
    /// Not HTTP/1.x, or more headers than we take.
    Malformed,
    /// No end within [`limits::HTTP_HEAD_BYTES_MAX`].
    TooLarge,
}

/// The head of a response.
#[derive(Debug)]
pub struct ResponseHead<'b> {
    /// HTTP status.
    pub status: u16,
    /// Minor version: 1 for HTTP/1.1.
    pub minor_version: u8,
    /// Bytes of the head with its closing empty line: what follows is the body, or the first frame.
    pub bytes: usize,
    headers: [httparse::Header<'b>; HEADERS_MAX],
    headers_len: usize,
}

impl<'b> ResponseHead<'b> {
    /// Parses the head at the start of `bytes`; `None` while its end hasn't come yet.
    pub fn parse(bytes: &'b [u8]) -> Result<Option<Self>, HeadError> {
        let window = &bytes[..bytes.len().min(limits::HTTP_HEAD_BYTES_MAX)];
        let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut response = httparse::Response::new(&mut headers);
        match response.parse(window) {
            Ok(httparse::Status::Complete(head_bytes)) => {
                let (Some(status), Some(minor_version)) = (response.code, response.version) else {
                    return Err(HeadError::Malformed);
                };
                let headers_len = response.headers.len();
                Ok(Some(Self { status, minor_version, bytes: head_bytes, headers, headers_len }))
            }
            Ok(httparse::Status::Partial) if window.len() == limits::HTTP_HEAD_BYTES_MAX => {
                Err(HeadError::TooLarge)
            }
            Ok(httparse::Status::Partial) => Ok(None),
            Err(_) => Err(HeadError::Malformed),
        }
    }

    /// Values of the headers called `name` (letter case ignored), in order, trimmed.
    pub fn values<'h>(&'h self, name: &'h str) -> impl Iterator<Item = &'b [u8]> + 'h {
        self.headers[..self.headers_len]
            .iter()
            .filter(move |h| h.name.eq_ignore_ascii_case(name))
            .map(|h| h.value.trim_ascii())
    }

    /// Whether a comma-separated list header holds `token` (letter case ignored).
    pub fn has_token(&self, name: &str, token: &str) -> bool {
        self.values(name)
            .flat_map(|v| v.split(|&b| b == b','))
            .any(|v| v.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
    }

    /// `Retry-After` in seconds. The date form is not read: venues send seconds.
    pub fn retry_after_s(&self) -> Option<u32> {
        let value = self.values("retry-after").next()?;
        core::str::from_utf8(value).ok()?.parse().ok()
    }
}

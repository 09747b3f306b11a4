//! The HTTP upgrade: our request, and whether the answer is one to it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::error::{Misbehaviour, WsError};
use crate::wire::http::{HeadError, ResponseHead};

const KEY_TEXT_BYTES: usize = 24;
const ACCEPT_TEXT_BYTES: usize = 28;
/// RFC 6455 section 1.3.
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// An upgrade that waits for its answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Handshake {
    accept: [u8; ACCEPT_TEXT_BYTES],
}

impl Handshake {
    /// Writes the request and remembers what the answer must say.
    ///
    /// # Panics
    /// When `host` or `path` could break out of its line: the address parser must have refused them.
    pub(super) fn start(host: &str, path: &str, nonce: u128, request: &mut Vec<u8>) -> Self {
        let is_clean = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic());
        assert!(
            is_clean(host) && is_clean(path) && path.starts_with('/'),
            "host and path are checked at parsing"
        );
        let mut key = [0; KEY_TEXT_BYTES];
        let key_len = STANDARD.encode_slice(nonce.to_le_bytes(), &mut key);
        assert_eq!(key_len, Ok(KEY_TEXT_BYTES), "16 bytes are 24 letters in base64");
        for piece in [
            b"GET ".as_slice(),
            path.as_bytes(),
            b" HTTP/1.1\r\nHost: ",
            host.as_bytes(),
            b"\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ",
            &key,
            concat!("\r\nUser-Agent: interlock/", env!("CARGO_PKG_VERSION"), "\r\n\r\n").as_bytes(),
        ] {
            request.extend_from_slice(piece);
        }
        Self { accept: accept_for(&key) }
    }

    /// Reads the answer: the bytes of its head when it is there and upgrades, `None` while it is not all there.
    pub(super) fn handle_answer(&self, bytes: &[u8]) -> Result<Option<usize>, WsError> {
        let head = match ResponseHead::parse(bytes) {
            Ok(Some(head)) => head,
            Ok(None) => return Ok(None),
            Err(HeadError::TooLarge) => return Err(WsError::HeadTooLarge),
            Err(HeadError::Malformed) => return Err(Misbehaviour::BadHead.into()),
        };
        if head.status != 101 {
            return Err(WsError::HandshakeRefused {
                status: head.status,
                retry_after_s: head.retry_after_s(),
            });
        }
        if head.minor_version != 1 {
            return Err(Misbehaviour::BadHead.into());
        }
        if !head.has_token("upgrade", "websocket") || !head.has_token("connection", "upgrade") {
            return Err(Misbehaviour::NotUpgraded.into());
        }
        let mut accepts = head.values("sec-websocket-accept");
        if accepts.next() != Some(self.accept.as_slice()) || accepts.next().is_some() {
            return Err(Misbehaviour::BadAccept.into());
        }
        let is_given = |name| head.values(name).any(|v| !v.is_empty());
        if is_given("sec-websocket-extensions") || is_given("sec-websocket-protocol") {
            return Err(Misbehaviour::NotOffered.into());
        }
        Ok(Some(head.bytes))
    }
}

/// SHA-1 is broken for signatures; here it only shows that the answer was made for this request.
fn accept_for(key: &[u8; KEY_TEXT_BYTES]) -> [u8; ACCEPT_TEXT_BYTES] {
    let mut context = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY);
    context.update(key);
    context.update(GUID);
    let mut accept = [0; ACCEPT_TEXT_BYTES];
    let len = STANDARD.encode_slice(context.finish(), &mut accept);
    assert_eq!(len, Ok(ACCEPT_TEXT_BYTES), "20 bytes are 28 letters in base64");
    accept
}

#[cfg(test)]
mod tests {
    #[test]
    fn accept_is_the_one_of_rfc_6455() {
        assert_eq!(&super::accept_for(b"dGhlIHNhbXBsZSBub25jZQ=="), b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }
}

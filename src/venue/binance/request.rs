//! Requests of the WebSocket API as text. New orders and replaces are rendered into templates made once for each
//! instrument, side and type; everything else is written parameter by parameter. Nothing allocates.
//!
//! What is signed is the parameters sorted by name as `k=v&...`, raw; the text itself may have them in any order, so
//! what varies stands at its end.
//!
//! Answers are asked for as `ACK`: the venue sends it before it has matched, it is the shortest, and fills are booked
//! from execution reports alone, which carry trade ids. A fill told twice, once without an id, could not be told apart
//! from two fills.

use core::fmt;
use core::ops::Range;

use zeroize::Zeroizing;

use crate::event::OrderSpec;
use crate::types::{
    ClientOrderId, Instrument, InstrumentId, InstrumentTable, OrderType, Price, Qty, Side, TimeInForce,
};
use crate::venue::binance::Credentials;
use crate::venue::binance::credentials::Signer;
use crate::venue::binance::orders::EncodeError;
use crate::wire::number::{render, render_uint};
use crate::wire::sign::HmacPrefix;
use crate::wire::text::{TextBuf, TextFull};

impl From<TextFull> for EncodeError {
    fn from(_: TextFull) -> Self {
        Self::TooLong
    }
}

/// What a request is, as the first letter of its id. The rest of the id is sixteen hexadecimal digits: the client order
/// id of the intent, or a count. So the text of an order's request follows from the order, and a replay makes the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Letter {
    Place,
    Cancel,
    Replace,
    CancelAll,
    OpenOrders,
    OrderStatus,
    Account,
    Time,
    Logon,
    Subscribe,
}

impl Letter {
    const ALL: [(Self, u8); 10] = [
        (Self::Place, b'p'),
        (Self::Cancel, b'c'),
        (Self::Replace, b'r'),
        (Self::CancelAll, b'a'),
        (Self::OpenOrders, b'o'),
        (Self::OrderStatus, b's'),
        (Self::Account, b'b'),
        (Self::Time, b't'),
        (Self::Logon, b'l'),
        (Self::Subscribe, b'u'),
    ];
    const fn byte(self) -> u8 {
        Self::ALL[self as usize].1
    }
}

/// A request's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RequestId {
    pub(super) letter: Letter,
    pub(super) number: u64,
}

/// Length of an id's text.
const ID_LEN: usize = 17;

impl RequestId {
    pub(super) const fn text(self) -> [u8; ID_LEN] {
        let mut out = [self.letter.byte(); ID_LEN];
        let mut i = 1;
        while i < ID_LEN {
            let digit = (self.number >> (4 * (ID_LEN - 1 - i))) & 15;
            out[i] = b"0123456789abcdef"[digit as usize];
            i += 1;
        }
        out
    }
    /// `None` for an id that is not ours.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (first, digits) = text.as_bytes().split_first()?;
        let (letter, _) = Letter::ALL.into_iter().find(|(_, byte)| byte == first)?;
        if digits.len() != ID_LEN - 1 || !digits.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
        let number = u64::from_str_radix(text.get(1..)?, 16).ok()?;
        Some(Self { letter, number })
    }
}

const _: () = {
    let mut i = 0;
    while i < Letter::ALL.len() {
        assert!(Letter::ALL[i].0 as usize == i, "letters are looked up by their number");
        i += 1;
    }
};

/// Where a request's secret parts stand in its text; empty where it carries none. They are left out of the journal's checksum.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Secrets {
    /// The API key's name.
    pub key: Range<usize>,
    /// The signature.
    pub signature: Range<usize>,
}

/// The signed text of a request, after the part that is in the prepared prefix.
struct Payload {
    buf: [u8; PAYLOAD_MAX],
    len: usize,
}

/// Longest payload: every parameter of a replace is under 400 bytes.
const PAYLOAD_MAX: usize = 768;

impl Payload {
    #[inline]
    const fn new() -> Self {
        Self { buf: [0; PAYLOAD_MAX], len: 0 }
    }
    #[inline]
    fn push(&mut self, bytes: &[u8]) -> Result<(), TextFull> {
        self.buf.get_mut(self.len..self.len + bytes.len()).ok_or(TextFull)?.copy_from_slice(bytes);
        self.len += bytes.len();
        Ok(())
    }
    #[inline]
    fn text(&self) -> &[u8] {
        &self.buf[..self.len]
    }
}

/// The fixed parts of a new order's request.
struct Template {
    /// From `","newOrderRespType"...` to `"timestamp":`. Holds the API key.
    text: Zeroizing<Vec<u8>>,
    /// Where the key stands in `text`; empty where it holds none.
    key: Range<usize>,
    /// Signed, from `&newOrderRespType` up to the price, or to the quantity of a market order.
    signed_start: &'static [u8],
    /// Signed, from behind the quantity to `&timestamp=`.
    signed_middle: Vec<u8>,
    /// Signed, behind the timestamp.
    signed_end: Vec<u8>,
    has_price: bool,
    price_decimals: u32,
    qty_decimals: u32,
}

/// The key's field where requests carry it, around the key itself.
const KEY_FIELD: &str = "\"apiKey\":\"";
const KEY_END: &str = "\",";

/// Order shapes: three limit orders by their life, market, post only.
const SHAPES: usize = 5;

const fn shape(order_type: OrderType, time_in_force: TimeInForce) -> usize {
    match order_type {
        OrderType::Limit => time_in_force as usize,
        OrderType::Market => 3,
        OrderType::LimitMaker => 4,
    }
}

fn template_index(instrument: InstrumentId, spec: &OrderSpec) -> usize {
    (instrument.index() * 2 + spec.side as usize) * SHAPES + shape(spec.order_type, spec.time_in_force)
}

impl Template {
    fn new(instrument: &Instrument, side: Side, shape: usize, key: &str, recv_window_ms: u32) -> Self {
        let (kind, life) = [
            ("LIMIT", Some("GTC")),
            ("LIMIT", Some("IOC")),
            ("LIMIT", Some("FOK")),
            ("MARKET", None),
            ("LIMIT_MAKER", None),
        ][shape];
        let (side, symbol) = (side.as_str(), instrument.symbol.as_str());
        let life_json = life.map(|l| format!("\"timeInForce\":\"{l}\",")).unwrap_or_default();
        let life_signed = life.map(|l| format!("&timeInForce={l}")).unwrap_or_default();
        let text = format!(
            "\",\"newOrderRespType\":\"ACK\",\"recvWindow\":{recv_window_ms},\"side\":\"{side}\",\
             \"symbol\":\"{symbol}\",{life_json}\"type\":\"{kind}\",{key}\"timestamp\":"
        );
        let signed_middle =
            format!("&recvWindow={recv_window_ms}&side={side}&symbol={symbol}{life_signed}&timestamp=");
        let has_price = kind != "MARKET";
        let key_len = key.len().saturating_sub(KEY_FIELD.len() + KEY_END.len());
        let key_start = text.len() - "\"timestamp\":".len() - KEY_END.len() - key_len;
        Self {
            key: if key.is_empty() { 0..0 } else { key_start..key_start + key_len },
            text: Zeroizing::new(text.into_bytes()),
            signed_start: if has_price {
                b"&newOrderRespType=ACK&price="
            } else {
                b"&newOrderRespType=ACK&quantity="
            },
            signed_middle: signed_middle.into_bytes(),
            signed_end: format!("&type={kind}").into_bytes(),
            has_price,
            price_decimals: u32::from(instrument.price_decimals),
            qty_decimals: u32::from(instrument.qty_decimals),
        }
    }
}

/// A number's text.
struct Digits {
    buf: [u8; 24],
    len: usize,
}

impl Digits {
    #[inline]
    fn with(write: impl FnOnce(&mut [u8]) -> Option<usize>) -> Option<Self> {
        let mut digits = Self { buf: [0; 24], len: 0 };
        digits.len = write(&mut digits.buf)?;
        Some(digits)
    }
    fn uint(value: u64) -> Result<Self, EncodeError> {
        Self::with(|out| render_uint(out, value)).ok_or(EncodeError::TooLong)
    }
    #[inline]
    fn text(&self) -> &[u8] {
        &self.buf[..self.len]
    }
}

#[inline]
fn price_digits(price: Price, template: &Template) -> Result<Digits, EncodeError> {
    let write = |out: &mut [u8]| render(out, price.units(), Price::DECIMALS, template.price_decimals);
    Digits::with(write).filter(|_| price > Price::ZERO).ok_or(EncodeError::Price)
}

#[inline]
fn qty_digits(qty: Qty, template: &Template) -> Result<Digits, EncodeError> {
    let write = |out: &mut [u8]| render(out, qty.units(), Qty::DECIMALS, template.qty_decimals);
    Digits::with(write).filter(|_| qty > Qty::ZERO).ok_or(EncodeError::Qty)
}

fn timestamp(timestamp_ms: i64) -> Result<Digits, EncodeError> {
    let ms = u64::try_from(timestamp_ms).map_err(|_| EncodeError::NotReady)?;
    Digits::uint(ms)
}

/// A request that is not a new order.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call<'a> {
    pub(super) id: RequestId,
    pub(super) method: &'a str,
    /// A text parameter whose name sorts behind `apiKey` and before `recvWindow`.
    pub(super) param: Option<(&'a str, &'a [u8])>,
    pub(super) symbol: Option<&'a str>,
}

/// Where each HMAC starts: the API key and the name of the parameter that follows it, hashed once.
#[derive(Debug)]
struct Prefixes {
    new_order: HmacPrefix,
    replace: HmacPrefix,
    key: HmacPrefix,
}

/// Writes requests.
pub(super) struct Requests {
    credentials: Credentials,
    recv_window_ms: u32,
    /// `"apiKey":"...",` where each request carries the key, empty where the session is logged on.
    key_json: Zeroizing<String>,
    templates: Vec<Template>,
    /// None where the session is logged on.
    prefixes: Option<Prefixes>,
    symbols: Vec<crate::types::Symbol>,
}

impl fmt::Debug for Requests {
    /// Without the texts: they hold the API key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Requests").field("credentials", &self.credentials).finish_non_exhaustive()
    }
}

impl Requests {
    pub(super) fn new(table: &InstrumentTable, credentials: Credentials, recv_window_ms: u32) -> Self {
        let key = credentials.api_key();
        let (prefixes, key_json) = match &credentials.signer {
            Signer::Hmac(hmac) => {
                let after = |name: &str| hmac.after(format!("apiKey={key}{name}").as_bytes());
                let prefixes = Prefixes {
                    new_order: after("&newClientOrderId="),
                    replace: after("&cancelOrigClientOrderId="),
                    key: after(""),
                };
                (Some(prefixes), format!("{KEY_FIELD}{key}{KEY_END}"))
            }
            Signer::Ed25519(_) => (None, String::new()),
        };
        let mut templates = Vec::with_capacity(table.all().len() * 2 * SHAPES);
        for instrument in table.all() {
            for side in [Side::Buy, Side::Sell] {
                for shape in 0..SHAPES {
                    templates.push(Template::new(instrument, side, shape, &key_json, recv_window_ms));
                }
            }
        }
        let symbols = table.all().iter().map(|i| i.symbol).collect();
        let key_json = Zeroizing::new(key_json);
        Self { credentials, recv_window_ms, key_json, templates, prefixes, symbols }
    }

    pub(super) fn needs_logon(&self) -> bool {
        self.credentials.needs_logon()
    }

    pub(super) fn symbol(&self, instrument: InstrumentId) -> Option<&str> {
        self.symbols.get(instrument.index()).map(crate::types::Symbol::as_str)
    }

    /// A new order; with a target, the target is cancelled first and the order only placed if that succeeds.
    #[inline]
    pub(super) fn order(
        &self,
        instrument: InstrumentId,
        (client, target): (ClientOrderId, Option<ClientOrderId>),
        spec: &OrderSpec,
        timestamp_ms: i64,
        text: &mut TextBuf,
    ) -> Result<Secrets, EncodeError> {
        let template =
            self.templates.get(template_index(instrument, spec)).ok_or(EncodeError::UnknownInstrument)?;
        let price = if template.has_price { Some(price_digits(spec.price, template)?) } else { None };
        let qty = qty_digits(spec.qty, template)?;
        let time = timestamp(timestamp_ms)?;
        let client_text = client.text();
        let letter = if target.is_some() { Letter::Replace } else { Letter::Place };

        text.clear();
        text.push(b"{\"id\":\"")?;
        text.push(&RequestId { letter, number: client.0 }.text())?;
        match target {
            None => text.push(b"\",\"method\":\"order.place\",\"params\":{\"newClientOrderId\":\"")?,
            Some(target) => {
                text.push(b"\",\"method\":\"order.cancelReplace\",\"params\":{\"cancelReplaceMode\":\"")?;
                text.push(b"STOP_ON_FAILURE\",\"cancelOrigClientOrderId\":\"")?;
                text.push(&target.text())?;
                text.push(b"\",\"newClientOrderId\":\"")?;
            }
        }
        text.push(&client_text)?;
        let template_at = text.len();
        text.push(&template.text)?;
        text.push(time.text())?;
        if let Some(price) = &price {
            text.push(b",\"price\":\"")?;
            text.push(price.text())?;
            text.push(b"\"")?;
        }
        text.push(b",\"quantity\":\"")?;
        text.push(qty.text())?;
        let Some(prefixes) = &self.prefixes else {
            text.push(b"\"}}")?;
            return Ok(Secrets::default());
        };
        let mut payload = Payload::new();
        if let Some(target) = target {
            payload.push(&target.text())?;
            payload.push(b"&cancelReplaceMode=STOP_ON_FAILURE&newClientOrderId=")?;
        }
        payload.push(&client_text)?;
        payload.push(template.signed_start)?;
        if let Some(price) = &price {
            payload.push(price.text())?;
            payload.push(b"&quantity=")?;
        }
        payload.push(qty.text())?;
        payload.push(&template.signed_middle)?;
        payload.push(time.text())?;
        payload.push(&template.signed_end)?;
        let prefix = if target.is_some() { &prefixes.replace } else { &prefixes.new_order };
        let signature = prefix.sign(payload.text());
        text.push(b"\",\"signature\":\"")?;
        let at = text.len();
        text.push(signature.as_bytes())?;
        let signature = at..text.len();
        text.push(b"\"}}")?;
        Ok(Secrets { key: template_at + template.key.start..template_at + template.key.end, signature })
    }

    /// A request that is not a new order.
    pub(super) fn other(
        &self,
        call: &Call<'_>,
        timestamp_ms: i64,
        text: &mut TextBuf,
    ) -> Result<Secrets, EncodeError> {
        let Call { id, method, param, symbol } = *call;
        let time = timestamp(timestamp_ms)?;
        let window = Digits::uint(u64::from(self.recv_window_ms))?;
        Self::open(id, method, text)?;
        let key_at = text.len() + KEY_FIELD.len();
        text.push(self.key_json.as_bytes())?;
        if let Some((name, value)) = param {
            debug_assert!(name > "apiKey" && name < "recvWindow", "parameters are signed in order");
            quoted(text, name, value)?;
        }
        text.push(b"\"recvWindow\":")?;
        text.push(window.text())?;
        text.push(b",")?;
        if let Some(symbol) = symbol {
            quoted(text, "symbol", symbol.as_bytes())?;
        }
        text.push(b"\"timestamp\":")?;
        text.push(time.text())?;
        let Some(prefixes) = &self.prefixes else {
            text.push(b"}}")?;
            return Ok(Secrets::default());
        };
        let mut payload = Payload::new();
        if let Some((name, value)) = param {
            payload.push(b"&")?;
            payload.push(name.as_bytes())?;
            payload.push(b"=")?;
            payload.push(value)?;
        }
        payload.push(b"&recvWindow=")?;
        payload.push(window.text())?;
        if let Some(symbol) = symbol {
            payload.push(b"&symbol=")?;
            payload.push(symbol.as_bytes())?;
        }
        payload.push(b"&timestamp=")?;
        payload.push(time.text())?;
        let signature = prefixes.key.sign(payload.text());
        let key = key_at..key_at + self.credentials.api_key().len();
        Ok(Secrets { key, signature: close_signed(text, signature.as_bytes())? })
    }

    /// `session.logon` (Ed25519 only), or `userDataStream.subscribe.signature`: signed by itself, whatever the session.
    pub(super) fn signed_alone(
        &self,
        id: RequestId,
        method: &str,
        timestamp_ms: i64,
        text: &mut TextBuf,
    ) -> Result<Range<usize>, EncodeError> {
        let time = timestamp(timestamp_ms)?;
        let window = Digits::uint(u64::from(self.recv_window_ms))?;
        let key = self.credentials.api_key().as_bytes();
        Self::open(id, method, text)?;
        quoted(text, "apiKey", key)?;
        text.push(b"\"recvWindow\":")?;
        text.push(window.text())?;
        text.push(b",\"timestamp\":")?;
        text.push(time.text())?;
        let mut payload = Payload::new();
        payload.push(b"apiKey=")?;
        payload.push(key)?;
        payload.push(b"&recvWindow=")?;
        payload.push(window.text())?;
        payload.push(b"&timestamp=")?;
        payload.push(time.text())?;
        let signature = self.credentials.sign(payload.text());
        close_signed(text, signature.as_bytes())
    }

    /// A request without parameters.
    pub(super) fn bare(id: RequestId, method: &str, text: &mut TextBuf) -> Result<(), EncodeError> {
        Self::open(id, method, text)?;
        text.push(b"}}")?;
        Ok(())
    }

    fn open(id: RequestId, method: &str, text: &mut TextBuf) -> Result<(), TextFull> {
        text.clear();
        text.push(b"{\"id\":\"")?;
        text.push(&id.text())?;
        text.push(b"\",\"method\":\"")?;
        text.push(method.as_bytes())?;
        text.push(b"\",\"params\":{")
    }
}

fn quoted(text: &mut TextBuf, name: &str, value: &[u8]) -> Result<(), TextFull> {
    text.push(b"\"")?;
    text.push(name.as_bytes())?;
    text.push(b"\":\"")?;
    text.push(value)?;
    text.push(b"\",")
}

fn close_signed(text: &mut TextBuf, signature: &[u8]) -> Result<Range<usize>, EncodeError> {
    text.push(b",\"signature\":\"")?;
    let at = text.len();
    text.push(signature)?;
    let range = at..text.len();
    text.push(b"\"}}")?;
    Ok(range)
}

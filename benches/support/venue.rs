//! What the venue answers: just enough of its grammar that the engine's sessions open, and that each order ends at once, not
//! filled, so that whatever it reserved is free again.

use base64::Engine as _;

/// The venue's rate limits as each answer repeats them, far from used up.
const RATE_LIMITS: &str = "\"rateLimits\":[\
    {\"rateLimitType\":\"REQUEST_WEIGHT\",\"interval\":\"MINUTE\",\"intervalNum\":1,\"limit\":4000000000,\"count\":70},\
    {\"rateLimitType\":\"ORDERS\",\"interval\":\"SECOND\",\"intervalNum\":10,\"limit\":4000000000,\"count\":1}]";

/// Venue time inside answers, microseconds.
const TIME_US: u64 = 1_723_161_253_000_000;

/// The first value of that name in a text of ours, which are all flat.
pub(crate) fn field<'a>(text: &'a str, name: &str) -> &'a str {
    let key = format!("\"{name}\":");
    let at = text.find(&key).unwrap_or_else(|| panic!("no {name} in {text}")) + key.len();
    let rest = &text[at..];
    let end = |marks: &[char]| rest[1..].find(marks).map_or(rest.len(), |end| end + 1);
    if rest.starts_with('"') { &rest[1..end(&['"'])] } else { &rest[..end(&[',', '}'])] }
}

/// The answer to a request, on the connection that it came by.
pub(crate) fn answer(request: &str, number: u64) -> String {
    let id = field(request, "id");
    let result = match field(request, "method") {
        "account.status" => balances(),
        "session.logon" => {
            format!("{{\"apiKey\":\"none\",\"authorizedSince\":{TIME_US},\"serverTime\":{TIME_US}}}")
        }
        "userDataStream.subscribe" => "{\"subscriptionId\":0}".to_owned(),
        "openOrders.status" | "openOrders.cancelAll" => "[]".to_owned(),
        "order.place" => format!(
            "{{\"symbol\":\"{}\",\"orderId\":{number},\"orderListId\":-1,\"clientOrderId\":\"{}\",\"transactTime\":{}}}",
            field(request, "symbol"),
            field(request, "newClientOrderId"),
            TIME_US + number,
        ),
        // Asked when a list of what is open was made while an order stood: by now it has ended.
        "order.status" => format!(
            "{{\"symbol\":\"{}\",\"orderId\":{number},\"clientOrderId\":\"{}\",\"price\":\"0.00000000\",\
             \"origQty\":\"0.00000000\",\"executedQty\":\"0.00000000\",\"status\":\"EXPIRED\",\"side\":\"BUY\",\
             \"updateTime\":{}}}",
            field(request, "symbol"),
            field(request, "origClientOrderId"),
            TIME_US + number,
        ),
        _ => "{}".to_owned(),
    };
    format!("{{\"id\":\"{id}\",\"status\":200,\"result\":{result},{RATE_LIMITS}}}")
}

fn balances() -> String {
    let one = |asset: &str| {
        format!("{{\"asset\":\"{asset}\",\"free\":\"10000000.00000000\",\"locked\":\"0.00000000\"}}")
    };
    let all: Vec<String> = ["BTC", "ETH", "SOL", "USDT"].into_iter().map(one).collect();
    format!("{{\"canTrade\":true,\"updateTime\":{TIME_US},\"balances\":[{}]}}", all.join(","))
}

/// What the account stream then says of an order: taken, and ended without a fill.
pub(crate) fn reports(order: &str, number: u64) -> [String; 2] {
    ["NEW", "EXPIRED"].map(|status| {
        format!(
            "{{\"subscriptionId\":0,\"event\":{{\"e\":\"executionReport\",\"E\":{time},\"s\":\"{symbol}\",\"c\":\"{client}\",\
             \"S\":\"{side}\",\"o\":\"LIMIT\",\"f\":\"IOC\",\"q\":\"{qty}\",\"p\":\"{price}\",\"P\":\"0.00000000\",\
             \"F\":\"0.00000000\",\"g\":-1,\"C\":\"\",\"x\":\"{status}\",\"X\":\"{status}\",\"r\":\"NONE\",\"i\":{number},\
             \"l\":\"0.00000000\",\"z\":\"0.00000000\",\"L\":\"0.00000000\",\"n\":\"0\",\"N\":null,\"T\":{time},\"t\":-1,\
             \"v\":3,\"I\":{number},\"w\":false,\"m\":false,\"M\":false,\"O\":{time},\"Z\":\"0.00000000\",\
             \"Y\":\"0.00000000\",\"Q\":\"0.00000000\",\"W\":{time},\"V\":\"NONE\"}}}}",
            time = TIME_US + number,
            symbol = field(order, "symbol"),
            client = field(order, "newClientOrderId"),
            side = field(order, "side"),
            qty = field(order, "quantity"),
            price = field(order, "price"),
        )
    })
}

/// The body of a REST answer to `depth`.
pub(crate) fn snapshot(update_id: u64, middle_cents: u64) -> String {
    let side = |up: bool| {
        let level = |i: u64| {
            let step = 15_000 + i * 10;
            let price = if up { middle_cents + step } else { middle_cents - step };
            format!("[\"{}.{:02}000000\",\"1.50000000\"]", price / 100, price % 100)
        };
        (0..500).map(level).collect::<Vec<_>>().join(",")
    };
    format!("{{\"lastUpdateId\":{update_id},\"bids\":[{}],\"asks\":[{}]}}", side(false), side(true))
}

/// The answer to an upgrade whose request begins `bytes`, and where that request ends; `None` while it is not all there.
pub(crate) fn upgrade(bytes: &[u8]) -> Option<(String, usize)> {
    let end = bytes.windows(4).position(|w| w == b"\r\n\r\n")? + 4;
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let key = head.lines().find_map(|l| l.strip_prefix("Sec-WebSocket-Key: ")).expect("a key");
    // RFC 6455, section 1.3.
    let text = format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes());
    let accept = base64::engine::general_purpose::STANDARD.encode(hash.as_ref());
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n\r\n"
    );
    Some((answer, end))
}

/// A text as the server's WebSocket frame.
pub(crate) fn server_frame(text: &str) -> Vec<u8> {
    let mut frame = vec![0x81];
    match u16::try_from(text.len()) {
        Ok(len) if len < 126 => frame.push(len.to_le_bytes()[0]),
        Ok(len) => {
            frame.push(126);
            frame.extend_from_slice(&len.to_be_bytes());
        }
        Err(_) => {
            frame.push(127);
            frame.extend_from_slice(&(text.len() as u64).to_be_bytes());
        }
    }
    frame.extend_from_slice(text.as_bytes());
    frame
}

/// Takes the first whole client frame off the bytes and unmasks its text; `None` while it is not all there.
pub(crate) fn take_client_text(bytes: &mut Vec<u8>) -> Option<String> {
    let (head, len) = match *bytes.get(1)? & 127 {
        126 => (8, usize::from(u16::from_be_bytes([*bytes.get(2)?, *bytes.get(3)?]))),
        127 => panic!("no request of ours is that long"),
        len => (6, usize::from(len)),
    };
    if bytes.len() < head + len {
        return None;
    }
    let mask: Vec<u8> = bytes[head - 4..head].to_vec();
    let text = bytes[head..head + len].iter().enumerate().map(|(i, byte)| byte ^ mask[i % 4]).collect();
    bytes.drain(..head + len);
    Some(String::from_utf8(text).expect("requests are ASCII"))
}

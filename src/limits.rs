//! Every bound of the system, with why, and proofs of how the bounds relate. Nothing in the engine grows without one.

/// Instruments of a session. The stages keep fixed tables of this size.
pub const INSTRUMENTS_MAX: usize = 16;
/// Assets of a session: two an instrument and a few that fees are paid in.
pub const ASSETS_MAX: usize = 2 * INSTRUMENTS_MAX + 8;
/// Strategies of a session: `StrategyId` is a byte and 255 is the operator.
pub const STRATEGIES_MAX: usize = 64;
/// Book levels kept a side. Binance serves at most 5,000; diffs can add more, the worst are dropped.
pub const BOOK_LEVELS_MAX: usize = 6_000;
/// Level changes in one fact: what keeps a fact within two cache lines.
pub const LEVELS_PER_FACT: usize = 4;
/// Orders that may be open or unknown at once. Binance allows 200 a symbol; we never come near.
pub const ORDERS_OPEN_MAX: usize = 256;
/// Slots of the order tables: open orders and those that ended lately, for late messages.
pub const ORDER_SLOTS: usize = 1_024;

/// Fills remembered for finding doubled ones; a venue repeats a fill within seconds, not within thousands of fills.
pub const FILLS_REMEMBERED: usize = 4_096;
/// Intents that one fact may cause: what signal must find room for before it takes a fact, and the bound of orders out per
/// signal in (R-LIM-6).
pub const INTENTS_PER_FACT_MAX: usize = 16;

/// How soon an exit that the venue refused is tried again; each refusal in a row doubles it.
pub const EXIT_RETRY_FIRST_NS: i64 = 100_000_000;
/// The longest that it waits for that: a position without its exit is looked at again within the time that the fastest recovery
/// drill allows.
pub const EXIT_RETRY_MAX_NS: i64 = 5_000_000_000;
/// Exits that a venue may refuse in a row on an instrument before that is an incident: by then about three seconds have passed.
pub const EXIT_REFUSALS_MAX: u32 = 6;

/// Slots of the rings between stages. A REST snapshot of 1,000 levels a side is 500 facts and must fit beside the
/// live stream.
pub const LINE_RING_SLOTS: usize = 8_192;
/// Line slots that market data may not use: kept for private facts, commands and replies, so that an execution report
/// always finds room (R-HOT-8).
pub const LINE_RING_RESERVE: usize = 1_024;
/// Slots of a stage's journal ring: a whole stalled disk second at 10,000 records a second.
pub const JOURNAL_RING_SLOTS: usize = 16_384;
/// Longest journal record: a session header holds a whole configuration as escaped JSON text.
pub const JOURNAL_RECORD_BYTES_MAX: usize = 8 << 20;
/// Control records that wait for the journal's thread at once.
pub const JOURNAL_CONTROL_SLOTS: usize = 64;
/// Slots of the one return ring, gateway to feed.
pub const RETURN_RING_SLOTS: usize = 1_024;
/// Slots of the ring of what was found apart from the sessions: every order and fill that a boot may carry over, at once.
pub const FOUND_RING_SLOTS: usize = 1_024;
/// Slots of the command ring, control to feed.
pub const COMMAND_RING_SLOTS: usize = 64;
/// Slots of a stage's latency ring: samples beyond it are dropped and counted, never waited for.
pub const LATENCY_RING_SLOTS: usize = 4_096;

/// Bounded work of one poll: messages, replies or answers that feed and gateway take before they return to their runner.
pub const POLL_BATCH_MAX: usize = 64;
/// The same for what flows on the line. A message may become a dozen facts (book changes), so a stage that shares its thread
/// with feed must take more facts a poll than feed takes messages, or the line fills up under any load.
pub const LINE_BATCH_MAX: usize = 1_024;

/// Longest WebSocket message that we accept. A 5,000-level depth answer over the WebSocket API is about 400 KiB.
pub const WS_MESSAGE_BYTES_MAX: usize = 1 << 20;
/// Bytes of a WebSocket's own messages that may wait to be written: the handshake, logons and subscriptions are a few KiB, a
/// pong at most 131 bytes.
pub const WS_TRANSMIT_BYTES_MAX: usize = 64 << 10;
/// Bytes that a link keeps when the socket is full. Beyond it a write is refused.
pub const LINK_PENDING_BYTES_MAX: usize = 128 << 10;
/// Longest body of a REST answer. A full `exchangeInfo` is about 20 MB.
pub const REST_BODY_BYTES_MAX: usize = 32 << 20;
/// Longest HTTP response head that a handshake may have.
pub const HTTP_HEAD_BYTES_MAX: usize = 16 << 10;
/// Longest request that the gateway encodes (an `order.cancelReplace` is about 900 bytes).
pub const ORDER_TEXT_BYTES_MAX: usize = 2_048;
/// Longest line on a control socket.
pub const CONTROL_LINE_BYTES_MAX: usize = 4_096;
/// Clients of a control socket at once.
pub const CONTROL_CLIENTS_MAX: usize = 8;
/// Working threads whose heartbeats the control thread watches.
pub const HEARTBEATS_MAX: usize = 16;
/// Longest configuration file.
pub const CONFIG_BYTES_MAX: usize = 1 << 20;

const _: () = assert!(
    EXIT_RETRY_FIRST_NS << (EXIT_REFUSALS_MAX - 1) < EXIT_RETRY_MAX_NS,
    "somebody is told before the wait is at its longest"
);
const _: () =
    assert!(LINE_RING_RESERVE * 2 < LINE_RING_SLOTS, "market data must have more room than the reserve");
const _: () = assert!(RETURN_RING_SLOTS <= LINE_RING_RESERVE, "every reply must find room on the line");
const _: () = assert!(FOUND_RING_SLOTS >= 2 * ORDERS_OPEN_MAX, "a boot tells all carried orders at once");
const _: () =
    assert!(ORDERS_OPEN_MAX * 2 <= ORDER_SLOTS, "a table of open orders must leave room for ended ones");
const _: () =
    assert!(LINE_BATCH_MAX >= 16 * POLL_BATCH_MAX, "a message is about a dozen facts at most times");
const _: () = assert!(ORDER_SLOTS.is_power_of_two(), "order slots are found by masking");
const _: () = assert!(INTENTS_PER_FACT_MAX < LINE_RING_RESERVE, "a fact and its intents fit together");
const _: () = assert!(
    CONFIG_BYTES_MAX * 6 < JOURNAL_RECORD_BYTES_MAX,
    "a configuration must fit, even if every byte is escaped"
);
const _: () = assert!(JOURNAL_RING_SLOTS >= LINE_RING_SLOTS, "what the line holds the journal must hold");
const _: () = assert!(
    WS_TRANSMIT_BYTES_MAX >= 8 * ORDER_TEXT_BYTES_MAX && LINK_PENDING_BYTES_MAX >= 2 * WS_TRANSMIT_BYTES_MAX,
    "a batch of cold requests must fit, and a link must be able to keep all that a WebSocket hands it"
);
const _: () = assert!(STRATEGIES_MAX < 255, "255 is the operator");

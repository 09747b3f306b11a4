//! Reason codes: why something was refused, invalid, lost or held back (R-LIM-11). One table; each code is counted, journaled
//! and shown by the same name.

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $text:literal;)*) => {
        /// Why. Codes are stored in journals: never reuse one.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
        #[repr(u16)]
        pub enum Reason {
            $($(#[$doc])* $name = $code,)*
        }
        impl Reason {
            /// Every reason, by code.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];
            /// The stable name that journals, metrics and status answers show.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
            /// From a stored code.
            pub const fn from_code(code: u16) -> Option<Self> {
                match code { $($code => Some(Self::$name),)* _ => None }
            }
        }
    };
}

impl Reason {
    /// Whether the turnover governor held an entry back (R-LIM-7).
    pub const fn is_turnover(self) -> bool {
        matches!(
            self,
            Self::TurnoverInterval
                | Self::TurnoverDaily
                | Self::TurnoverValue
                | Self::TurnoverConfidence
                | Self::Cooldown
        )
    }
}

reasons! {
    /// No reason: all is well.
    #[default]
    None = 0, "NONE";
    // Risk checks.
    /// The kill switch is tripped.
    KillTripped = 1, "KILL_TRIPPED";
    /// The lease ran out: the control thread no longer vouches for the engine.
    LeaseExpired = 2, "LEASE_EXPIRED";
    /// The symbol is not on the allowlist, or not trading at the venue.
    SymbolNotAllowed = 3, "SYMBOL_NOT_ALLOWED";
    /// The order book is not valid.
    BookInvalid = 4, "BOOK_INVALID";
    /// Market data is older than the bound, or none has come.
    MarketDataStale = 5, "MARKET_DATA_STALE";
    /// The price is off the tick grid.
    PriceTick = 6, "PRICE_TICK";
    /// The price is outside the venue's bounds or bands.
    PriceRange = 7, "PRICE_RANGE";
    /// The quantity is off the lot grid.
    QtyStep = 8, "QTY_STEP";
    /// The quantity is outside the venue's bounds.
    QtyRange = 9, "QTY_RANGE";
    /// The notional is outside the venue's bounds.
    NotionalRange = 10, "NOTIONAL_RANGE";
    /// The price is outside our collar around the reference price.
    PriceCollar = 11, "PRICE_COLLAR";
    /// No reference price, or a stale one: the collar can't judge.
    ReferenceMissing = 12, "REFERENCE_MISSING";
    /// The order's value is over our maximum.
    OrderValue = 13, "ORDER_VALUE";
    /// The order's quantity is over our maximum.
    OrderQty = 14, "ORDER_QTY";
    /// The total exposure would be over our maximum.
    TotalExposure = 15, "TOTAL_EXPOSURE";
    /// Too many positions would be open.
    OpenPositions = 16, "OPEN_POSITIONS";
    /// Too many messages in the window.
    MessageThrottle = 17, "MESSAGE_THROTTLE";
    /// The same order came twice.
    DuplicateOrder = 18, "DUPLICATE_ORDER";
    /// Too many open orders.
    OpenOrders = 19, "OPEN_ORDERS";
    /// Not enough free balance.
    Balance = 20, "BALANCE";
    /// The instrument is frozen: an unknown outcome, an overfill or a mismatch must be settled first.
    InstrumentFrozen = 21, "INSTRUMENT_FROZEN";
    /// A reduce-only order would not reduce.
    NotReducing = 22, "NOT_REDUCING";
    /// The venue's clock is too far from ours.
    ClockOffset = 23, "CLOCK_OFFSET";
    /// The venue's clock has not been measured.
    ClockUnknown = 24, "CLOCK_UNKNOWN";
    /// The order would trade with one of our own.
    SelfTrade = 25, "SELF_TRADE";
    /// The target of a cancel is not known.
    UnknownOrder = 26, "UNKNOWN_ORDER";
    /// A number left its range in a check.
    Overflow = 27, "OVERFLOW";
    /// The account has not been read yet.
    AccountUnknown = 28, "ACCOUNT_UNKNOWN";
    /// The engine is stopping.
    Stopping = 29, "STOPPING";
    /// The instrument is not in the session's table.
    UnknownInstrument = 30, "UNKNOWN_INSTRUMENT";
    /// Too many orders, or too much money, from one fact or within the window: orders multiply (C16).
    FanOut = 100, "FAN_OUT";
    /// The strategy was executed too often and is disabled until a named person enables it again (C9).
    RepeatThrottle = 101, "REPEAT_THROTTLE";
    /// The strategy is disabled.
    StrategyDisabled = 102, "STRATEGY_DISABLED";
    /// The instruments that move together would hold too much.
    Correlation = 103, "CORRELATION";
    /// The position on the instrument, or its value, would be over our maximum.
    PositionLimit = 104, "POSITION_LIMIT";
    /// Too soon after the last decision on the instrument.
    TurnoverInterval = 105, "TURNOVER_INTERVAL";
    /// Too many decisions on the instrument today.
    TurnoverDaily = 106, "TURNOVER_DAILY";
    /// The expected gain is not worth its cost.
    TurnoverValue = 107, "TURNOVER_VALUE";
    /// The strategy is not sure enough.
    TurnoverConfidence = 108, "TURNOVER_CONFIDENCE";
    /// Losses in a row on the instrument: it rests.
    Cooldown = 109, "COOLDOWN";
    /// The spread is wide, or much wider than it was, or too few quotes are known to tell.
    SpreadSpike = 110, "SPREAD_SPIKE";
    /// The price moved too far within the window: no entries for a while (C36).
    VolatilityPause = 111, "VOLATILITY_PAUSE";
    /// The market data was broken too often lately.
    DataQuality = 112, "DATA_QUALITY";
    /// A news window.
    NewsWindow = 113, "NEWS_WINDOW";
    /// The price is too far from where the market was in the last period (C4).
    PeriodCollar = 114, "PERIOD_COLLAR";
    // Layers.
    /// L1: the entry could lose more than a trade may (from its price to its stop; all of it without one).
    TradeRisk = 120, "TRADE_RISK";
    /// L2: the day has lost what a day may lose.
    DailyLoss = 121, "DAILY_LOSS";
    /// L3: the strategy lost too often in a row and is disabled until a named person enables it.
    CircuitBreaker = 122, "CIRCUIT_BREAKER";
    /// L4: the drawdown is what ends everything.
    EmergencyStop = 123, "EMERGENCY_STOP";
    /// Capital preservation or the strategy's weight allow a smaller order only.
    SizeReduced = 124, "SIZE_REDUCED";
    /// Capital preservation is in lockdown.
    Lockdown = 125, "LOCKDOWN";
    /// The ramp's entries of the day are used up.
    RampEntries = 126, "RAMP_ENTRIES";
    // Gateway.
    /// The order session is not logged on.
    SessionDown = 40, "SESSION_DOWN";
    /// The venue's rate budget is used up.
    RateBudget = 41, "RATE_BUDGET";
    /// The journal ring was full: an order that can't be journaled is not sent.
    JournalFull = 42, "JOURNAL_FULL";
    /// The decision was too old when it reached the write.
    Expired = 43, "DECISION_EXPIRED";
    /// The live-order table is full.
    OrderTableFull = 44, "ORDER_TABLE_FULL";
    /// No answer in time.
    Timeout = 45, "TIMEOUT";
    /// The connection was lost before the answer.
    ConnectionLost = 46, "CONNECTION_LOST";
    /// The venue answered with a server error.
    VenueError = 47, "VENUE_ERROR";
    /// The venue refused.
    VenueReject = 48, "VENUE_REJECT";
    /// Dry run: the gateway stops before the write.
    DryRun = 49, "DRY_RUN";
    /// The venue told us to slow down (429).
    RateLimited = 50, "RATE_LIMITED";
    /// The venue banned us for a while (418).
    Banned = 51, "BANNED";
    /// Shadow: there is no gateway. The decision is recorded and goes nowhere.
    Shadow = 52, "SHADOW";
    // Feed.
    /// An update is missing.
    SequenceGap = 60, "SEQUENCE_GAP";
    /// The book is waiting for its snapshot.
    AwaitingSnapshot = 61, "AWAITING_SNAPSHOT";
    /// The best bid is at or above the best ask.
    CrossedBook = 62, "CROSSED_BOOK";
    /// The line was full and book changes had to be left out.
    LineFull = 63, "LINE_FULL";
    /// Connecting.
    Connecting = 64, "CONNECTING";
    /// The venue closed the connection.
    Closed = 65, "CLOSED";
    /// The connection was renewed before the venue's 24-hour limit.
    Renewed = 66, "RENEWED";
    /// The venue announced a shutdown.
    ServerShutdown = 67, "SERVER_SHUTDOWN";
    /// A message could not be read.
    Malformed = 68, "MALFORMED";
    /// TLS failed (certificate, protocol).
    Tls = 69, "TLS";
    /// The address could not be resolved or reached.
    Unreachable = 70, "UNREACHABLE";
    /// No data for too long although the socket is open.
    Silent = 71, "SILENT";
    /// The handshake, logon or subscription was refused.
    Refused = 72, "REFUSED";
    /// Retries are used up.
    RetriesExhausted = 73, "RETRIES_EXHAUSTED";
    /// The snapshot could not be had.
    SnapshotFailed = 74, "SNAPSHOT_FAILED";
    // Halts.
    /// The operator.
    Operator = 80, "OPERATOR";
    /// The kill file is there.
    KillFile = 81, "KILL_FILE";
    /// The kill environment variable is set.
    KillEnvironment = 82, "KILL_ENVIRONMENT";
    /// A stage or the control thread stalled.
    Stall = 83, "STALL";
    /// The journal failed: disk full, I/O error, ring full.
    JournalFailed = 84, "JOURNAL_FAILED";
    /// Every boot starts tripped.
    Boot = 85, "BOOT";
    /// The kill page can't be trusted.
    PageUnreadable = 86, "PAGE_UNREADABLE";
    /// Our record and the venue's differ.
    ReconcileMismatch = 87, "RECONCILE_MISMATCH";
    /// A fill beyond the order's quantity.
    Overfill = 88, "OVERFILL";
    /// A drill.
    Drill = 89, "DRILL";
    /// The halt tool.
    HaltTool = 90, "HALT_TOOL";
    /// An internal error; fail closed.
    Internal = 91, "INTERNAL";
    /// Live was to be started, and readiness was not GO.
    NotReady = 200, "NOT_READY";
    /// The venue refused exits again and again: what is held can't be sold.
    ExitRefused = 95, "EXIT_REFUSED";
    /// The engine rolled itself back to shadow.
    Rollback = 92, "ROLLBACK";
}

//! The latency metrics: one table. Hot threads push raw samples; histograms are kept off the hot threads.

macro_rules! metrics {
    ($($(#[$doc:meta])* $name:ident => $text:literal;)*) => {
        /// What is measured.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u16)]
        pub enum Metric { $($(#[$doc])* $name,)* }
        impl Metric {
            /// The table, in order.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];
            /// Stable name.
            pub const fn name(self) -> &'static str { match self { $(Self::$name => $text,)* } }
        }
    };
}

metrics! {
    /// Feed: last byte read to fact on the line.
    Decode => "decode";
    /// From the line to the intent.
    Signal => "signal";
    /// From the intent to the verdict.
    Risk => "risk";
    /// From the verdict to the encoded and signed request.
    Encode => "encode";
    /// From the encoded request to the last byte handed to the socket.
    Write => "write";
    /// Last byte of the market-data frame read to the last byte of the order handed to the socket.
    TickToTrade => "tick_to_trade";
    /// Order handed to the socket to the venue's answer read.
    Acknowledge => "acknowledge";
}

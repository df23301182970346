//! Every way a connection ends, and what the client does then.

/// What a client does after a close.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reconnect {
    /// Not without a change.
    Never,
    /// Exponentially, with full jitter.
    BackOff,
    /// At once, with its ticket, after small jitter.
    Now,
}

impl Reconnect {
    /// Its name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Reconnect::Never => "never",
            Reconnect::BackOff => "back_off",
            Reconnect::Now => "now",
        }
    }
}

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $number:literal, $name:literal, $reconnect:ident;)+) => {
        /// Why the relay closes a connection (PROTOCOL.md §10).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum CloseCode { $($(#[$doc])* $variant,)+ }

        impl CloseCode {
            /// Every code.
            pub const ALL: &[CloseCode] = &[$(CloseCode::$variant,)+];

            /// The number in the WebSocket close frame.
            pub const fn number(self) -> u16 {
                match self { $(CloseCode::$variant => $number,)+ }
            }

            /// Its name on the wire and in metric labels.
            pub const fn name(self) -> &'static str {
                match self { $(CloseCode::$variant => $name,)+ }
            }

            /// What the client does then.
            pub const fn reconnect(self) -> Reconnect {
                match self { $(CloseCode::$variant => Reconnect::$reconnect,)+ }
            }
        }
    };
}

codes! {
    /// Done.
    Normal = 1000, "normal", Never;
    /// WebSocket framing was broken.
    ProtocolError = 1002, "protocol_error", Never;
    /// Text where binary was agreed, or the reverse.
    WrongKind = 1003, "wrong_kind", Never;
    /// Text that is not UTF-8.
    InvalidUtf8 = 1007, "invalid_utf8", Never;
    /// A WebSocket message over the limit, in bytes or fragments.
    TooLarge = 1009, "too_large", Never;
    /// A fault of the relay.
    Internal = 1011, "internal", BackOff;
    /// This instance leaves.
    Drain = 1012, "drain", Now;
    /// This instance has no room.
    Overload = 1013, "overload", BackOff;
    /// No `hello` in time, or another frame first.
    HelloExpected = 4001, "hello_expected", Never;
    /// The token is not accepted.
    TokenInvalid = 4002, "token_invalid", Never;
    /// The token does not allow to connect.
    Forbidden = 4003, "forbidden", Never;
    /// A WebSocket message that is not frames.
    BadFrame = 4005, "bad_frame", Never;
    /// The token was revoked.
    Revoked = 4006, "revoked", Never;
    /// The tenant is suspended.
    TenantSuspended = 4007, "tenant_suspended", Never;
    /// An administrator ended the connection.
    Disconnected = 4008, "disconnected", Never;
    /// Another connection took over the session.
    Replaced = 4009, "replaced", Never;
    /// Its queue stayed full.
    SlowConsumer = 4101, "slow_consumer", BackOff;
    /// It went on sending after refusals.
    RateLimited = 4102, "rate_limited", BackOff;
    /// Too many connections.
    ConnectionLimit = 4103, "connection_limit", BackOff;
    /// The tenant's quota is used up.
    Quota = 4104, "quota", BackOff;
    /// What the token is to be checked with is away.
    Unavailable = 4105, "unavailable", BackOff;
    /// No sign of life after a heartbeat.
    HeartbeatTimeout = 4201, "heartbeat_timeout", Now;
    /// The token expired; fetch another first.
    TokenExpired = 4202, "token_expired", Now;
    /// The instance cannot know what the client missed.
    InsufficientState = 4203, "insufficient_state", Now;
    /// The connection has lived long enough.
    Lease = 4204, "lease", Now;
    /// The session moved to another instance.
    Moved = 4205, "moved", Now;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_range_tells_what_to_do() {
        for code in CloseCode::ALL.iter().filter(|code| code.number() >= 4000) {
            let by_range = match code.number() {
                4000..=4099 => Reconnect::Never,
                4100..=4199 => Reconnect::BackOff,
                _ => Reconnect::Now,
            };
            assert_eq!(code.reconnect(), by_range, "{}", code.name());
        }
    }

    #[test]
    fn no_two_codes_share_a_number() {
        let mut numbers: Vec<u16> = CloseCode::ALL.iter().map(|code| code.number()).collect();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), CloseCode::ALL.len());
    }
}

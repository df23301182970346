//! Refusals that leave the connection alive.

use std::fmt;

use crate::text::Text;

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)+) => {
        /// Why a command was refused or a send failed (PROTOCOL.md §9).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum ErrorCode { $($(#[$doc])* $variant,)+ }

        impl ErrorCode {
            /// Every code.
            pub const ALL: &[ErrorCode] = &[$(ErrorCode::$variant,)+];

            /// Its name on the wire and in metric labels.
            pub const fn name(self) -> &'static str {
                match self { $(ErrorCode::$variant => $name,)+ }
            }
        }
    };
}

codes! {
    /// A frame type that is not known here.
    UnknownFrame = "unknown_frame",
    /// A field is missing or of the wrong form.
    InvalidFrame = "invalid_frame",
    /// Not an address.
    InvalidAddress = "invalid_address",
    /// Not offered by this relay.
    Unsupported = "unsupported",
    /// An `id` not greater than the last one.
    OutOfOrder = "out_of_order",
    /// The token does not allow it.
    Forbidden = "forbidden",
    /// Over a limit of size.
    TooLarge = "too_large",
    /// Over a limit of number.
    LimitExceeded = "limit_exceeded",
    /// Over a rate.
    RateLimited = "rate_limited",
    /// Nobody is there.
    NoRecipient = "no_recipient",
    /// A queue is full.
    Saturated = "saturated",
    /// Its time passed.
    Expired = "expired",
    /// A part of the path is away.
    Unavailable = "unavailable",
    /// The token given is not accepted.
    TokenInvalid = "token_invalid",
    /// The token given has expired.
    TokenExpired = "token_expired",
    /// A fault of the relay.
    Internal = "internal",
}

impl ErrorCode {
    /// The code of a name; a name of a later release reads as [`ErrorCode::Internal`].
    pub fn from_name(name: &str) -> ErrorCode {
        ErrorCode::ALL.iter().copied().find(|code| code.name() == name).unwrap_or(ErrorCode::Internal)
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One frame of a message that could not be used, while the message as a whole could be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FrameError<'a> {
    /// The command it answers, where that much could be read.
    pub id: Option<u64>,
    /// Whether it was a `send`, whose outcome this error is.
    pub is_send: bool,
    /// What is wrong.
    pub code: ErrorCode,
    /// The field or frame type concerned.
    pub what: Text<'a>,
}

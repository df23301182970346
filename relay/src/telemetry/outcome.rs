//! The fate of a send: exactly one, counted where it is decided.

use relay_protocol::ErrorCode;
use relay_protocol::client::ReceiptMode;

use crate::telemetry::limit::Limit;

/// How a send ended (PROTOCOL.md §5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// On a recipient's socket queue.
    Queued,
    /// Handed to the bus, or stored.
    Accepted,
    /// Presented by a recipient's client.
    Delivered,
    /// It did not arrive.
    Failed {
        /// Why.
        reason: ErrorCode,
        /// When to try again.
        retry_after_ms: Option<u64>,
        /// The limit that was met, where one was.
        limit: Option<Limit>,
    },
    /// It may have arrived or may still arrive.
    Unknown,
}

impl Outcome {
    /// A failure without advice.
    pub const fn failed(reason: ErrorCode) -> Outcome {
        Outcome::Failed { reason, retry_after_ms: None, limit: None }
    }

    /// A failure that may pass.
    pub const fn failed_for(reason: ErrorCode, retry_after_ms: u64) -> Outcome {
        Outcome::Failed { reason, retry_after_ms: Some(retry_after_ms), limit: None }
    }

    /// A failure by a rate.
    pub const fn limited(limit: Limit, retry_after_ms: u64) -> Outcome {
        let reason = ErrorCode::RateLimited;
        Outcome::Failed { reason, retry_after_ms: Some(retry_after_ms), limit: Some(limit) }
    }

    /// A failure by a bound that others fill.
    pub const fn saturated(limit: Limit, retry_after_ms: u64) -> Outcome {
        let reason = ErrorCode::Saturated;
        Outcome::Failed { reason, retry_after_ms: Some(retry_after_ms), limit: Some(limit) }
    }

    /// Whether a client that asked for `mode` is told.
    pub const fn is_told(self, mode: ReceiptMode) -> bool {
        match mode {
            ReceiptMode::None => false,
            ReceiptMode::Failure => matches!(self, Outcome::Failed { .. } | Outcome::Unknown),
            ReceiptMode::All => true,
        }
    }

    /// The outcome of a send with two recipients: reaching one is enough, and doubt outweighs failure.
    #[must_use]
    pub fn better(self, other: Outcome) -> Outcome {
        if self.rank() >= other.rank() { self } else { other }
    }

    const fn rank(self) -> u8 {
        match self {
            Outcome::Queued | Outcome::Accepted | Outcome::Delivered => 2,
            Outcome::Unknown => 1,
            Outcome::Failed { .. } => 0,
        }
    }
}

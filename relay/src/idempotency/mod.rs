//! Repeats of a call: who makes one twice under the same key gets the answer of the first, on whatever instance. A seam of
//! its own; what the store promises is what `conformance` checks.

#[cfg(any(test, feature = "test-util"))]
pub mod conformance;
pub mod memory;
pub mod redis;

use std::time::Duration;

use futures_util::future::BoxFuture;
use thiserror::Error;

use crate::auth::Digest;

/// How long a repeat gets the first answer: as long as for a message's `mid`.
pub const REMEMBERED_FOR: Duration = Duration::from_mins(2);
/// The most calls that a process alone remembers; a longest answer has some 20 KiB, a usual one 50 bytes.
pub const REMEMBERED_MAX: usize = 10_000;

/// A call that is made under a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Call {
    /// Who makes it, by what name.
    pub key: Digest,
    /// What it says: two calls by one name that say different things are a mistake of the caller.
    pub said: Digest,
}

/// What is known of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Known {
    /// Nothing: it is to be carried out now, and its answer to be kept.
    First,
    /// It is being carried out, or whoever did ended without an answer.
    UnderWay,
    /// What was answered.
    Answered(String),
    /// Something else was said under this key.
    Other,
}

/// Why nothing is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum IdempotencyError {
    /// The store cannot be reached.
    #[error("the store of answers is away")]
    Away,
    /// It holds as many as it may.
    #[error("too many answers are remembered")]
    Full,
}

/// Where answers are kept for every instance, for [`REMEMBERED_FOR`] each.
pub trait IdempotencyStore: Send + Sync + std::fmt::Debug + 'static {
    /// Begins a call, unless it was begun. Of several at once one is the first.
    fn begin(&self, call: Call) -> BoxFuture<'static, Result<Known, IdempotencyError>>;

    /// Keeps the answer of a call that was begun.
    fn finish(&self, call: Call, answer: String) -> BoxFuture<'static, Result<(), IdempotencyError>>;

    /// Forgets a call that was begun and not carried out.
    fn forget(&self, call: Call) -> BoxFuture<'static, Result<(), IdempotencyError>>;
}

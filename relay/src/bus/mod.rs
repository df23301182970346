//! Carries batches of envelopes between instances: the only seam between them.
//!
//! A bus promises **at most once, in order per publisher and channel**, and that it says when it may have lost
//! something. It looks into no batch. What the promises mean is what `conformance` checks, for every bus alike.
//!
//! * [`Bus::publish`] is final in one of three ways: so many receivers had it put on their connection, it was certainly
//!   not sent, or nobody can know. Zero receivers is certain loss, one or more is not delivery.
//! * [`Bus::subscribe`] records the wish at once and keeps it through reconnects; it resolves when no batch published
//!   from then on can be missed.
//! * After anything that may have lost batches comes [`BusEvent::Gap`], once they flow again.

mod channel;
#[cfg(any(test, feature = "test-util"))]
pub mod conformance;
#[cfg(any(test, feature = "test-util"))]
pub mod faulty;
pub mod memory;
mod outlet;
pub mod redis;

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use thiserror::Error;
use tokio::sync::mpsc;

pub use channel::{Channel, InstanceId};

/// Carries batches between instances.
pub trait Bus: Send + Sync + std::fmt::Debug + 'static {
    /// Hands a batch to every subscriber of `channel` and says how many there were. Two publishes to one channel keep
    /// their order only if the second begins after the first ended.
    fn publish(&self, channel: &Channel, batch: Bytes) -> BoxFuture<'static, Result<u64, PublishError>>;

    /// Wishes for the batches of `channel`; the wish holds until [`Bus::unsubscribe`], however this call ends.
    fn subscribe(&self, channel: &Channel) -> BoxFuture<'static, Result<(), SubscribeError>>;

    /// Takes the wish back. A batch under way may still come.
    fn unsubscribe(&self, channel: &Channel);

    /// Whether a publish has a chance at present.
    fn health(&self) -> BusHealth;
}

/// A bus that any part may hold.
pub type SharedBus = Arc<dyn Bus>;

/// What comes out of a bus. The receiver must never wait on a recipient: what it does not take in time is a gap.
pub type BusEvents = mpsc::Receiver<BusEvent>;

/// One thing that happened on a bus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BusEvent {
    /// A batch came.
    Batch {
        /// Where it was published.
        channel: Channel,
        /// What was published.
        batch: Bytes,
    },
    /// Batches of any channel may have been lost; from here on they flow again.
    Gap(Gap),
}

/// Why batches may have been lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gap {
    /// The connection was lost, or delivered nothing, for a while.
    Interrupted,
    /// This process did not take batches in time; so many at least are lost.
    Lagged(u64),
}

/// How a bus stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BusHealth {
    /// Publishing and receiving.
    Up,
    /// Publishing works, but nothing comes back: this instance alone is concerned.
    Deaf,
    /// The server cannot be reached: every instance is concerned.
    Down,
}

/// Why a publish did not succeed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PublishError {
    /// It was certainly not sent.
    #[error("not sent: the bus is away")]
    NotSent,
    /// It was handed over and nothing was heard; it may still arrive.
    #[error("no answer: it may have been published")]
    Unknown,
}

/// Why a subscription is not in force yet. The wish is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("not subscribed yet: the bus is away")]
pub struct SubscribeError;

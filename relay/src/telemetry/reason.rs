//! Why something was not done: the fixed words by which it is counted.

use crate::telemetry::metrics::Metrics;

/// Why a message that was put in line was not written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drop {
    /// It expired in line.
    Expired,
    /// A later one under its key took its place.
    Conflated,
    /// The session ended before its turn.
    SessionEnded,
}

/// Why a message of a topic was not put in line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shed {
    /// The queue of the subscriber was full.
    QueueFull,
    /// It expired on the way.
    Expired,
}

/// Why a connection was not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// No permit was left.
    Connections,
    /// Too many connections without a token yet.
    Unauthenticated,
    /// This instance leaves.
    Draining,
    /// The page's origin is not allowed.
    Origin,
    /// No subprotocol of ours was offered.
    Subprotocol,
    /// The source address has as many as it may.
    Address,
    /// Memory is nearly used up.
    Memory,
    /// The processor does not keep up.
    Delay,
    /// Too many came in too short a time.
    Rate,
}

impl Refused {
    /// Its label.
    pub const fn name(self) -> &'static str {
        match self {
            Refused::Connections => "connections",
            Refused::Unauthenticated => "unauthenticated",
            Refused::Draining => "draining",
            Refused::Origin => "origin",
            Refused::Subprotocol => "subprotocol",
            Refused::Address => "address",
            Refused::Memory => "memory",
            Refused::Delay => "delay",
            Refused::Rate => "rate",
        }
    }
}

impl Metrics {
    /// Counts a message in line that was not written.
    pub fn drop_delivery(&self, why: Drop, count: u64) {
        match why {
            Drop::Expired => self.dropped_expired.increment(count),
            Drop::Conflated => self.dropped_conflated.increment(count),
            Drop::SessionEnded => self.dropped_session_ended.increment(count),
        }
    }

    /// Counts a message of a topic that was not put in line.
    pub fn shed_delivery(&self, why: Shed, count: u64) {
        match why {
            Shed::QueueFull => self.shed_queue_full.increment(count),
            Shed::Expired => self.shed_expired.increment(count),
        }
    }

    /// Counts a connection that was not let in.
    pub fn refuse(&self, why: Refused) {
        match why {
            Refused::Connections => self.refused_connections.increment(1),
            Refused::Unauthenticated => self.refused_unauthenticated.increment(1),
            Refused::Draining => self.refused_draining.increment(1),
            Refused::Origin => self.refused_origin.increment(1),
            Refused::Subprotocol => self.refused_subprotocol.increment(1),
            Refused::Address => self.refused_address.increment(1),
            Refused::Memory => self.refused_memory.increment(1),
            Refused::Delay => self.refused_delay.increment(1),
            Refused::Rate => self.refused_rate.increment(1),
        }
    }
}

//! Why something was not done: the fixed words by which it is counted.

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

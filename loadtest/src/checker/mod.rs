//! Whether the relay kept its promises. Pure: told what was sent, what was answered and what arrived, it says what is wrong.
//!
//! Each agent keeps [`Books`] of its own, without locks: a [`Ledger`] of its sends and an [`Inbox`] of what came. When a
//! run is drained [`judge`] lays the books side by side. Memory is bounded: numbers are kept as [ranges](ranges::Ranges),
//! not as a log.

pub mod inbox;
pub mod ledger;
pub mod ranges;
pub mod tally;
pub mod verdict;

#[cfg(test)]
mod tests;

pub use inbox::{Arrival, Inbox};
pub use ledger::{Ledger, Outcome};
pub use tally::Tally;
pub use verdict::judge;

/// All that one agent knows at the end of a run.
#[derive(Debug)]
pub struct Books {
    /// Its number in the run.
    pub agent: u32,
    /// What it sent, and what it was told about that.
    pub ledger: Ledger,
    /// What it received.
    pub inbox: Inbox,
    /// How its connection ended before the run did, if it did.
    pub ended: Option<End>,
}

/// How a connection ended before the run did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// Nobody had asked for it, which is a breach; what it cut off is excused.
    Unasked(String),
    /// The scenario provoked it; what it cut off is excused.
    Provoked,
    /// The relay took its leave: what was told to be queued was to be written before, the rest is excused.
    Drained,
}

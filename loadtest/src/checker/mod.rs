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
    /// Why its connection ended before the run did, if it did.
    pub ended: Option<String>,
}

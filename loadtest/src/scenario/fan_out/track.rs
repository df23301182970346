//! How far a publisher's messages have come, as a few of its subscribers see it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Notify;

/// Subscribers that a publisher looks at; looking at all would cost more than delivering to them.
pub(crate) const SAMPLED: u32 = 16;

/// How far one publisher's messages have come.
#[derive(Debug)]
pub(crate) struct Track {
    /// The last number that each sampled subscriber saw.
    seats: Vec<AtomicU64>,
    /// Wakes the publisher.
    pub(crate) wake: Arc<Notify>,
}

impl Track {
    pub(crate) fn new(seats: u32) -> Track {
        Track { seats: (0..seats).map(|_| AtomicU64::new(0)).collect(), wake: Arc::new(Notify::new()) }
    }

    /// The subscriber in that seat has seen `number`.
    pub(crate) fn passed(&self, seat: usize, number: u64) {
        self.seats[seat].fetch_max(number, Ordering::Relaxed);
        self.wake.notify_one();
    }

    /// Nobody waits for the subscriber in that seat any more.
    pub(crate) fn left(&self, seat: usize) {
        self.passed(seat, u64::MAX);
    }

    /// The last number that all sampled subscribers saw.
    pub(crate) fn slowest(&self) -> u64 {
        self.seats.iter().map(|seat| seat.load(Ordering::Relaxed)).min().unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slowest_counts_until_it_leaves() {
        let track = Track::new(2);
        track.passed(0, 5);
        assert_eq!(track.slowest(), 0);
        track.passed(1, 3);
        track.passed(1, 2);
        assert_eq!(track.slowest(), 3);
        track.left(1);
        assert_eq!(track.slowest(), 5);
    }
}

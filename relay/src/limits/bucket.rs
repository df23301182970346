//! What one agent, source address or tenant may do over all of its connections on this instance.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use crate::limits::rate::{Rate, Rates, TurnClock};

/// The limits of every key of one kind; 0 is no limit.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub(super) messages: Rate,
    pub(super) bytes: Rate,
    pub(super) connections: u32,
    pub(super) subscriptions: u32,
}

impl Bounds {
    /// Whether there is any.
    pub(super) const fn any(&self) -> bool {
        self.messages.a_second > 0
            || self.bytes.a_second > 0
            || self.connections > 0
            || self.subscriptions > 0
    }
}

/// The state of one key.
#[derive(Debug)]
pub(super) struct Bucket {
    pub(super) rates: Rates,
    pub(super) connections: Count,
    pub(super) subscriptions: Count,
    /// Nobody held it when the last sweep came by.
    pub(super) was_idle: AtomicBool,
}

impl Bucket {
    pub(super) fn new(bounds: &Bounds, clock: &TurnClock) -> Bucket {
        Bucket {
            rates: Rates::new(bounds.messages, bounds.bytes, clock),
            connections: Count::new(bounds.connections),
            subscriptions: Count::new(bounds.subscriptions),
            was_idle: AtomicBool::new(false),
        }
    }
}

/// How many there are, and how many there may be.
#[derive(Debug)]
pub(super) struct Count {
    max: u32,
    held: AtomicU32,
}

impl Count {
    const fn new(max: u32) -> Count {
        Count { max, held: AtomicU32::new(0) }
    }

    /// Takes one; says whether it was within the bound. Beyond it none is taken, unless in a `dry_run`.
    pub(super) fn take(&self, dry_run: bool) -> bool {
        let within = self.held.fetch_add(1, Ordering::Relaxed) < self.max || self.max == 0;
        if !within && !dry_run {
            self.give(1);
        }
        within
    }

    /// Gives back so many.
    pub(super) fn give(&self, count: u32) {
        self.held.fetch_sub(count, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_is_held_to_its_bound_and_given_back() {
        let count = Count::new(2);
        assert_eq!([count.take(false), count.take(false), count.take(false)], [true, true, false]);
        count.give(1);
        assert_eq!([count.take(false), count.take(true), count.take(false)], [true, false, false]);
        count.give(3);
        assert!(count.take(false), "what a dry run took was given back too");
    }
}

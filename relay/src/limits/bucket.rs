//! What one agent, source address or tenant may do over all of its connections on this instance.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use parking_lot::Mutex;

use crate::limits::rate::{Rate, Rates, TurnClock};
use crate::limits::{BYTES_BURST_S, MESSAGES_BURST_S};

/// The limits of a key; 0 is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bounds {
    pub(super) messages: Rate,
    pub(super) bytes: Rate,
    pub(super) connections: u32,
    pub(super) subscriptions: u32,
}

impl Bounds {
    /// So many a second, and so many at a time.
    pub(super) const fn of(messages: u32, bytes: u32, connections: u32, subscriptions: u32) -> Bounds {
        Bounds {
            messages: Rate::of(messages, MESSAGES_BURST_S),
            bytes: Rate::of(bytes, BYTES_BURST_S),
            connections,
            subscriptions,
        }
    }

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
    rates: Mutex<Arc<Rates>>,
    /// How often the rates were changed. Who holds them looks here before each turn.
    changes: AtomicU32,
    pub(super) connections: Count,
    pub(super) subscriptions: Count,
    /// Nobody held it when the last sweep came by.
    pub(super) was_idle: AtomicBool,
}

impl Bucket {
    pub(super) fn new(bounds: &Bounds, clock: &TurnClock) -> Bucket {
        Bucket {
            rates: Mutex::new(Arc::new(Rates::new(bounds.messages, bounds.bytes, clock))),
            changes: AtomicU32::new(0),
            connections: Count::new(bounds.connections),
            subscriptions: Count::new(bounds.subscriptions),
            was_idle: AtomicBool::new(false),
        }
    }

    /// Changes the limits, for those too who hold it: rates from their next turn on, beginning full. Connections and
    /// subscriptions beyond a lower bound stay, and no further ones come.
    pub(super) fn change(&self, bounds: &Bounds, clock: &TurnClock) {
        let mut rates = self.rates.lock();
        if !rates.are(bounds.messages, bounds.bytes) {
            *rates = Arc::new(Rates::new(bounds.messages, bounds.bytes, clock));
            self.changes.fetch_add(1, Ordering::Release);
        }
        drop(rates);
        self.connections.bound(bounds.connections);
        self.subscriptions.bound(bounds.subscriptions);
    }

    /// How often the rates were changed.
    pub(super) fn changes(&self) -> u32 {
        self.changes.load(Ordering::Acquire)
    }

    /// The rates, to be held until they are changed.
    pub(super) fn rates(&self) -> Arc<Rates> {
        Arc::clone(&self.rates.lock())
    }
}

/// How many there are, and how many there may be.
#[derive(Debug)]
pub(super) struct Count {
    max: AtomicU32,
    held: AtomicU32,
}

impl Count {
    const fn new(max: u32) -> Count {
        Count { max: AtomicU32::new(max), held: AtomicU32::new(0) }
    }

    fn bound(&self, max: u32) {
        self.max.store(max, Ordering::Relaxed);
    }

    /// Takes one; says whether it was within the bound. Beyond it none is taken, unless in a `dry_run`.
    pub(super) fn take(&self, dry_run: bool) -> bool {
        let max = self.max.load(Ordering::Relaxed);
        let within = self.held.fetch_add(1, Ordering::Relaxed) < max || max == 0;
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
        count.bound(1);
        assert!(!count.take(false), "lowered");
        count.bound(0);
        assert!(count.take(false), "no limit");
    }
}

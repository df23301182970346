//! What is remembered of the `mid`s of one sender.

use ahash::HashMap;
use tokio::time::Instant;

use crate::streams::{MID_MEMORY, MIDS_MAX};

/// The mids of one sender: two generations, of which the older goes when the younger has had its time.
#[derive(Debug)]
pub(super) struct Mids {
    begun: Instant,
    recent: HashMap<Box<str>, u64>,
    earlier: HashMap<Box<str>, u64>,
}

impl Mids {
    pub(super) fn new(now: Instant) -> Mids {
        Mids { begun: now, recent: HashMap::default(), earlier: HashMap::default() }
    }

    /// Whether all of it has had its time.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        now - self.begun >= 2 * MID_MEMORY
    }

    pub(super) fn find(&self, mid: &str) -> Option<u64> {
        self.recent.get(mid).or_else(|| self.earlier.get(mid)).copied()
    }

    pub(super) fn remember(&mut self, mid: Box<str>, seq: u64, now: Instant) {
        if now - self.begun >= MID_MEMORY || self.recent.len() >= MIDS_MAX {
            self.earlier = std::mem::take(&mut self.recent);
            self.begun = now;
        }
        self.recent.insert(mid, seq);
    }
}

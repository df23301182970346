//! What happened on a bus, for whoever exports it as metrics.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::bus::outlet::Outlet;

/// Counts since the bus was made. Nothing here is ever reset.
#[derive(Debug)]
pub struct BusCounters {
    outlet: Outlet,
    pub(super) reconnects: AtomicU64,
    pub(super) interruptions: AtomicU64,
    pub(super) probe_failures: AtomicU64,
    pub(super) rounds_failed: AtomicU64,
}

impl BusCounters {
    pub(super) fn new(outlet: Outlet) -> BusCounters {
        let (reconnects, interruptions, probe_failures, rounds_failed) = Default::default();
        BusCounters { outlet, reconnects, interruptions, probe_failures, rounds_failed }
    }

    /// How often the subscribed connection came back after it was lost.
    pub fn reconnects(&self) -> u64 {
        self.reconnects.load(Ordering::Relaxed)
    }

    /// How many interruptions were told as a gap.
    pub fn interruptions(&self) -> u64 {
        self.interruptions.load(Ordering::Relaxed)
    }

    /// How many batches this process did not take in time.
    pub fn lagged(&self) -> u64 {
        self.outlet.lagged_total()
    }

    /// How often what was published did not come back in time.
    pub fn probe_failures(&self) -> u64 {
        self.probe_failures.load(Ordering::Relaxed)
    }

    /// How often Redis could not be brought to what was wished, and it was tried again.
    pub fn rounds_failed(&self) -> u64 {
        self.rounds_failed.load(Ordering::Relaxed)
    }

    pub(super) fn raise(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

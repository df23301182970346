//! Counters of a run while it runs, in shards so that agents on different threads do not share a cache line.

use std::sync::atomic::{AtomicU64, Ordering};

use hdrhistogram::Histogram;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::clock::SECOND_NS;

/// More than any machine this runs on has cores.
pub const SHARDS: u32 = 16;
/// Latencies are kept from a microsecond, to three digits.
const LATENCY_NS_MIN: u64 = 1_000;
/// Up to two minutes; what takes longer counts as that.
const LATENCY_NS_MAX: u64 = 120 * SECOND_NS;

/// Counters of a run.
#[derive(Debug)]
pub struct Live {
    shards: Vec<Shard>,
}

/// The counters of some of the agents.
#[derive(Debug)]
#[repr(align(128))]
pub struct Shard {
    /// Agents connected.
    pub connected: AtomicU64,
    /// Sends.
    pub sent: AtomicU64,
    /// Arrivals.
    pub delivered: AtomicU64,
    /// Arrivals while figures count.
    pub counted: AtomicU64,
    /// Sends told to have failed.
    pub failed: AtomicU64,
    /// Sends whose outcome was told.
    pub answered: AtomicU64,
    /// From the intended time of sending to the arrival.
    latency: Mutex<Histogram<u64>>,
    /// From the intended time of sending to the sending.
    lag: Mutex<Histogram<u64>>,
}

/// The sums of a moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sums {
    /// Agents connected.
    pub connected: u64,
    /// Sends.
    pub sent: u64,
    /// Arrivals.
    pub delivered: u64,
    /// Arrivals while figures count.
    pub counted: u64,
    /// Sends told to have failed.
    pub failed: u64,
    /// Sends whose outcome was told.
    pub answered: u64,
}

impl Live {
    /// All zero.
    pub fn new() -> anyhow::Result<Live> {
        let shards = (0..SHARDS).map(|_| Shard::new()).collect::<anyhow::Result<_>>()?;
        Ok(Live { shards })
    }

    /// The shard of an agent.
    pub fn shard(&self, agent: u32) -> &Shard {
        &self.shards[(agent % SHARDS) as usize]
    }

    /// What it all sums up to.
    pub fn sums(&self) -> Sums {
        let sum = |counter: fn(&Shard) -> &AtomicU64| {
            self.shards.iter().map(|shard| counter(shard).load(Ordering::Relaxed)).sum()
        };
        Sums {
            connected: sum(|shard| &shard.connected),
            sent: sum(|shard| &shard.sent),
            delivered: sum(|shard| &shard.delivered),
            counted: sum(|shard| &shard.counted),
            failed: sum(|shard| &shard.failed),
            answered: sum(|shard| &shard.answered),
        }
    }

    /// All latencies so far.
    pub fn latency(&self) -> anyhow::Result<Histogram<u64>> {
        merged(self.shards.iter().map(|shard| &shard.latency))
    }

    /// How far behind their schedule messages were sent.
    pub fn lag(&self) -> anyhow::Result<Histogram<u64>> {
        merged(self.shards.iter().map(|shard| &shard.lag))
    }
}

impl Shard {
    fn new() -> anyhow::Result<Shard> {
        Ok(Shard {
            connected: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            delivered: AtomicU64::new(0),
            counted: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            answered: AtomicU64::new(0),
            latency: Mutex::new(empty()?),
            lag: Mutex::new(empty()?),
        })
    }

    /// Notes the time a message took.
    pub fn took(&self, latency_ns: u64) {
        self.latency.lock().saturating_record(latency_ns);
    }

    /// Puts the counters of a whole process in the place of what stood here.
    pub fn replace(&self, sums: Sums, latency: Histogram<u64>, lag: Histogram<u64>) {
        let Sums { connected, sent, delivered, counted, failed, answered } = sums;
        let counters = [
            (&self.connected, connected),
            (&self.sent, sent),
            (&self.delivered, delivered),
            (&self.counted, counted),
            (&self.failed, failed),
            (&self.answered, answered),
        ];
        for (counter, value) in counters {
            counter.store(value, Ordering::Relaxed);
        }
        *self.latency.lock() = latency;
        *self.lag.lock() = lag;
    }

    /// Notes how late a message was sent.
    pub fn lagged(&self, lag_ns: u64) {
        self.lag.lock().saturating_record(lag_ns);
    }
}

/// Adds to a counter.
pub fn add(counter: &AtomicU64, more: u64) {
    counter.fetch_add(more, Ordering::Relaxed);
}

/// A histogram of latencies.
pub fn empty() -> anyhow::Result<Histogram<u64>> {
    Ok(Histogram::new_with_bounds(LATENCY_NS_MIN, LATENCY_NS_MAX, 3)?)
}

fn merged<'h>(parts: impl Iterator<Item = &'h Mutex<Histogram<u64>>>) -> anyhow::Result<Histogram<u64>> {
    let mut all = empty()?;
    for part in parts {
        all.add(&*part.lock())?;
    }
    Ok(all)
}

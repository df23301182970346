//! What arrived when: bins of time, and what they say of before, during and after a surge. Pure but for its counters.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;

use crate::clock::{self, SECOND_NS};
use crate::trial::live::add;
use crate::trial::stage::Window;

/// Fine enough to tell when it is over, coarse enough to hold a percentile.
const BIN_NS: u64 = SECOND_NS / 4;
/// What takes longer is of no use to the one who waits: the critical latency of row AN8.
pub(crate) const USEFUL_NS: u64 = SECOND_NS;
/// Of the messages of a bin, so many may be above the target: it bounds the 95th of 100.
const LATE_SHARE_MAX: f64 = 0.05;

/// Arrivals by the time they came.
#[derive(Debug)]
pub(crate) struct Bins {
    bins: Vec<Bin>,
    target_ns: u64,
}

/// A quarter of a second.
#[derive(Debug, Default)]
struct Bin {
    /// Arrivals.
    arrived: AtomicU64,
    /// Of them, those within the target.
    in_time: AtomicU64,
    /// Of them, those that were still of use.
    useful: AtomicU64,
}

/// One phase.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Phase {
    /// Messages offered a second.
    pub(crate) offered_per_s: f64,
    /// Arrivals a second within a second of their time.
    pub(crate) goodput_per_s: f64,
    /// Arrivals a second.
    pub(crate) arrived_per_s: f64,
    /// Of the arrivals, those within the target.
    pub(crate) in_time_share: f64,
}

/// When the phases begin and end, of a window in three parts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    /// When the surge begins.
    pub(crate) rise_ns: u64,
    /// When it ends.
    pub(crate) fall_ns: u64,
}

impl Times {
    pub(crate) fn of(window: &Window) -> Times {
        let third = (window.end_ns - window.measure_ns) / 3;
        Times { rise_ns: window.measure_ns + third, fall_ns: window.measure_ns + 2 * third }
    }

    /// The surge as a window of its own.
    pub(crate) fn surge(&self) -> Window {
        Window { start_ns: self.rise_ns, measure_ns: self.rise_ns, end_ns: self.fall_ns }
    }
}

impl Bins {
    /// Enough for `seconds`, all that comes later in the last one.
    pub(crate) fn new(seconds: f64, target_ns: u64) -> Bins {
        let seconds = std::time::Duration::from_secs_f64(seconds.max(0.0));
        let count = clock::nanoseconds(seconds) / BIN_NS + 1;
        Bins { bins: (0..count).map(|_| Bin::default()).collect(), target_ns }
    }

    /// Notes an arrival, `offset_ns` after figures began to count.
    pub(crate) fn arrived(&self, offset_ns: u64, took_ns: u64) {
        let at = usize::try_from(offset_ns / BIN_NS).unwrap_or(usize::MAX);
        if let Some(bin) = self.bins.get(at) {
            add(&bin.arrived, 1);
            add(&bin.in_time, u64::from(took_ns <= self.target_ns));
            add(&bin.useful, u64::from(took_ns <= USEFUL_NS));
        }
    }

    /// What came from one offset to another.
    #[expect(clippy::cast_precision_loss, reason = "exact up to 2^53")]
    pub(crate) fn phase(&self, from_ns: u64, to_ns: u64, offered_per_s: f64) -> Phase {
        let (from, to) = (index(from_ns.div_ceil(BIN_NS)), index(to_ns / BIN_NS));
        let bins = self.bins.get(from..to).unwrap_or_default();
        let sum = |count: fn(&Bin) -> &AtomicU64| {
            bins.iter().map(|bin| count(bin).load(Ordering::Relaxed)).sum::<u64>() as f64
        };
        let seconds = clock::seconds(BIN_NS * bins.len().max(1) as u64);
        let (arrived, in_time) = (sum(|bin| &bin.arrived), sum(|bin| &bin.in_time));
        Phase {
            offered_per_s,
            goodput_per_s: sum(|bin| &bin.useful) / seconds,
            arrived_per_s: arrived / seconds,
            in_time_share: in_time / arrived.max(1.0),
        }
    }

    /// From `fall_ns` to the bin from which on all are within the target; nothing if none is.
    #[expect(clippy::cast_precision_loss, reason = "exact up to 2^53")]
    pub(crate) fn recovered_after_s(&self, fall_ns: u64) -> Option<f64> {
        let first = index(fall_ns.div_ceil(BIN_NS));
        let good = |bin: &Bin| {
            let (arrived, in_time) =
                (bin.arrived.load(Ordering::Relaxed), bin.in_time.load(Ordering::Relaxed));
            arrived > 0 && (arrived - in_time) as f64 <= arrived as f64 * LATE_SHARE_MAX
        };
        // The last bin is cut short by the end.
        let after = self.bins.get(first..self.bins.len().saturating_sub(1))?;
        let bad = after.iter().rposition(|bin| !good(bin)).map_or(0, |at| at + 1);
        (bad < after.len()).then(|| clock::seconds(bad as u64 * BIN_NS))
    }
}

fn index(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn bins(latency_ms_by_bin: &[u64]) -> Bins {
        let bins = Bins::new(clock::seconds(latency_ms_by_bin.len() as u64 * BIN_NS), 100 * MS);
        for (at, latency_ms) in (0..).zip(latency_ms_by_bin) {
            (0..100).for_each(|_| bins.arrived(at * BIN_NS + 1, latency_ms * MS));
        }
        bins
    }

    #[test]
    fn goodput_is_what_came_within_a_second() {
        let bins = bins(&[10, 10, 10, 10, 900, 900, 1_100, 1_100, 10, 10]);
        let (before, during) = (bins.phase(0, SECOND_NS, 400.0), bins.phase(SECOND_NS, 2 * SECOND_NS, 800.0));
        assert_eq!((before.goodput_per_s, before.in_time_share), (400.0, 1.0));
        assert_eq!((during.goodput_per_s, during.arrived_per_s, during.in_time_share), (200.0, 400.0, 0.0));
    }

    #[test]
    fn it_has_recovered_when_nothing_is_late_any_more() {
        assert_eq!(bins(&[10, 500, 10, 10, 10]).recovered_after_s(BIN_NS), Some(0.25));
        assert_eq!(bins(&[10, 500, 10, 500, 10, 10]).recovered_after_s(BIN_NS), Some(0.75));
        assert_eq!(bins(&[10, 10, 10, 10, 10]).recovered_after_s(BIN_NS), Some(0.0));
        assert_eq!(bins(&[10, 500, 500, 500, 500]).recovered_after_s(BIN_NS), None);
    }
}

//! What became of the messages of each lane.

use std::sync::atomic::{AtomicU64, Ordering};

use hdrhistogram::Histogram;
use parking_lot::Mutex;
use relay_protocol::client::Lane;
use serde_json::{Value, json};

use crate::report::figures::Milliseconds;
use crate::trial::live::{add, empty};

/// Of the median latency of the normal lane, that of `high` may be so much: what waits in the kernel's buffers is in both.
const HIGH_SHARE_MAX: f64 = 0.8;

/// Both lanes.
#[derive(Debug)]
pub(crate) struct Lanes {
    high: Figures,
    normal: Figures,
}

/// One lane.
#[derive(Debug)]
struct Figures {
    latency: Mutex<Histogram<u64>>,
    sent: AtomicU64,
    refused: AtomicU64,
}

impl Lanes {
    pub(crate) fn new() -> anyhow::Result<Lanes> {
        Ok(Lanes { high: Figures::new()?, normal: Figures::new()? })
    }

    fn lane(&self, lane: Lane) -> &Figures {
        match lane {
            Lane::High => &self.high,
            Lane::Normal => &self.normal,
        }
    }

    pub(crate) fn sent(&self, lane: Lane) {
        add(&self.lane(lane).sent, 1);
    }

    pub(crate) fn refused(&self, lane: Lane, count: u64) {
        add(&self.lane(lane).refused, count);
    }

    pub(crate) fn took(&self, lane: Lane, latency_ns: u64) {
        self.lane(lane).latency.lock().saturating_record(latency_ns);
    }

    pub(crate) fn figures(&self) -> Value {
        json!({ "high": self.high.figures(), "normal": self.normal.figures() })
    }

    /// What was promised about lanes and not kept, if anything.
    pub(crate) fn breach(&self) -> Option<&'static str> {
        let (high, normal) = (self.high.milliseconds(), self.normal.milliseconds());
        (high.p50 >= normal.p50 * HIGH_SHARE_MAX).then_some("high hardly faster than normal")
    }
}

impl Figures {
    fn new() -> anyhow::Result<Figures> {
        Ok(Figures { latency: Mutex::new(empty()?), sent: AtomicU64::new(0), refused: AtomicU64::new(0) })
    }

    fn milliseconds(&self) -> Milliseconds {
        Milliseconds::of(&self.latency.lock())
    }

    #[expect(clippy::cast_precision_loss, reason = "exact up to 2^53")]
    fn refused_share(&self) -> f64 {
        let (sent, refused) = (self.sent.load(Ordering::Relaxed), self.refused.load(Ordering::Relaxed));
        refused as f64 / sent.max(1) as f64
    }

    fn figures(&self) -> Value {
        json!({
            "sent": self.sent.load(Ordering::Relaxed),
            "refused_share": self.refused_share(),
            "latency_ms": self.milliseconds(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_high_lane_that_waits_is_seen() {
        let lanes = Lanes::new().unwrap();
        lanes.took(Lane::High, 1_000_000);
        lanes.took(Lane::Normal, 50_000_000);
        assert_eq!(lanes.breach(), None);
        (0..3).for_each(|_| lanes.took(Lane::High, 45_000_000));
        assert_eq!(lanes.breach(), Some("high hardly faster than normal"));
    }
}

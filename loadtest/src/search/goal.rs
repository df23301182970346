//! The target that a rate has to meet.

use std::fmt;

use serde::Serialize;

use crate::plan::Plan;
use crate::report::figures::Milliseconds;
use crate::trial::performance::Performance;

/// Messages that may be refused, of all: the error rate of row MS5.
pub const REFUSED_SHARE_MAX: f64 = 0.001;

/// Bounds of latency, in milliseconds, at least one of them.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Goal {
    /// Of the 95th of 100 messages.
    pub p95_ms: Option<f64>,
    /// Of the 99th.
    pub p99_ms: Option<f64>,
}

impl Goal {
    /// Why a turn missed it, if it did: a promise broken, messages refused, or latency.
    pub fn missed(&self, turn: &Performance, plan: &Plan) -> Option<String> {
        let broken = turn.tally.broken(plan.receipt_mode());
        if let Some((name, count)) =
            broken.first().copied().or(turn.broken.first_key_value().map(|(n, c)| (*n, *c)))
        {
            return Some(format!("{count} {name}"));
        }
        let refused = share(turn.tally.failed.values().sum::<u64>() + turn.tally.unknown, turn.tally.sent);
        if refused > REFUSED_SHARE_MAX {
            return Some(format!("{:.2} % refused", refused * 100.0));
        }
        let latency = Milliseconds::of(&turn.latency);
        let over = |name: &str, figure: f64, bound: Option<f64>| {
            bound.filter(|bound| figure > *bound).map(|bound| format!("{name} over {bound} ms"))
        };
        over("p95", latency.p95, self.p95_ms).or_else(|| over("p99", latency.p99, self.p99_ms))
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bounds = [("p95", self.p95_ms), ("p99", self.p99_ms)];
        let words: Vec<String> = bounds
            .into_iter()
            .filter_map(|(name, bound)| bound.map(|bound| format!("{name} ≤ {bound} ms")))
            .collect();
        f.write_str(&words.join(" and "))
    }
}

#[expect(clippy::cast_precision_loss, reason = "exact up to 2^53")]
fn share(part: u64, all: u64) -> f64 {
    part as f64 / all.max(1) as f64
}

//! How a trial went, moment by moment: what plots are drawn from.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::bench::Bench;
use crate::clock;
use crate::report::figures::Milliseconds;
use crate::trial::live::{Live, Sums, empty};
use crate::trial::performance::Cpu;

/// Often enough for a plot, seldom enough to cost nothing; longer runs are looked at less often.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// More moments than a plot has pixels to show.
const MOMENTS_MAX: usize = 1_200;

/// One moment, and what happened since the one before.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Moment {
    /// Seconds since the trial began.
    pub at_s: f64,
    /// Agents connected.
    pub connected: u64,
    /// Sends a second.
    pub sent_per_s: f64,
    /// Arrivals a second.
    pub delivered_per_s: f64,
    /// Sends a second that were told to have failed.
    pub failed_per_s: f64,
    /// Latency of what came meanwhile, where that counts.
    pub latency_ms: Option<Milliseconds>,
    /// Resident memory of the relays, where they are known.
    pub rss_bytes: Option<u64>,
    /// Processors that the relays used, where they are known.
    pub relay_cores: Option<f64>,
    /// Processors that the generator used.
    pub generator_cores: f64,
}

/// All moments of a trial.
#[derive(Debug)]
pub struct Timeline<'b> {
    bench: &'b Bench,
    live: Arc<Live>,
    begun_ns: u64,
    every: Duration,
    last: Last,
    moments: Vec<Moment>,
}

/// What stood when it was last looked.
#[derive(Debug)]
struct Last {
    at_ns: u64,
    sums: Sums,
    latency: Histogram<u64>,
    cpu: Cpu,
}

impl<'b> Timeline<'b> {
    /// Nothing yet.
    pub fn new(bench: &'b Bench, live: &Arc<Live>) -> anyhow::Result<Timeline<'b>> {
        let begun_ns = clock::now_ns();
        let last = Last {
            at_ns: begun_ns,
            sums: Sums::default(),
            latency: empty()?,
            cpu: bench.cpu().unwrap_or_default(),
        };
        Ok(Timeline { bench, live: Arc::clone(live), begun_ns, every: LOOK_EVERY, last, moments: Vec::new() })
    }

    /// Looks again and again.
    pub async fn follow(&mut self) -> Infallible {
        loop {
            tokio::time::sleep(self.every).await;
            // A relay that is gone shows nothing, and a plot with a hole is no reason to end a run.
            let _ = self.look();
            if self.moments.len() >= MOMENTS_MAX {
                let mut number = 0;
                self.moments.retain(|_| {
                    number += 1;
                    number % 2 == 0
                });
                self.every *= 2;
            }
        }
    }

    /// What was seen.
    pub fn into_moments(self) -> Vec<Moment> {
        self.moments
    }

    fn look(&mut self) -> anyhow::Result<()> {
        let (at_ns, sums, latency) = (clock::now_ns(), self.live.sums(), self.live.latency()?);
        let cpu = self.bench.cpu().unwrap_or(self.last.cpu);
        let seconds = clock::seconds(at_ns - self.last.at_ns).max(f64::MIN_POSITIVE);
        let mut meanwhile = latency.clone();
        meanwhile.subtract(&self.last.latency)?;
        let used = cpu.since(self.last.cpu);
        self.moments.push(Moment {
            at_s: clock::seconds(at_ns - self.begun_ns),
            connected: sums.connected,
            sent_per_s: rate(self.last.sums.sent, sums.sent, seconds),
            delivered_per_s: rate(self.last.sums.delivered, sums.delivered, seconds),
            failed_per_s: rate(self.last.sums.failed, sums.failed, seconds),
            latency_ms: (!meanwhile.is_empty()).then(|| Milliseconds::of(&meanwhile)),
            rss_bytes: self.bench.rss_bytes_about(),
            relay_cores: used.relay.map(|relay| relay / seconds),
            generator_cores: used.generator / seconds,
        });
        self.last = Last { at_ns, sums, latency, cpu };
        Ok(())
    }
}

#[expect(clippy::cast_precision_loss, reason = "exact up to 2^53")]
fn rate(before: u64, now: u64, seconds: f64) -> f64 {
    now.saturating_sub(before) as f64 / seconds
}

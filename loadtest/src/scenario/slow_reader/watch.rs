//! What the relays hold for those who do not read, looked at while traffic flows.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::bail;
use relay_protocol::server::Limits;
use serde_json::json;

use crate::bench::Bench;
use crate::clock;
use crate::metrics::Metrics;
use crate::plan::Stall;
use crate::scenario::slow_reader::party::Refusals;
use crate::trial::performance::Performance;

/// Often enough to see a queue full, seldom enough to cost nothing.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// What may wait for a session, as the relay said in `welcome`.
#[derive(Debug, Default)]
pub(crate) struct Bounds {
    messages: AtomicU64,
    bytes: AtomicU64,
}

impl Bounds {
    pub(crate) fn set(&self, limits: &Limits) {
        self.messages.store(limits.queue_messages, Ordering::Relaxed);
        self.bytes.store(limits.queue_bytes, Ordering::Relaxed);
    }
}

/// The most that was seen.
#[derive(Debug)]
pub(crate) struct Watch<'b> {
    bench: &'b Bench,
    begun_ns: u64,
    rss_bytes_before: Option<u64>,
    rss_bytes_max: Option<u64>,
    queued_messages_max: f64,
    queued_bytes_max: f64,
}

impl<'b> Watch<'b> {
    pub(crate) fn new(bench: &'b Bench) -> anyhow::Result<Watch<'b>> {
        let rss_bytes_before = bench.rss_bytes()?;
        Ok(Watch {
            bench,
            begun_ns: clock::now_ns(),
            rss_bytes_before,
            rss_bytes_max: rss_bytes_before,
            queued_messages_max: 0.0,
            queued_bytes_max: 0.0,
        })
    }

    /// Looks again and again, until it cannot.
    pub(crate) async fn look(&mut self) -> anyhow::Error {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            if let Err(error) = self.look_once().await {
                return error;
            }
        }
    }

    async fn look_once(&mut self) -> anyhow::Result<()> {
        let metrics = Metrics::of(&self.bench.targets).await?;
        let gone =
            metrics.sum("relay_deliveries_written_total") + metrics.sum("relay_deliveries_dropped_total");
        let queued = metrics.sum("relay_deliveries_queued_total") - gone;
        self.queued_messages_max = self.queued_messages_max.max(queued);
        self.queued_bytes_max = self.queued_bytes_max.max(metrics.sum("relay_queued_bytes"));
        self.rss_bytes_max = self.rss_bytes_max.max(self.bench.rss_bytes()?);
        Ok(())
    }

    /// Adds what was seen to what the trial showed, and breaches of what is promised about slow readers.
    pub(crate) fn judge(
        &self,
        refusals: &Refusals,
        before: &Metrics,
        after: &Metrics,
        performance: &mut Performance,
    ) -> anyhow::Result<()> {
        let plan = &self.bench.plan;
        let first_ns = refusals.first_ns.load(Ordering::Relaxed);
        let to_others = refusals.to_others.load(Ordering::Relaxed);
        let load = |bound: &AtomicU64| bound.load(Ordering::Relaxed) * u64::from(plan.stalled);
        let (messages, bytes) = (load(&refusals.bounds.messages), load(&refusals.bounds.bytes));
        let slow = |metrics: &Metrics| metrics.having("relay_closes_total", "slow_consumer");
        let closed = slow(after) - slow(before);
        if plan.stall == Stall::FromStart {
            if !performance.tally.failed.contains_key("saturated") {
                bail!("no queue was full, so nothing was shown: raise --rate, --payload or --duration");
            }
            performance.extra.insert(
                "slow readers".to_owned(),
                json!({
                    "first_refusal_s": clock::seconds(first_ns.saturating_sub(self.begun_ns)),
                    "closed_as_slow": closed,
                    "queued_messages_max": self.queued_messages_max,
                    "queued_messages_bound": messages,
                    "queued_bytes_max": self.queued_bytes_max,
                    "queued_bytes_bound": bytes,
                    "relay_rss_bytes_before": self.rss_bytes_before,
                    "relay_rss_bytes_max": self.rss_bytes_max,
                }),
            );
        }
        let mut breach = |name, count| {
            if count > 0 {
                performance.broken.insert(name, count);
            }
        };
        breach("refused to those who read", to_others);
        breach("queue over its bound", u64::from(self.queued_messages_max > with_others(messages)));
        breach("queue over its bound in bytes", u64::from(self.queued_bytes_max > with_others(bytes)));
        Ok(())
    }
}

/// The relay tells the sum over all sessions; a moment's messages of those who read are in it.
#[expect(clippy::cast_precision_loss, reason = "exact up to 2^53")]
fn with_others(bound: u64) -> f64 {
    bound as f64 * 1.1
}

//! What one trial showed.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;

use crate::checker::Tally;
use crate::process::{self, Process};
use crate::trial::crew::Connecting;
use crate::trial::timeline::Moment;

/// What one trial showed.
#[derive(Debug)]
pub struct Performance {
    /// What became of the messages.
    pub tally: Tally,
    /// From the intended time of sending to the arrival; for request-reply to the reply.
    pub latency: Histogram<u64>,
    /// From the intended time of sending to the sending: the generator's own share.
    pub lag: Histogram<u64>,
    /// Seconds that count.
    pub duration_s: f64,
    /// Arrivals in them.
    pub counted: u64,
    /// How connecting went.
    pub connecting: Connecting,
    /// CPU seconds in the seconds that count.
    pub cpu: Cpu,
    /// Resident bytes of the relays for each connection, where they are known.
    pub rss_bytes_per_connection: Option<f64>,
    /// The same at the end of the traffic.
    pub rss_bytes_per_connection_at_end: Option<f64>,
    /// Promises of a scenario's own that were broken.
    pub broken: BTreeMap<&'static str, u64>,
    /// What a scenario says besides.
    pub extra: BTreeMap<String, serde_json::Value>,
    /// How it went, filled in by who ran it.
    pub timeline: Vec<Moment>,
}

/// CPU seconds of the processes concerned.
#[derive(Debug, Clone, Copy, Default)]
pub struct Cpu {
    /// The relays, where they are known.
    pub relay: Option<f64>,
    /// Redis, where it was started here.
    pub redis: Option<f64>,
    /// The generator.
    pub generator: f64,
    /// Nobody: seconds of all processors together.
    pub idle: f64,
}

impl Cpu {
    /// What the generator and nobody have used so far, the others being unknown.
    pub fn of_generator() -> anyhow::Result<Cpu> {
        let generator = Process::own().cpu_seconds()?;
        Ok(Cpu { relay: None, redis: None, generator, idle: process::idle_seconds()? })
    }

    /// What was used since `before`.
    #[must_use]
    pub fn since(self, before: Cpu) -> Cpu {
        let difference = |now: Option<f64>, then: Option<f64>| now.zip(then).map(|(now, then)| now - then);
        Cpu {
            relay: difference(self.relay, before.relay),
            redis: difference(self.redis, before.redis),
            generator: self.generator - before.generator,
            idle: self.idle - before.idle,
        }
    }
}

impl Performance {
    /// Arrivals a second.
    #[expect(clippy::cast_precision_loss, reason = "exact up to 2^53")]
    pub fn throughput(&self) -> f64 {
        if self.duration_s > 0.0 { self.counted as f64 / self.duration_s } else { 0.0 }
    }

    /// Arrivals for each second of Redis's CPU time.
    #[expect(clippy::cast_precision_loss, reason = "exact up to 2^53")]
    pub fn per_redis_cpu_second(&self) -> Option<f64> {
        self.cpu.redis.filter(|seconds| *seconds > 0.0).map(|seconds| self.counted as f64 / seconds)
    }

    /// Arrivals for each second of the relays' CPU time.
    #[expect(clippy::cast_precision_loss, reason = "exact up to 2^53")]
    pub fn per_cpu_second(&self) -> Option<f64> {
        self.cpu.relay.filter(|seconds| *seconds > 0.0).map(|seconds| self.counted as f64 / seconds)
    }
}

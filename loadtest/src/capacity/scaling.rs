//! Row RA2's decision: more instances, fewer, or as many, from what the relays say about themselves. Pure.

use crate::metrics::Metrics;

/// What each signal counts.
const CPU_WEIGHT: f64 = 0.4;
const OTHERS_WEIGHT: f64 = 0.2;
/// Where each signal is as it should be.
const CPU_TARGET: f64 = 0.6;
const MEMORY_TARGET: f64 = 0.7;
const CONNECTIONS_TARGET: f64 = 0.8;
/// Bytes waiting for each session when clients just keep up.
const QUEUE_TARGET_BYTES: f64 = 16.0 * 1024.0;

/// Signals of all relays together, each 1 where it should be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scrape {
    /// How many relays.
    pub instances: usize,
    /// Processor time.
    pub cpu: f64,
    /// Memory.
    pub memory: f64,
    /// What waits for clients.
    pub queue: f64,
    /// Connections.
    pub connections: f64,
}

impl Scrape {
    /// Of two looks at `instances` relays, so many seconds apart.
    #[expect(clippy::cast_precision_loss, reason = "a number of relays")]
    pub fn of(instances: usize, before: &Metrics, after: &Metrics, seconds: f64, cores: f64) -> Scrape {
        let count = instances.max(1) as f64;
        let used = after.sum("process_cpu_seconds_total") - before.sum("process_cpu_seconds_total");
        let share = |part: f64, all: f64| if all > 0.0 { part / all } else { 0.0 };
        Scrape {
            instances,
            cpu: used / (seconds * cores * count) / CPU_TARGET,
            memory: after.sum("relay_memory_share") / count / MEMORY_TARGET,
            queue: share(after.sum("relay_queued_bytes"), after.sum("relay_sessions")) / QUEUE_TARGET_BYTES,
            connections: share(after.sum("relay_connections"), after.sum("relay_connections_max"))
                / CONNECTIONS_TARGET,
        }
    }

    /// The weighted sum: 1 is as it should be.
    pub fn score(&self) -> f64 {
        CPU_WEIGHT * self.cpu + OTHERS_WEIGHT * (self.memory + self.queue + self.connections)
    }

    /// How many relays there should be.
    pub fn wanted(&self) -> usize {
        let now = self.instances;
        match self.score() {
            score if score > 1.3 => (now * 3).div_ceil(2),
            score if score > 1.1 => now + 1,
            score if score < 0.5 => (now * 7).div_ceil(10).max(1),
            score if score < 0.7 => now.saturating_sub(1).max(1),
            _ => now,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_thresholds_are_those_of_the_row() {
        let even = |level: f64| Scrape {
            instances: 10,
            cpu: level,
            memory: level,
            queue: level,
            connections: level,
        };
        let wanted = [1.4, 1.2, 1.0, 0.8, 0.6, 0.4].map(|level| even(level).wanted());
        assert_eq!(wanted, [15, 11, 10, 10, 9, 7]);
        assert_eq!(Scrape { instances: 1, ..even(0.1) }.wanted(), 1);
        let cpu_alone = Scrape { cpu: 2.0, ..even(0.5) };
        assert!((cpu_alone.score() - 1.1).abs() < 1e-9, "{}", cpu_alone.score());
    }
}

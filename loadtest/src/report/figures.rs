//! Figures as they are reported.

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::floor::beside::Beside;
use crate::floor::spec::FloorSpec;

/// A distribution in milliseconds.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Milliseconds {
    /// Half take less.
    pub p50: f64,
    /// 95 of 100 take less.
    pub p95: f64,
    /// 99 of 100 take less.
    pub p99: f64,
    /// 999 of 1,000 take less.
    pub p999: f64,
    /// None takes more.
    pub max: f64,
}

impl Milliseconds {
    /// Of a histogram of nanoseconds.
    #[expect(clippy::cast_precision_loss, reason = "exact up to 104 days")]
    pub fn of(histogram: &Histogram<u64>) -> Milliseconds {
        let ms = |ns: u64| ns as f64 / 1e6;
        let at = |quantile| ms(histogram.value_at_quantile(quantile));
        Milliseconds { p50: at(0.5), p95: at(0.95), p99: at(0.99), p999: at(0.999), max: ms(histogram.max()) }
    }
}

/// What a bare server showed, as medians, and how the relay compares.
#[derive(Debug, Clone, Serialize)]
pub struct FloorReport {
    /// Echoes, deliveries, or messages that Redis stores or carries, for each second of its CPU time.
    pub messages_per_cpu_second: Option<f64>,
    /// Of each turn.
    pub turns: Vec<f64>,
    /// The same a second.
    pub throughput_per_s: Option<f64>,
    /// The relay's messages a second by these.
    pub throughput_ratio: Option<f64>,
    /// The relay's messages for each CPU second by these.
    pub cpu_ratio: Option<f64>,
    /// The relay's messages for each CPU second of Redis by these, where the floor is Redis.
    pub redis_cpu_ratio: Option<f64>,
    /// 99 of 100 come within, in milliseconds, at a rate.
    pub p99_ms: Option<f64>,
    /// The relay's by this.
    pub p99_ratio: Option<f64>,
    /// Resident memory for each connection.
    pub rss_bytes_per_connection: Option<f64>,
    /// The same after each carried a message.
    pub rss_bytes_after_message: Option<f64>,
    /// The relay's memory for each connection by this.
    pub rss_ratio: Option<f64>,
    /// The same after each carried a message.
    pub rss_ratio_after_message: Option<f64>,
}

/// What the relay showed, to be compared.
#[derive(Debug, Clone, Copy)]
pub struct RelayFigures {
    /// Messages a second.
    pub throughput_per_s: f64,
    /// Messages for each second of its CPU time.
    pub messages_per_cpu_second: Option<f64>,
    /// 99 of 100 arrive within, in milliseconds.
    pub p99_ms: f64,
    /// Messages for each second of Redis's CPU time.
    pub messages_per_redis_cpu_second: Option<f64>,
    /// Resident memory for each connection.
    pub rss_bytes_per_connection: Option<f64>,
    /// The same at the end.
    pub rss_bytes_per_connection_at_end: Option<f64>,
}

impl FloorReport {
    /// Of what a floor showed beside a relay of these figures.
    pub fn new(beside: &Beside, relay: RelayFigures) -> FloorReport {
        let ratio = |relayed: Option<f64>, floor: Option<f64>| {
            relayed.zip(floor).map(|(relayed, floor)| relayed / floor)
        };
        let throughput_per_s = median(beside.echoes.iter().map(|turn| turn.throughput));
        let messages_per_cpu_second = median(beside.echoes.iter().map(|turn| turn.per_cpu_second));
        let p99_ms = median(beside.echoes.iter().filter_map(|turn| Some(turn.latency?.p99)));
        let rss = median(beside.memory.iter().map(|turn| turn.rss_bytes_per_connection));
        let rss_after = median(beside.memory.iter().filter_map(|turn| turn.rss_bytes_after_message));
        FloorReport {
            messages_per_cpu_second,
            turns: beside.echoes.iter().map(|turn| turn.per_cpu_second).collect(),
            throughput_per_s,
            throughput_ratio: ratio(Some(relay.throughput_per_s), throughput_per_s),
            cpu_ratio: ratio(relay.messages_per_cpu_second, messages_per_cpu_second),
            redis_cpu_ratio: ratio(
                relay
                    .messages_per_redis_cpu_second
                    .filter(|_| matches!(beside.spec, FloorSpec::Redis { .. })),
                messages_per_cpu_second,
            ),
            p99_ms,
            p99_ratio: ratio(Some(relay.p99_ms), p99_ms),
            rss_bytes_per_connection: rss,
            rss_bytes_after_message: rss_after,
            rss_ratio: ratio(relay.rss_bytes_per_connection, rss),
            rss_ratio_after_message: ratio(relay.rss_bytes_per_connection_at_end, rss_after),
        }
    }
}

/// The middle one; of an even number, the mean of the two in the middle.
pub fn median(figures: impl IntoIterator<Item = f64>) -> Option<f64> {
    let mut sorted: Vec<f64> = figures.into_iter().collect();
    sorted.sort_by(f64::total_cmp);
    let upper = *sorted.get(sorted.len() / 2)?;
    if sorted.len() % 2 == 1 { Some(upper) } else { Some(f64::midpoint(sorted[sorted.len() / 2 - 1], upper)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(median([]), None);
        assert_eq!(median([3.0]), Some(3.0));
        assert_eq!(median([9.0, 1.0, 3.0]), Some(3.0));
        assert_eq!(median([1.0, 2.0, 4.0, 9.0]), Some(3.0));
    }
}

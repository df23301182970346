//! The report as a table.

use std::fmt::Write;

use serde_json::Value;

use crate::peer::Peer;
use crate::report::Report;
use crate::report::figures::{FloorReport, Milliseconds};

/// Of what a scenario says besides.
const VALUE_CHARS_MAX: usize = 600;

impl Report {
    /// The report as lines of text.
    pub fn summary(&self) -> String {
        let mut text = String::new();
        let mut row = |name: &str, words: String| {
            // Writing to text meets no error.
            let _ = writeln!(text, "  {name:<12} {words}");
        };
        if self.turns > 0 {
            let tally = &self.tally;
            row("connects", format!("{:.0}/s · {}", self.connects_per_s, self.connect_ms.words()));
            if tally.sent > 0 {
                row("sent", format!("{} · accepted {}", tally.sent, tally.accepted));
                row("delivered", format!("{} · {:.0}/s", tally.delivered, self.throughput_per_s));
                row("latency", self.latency_ms.words());
                row("send lag", self.send_lag_ms.words());
            }
            if !tally.failed.is_empty() || tally.unknown > 0 {
                let reasons: Vec<String> =
                    tally.failed.iter().map(|(reason, count)| format!("{reason} {count}")).collect();
                row("failed", format!("{} · unknown {}", reasons.join(", "), tally.unknown));
            }
            if tally.gaps > 0 || tally.lost_declared > 0 {
                row("gaps", format!("{} · losses declared {}", tally.gaps, tally.lost_declared));
            }
            if tally.unverified > 0 {
                row("unverified", format!("{}: too many holes to remember", tally.unverified));
            }
            for (name, value) in &self.extra {
                match value {
                    Value::Array(turns) => turns.iter().for_each(|turn| row(name, short(turn))),
                    value => row(name, short(value)),
                }
            }
            row("cpu", self.cpu_words());
            if let Some(headroom) = &self.headroom {
                row("headroom", headroom.words());
            }
            if let Some(bytes) = self.rss_bytes_per_connection {
                let at_end = self.rss_bytes_per_connection_at_end.unwrap_or(bytes);
                row("memory", format!("{} a connection, {} at the end", kib(bytes), kib(at_end)));
            }
        }
        if let Some(found) = &self.search {
            found.lines().for_each(|line| row("search", line));
        }
        for (spec, floor) in &self.floor {
            row(&format!("floor {spec}"), floor.words());
        }
        if let Some(against) = &self.against {
            row(
                "against",
                format!("{} · {} pairs, ratio of medians [pair by pair]", against.arguments, against.pairs),
            );
            against.lines().for_each(|(figure, words)| row(figure, words));
            row("verdict", against.verdict());
        }
        if self.turns > 0 {
            row("promises", self.promises());
        }
        format!("{}\n{text}", self.title())
    }

    /// What was run, in a line.
    pub(super) fn title(&self) -> String {
        let rate = self.rate.map_or(String::new(), |rate| format!(", {rate}/s"));
        let depth = self.depth.map_or(String::new(), |depth| format!(", depth {depth}"));
        let relays = match (self.turns, self.instances) {
            (0, _) => "no relay".to_owned(),
            (_, 1) => format!("1 {}", self.server()),
            (_, count) => format!("{count} {}s", self.server()),
        };
        let seconds = format!("{:.1} s in {} turns", self.duration_s, self.turns);
        let Report { scenario, agents, payload, .. } = self;
        format!("{scenario}: {agents} agents, {relays}, {payload} bytes{rate}{depth}, {seconds}")
    }

    /// What was run.
    fn server(&self) -> &'static str {
        self.peer.map_or("relay", Peer::name)
    }

    fn cpu_words(&self) -> String {
        let generator = format!("generator {:.2} s", self.generator_cpu_seconds);
        let server = self.server();
        let relay = self.cpu_seconds.map(|seconds| format!("{server} {seconds:.2} s"));
        let redis = self.redis_cpu_seconds.map(|seconds| format!("redis {seconds:.2} s"));
        let messages = self
            .messages_per_cpu_second
            .map(|messages| format!("{messages:.0} messages a {server} CPU second"));
        let redis_messages = self
            .messages_per_redis_cpu_second
            .map(|messages| format!("{messages:.0} messages a Redis CPU second"));
        [Some(generator), relay, redis, messages, redis_messages]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .join(" · ")
    }

    /// Whether promises were kept, and which were not.
    pub(crate) fn promises(&self) -> String {
        if self.broken.is_empty() {
            return "kept".to_owned();
        }
        let broken: Vec<String> = self.broken.iter().map(|(name, count)| format!("{name} {count}")).collect();
        format!("BROKEN: {}", broken.join(", "))
    }
}

impl Milliseconds {
    fn words(&self) -> String {
        let Milliseconds { p50, p95, p99, p999, max } = self;
        format!("p50 {p50:.3} · p95 {p95:.3} · p99 {p99:.3} · p99.9 {p999:.3} · max {max:.3} ms")
    }
}

impl FloorReport {
    fn words(&self) -> String {
        let ratio = |ratio: Option<f64>| ratio.map_or(String::new(), |ratio| format!(" (relay {ratio:.2}×)"));
        let echoes = self.messages_per_cpu_second.map(|messages| {
            let throughput = self.throughput_per_s.unwrap_or(0.0);
            format!(
                "{messages:.0} messages a CPU second{}{}, {throughput:.0}/s{}",
                ratio(self.cpu_ratio),
                self.redis_cpu_ratio
                    .map_or(String::new(), |ratio| format!(" (Redis under the relay {ratio:.2}×)")),
                ratio(self.throughput_ratio)
            )
        });
        let p99 = self.p99_ms.map(|ms| format!("p99 {ms:.3} ms{}", ratio(self.p99_ratio)));
        let memory = self
            .rss_bytes_per_connection
            .map(|bytes| format!("{} a connection{}", kib(bytes), ratio(self.rss_ratio)));
        let after = self
            .rss_bytes_after_message
            .map(|bytes| format!("{} after a message{}", kib(bytes), ratio(self.rss_ratio_after_message)));
        [echoes, p99, memory, after].into_iter().flatten().collect::<Vec<_>>().join(" · ")
    }
}

/// What fits on a screen; all of it is in the JSON report.
fn short(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(VALUE_CHARS_MAX) {
        Some((end, _)) => format!("{}… (whole with --json)", &text[..end]),
        None => text,
    }
}

fn kib(bytes: f64) -> String {
    format!("{:.2} KiB", bytes / 1024.0)
}

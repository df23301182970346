//! What is compared with what, and which bound issue and requirements set.

use crate::limit;
use crate::report::Report;
use crate::report::against::Ratio;
use crate::report::figures::FloorReport;

/// One row of the table.
#[derive(Debug)]
pub(crate) struct Case {
    /// What it is, for people.
    pub(crate) name: &'static str,
    /// As behind `run`.
    pub(crate) arguments: &'static str,
    /// Memory is that of fresh processes, and a storm that of one moment: they have one turn.
    pub(crate) once: bool,
    /// It takes minutes and gigabytes, at its own pace, so that it is run only when asked for.
    pub(crate) on_request: bool,
    /// What is looked at.
    pub(crate) figure: Figure,
}

/// The figure that a case is about, and its bound.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Figure {
    /// Messages of the relay by those of the floor, for each CPU second, at least.
    CpuRatio(Option<f64>),
    /// Deliveries for each CPU second of the relays.
    PerCpuSecond,
    /// Messages for each CPU second of Redis by those that it carries alone, and how many, at least.
    RedisRatio(f64, f64),
    /// Milliseconds of the 95th of 100 messages, at most.
    P95(f64),
    /// Microseconds of CPU time for each arrival by those of the baseline: the inverse is what is gained.
    Gain,
    /// KiB resident for each connection, at most; at the end, after a message, at most.
    Memory(f64, f64),
    /// Milliseconds until all are back, at most.
    Storm(f64),
    /// Deliveries for each CPU second by those of a peer, at least.
    Beside(Option<f64>),
    /// Memory for each connection by that of a peer, at most.
    MemoryBeside(Option<f64>),
}

/// The floors that bounds are about: axum's WebSocket as it comes, and for fan-out writes of what was framed once.
const BOUND_FLOORS: [&str; 2] = ["axum", "raw"];

macro_rules! unlimited {
    ($text:literal) => {
        concat!(
            $text,
            " --relay-env=RELAY_RATE_MESSAGES=1000000 --relay-env=RELAY_RATE_BURST=1000000",
            " --relay-env=RELAY_RATE_BYTES=1000000000"
        )
    };
}

/// All of them, the bounds those of issue 5 and of row AD4.
pub(crate) const CASES: &[Case] = &[
    Case {
        name: "direct, 1 in flight, failures told",
        arguments: unlimited!("direct --agents=100 --depth=1 --floor=axum --floor=raw,4096"),
        once: false,
        on_request: false,
        figure: Figure::CpuRatio(Some(0.8)),
    },
    Case {
        name: "direct, 16 in flight, failures told",
        arguments: unlimited!("direct --agents=100 --depth=16 --floor=axum --floor=raw,4096"),
        once: false,
        on_request: false,
        figure: Figure::CpuRatio(Some(0.8)),
    },
    Case {
        name: "direct, 1 in flight, all outcomes told",
        arguments: unlimited!("direct --agents=100 --depth=1 --receipt=all --floor=axum --floor=raw,4096"),
        once: false,
        on_request: false,
        figure: Figure::CpuRatio(Some(0.45)),
    },
    Case {
        name: "direct, 16 in flight, all outcomes told",
        arguments: unlimited!("direct --agents=100 --depth=16 --receipt=all --floor=axum --floor=raw,4096"),
        once: false,
        on_request: false,
        figure: Figure::CpuRatio(Some(0.7)),
    },
    Case {
        name: "requests and replies, 16 in flight",
        arguments: unlimited!("request-reply --agents=100 --depth=16 --floor=axum --floor=raw,4096"),
        once: false,
        on_request: false,
        figure: Figure::CpuRatio(None),
    },
    Case {
        name: "fan-out 1 to 1,000",
        arguments: unlimited!("fan-out --agents=1000 --floor=raw"),
        once: false,
        on_request: false,
        figure: Figure::CpuRatio(Some(0.8)),
    },
    Case {
        name: "fan-out 1 to 1,000, 10 at a time",
        arguments: unlimited!("fan-out --agents=1000 --depth=10 --floor=raw"),
        once: false,
        on_request: false,
        figure: Figure::CpuRatio(Some(0.8)),
    },
    Case {
        name: "across two instances, 16 in flight, all outcomes told",
        arguments: unlimited!("direct --agents=100 --depth=16 --receipt=all --instances=2"),
        once: false,
        on_request: false,
        figure: Figure::PerCpuSecond,
    },
    Case {
        name: "across two instances, 256 bytes, beside what fred carries through Redis alone",
        arguments: unlimited!(
            "direct --agents=200 --depth=64 --payload=256 --batch=16 --instances=2 --floor=redis,64"
        ),
        once: false,
        on_request: false,
        figure: Figure::RedisRatio(0.7, 1e6),
    },
    Case {
        name: "16 frames in a WebSocket message beside one",
        arguments: unlimited!("direct --agents=100 --depth=64 --batch=16 --against=--batch=1"),
        once: false,
        on_request: false,
        figure: Figure::Gain,
    },
    Case {
        name: "idle, 15,000 connections, then a message of 60 KB each",
        arguments: "idle --agents=15000 --after-message=60000 --floor=axum,4096 --floor=raw,4096",
        once: true,
        on_request: false,
        figure: Figure::Memory(8.0, 10.0),
    },
    Case {
        name: "8,000 agents lose their connections and come back",
        arguments: "reconnect-storm --agents=8000",
        once: true,
        on_request: false,
        figure: Figure::Storm(4_000.0),
    },
    Case {
        name: "swarm: 50,000 agents on three relays, 10,000 messages/s",
        arguments: "swarm",
        once: true,
        on_request: true,
        figure: Figure::P95(100.0),
    },
];

impl Figure {
    /// The figure in words, with the verdict where there is a bound.
    pub(crate) fn words(self, report: &Report) -> String {
        let against = |figure| report.against.as_ref()?.figures.get(&figure);
        let said = match self {
            Figure::CpuRatio(bound) => ratios(report, bound),
            Figure::PerCpuSecond => report
                .messages_per_cpu_second
                .map(|messages| format!("{:.0} k a relay CPU second", messages / 1e3)),
            Figure::RedisRatio(bound, bound_each) => redis_ratio(report, bound, bound_each),
            Figure::P95(bound) => {
                let p95 = report.latency_ms.p95;
                Some(format!("p95 {p95:.1} ms (≤ {bound}: {})", verdict(p95 <= bound)))
            }
            Figure::Gain => against(limit::Figure::Cpu).map(|cpu| {
                format!(
                    "{:.1}× [{:.1}–{:.1}] as many a CPU second",
                    1.0 / cpu.ratio,
                    1.0 / cpu.max,
                    1.0 / cpu.min
                )
            }),
            Figure::Beside(bound) => against(limit::Figure::Cpu).map(|cpu| {
                let ratio = 1.0 / cpu.ratio;
                let bound = bound.map(|bound| format!(" (≥ {bound}: {})", verdict(ratio >= bound)));
                format!(
                    "{ratio:.2}× [{:.2}–{:.2}] as many a CPU second{}",
                    1.0 / cpu.max,
                    1.0 / cpu.min,
                    bound.unwrap_or_default()
                )
            }),
            Figure::MemoryBeside(bound) => against(limit::Figure::Memory).map(|memory| {
                let Ratio { run, baseline, ratio, .. } = memory;
                let bound = bound.map(|bound| format!(" (≤ {bound}: {})", verdict(*ratio <= bound)));
                format!("{run:.2} by {baseline:.2} KiB: {ratio:.2}×{}", bound.unwrap_or_default())
            }),
            Figure::Memory(bound, bound_after) => {
                let (kib, after) = (report.rss_bytes_per_connection, report.rss_bytes_per_connection_at_end);
                kib.zip(after).map(|(bytes, after)| {
                    let (kib, after) = (bytes / 1024.0, after / 1024.0);
                    format!(
                        "{kib:.2} KiB (≤ {bound}: {}), {after:.2} KiB after (≤ {bound_after}: {})",
                        verdict(kib <= bound),
                        verdict(after <= bound_after)
                    )
                })
            }
            Figure::Storm(bound) => report.extra.get("storm").and_then(|storm| {
                let welcomed = storm["welcomed_ms"]["max"].as_f64()?;
                Some(format!("all welcomed in {welcomed:.0} ms (≤ {bound}: {})", verdict(welcomed <= bound)))
            }),
        };
        said.unwrap_or_else(|| "no figure".to_owned())
    }
}

fn redis_ratio(report: &Report, bound: f64, bound_each: f64) -> Option<String> {
    let each = report.messages_per_redis_cpu_second?;
    let ratio = report.floor.values().next()?.redis_cpu_ratio?;
    Some(format!(
        "{:.0} k a Redis CPU second (≥ {:.0} k: {}), {ratio:.2}× Redis alone (≥ {bound}: {})",
        each / 1e3,
        bound_each / 1e3,
        verdict(each >= bound_each),
        verdict(ratio >= bound)
    ))
}

/// The ratio to each floor; the bound is that of the issue.
fn ratios(report: &Report, bound: Option<f64>) -> Option<String> {
    let ratio = |(name, floor): (&String, &FloorReport)| {
        let ratio = floor.cpu_ratio?;
        Some(match bound.filter(|_| BOUND_FLOORS.contains(&name.as_str())) {
            Some(bound) => format!("{ratio:.2}× {name} (≥ {bound}: {})", verdict(ratio >= bound)),
            None => format!("{ratio:.2}× {name}"),
        })
    };
    let words = report.floor.iter().map(ratio).collect::<Option<Vec<_>>>()?;
    (!words.is_empty()).then(|| words.join(", "))
}

fn verdict(good: bool) -> &'static str {
    if good { "met" } else { "NOT met" }
}

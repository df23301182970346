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
    /// How it is run.
    pub(crate) pace: Pace,
    /// What is looked at.
    pub(crate) figure: Figure,
}

/// How often a case is run, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pace {
    /// As many turns, of as many seconds, as `bench` was asked for.
    InTurns,
    /// Memory is that of fresh processes, and a storm that of one moment.
    Once,
    /// It looks for its load first, and says itself how long it takes.
    Own,
    /// The same, with gigabytes: only when asked for.
    OnRequest,
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
    /// Milliseconds of the 99th of 100 messages, at most.
    P99(f64),
    /// The same by the sum of those of the floors, at most.
    P99Ratio(f64),
    /// Microseconds of CPU time for each arrival by those of the baseline, at most.
    Flat(f64),
    /// Microseconds of CPU time for each arrival by those of the baseline: the inverse is what is gained.
    Gain,
    /// KiB resident for each connection, at most; at the end, after a message, at most.
    Memory(f64, f64),
    /// Milliseconds until all are back, at most.
    Storm(f64),
    /// Of the messages of the peak, so many may be refused.
    Peak(f64),
    /// Deliveries in time under overload by those before it, at least.
    Goodput(f64),
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
        pace: Pace::InTurns,
        figure: Figure::CpuRatio(Some(0.8)),
    },
    Case {
        name: "direct, 16 in flight, failures told",
        arguments: unlimited!("direct --agents=100 --depth=16 --floor=axum --floor=raw,4096"),
        pace: Pace::InTurns,
        figure: Figure::CpuRatio(Some(0.8)),
    },
    Case {
        name: "direct, 1 in flight, all outcomes told",
        arguments: unlimited!("direct --agents=100 --depth=1 --receipt=all --floor=axum --floor=raw,4096"),
        pace: Pace::InTurns,
        figure: Figure::CpuRatio(Some(0.45)),
    },
    Case {
        name: "direct, 16 in flight, all outcomes told",
        arguments: unlimited!("direct --agents=100 --depth=16 --receipt=all --floor=axum --floor=raw,4096"),
        pace: Pace::InTurns,
        figure: Figure::CpuRatio(Some(0.7)),
    },
    Case {
        name: "requests and replies, 16 in flight",
        arguments: unlimited!("request-reply --agents=100 --depth=16 --floor=axum --floor=raw,4096"),
        pace: Pace::InTurns,
        figure: Figure::CpuRatio(None),
    },
    Case {
        name: "fan-out 1 to 1,000",
        arguments: unlimited!("fan-out --agents=1000 --floor=raw"),
        pace: Pace::InTurns,
        figure: Figure::CpuRatio(Some(0.8)),
    },
    Case {
        name: "fan-out 1 to 1,000, 10 at a time",
        arguments: unlimited!("fan-out --agents=1000 --depth=10 --floor=raw"),
        pace: Pace::InTurns,
        figure: Figure::CpuRatio(Some(0.8)),
    },
    Case {
        name: "across two instances, 16 in flight, all outcomes told",
        arguments: unlimited!("direct --agents=100 --depth=16 --receipt=all --instances=2"),
        pace: Pace::InTurns,
        figure: Figure::PerCpuSecond,
    },
    Case {
        name: "across two instances, 256 bytes, beside what fred carries through Redis alone",
        arguments: unlimited!(
            "direct --agents=200 --depth=64 --payload=256 --batch=16 --instances=2 --floor=redis,64"
        ),
        pace: Pace::InTurns,
        figure: Figure::RedisRatio(0.7, 1e6),
    },
    Case {
        name: "three instances, 45,000 deliveries/s",
        arguments: unlimited!("direct --agents=300 --instances=3 --rate=45000"),
        pace: Pace::InTurns,
        figure: Figure::P99(10.0),
    },
    Case {
        name: "one instance at half its highest rate, beside the echo",
        arguments: unlimited!("direct --agents=100 --rate=448000 --floor=axum"),
        pace: Pace::InTurns,
        figure: Figure::P99Ratio(2.0),
    },
    Case {
        name: "two instances at half their highest rate, beside the echo and Redis alone",
        arguments: unlimited!(
            "direct --agents=100 --instances=2 --rate=136000 --floor=axum --floor=redis,16"
        ),
        pace: Pace::InTurns,
        figure: Figure::P99Ratio(2.0),
    },
    Case {
        name: "fan-out to 10,000, a delivery beside one of those to 10",
        arguments: unlimited!("fan-out --agents=10000 --depth=10 --against=--agents=10"),
        pace: Pace::InTurns,
        figure: Figure::Flat(1.2),
    },
    Case {
        name: "eight instances, a delivery beside one of two",
        arguments: unlimited!("direct --agents=192 --depth=16 --instances=8 --against=--instances=2"),
        pace: Pace::InTurns,
        figure: Figure::Flat(1.2),
    },
    Case {
        name: "16 frames in a WebSocket message beside one",
        arguments: unlimited!("direct --agents=100 --depth=64 --batch=16 --against=--batch=1"),
        pace: Pace::InTurns,
        figure: Figure::Gain,
    },
    Case {
        name: "idle, 15,000 connections, then a message of 60 KB each",
        arguments: "idle --agents=15000 --after-message=60000 --floor=axum,4096 --floor=raw,4096",
        pace: Pace::Once,
        figure: Figure::Memory(8.0, 10.0),
    },
    Case {
        name: "8,000 agents lose their connections and come back",
        arguments: "reconnect-storm --agents=8000",
        pace: Pace::Once,
        figure: Figure::Storm(4_000.0),
    },
    Case {
        name: "one of three relays killed, its share of 10,000 agents and the others come back",
        arguments: "reconnect-storm --agents=10000 --instances=3",
        pace: Pace::Once,
        figure: Figure::Storm(10_000.0),
    },
    Case {
        name: "three times the normal load",
        arguments: "peak",
        pace: Pace::Own,
        figure: Figure::Peak(0.001),
    },
    Case {
        name: "twice the highest rate",
        arguments: "overload",
        pace: Pace::Own,
        figure: Figure::Goodput(0.9),
    },
    Case {
        name: "swarm: 50,000 agents on three relays, 10,000 messages/s",
        arguments: "swarm",
        pace: Pace::OnRequest,
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
            Figure::P99(bound) => {
                let p99 = report.latency_ms.p99;
                Some(format!("p99 {p99:.1} ms (≤ {bound}: {})", verdict(p99 <= bound)))
            }
            Figure::P99Ratio(bound) => p99_ratio(report, bound),
            Figure::Flat(bound) => against(limit::Figure::Cpu).map(|cpu| {
                let Ratio { ratio, min, max, .. } = cpu;
                format!(
                    "{ratio:.2}× [{min:.2}–{max:.2}] the CPU time (≤ {bound}: {})",
                    verdict(*ratio <= bound)
                )
            }),
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
            Figure::Memory(bound, bound_after) => memory(report, bound, bound_after),
            Figure::Storm(bound) => storm(report, bound),
            Figure::Peak(bound) => peak(report, bound),
            Figure::Goodput(bound) => goodput(report, bound),
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

fn memory(report: &Report, bound: f64, bound_after: f64) -> Option<String> {
    let (bytes, after) = report.rss_bytes_per_connection.zip(report.rss_bytes_per_connection_at_end)?;
    let (kib, after) = (bytes / 1024.0, after / 1024.0);
    Some(format!(
        "{kib:.2} KiB (≤ {bound}: {}), {after:.2} KiB after (≤ {bound_after}: {})",
        verdict(kib <= bound),
        verdict(after <= bound_after)
    ))
}

/// Of a restart all have to be welcomed; where a relay is killed, its agents have to find another first.
fn storm(report: &Report, bound: f64) -> Option<String> {
    let storm = report.extra.get("storm")?;
    let killed = storm["relay_killed"].as_bool()?;
    let (time, what) = if killed { ("back_ms", "back") } else { ("welcomed_ms", "welcomed") };
    let took = storm[time]["max"].as_f64()?;
    Some(format!("all {what} in {took:.0} ms (≤ {bound}: {})", verdict(took <= bound)))
}

fn peak(report: &Report, bound: f64) -> Option<String> {
    let peak = report.extra.get("peak")?;
    let refused = peak["refused_share"].as_f64()?;
    let in_time = 100.0 * peak["during"]["in_time_share"].as_f64()?;
    Some(format!(
        "{:.3} % refused (≤ {:.1} %: {}), {in_time:.1} % in time",
        100.0 * refused,
        100.0 * bound,
        verdict(refused <= bound)
    ))
}

fn goodput(report: &Report, bound: f64) -> Option<String> {
    let overload = report.extra.get("overload")?;
    let in_time = |phase: &str| overload[phase]["goodput_per_s"].as_f64();
    let share = in_time("during")? / in_time("before")?;
    Some(format!(
        "{:.0} % of the goodput before (≥ {:.0} %: {})",
        100.0 * share,
        100.0 * bound,
        verdict(share >= bound)
    ))
}

/// What the relay needs beside all that it stands on.
fn p99_ratio(report: &Report, bound: f64) -> Option<String> {
    let floors: f64 = report.floor.values().map(|floor| floor.p99_ms).sum::<Option<f64>>()?;
    let (p99, names) = (report.latency_ms.p99, report.floor.keys().cloned().collect::<Vec<_>>());
    let ratio = p99 / floors;
    Some(format!(
        "p99 {p99:.2} ms, {ratio:.2}× that of {} (≤ {bound}: {})",
        names.join(" and "),
        verdict(ratio <= bound)
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

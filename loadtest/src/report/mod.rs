//! The report of a run, for programs (JSON) and for people (a table).

pub mod against;
pub mod figures;
pub mod headroom;
pub mod html;
pub mod progress;
pub mod summary;

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use crate::bench::Bench;
use crate::checker::Tally;
use crate::floor::beside::Beside;
use crate::peer::Peer;
use crate::plan::{EncodingChoice, Plan, Receipt};
use crate::report::against::AgainstReport;
use crate::report::figures::{FloorReport, Milliseconds, RelayFigures, median};
use crate::report::headroom::Headroom;
use crate::scenario::Scenario;
use crate::search::Found;
use crate::trial::live::empty;
use crate::trial::performance::Performance;
use crate::trial::timeline::Moment;

/// The report of a run. Of several turns, messages and seconds are summed, latencies put together, rates the median.
#[derive(Debug, Serialize)]
pub struct Report {
    /// What was run.
    pub scenario: &'static str,
    /// How many agents.
    pub agents: u32,
    /// What was run instead of relays.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer: Option<Peer>,
    /// How many relays.
    pub instances: usize,
    /// Size of payloads.
    pub payload: usize,
    /// In flight, where it was said.
    pub depth: Option<u32>,
    /// Sends a second, where it was said.
    pub rate: Option<u32>,
    /// How frames were written.
    pub encoding: EncodingChoice,
    /// Which outcomes were asked for.
    pub receipt: Receipt,
    /// How many times it was run.
    pub turns: usize,
    /// What became of the messages.
    #[serde(flatten)]
    pub tally: Tally,
    /// Promises that were broken.
    pub broken: BTreeMap<&'static str, u64>,
    /// Arrivals a second.
    pub throughput_per_s: f64,
    /// From the intended time of sending to the arrival.
    pub latency_ms: Milliseconds,
    /// From the intended time of sending to the sending: the generator's own share of latency.
    pub send_lag_ms: Milliseconds,
    /// Seconds that counted.
    pub duration_s: f64,
    /// Connections made a second.
    pub connects_per_s: f64,
    /// From the connect to the welcome.
    pub connect_ms: Milliseconds,
    /// Resident memory of the relays for each connection.
    pub rss_bytes_per_connection: Option<f64>,
    /// The same at the end of the traffic.
    pub rss_bytes_per_connection_at_end: Option<f64>,
    /// CPU time of the relays in the seconds that counted.
    pub cpu_seconds: Option<f64>,
    /// CPU time of the Redis that was started here.
    pub redis_cpu_seconds: Option<f64>,
    /// CPU time of the generator: it is the bottleneck when this nears the seconds times the cores it had.
    pub generator_cpu_seconds: f64,
    /// Arrivals for each second of the relays' CPU time.
    pub messages_per_cpu_second: Option<f64>,
    /// The same of Redis.
    pub messages_per_redis_cpu_second: Option<f64>,
    /// Who was busy in the last turn, and what would have been in the way of more.
    pub headroom: Option<Headroom>,
    /// What `--search` found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub search: Option<Found>,
    /// What bare servers showed beside, and how the relay compares.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub floor: BTreeMap<String, FloorReport>,
    /// The same beside a baseline.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub against: Option<AgainstReport>,
    /// The last turn, moment by moment.
    pub timeline: Vec<Moment>,
    /// What the scenario says besides; of several turns, each.
    #[serde(flatten)]
    pub extra: BTreeMap<String, Value>,
}

impl Report {
    /// Puts together what all turns showed.
    pub fn new(
        bench: &Bench,
        scenario: &Scenario,
        turns: &[Performance],
        floors: &[Beside],
        against: Option<AgainstReport>,
    ) -> anyhow::Result<Report> {
        let plan = &bench.plan;
        let (mut tally, mut latency, mut lag, mut connect) = (Tally::default(), empty()?, empty()?, empty()?);
        for turn in turns {
            tally.add(&turn.tally);
            latency.add(&turn.latency)?;
            lag.add(&turn.lag)?;
            connect.add(&turn.connecting.latency)?;
        }
        let broken = broken(&tally, plan, turns);
        let median_of = |figure: fn(&Performance) -> Option<f64>| median(turns.iter().filter_map(figure));
        let sum = |figure: fn(&Performance) -> Option<f64>| {
            turns.iter().map(figure).sum::<Option<f64>>().filter(|_| !turns.is_empty())
        };
        let throughput_per_s = median_of(|turn| Some(turn.throughput())).unwrap_or(0.0);
        let messages_per_cpu_second = median_of(Performance::per_cpu_second);
        let messages_per_redis_cpu_second = median_of(Performance::per_redis_cpu_second);
        // Memory that one turn took is there for the next: only the first shows what connections cost.
        let rss_bytes_per_connection = turns.first().and_then(|turn| turn.rss_bytes_per_connection);
        let at_end = turns.first().and_then(|turn| turn.rss_bytes_per_connection_at_end);
        let relay = RelayFigures {
            throughput_per_s,
            messages_per_cpu_second,
            p99_ms: Milliseconds::of(&latency).p99,
            messages_per_redis_cpu_second,
            rss_bytes_per_connection,
            rss_bytes_per_connection_at_end: at_end,
        };
        let floor = |beside: &Beside| (beside.spec.to_string(), FloorReport::new(beside, relay));
        Ok(Report {
            scenario: scenario.name,
            agents: plan.agents,
            peer: bench.peer,
            instances: bench.targets.len(),
            payload: plan.payload,
            depth: plan.depth,
            rate: plan.rate,
            encoding: plan.encoding,
            receipt: plan.receipt,
            turns: turns.len(),
            tally,
            broken,
            throughput_per_s,
            latency_ms: Milliseconds::of(&latency),
            send_lag_ms: Milliseconds::of(&lag),
            // The sum of nothing is a negative zero.
            duration_s: turns.iter().fold(0.0, |sum, turn| sum + turn.duration_s),
            connects_per_s: median_of(|turn| Some(turn.connecting.per_second())).unwrap_or(0.0),
            connect_ms: Milliseconds::of(&connect),
            rss_bytes_per_connection,
            rss_bytes_per_connection_at_end: at_end,
            cpu_seconds: sum(|turn| turn.cpu.relay),
            redis_cpu_seconds: sum(|turn| turn.cpu.redis),
            generator_cpu_seconds: turns.iter().fold(0.0, |sum, turn| sum + turn.cpu.generator),
            messages_per_cpu_second,
            messages_per_redis_cpu_second,
            headroom: turns.last().map(Headroom::of),
            search: None,
            floor: floors.iter().map(floor).collect(),
            against,
            timeline: turns.last().map(|turn| turn.timeline.clone()).unwrap_or_default(),
            extra: extra(turns),
        })
    }

    /// Whether every promise was kept, and every limit.
    pub fn is_kept(&self) -> bool {
        let found = self.search.as_ref().is_none_or(|found| found.highest_rate.is_some());
        self.broken.is_empty() && found && self.against.as_ref().is_none_or(AgainstReport::is_kept)
    }
}

/// Promises of the relay and of the scenario that were broken in any turn.
fn broken(tally: &Tally, plan: &Plan, turns: &[Performance]) -> BTreeMap<&'static str, u64> {
    let mut broken: BTreeMap<_, _> = tally.broken(plan.receipt_mode()).into_iter().collect();
    for (name, count) in turns.iter().flat_map(|turn| &turn.broken) {
        *broken.entry(*name).or_default() += count;
    }
    broken
}

fn extra(turns: &[Performance]) -> BTreeMap<String, Value> {
    if let [only] = turns {
        return only.extra.clone();
    }
    let mut each: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for (name, value) in turns.iter().flat_map(|turn| &turn.extra) {
        each.entry(name.clone()).or_default().push(value.clone());
    }
    each.into_iter().map(|(name, values)| (name, Value::Array(values))).collect()
}

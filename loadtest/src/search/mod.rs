//! The highest rate that meets a latency target: doubled until it is missed, then halved in between.

pub mod goal;
pub mod ladder;

use serde::Serialize;

use crate::bench::Bench;
use crate::floor::beside::execute;
use crate::report::figures::Milliseconds;
use crate::report::headroom::Headroom;
use crate::scenario::Scenario;
use crate::search::goal::Goal;
use crate::search::ladder::Ladder;
use crate::trial::performance::Performance;

/// Where it begins unless `--rate` says.
pub const RATE_START: u32 = 1_000;
/// A rate that misses its target is tried again, so that one odd moment of the machine does not decide.
const TRIES: u32 = 2;

/// What was found.
#[derive(Debug, Clone, Serialize)]
pub struct Found {
    /// The target.
    pub target: Goal,
    /// The highest rate that met it; nothing if none did.
    pub highest_rate: Option<u32>,
    /// Every rate tried, in turn.
    pub steps: Vec<Step>,
}

/// One rate tried.
#[derive(Debug, Clone, Serialize)]
pub struct Step {
    /// Messages a second.
    pub rate: u32,
    /// Whether the target was met.
    pub met: bool,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub missed: Option<String>,
    /// Latency at that rate.
    pub latency_ms: Milliseconds,
    /// Arrivals a second.
    pub throughput_per_s: f64,
    /// Who was busy.
    pub headroom: Headroom,
}

/// Searches; returns what was found, and what the highest rate showed, or else the lowest tried.
pub async fn search(
    bench: &Bench,
    scenario: &Scenario,
    target: Goal,
) -> anyhow::Result<(Found, Performance)> {
    let mut ladder = Ladder::new(bench.plan.rate.unwrap_or(RATE_START));
    let mut found = Found { target, highest_rate: None, steps: Vec::new() };
    let mut shown: Option<Performance> = None;
    while let Some(rate) = ladder.next_rate() {
        let mut bench = bench.clone();
        bench.plan.rate = Some(rate);
        let mut met = false;
        for _ in 0..TRIES {
            let turn = execute(&bench, scenario).await?;
            let missed = target.missed(&turn, &bench.plan);
            met = missed.is_none();
            found.steps.push(Step {
                rate,
                met,
                missed,
                latency_ms: Milliseconds::of(&turn.latency),
                throughput_per_s: turn.throughput(),
                headroom: Headroom::of(&turn),
            });
            if met || shown.is_none() {
                shown = Some(turn);
            }
            if met {
                break;
            }
        }
        ladder.tried(rate, met);
    }
    found.highest_rate = ladder.highest();
    let shown = shown.ok_or_else(|| anyhow::anyhow!("no rate was tried"))?;
    Ok((found, shown))
}

impl Found {
    /// A line for each rate, and the verdict.
    pub fn lines(&self) -> impl Iterator<Item = String> {
        let steps = self.steps.iter().map(|step| {
            let Step { rate, met, latency_ms, headroom, missed, .. } = step;
            let Milliseconds { p50, p95, p99, .. } = latency_ms;
            let verdict = if *met { "met" } else { missed.as_deref().unwrap_or("missed") };
            format!(
                "{rate}/s: p50 {p50:.3} · p95 {p95:.3} · p99 {p99:.3} ms · {verdict} · {}",
                headroom.words()
            )
        });
        steps.chain([self.verdict()])
    }

    fn verdict(&self) -> String {
        let limit = self.steps.iter().rev().find(|step| !step.met).map(|step| step.headroom.limit.words());
        match (self.highest_rate, limit) {
            (Some(rate), Some(limit)) => {
                format!("{rate}/s is the highest with {}; beyond it {limit}", self.target)
            }
            (Some(rate), None) => format!("{rate}/s met {}, and no higher rate was tried", self.target),
            (None, _) => format!("no rate met {}", self.target),
        }
    }
}

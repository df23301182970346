//! Pairs that send at the highest rate the relays carry in time, then at `--overload` times that, then at that rate again.
//!
//! `--duration` is divided into three equal parts. Without `--rate` the rate is [searched](crate::search) first, on the same
//! relays. Shown are goodput (what arrives within a second) in each part, what was refused and why, and how long after the
//! overload latency is back within its target.

mod party;
mod phases;

use std::sync::Arc;

use anyhow::{Context, bail};
use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::bench::Bench;
use crate::clock::SECOND_NS;
use crate::scenario::overload::party::Party;
use crate::scenario::overload::phases::{Bins, Times};
use crate::scenario::{Scenario, direct, pair_place};
use crate::search::{Found, search};
use crate::stamp::Destination;
use crate::trial::conduct::conduct;
use crate::trial::crew::{Crew, Member};
use crate::trial::pace::{Metronome, Schedule};
use crate::trial::performance::Performance;
use crate::trial::stage::Window;
use crate::trial::{Trial, addresses};

/// See the page.
pub const SCENARIO: Scenario = Scenario {
    name: "overload",
    about: "the highest rate that meets --target-p95, then --overload times that, then it again; shows goodput and recovery",
    arguments: "--agents=400 --receipt=all --duration=18",
    // A connection's burst of five seconds would carry most of a short overload.
    environment: &[("RELAY_RATE_BURST", "200")],
    floor: None,
    run,
};

/// Of the goodput before, so much has to be left under overload.
const GOODPUT_SHARE_MIN: f64 = 0.8;
/// After the overload latency has to be back within its target by then.
const RECOVERY_MAX_S: f64 = 5.0;
/// Seconds of each rate of the search.
const SEARCH_S: f64 = 3.0;

fn run<'t>(trial: &'t Trial<'t>) -> BoxFuture<'t, anyhow::Result<Performance>> {
    Box::pin(async move {
        let plan = trial.plan();
        let (rate, found) = match plan.rate {
            Some(rate) => (rate, None),
            None => highest(trial.bench).await.map(|(rate, found)| (rate, Some(found)))?,
        };
        let surplus = surplus(rate, plan.overload)?;
        let target_ns = plan.goal().p95_ms.or(plan.goal().p99_ms).map_or(SECOND_NS, nanoseconds);
        let bins = Arc::new(Bins::new(plan.duration, target_ns));
        let members = members(trial, rate, surplus, &bins)?;
        let wakes: Vec<Arc<Notify>> = members.iter().map(|member| Arc::clone(&member.wake)).collect();
        let crew = Crew::gather(trial, members).await?;
        let mut times = None;
        let metronomes = |window: Window| {
            times = Some((window, Times::of(&window)));
            let base = Metronome::start(window, rate, wakes.clone())?;
            Ok((base, Metronome::start(Times::of(&window).overload(), surplus, wakes)?))
        };
        let mut performance = conduct(trial, crew, 1, metronomes).await?;
        let (window, times) = times.context("traffic never began")?;
        let figures = figures(&bins, &window, &times, (rate, surplus));
        judge(&figures, &mut performance);
        performance.extra.insert("overload".to_owned(), figures);
        performance.extra.extend(found.map(|found| ("search".to_owned(), json!(found))));
        Ok(performance)
    })
}

/// The highest rate of plain pairs on these relays.
async fn highest(bench: &Bench) -> anyhow::Result<(u32, Found)> {
    let mut bench = bench.clone();
    bench.plan.duration = SEARCH_S;
    let (found, _) = search(&bench, &direct::SCENARIO, bench.plan.goal()).await?;
    let Some(rate) = found.highest_rate else { bail!("no rate met {}", found.target) };
    Ok((rate, found))
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a factor of a rate, above 1")]
fn surplus(rate: u32, factor: f64) -> anyhow::Result<u32> {
    let surplus = (f64::from(rate) * (factor - 1.0)).round() as u32;
    anyhow::ensure!(surplus > 0, "--overload {factor} is no overload");
    Ok(surplus)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a bound of the command line")]
fn nanoseconds(ms: f64) -> u64 {
    (ms * 1e6) as u64
}

fn members(
    trial: &Trial<'_>,
    rate: u32,
    surplus: u32,
    bins: &Arc<Bins>,
) -> anyhow::Result<Vec<Member<Party>>> {
    let plan = trial.plan();
    let count = plan.agents.next_multiple_of(2);
    let identities = trial.identities(count, |number| pair_place(number, plan.tenants))?;
    let everybody = addresses(&identities)?;
    let member = |(identity, number): (_, u32)| {
        let role = Party {
            correspondent: trial.correspondent(number, Vec::new(), &everybody, true),
            peer: (Destination::Agent(number ^ 1), everybody[(number ^ 1) as usize].clone()),
            base: Schedule::new(number, count, rate),
            surplus: Schedule::new(number, count, surplus),
            window: None,
            bins: Arc::clone(bins),
        };
        Member { identity, role, topics: Vec::new(), wake: Arc::new(Notify::new()) }
    };
    Ok(identities.into_iter().zip(0..).map(member).collect())
}

fn figures(bins: &Bins, window: &Window, times: &Times, (rate, surplus): (u32, u32)) -> Value {
    let since = |at_ns: u64| at_ns - window.measure_ns;
    let (rise, fall, end) = (since(times.rise_ns), since(times.fall_ns), since(window.end_ns));
    let (base, over) = (f64::from(rate), f64::from(rate) + f64::from(surplus));
    json!({
        "before": bins.phase(0, rise, base),
        "during": bins.phase(rise, fall, over),
        "after": bins.phase(fall, end, base),
        "recovered_after_s": bins.recovered_after_s(fall),
    })
}

fn judge(figures: &Value, performance: &mut Performance) {
    let goodput = |phase: &str| figures[phase]["goodput_per_s"].as_f64().unwrap_or(0.0);
    if goodput("during") < goodput("before") * GOODPUT_SHARE_MIN {
        performance.broken.insert("goodput below 80 % of what it was before", 1);
    }
    if figures["recovered_after_s"].as_f64().is_none_or(|seconds| seconds > RECOVERY_MAX_S) {
        performance.broken.insert("not back within the target in 5 s", 1);
    }
}

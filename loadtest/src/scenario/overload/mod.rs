//! Pairs that send at the highest rate the relays carry in time, then at `--overload` times that, then at that rate again.
//!
//! Relays that are started for it run for `--relay-share` of the time: on a machine that they share with the generator it would
//! be late before they are. `--duration` is divided into three equal parts. Without `--rate` the rate is [searched](crate::search) first, on the same
//! relays. Shown are goodput (what arrives within a second) in each part, what was refused and why, and how long after the
//! overload latency is back within its target.

mod party;
mod phases;
pub(crate) mod surge;

use anyhow::{bail, ensure};
use futures_util::future::BoxFuture;
use serde_json::{Value, json};

use crate::bench::Bench;
use crate::floor::beside::execute;
use crate::scenario::overload::surge::{Group, Surge};
use crate::scenario::{Scenario, direct};
use crate::search::{Found, RATE_START, search};
use crate::throttle::Throttle;
use crate::trial::Trial;
use crate::trial::performance::Performance;

/// See the page.
pub const SCENARIO: Scenario = Scenario {
    name: "overload",
    about: "the highest rate that meets --target-p95, then --overload times that, then it again; shows goodput and recovery",
    arguments: "--agents=400 --receipt=all --duration=18",
    // No connection's rate is met: it is the relay that has to see what it can carry. A message waits for two turns, the
    // sender's and the recipient's, each behind what others wait for, so an eighth of the target is left to each.
    environment: &[
        ("RELAY_RATE_MESSAGES", "1000000"),
        ("RELAY_RATE_BURST", "1000000"),
        ("RELAY_RATE_BYTES", "1000000000"),
        ("RELAY_SHED_SENDS_DELAY_MS", "12"),
    ],
    floor: None,
    instances: 1,
    divisible: false,
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
        // Whoever was not started here is not ours to stop.
        let held = trial.bench.cluster.is_some() && plan.relay_share < 1.0;
        let _held = held.then(|| Throttle::hold(&trial.bench.relays, plan.relay_share)).transpose()?;
        let (rate, found) = match plan.rate {
            Some(rate) => (rate, None),
            None => highest(trial.bench).await.map(|(rate, found)| (rate, Some(found)))?,
        };
        let all = 0..plan.agents.next_multiple_of(2);
        let surplus = Group { agents: all.clone(), rate: surplus(rate, plan.overload)? };
        let surge = Surge { base: Group { agents: all, rate }, surplus };
        let (mut performance, figures) = surge.run(trial).await?;
        judge(&figures, &mut performance);
        performance.extra.insert("overload".to_owned(), figures);
        performance.extra.extend(found.map(|found| ("search".to_owned(), json!(found))));
        Ok(performance)
    })
}

/// The highest rate of plain pairs on these relays. At the edge it is luck whether a rate is met: this one is met again, for as
/// long as a phase of the scenario.
pub(crate) async fn highest(bench: &Bench) -> anyhow::Result<(u32, Found)> {
    let mut bench = bench.clone();
    let phase_s = bench.plan.duration / 3.0;
    bench.plan.duration = SEARCH_S;
    let (mut found, _) = search(&bench, &direct::SCENARIO, bench.plan.goal()).await?;
    let Some(mut rate) = found.highest_rate else { bail!("no rate met {}", found.target) };
    bench.plan.duration = phase_s;
    loop {
        bench.plan.rate = Some(rate);
        let turn = execute(&bench, &direct::SCENARIO).await?;
        if found.target.missed(&turn, &bench.plan).is_none() {
            found.highest_rate = Some(rate);
            return Ok((rate, found));
        }
        rate = rate / 10 * 9;
        ensure!(rate >= RATE_START, "no rate met {} twice", found.target);
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a factor of a rate, above 1")]
fn surplus(rate: u32, factor: f64) -> anyhow::Result<u32> {
    let surplus = (f64::from(rate) * (factor - 1.0)).round() as u32;
    anyhow::ensure!(surplus > 0, "--overload {factor} is no overload");
    Ok(surplus)
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

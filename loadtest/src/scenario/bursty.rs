//! Row AD3's burst: a few users talk, then all of them at once, then the few again.
//!
//! All connect first. `--rate` is that of all of them together, each at the same pace, for the middle third of `--duration`;
//! before and after only the first ten talk. The source's figures for 10 → 10,000 are p50 150 ms and p99 800 ms.

use anyhow::{Context, ensure};
use futures_util::future::BoxFuture;
use serde_json::json;

use crate::scenario::Scenario;
use crate::scenario::overload::surge::{Group, Surge};
use crate::trial::Trial;
use crate::trial::performance::Performance;

/// See the page.
pub const SCENARIO: Scenario = Scenario {
    name: "bursty",
    about: "10 of --agents talk, then all of them for a third of the time; shows latency in the burst and after it",
    arguments: "--agents=10000 --rate=20000 --receipt=all --duration=15 --target-p99=800",
    environment: &[],
    floor: None,
    instances: 1,
    divisible: false,
    run,
};

/// Those who talk all the time.
const FEW: u32 = 10;

fn run<'t>(trial: &'t Trial<'t>) -> BoxFuture<'t, anyhow::Result<Performance>> {
    Box::pin(async move {
        let plan = trial.plan();
        let all = plan.agents.next_multiple_of(2);
        let rate = plan.rate.context("bursty needs --rate")?;
        let few = FEW.min(all);
        let pace = |agents: u32| u64::from(rate) * u64::from(agents) / u64::from(all);
        let base = Group { agents: 0..few, rate: u32::try_from(pace(few))?.max(1) };
        let surplus = Group { agents: few..all, rate: u32::try_from(pace(all - few))?.max(1) };
        ensure!(few < all, "--agents leaves nobody for a burst beside {FEW}");
        let (mut performance, figures) = Surge { base, surplus }.run(trial).await?;
        if figures["recovered_after_s"].as_f64().is_none() {
            performance.broken.insert("latency not back within the target", 1);
        }
        performance.extra.insert("burst".to_owned(), figures);
        performance.extra.insert("source_ms".to_owned(), json!({ "p50": 150, "p99": 800 }));
        Ok(performance)
    })
}

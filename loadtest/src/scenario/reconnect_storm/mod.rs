//! Everybody loses the connection at once and comes back at once.
//!
//! All agents connect and subscribe. Then every connection is dropped at the same moment, or, of several relays that were
//! started for the run, the first is killed and its agents go to the others. Each comes back without waiting, as the worst
//! clients do; one that is refused waits as long as it was told, and a random part of that more. It is back when it is
//! subscribed again and has had a message that it sent itself.

mod returning;

use std::sync::Arc;

use anyhow::Context;
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, TryStreamExt, stream};
use parking_lot::Mutex;
use tokio::task::JoinSet;

use crate::agent::Agent;
use crate::checker::Tally;
use crate::clock;
use crate::scenario::Scenario;
use crate::scenario::reconnect_storm::returning::{Book, Returner, come_back};
use crate::target::Target;
use crate::trial::crew::Connecting;
use crate::trial::live::empty;
use crate::trial::performance::{Cpu, Performance};
use crate::trial::{Place, Trial};

/// See the page.
pub const SCENARIO: Scenario = Scenario {
    name: "reconnect-storm",
    about: "all --agents lose their connections at once (of several relays, one is killed) and come back at once",
    arguments: "--agents=8000",
    environment: &[],
    floor: None,
    instances: 1,
    divisible: false,
    run,
};

/// Agents that connect at a time before the storm.
const GATHERING_MAX: usize = 128;

fn run<'t>(trial: &'t Trial<'t>) -> BoxFuture<'t, anyhow::Result<Performance>> {
    Box::pin(async move {
        let returners = returners(trial)?;
        let gathering: Vec<BoxFuture<'_, _>> =
            returners.iter().map(|returner| returner.join(trial.target(returner.number)).boxed()).collect();
        let agents: Vec<Agent> = stream::iter(gathering).buffered(GATHERING_MAX).try_collect().await?;
        let before = trial.bench.cpu()?;
        let (targets, killed) = kill_one(trial).await?;
        let begun_ns = clock::now_ns();
        let book = Arc::new(Mutex::new(Book::new()?));
        let (mut present, mut storm) = (Vec::new(), JoinSet::new());
        let mut returning = Vec::new();
        for (returner, agent) in returners.into_iter().zip(agents) {
            let stays = killed.as_ref().is_some_and(|killed| trial.target(returner.number).uri != killed.uri);
            if stays {
                present.push(agent);
            } else {
                drop(agent);
                returning.push(returner);
            }
        }
        let count = returning.len() as u64;
        for (returner, turn) in returning.into_iter().zip(0..) {
            let target = targets[turn % targets.len()].clone();
            storm.spawn(come_back(returner, target, begun_ns, Arc::clone(&book)));
        }
        while let Some(ended) = storm.join_next().await {
            ended.context("a task ended early")?;
        }
        drop(present);
        let took_ns = clock::now_ns() - begun_ns;
        // A relay that was killed says no more what it has used.
        let cpu = if killed.is_some() { Cpu::of_generator()? } else { trial.bench.cpu()? };
        let cpu = cpu.since(before);
        let book = book.lock();
        Ok(Performance {
            tally: Tally::default(),
            latency: empty()?,
            lag: empty()?,
            duration_s: clock::seconds(took_ns),
            counted: 0,
            connecting: Connecting { took_ns, latency: book.welcomed.clone() },
            cpu,
            rss_bytes_per_connection: None,
            rss_bytes_per_connection_at_end: None,
            broken: book.broken(count),
            extra: [("storm".to_owned(), book.figures(count, killed.is_some()))].into(),
            timeline: Vec::new(),
        })
    })
}

fn returners(trial: &Trial<'_>) -> anyhow::Result<Vec<Returner>> {
    let plan = trial.plan();
    let place = |number| Place { tenant: number % plan.tenants, slot: number / plan.tenants };
    let identities = trial.identities(plan.agents, place)?;
    let returner = |(identity, number)| Returner {
        number,
        identity,
        topic: format!("load.storm.{number}"),
        options: trial.connect_options(number),
    };
    Ok(identities.into_iter().zip(0..).map(returner).collect())
}

/// Kills the first of several relays that were started here; returns where one can connect from now on, and which is gone.
async fn kill_one(trial: &Trial<'_>) -> anyhow::Result<(Vec<Target>, Option<Target>)> {
    let relay = trial.bench.cluster.as_ref().and_then(|cluster| {
        let relays = &mut cluster.lock().relays;
        (relays.len() > 1).then(|| relays.remove(0))
    });
    let mut targets = trial.bench.targets.clone();
    let Some(relay) = relay else { return Ok((targets, None)) };
    targets.retain(|target| target.uri != relay.target.uri);
    relay.child.kill().await?;
    Ok((targets, Some(relay.target)))
}

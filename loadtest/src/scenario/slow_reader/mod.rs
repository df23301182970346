//! Agents that talk to each other, and a few among them that stop reading.
//!
//! One message in four goes to the addressees that `--stalled` counts, who send nothing themselves; the rest go around
//! among the others, and only theirs count. With `--stall from-start` the addressees leave their sockets alone until the
//! last send: the kernel's buffers of some megabytes fill, then their queues in the relay, and senders are told. With
//! `--stall never` they read, under the same traffic, which is what the others' latency is compared with.

mod party;
mod watch;

use std::sync::Arc;

use anyhow::{bail, ensure};
use futures_util::future::BoxFuture;
use tokio::sync::Notify;

use crate::metrics::Metrics;
use crate::plan::Stall;
use crate::scenario::Scenario;
use crate::scenario::slow_reader::party::{Party, Refusals, Rounds};
use crate::scenario::slow_reader::watch::Watch;
use crate::trial::conduct::conduct;
use crate::trial::crew::{Crew, Member};
use crate::trial::pace::{Metronome, Schedule};
use crate::trial::performance::Performance;
use crate::trial::{Place, Trial, addresses};

/// See the page.
pub const SCENARIO: Scenario = Scenario {
    name: "slow-reader",
    about: "agents talk to each other while --stalled of them do not read; compares the others' latency",
    arguments: "--rate=4000 --payload=2048 --receipt=all --warm-up=5 --against=--stall=never --limit=p99<=1.5",
    environment: &[],
    floor: None,
    instances: 1,
    divisible: false,
    run,
};

fn run<'t>(trial: &'t Trial<'t>) -> BoxFuture<'t, anyhow::Result<Performance>> {
    Box::pin(async move {
        let plan = trial.plan();
        let senders = plan.agents.saturating_sub(plan.stalled);
        ensure!(senders >= 2, "--agents leaves fewer than two beside --stalled {}", plan.stalled);
        let Some(rate) = plan.rate else { bail!("slow-reader needs --rate") };
        let identities = trial.identities(plan.agents, |number| Place { tenant: 0, slot: number })?;
        let everybody = addresses(&identities)?;
        let refusals = Arc::new(Refusals::default());
        let members: Vec<Member<Party>> = identities
            .into_iter()
            .zip(0..)
            .map(|(identity, number)| {
                let sends = number < senders;
                let correspondent = trial.correspondent(number, Vec::new(), &everybody, sends);
                let role = Party {
                    correspondent: if sends { correspondent } else { correspondent.uncounted() },
                    schedule: sends.then(|| Schedule::new(number, senders, rate)),
                    rounds: Rounds::new(number, senders, plan.stalled),
                    stalls: !sends && plan.stall == Stall::FromStart,
                    stalled: false,
                    refusals: Arc::clone(&refusals),
                };
                Member { identity, role, topics: Vec::new(), wake: Arc::new(Notify::new()) }
            })
            .collect();
        let wakes = members[..senders as usize].iter().map(|member| Arc::clone(&member.wake)).collect();
        let crew = Crew::gather(trial, members).await?;
        let before = Metrics::of(&trial.bench.targets).await?;
        let mut watch = Watch::new(trial.bench)?;
        let traffic = conduct(trial, crew, 1, |window| Ok(Metronome::start(window, rate, wakes)?));
        let mut performance = tokio::select! {
            performance = traffic => performance?,
            error = watch.look() => return Err(error),
        };
        let after = Metrics::of(&trial.bench.targets).await?;
        watch.judge(&refusals, &before, &after, &mut performance)?;
        Ok(performance)
    })
}

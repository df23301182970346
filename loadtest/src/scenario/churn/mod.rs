//! Pairs that talk, while others come and go.
//!
//! `--churn` agents come a second. Each subscribes to a topic of its own, stays a moment and leaves: every other one says
//! `bye`, the rest drop their connections as a crash would. Latency and throughput are those of the pairs.

mod visits;

use std::sync::Arc;

use futures_util::future::BoxFuture;
use tokio::sync::Notify;

use crate::scenario::churn::visits::Visits;
use crate::scenario::{Scenario, direct};
use crate::trial::Trial;
use crate::trial::conduct::conduct;
use crate::trial::crew::Crew;
use crate::trial::pace::Metronome;
use crate::trial::performance::Performance;

/// See the page.
pub const SCENARIO: Scenario = Scenario {
    name: "churn",
    about: "pairs talk while --churn others come a second, subscribe and leave; compares the pairs' latency",
    arguments: "--rate=2000 --receipt=all --against=--churn=0",
    environment: &[],
    floor: None,
    instances: 1,
    divisible: false,
    run,
};

fn run<'t>(trial: &'t Trial<'t>) -> BoxFuture<'t, anyhow::Result<Performance>> {
    Box::pin(async move {
        let plan = trial.plan();
        let members = direct::members(trial)?;
        let first_visitor = u32::try_from(members.len())?;
        let wakes: Vec<Arc<Notify>> = members.iter().map(|member| Arc::clone(&member.wake)).collect();
        let crew = Crew::gather(trial, members).await?;
        let metronome =
            |window| Ok(plan.rate.map(|rate| Metronome::start(window, rate, wakes)).transpose()?);
        let visits = Visits::new(trial, first_visitor)?;
        let mut performance = tokio::select! {
            performance = conduct(trial, crew, 1, metronome) => performance?,
            error = visits.go_on() => return Err(error),
        };
        if plan.churn > 0 {
            let (figures, failed) = visits.figures();
            performance.extra.insert("visits".to_owned(), figures);
            performance.broken.extend((failed > 0).then_some(("visits failed", failed)));
        }
        Ok(performance)
    })
}

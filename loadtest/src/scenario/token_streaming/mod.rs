//! What language models do: a question, and an answer in many small messages at a steady pace.
//!
//! Of each pair the first asks and the second streams `--tokens` messages, 50 a second, until the next question. Latency is
//! that of each token, from when it was meant to be sent; besides, the time from the question to the first token, and how
//! many tokens came so late that a reader would notice.

mod party;
mod streams;

use std::sync::Arc;

use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use serde_json::json;
use tokio::sync::Notify;

use crate::report::figures::Milliseconds;
use crate::scenario::token_streaming::party::{Party, Task};
use crate::scenario::token_streaming::streams::Streams;
use crate::scenario::{Scenario, pair_place};
use crate::trial::conduct::conduct;
use crate::trial::crew::{Crew, Member};
use crate::trial::performance::Performance;
use crate::trial::{Trial, addresses};

/// See the page.
pub const SCENARIO: Scenario = Scenario {
    name: "token-streaming",
    about: "the first of each pair asks, the second streams --tokens small messages, 50 a second, as language models do",
    arguments: "--agents=400 --payload=64",
    environment: &[],
    floor: None,
    instances: 1,
    divisible: true,
    run,
};

fn run<'t>(trial: &'t Trial<'t>) -> BoxFuture<'t, anyhow::Result<Performance>> {
    Box::pin(async move {
        let plan = trial.plan();
        let count = plan.agents.next_multiple_of(2);
        let identities = trial.identities(count, |number| pair_place(number, plan.tenants))?;
        let everybody = addresses(&identities)?;
        let streams = Arc::new(Mutex::new(Streams::new()?));
        let members = identities
            .into_iter()
            .zip(0..)
            .map(|(identity, number): (_, u32)| {
                let asks = number.is_multiple_of(2);
                let role = Party {
                    correspondent: trial.correspondent(number, Vec::new(), &everybody, asks),
                    tokens: u64::from(plan.tokens),
                    task: if asks { Task::Ask { owes: true, open: None } } else { Task::Stream(None) },
                    streams: Arc::clone(&streams),
                };
                Member { identity, role, topics: Vec::new(), wake: Arc::new(Notify::new()) }
            })
            .collect();
        let crew = Crew::gather(trial, members).await?;
        let mut performance = conduct(trial, crew, 1, |_| Ok(())).await?;
        let streams = streams.lock();
        performance.extra.insert(
            "streams".to_owned(),
            json!({
                "completed": streams.completed,
                "tokens": streams.tokens,
                "first_token_ms": Milliseconds::of(&streams.first_token),
                "stalls": streams.stalls,
            }),
        );
        Ok(performance)
    })
}

//! Requests with a deadline, and replies to whatever address the request names.
//!
//! Of each pair the first asks and the second answers. Latency is that of the whole round, from when the request was meant
//! to be sent to the arrival of its reply. Every request and every reply counts as a message.
//! `--writes` adds messages that ask nothing; they are checked, and no part of latency.

mod party;
mod rounds;

use std::sync::Arc;

use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::scenario::owed::Owed;
use crate::scenario::request_reply::party::{Asking, Party};
use crate::scenario::request_reply::rounds::{Pending, Rounds};
use crate::scenario::{FloorKind, Scenario, pair_place};
use crate::stamp::Destination;
use crate::trial::conduct::conduct;
use crate::trial::crew::{Crew, Member};
use crate::trial::pace::{Metronome, Schedule};
use crate::trial::performance::Performance;
use crate::trial::{Trial, addresses};

/// See the page.
pub const SCENARIO: Scenario = Scenario {
    name: "request-reply",
    about: "the first of each pair asks the second, with correlation ids, reply addresses and deadlines",
    arguments: "",
    environment: &[],
    floor: Some(FloorKind::Echo),
    instances: 1,
    divisible: true,
    run,
};

/// Row AD3's reads, each a request that another agent answers, with a few writes.
pub const READ_HEAVY: Scenario = Scenario {
    name: "read-heavy",
    about: "15,000 requests and 500 plain messages a second: mostly asking",
    arguments: "--agents=400 --rate=15000 --writes=500",
    ..SCENARIO
};

/// Row AD3's writes, with fewer reads.
pub const WRITE_HEAVY: Scenario = Scenario {
    name: "write-heavy",
    about: "2,000 requests and 4,000 plain messages a second: mostly telling",
    arguments: "--agents=400 --rate=2000 --writes=4000",
    ..SCENARIO
};

fn run<'t>(trial: &'t Trial<'t>) -> BoxFuture<'t, anyhow::Result<Performance>> {
    Box::pin(async move {
        let plan = trial.plan();
        let count = plan.agents.next_multiple_of(2);
        let identities = trial.identities(count, |number| pair_place(number, plan.tenants))?;
        let everybody = addresses(&identities)?;
        let rounds = Arc::new(Mutex::new(Rounds::default()));
        let members: Vec<Member<Party>> = identities
            .into_iter()
            .zip(0..)
            .map(|(identity, number)| {
                let correspondent = trial.correspondent(number, Vec::new(), &everybody, false);
                let asking = (number % 2 == 0).then(|| Asking {
                    peer: (Destination::Agent(number + 1), everybody[number as usize + 1].clone()),
                    deadline_ms: plan.deadline,
                    owed: Owed::new(plan.depth.unwrap_or(1)),
                    schedule: plan.rate.map(|rate| Schedule::new(number / 2, count / 2, rate)),
                    pending: Pending::default(),
                    last_request: 0,
                    writes: plan.writes.map(|rate| Schedule::new(number / 2, count / 2, rate)),
                });
                let role = Party { correspondent, rounds: Arc::clone(&rounds), asking };
                Member { identity, role, topics: Vec::new(), wake: Arc::new(Notify::new()) }
            })
            .collect();
        let wakes: Vec<Arc<Notify>> =
            members.iter().step_by(2).map(|member| Arc::clone(&member.wake)).collect();
        let crew = Crew::gather(trial, members).await?;
        let metronomes = |window| {
            let rates = [plan.rate, plan.writes].into_iter().flatten();
            let start = |rate| Metronome::start(window, rate, wakes.clone());
            Ok(rates.map(start).collect::<std::io::Result<Vec<_>>>()?)
        };
        let mut performance = conduct(trial, crew, 1, metronomes).await?;
        let rounds = rounds.lock();
        performance.tally.unanswered += rounds.unexplained();
        performance.extra.insert("requests".to_owned(), serde_json::to_value(&*rounds)?);
        Ok(performance)
    })
}

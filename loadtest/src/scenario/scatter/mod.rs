//! One agent publishes to a topic, and those who hear it answer: two of row AD1's scenarios.
//!
//! `voting-consensus` scatters and gathers: a round is over when every voter's vote has come, and the next one begins; five
//! rounds are an election. `stock-market` publishes ticks on a schedule whoever answers, and every other trader sends an order
//! on each.

mod ballots;
mod party;

use std::sync::Arc;

use anyhow::Context;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use relay_protocol::Address;
use tokio::sync::Notify;

use crate::scenario::Scenario;
use crate::scenario::owed::Owed;
use crate::scenario::scatter::ballots::Ballots;
use crate::scenario::scatter::party::{Answering, Party, Source, Task};
use crate::stamp::Destination;
use crate::trial::conduct::conduct;
use crate::trial::crew::{Crew, Member};
use crate::trial::pace::{Metronome, Schedule};
use crate::trial::performance::Performance;
use crate::trial::{Place, Trial, addresses};

/// Everybody answers, and is waited for.
pub const VOTING: Scenario = Scenario {
    name: "voting-consensus",
    about: "a chair calls rounds of five among 50 voters and 7 candidates, and gathers every vote; latency is that of a round",
    arguments: "--agents=50 --receipt=all",
    environment: &[],
    floor: None,
    instances: 1,
    divisible: false,
    run,
};

/// Half of them answer, and nobody is waited for.
pub const MARKET: Scenario = Scenario {
    name: "stock-market",
    about: "an exchange publishes ticks to 100 traders, every other of which sends an order on each",
    arguments: "--agents=100 --rate=50 --receipt=all",
    ..VOTING
};

const TOPIC: &str = "load.scatter";
/// Of so many traders one answers a tick.
const ANSWERS_ONE_IN: u64 = 2;
/// The number of the one that publishes.
const SOURCE: u32 = 0;

fn run<'t>(trial: &'t Trial<'t>) -> BoxFuture<'t, anyhow::Result<Performance>> {
    Box::pin(async move {
        let plan = trial.plan();
        let identities = trial.identities(plan.agents + 1, |slot| Place { tenant: 0, slot })?;
        let everybody = addresses(&identities)?;
        let topic = Address::parse(format!("topic/{TOPIC}").into()).context("the topic's name")?.into_owned();
        let ballots = Arc::new(Mutex::new(Ballots::new(plan.agents)));
        let gathers = plan.rate.is_none();
        let member = |(identity, number): (_, u32)| {
            let wake = Arc::new(Notify::new());
            if number == SOURCE {
                let source = Source {
                    topic: (Destination::Topic(0), topic.clone()),
                    schedule: plan.rate.map(|rate| Schedule::new(0, 1, rate)),
                    ballots: Arc::clone(&ballots),
                    owed: Owed::default(),
                };
                let correspondent = trial.correspondent(number, Vec::new(), &everybody, !gathers);
                let role = Party { correspondent, task: Task::Publish(source) };
                return Member { identity, role, topics: Vec::new(), wake };
            }
            let topics = vec![(Destination::Topic(0), TOPIC.to_owned())];
            let correspondent = trial.correspondent(number, topics, &everybody, !gathers);
            let one_in = if gathers { 1 } else { ANSWERS_ONE_IN };
            let answering = Answering { one_in, to: everybody[0].clone(), vote: None, owed: Owed::default() };
            let role = Party { correspondent, task: Task::Answer(answering) };
            Member { identity, role, topics: vec![TOPIC.to_owned()], wake }
        };
        let members: Vec<Member<Party>> = identities.into_iter().zip(0..).map(member).collect();
        let wakes = vec![Arc::clone(&members[SOURCE as usize].wake)];
        let crew = Crew::gather(trial, members).await?;
        let metronome =
            |window| Ok(plan.rate.map(|rate| Metronome::start(window, rate, wakes)).transpose()?);
        let mut performance = conduct(trial, crew, 1, metronome).await?;
        if gathers {
            let ballots = ballots.lock();
            performance.extra.insert("elections".to_owned(), serde_json::to_value(ballots.results())?);
            let wrong = ballots.wrong();
            performance.broken.extend((wrong > 0).then_some(("votes that do not add up", wrong)));
        }
        Ok(performance)
    })
}

//! Publishers on a topic, and everybody else subscribed to it.
//!
//! Closed loop: a publisher is at most `--depth` messages ahead of the slowest of a few sampled subscribers. Open loop:
//! `--rate` publishes a second, whoever is slow. With several tenants each has a topic of the same name.

mod party;
pub(crate) mod track;

use std::collections::HashMap;
use std::sync::Arc;

use anyhow::Context;
use futures_util::future::BoxFuture;
use relay_protocol::Address;
use tokio::sync::Notify;

use crate::scenario::fan_out::party::{Party, Publishing, Task};
use crate::scenario::fan_out::track::{SAMPLED, Track};
use crate::scenario::owed::Owed;
use crate::scenario::{FloorKind, Scenario};
use crate::stamp::Destination;
use crate::trial::conduct::conduct;
use crate::trial::crew::{Crew, Member};
use crate::trial::pace::{Metronome, Schedule};
use crate::trial::performance::Performance;
use crate::trial::{Place, Trial, addresses};

/// See the page.
pub const SCENARIO: Scenario = Scenario {
    name: "fan-out",
    about: "--publishers publish to a topic that all --agents subscribe to",
    arguments: "",
    environment: &[],
    floor: Some(FloorKind::Broadcast),
    instances: 1,
    divisible: false,
    run,
};

const TOPIC: &str = "load.fan-out";
/// How far a publisher is ahead unless the command line says.
pub(crate) const AHEAD: u32 = 64;

fn run<'t>(trial: &'t Trial<'t>) -> BoxFuture<'t, anyhow::Result<Performance>> {
    Box::pin(async move {
        let plan = trial.plan();
        // As many for each tenant, so that every message has as many recipients.
        let subscribers = plan.agents.next_multiple_of(plan.tenants);
        let publishers = plan.publishers.next_multiple_of(plan.tenants);
        let each = subscribers / plan.tenants;
        let place = |number| Place { tenant: number % plan.tenants, slot: number / plan.tenants };
        let identities = trial.identities(subscribers + publishers, place)?;
        let everybody = addresses(&identities)?;
        let address =
            Address::parse(format!("topic/{TOPIC}").into()).context("the topic's name")?.into_owned();
        let tracks: Vec<Arc<HashMap<u32, Arc<Track>>>> = (0..plan.tenants)
            .map(|tenant| {
                let own =
                    (subscribers..subscribers + publishers).filter(|number| place(*number).tenant == tenant);
                Arc::new(own.map(|number| (number, Arc::new(Track::new(each.min(SAMPLED))))).collect())
            })
            .collect();
        let members: Vec<Member<Party>> = identities
            .into_iter()
            .zip(0..)
            .map(|(identity, number)| {
                let Place { tenant, slot } = place(number);
                let (topic, tracks) = (Destination::Topic(tenant), &tracks[tenant as usize]);
                let correspond = |topics| trial.correspondent(number, topics, &everybody, true);
                if let Some(track) = tracks.get(&number) {
                    let schedule =
                        plan.rate.map(|rate| Schedule::new(number - subscribers, publishers, rate));
                    let publishing = Publishing {
                        topic: (topic, address.clone()),
                        ahead: u64::from(plan.depth.unwrap_or(AHEAD)),
                        track: Arc::clone(track),
                        owed: Owed::default(),
                        published: 0,
                        schedule,
                    };
                    let role =
                        Party { correspondent: correspond(Vec::new()), task: Task::Publish(publishing) };
                    Member { identity, role, topics: Vec::new(), wake: Arc::clone(&track.wake) }
                } else {
                    let seat = (slot < SAMPLED).then_some(slot as usize);
                    let task = Task::Listen { seat, tracks: Arc::clone(tracks) };
                    let correspondent = correspond(vec![(topic, TOPIC.to_owned())]);
                    let topics = vec![TOPIC.to_owned()];
                    Member {
                        identity,
                        role: Party { correspondent, task },
                        topics,
                        wake: Arc::new(Notify::new()),
                    }
                }
            })
            .collect();
        let wakes = members[subscribers as usize..].iter().map(|member| Arc::clone(&member.wake)).collect();
        let crew = Crew::gather(trial, members).await?;
        let metronome =
            |window| Ok(plan.rate.map(|rate| Metronome::start(window, rate, wakes)).transpose()?);
        conduct(trial, crew, u64::from(each), metronome).await
    })
}

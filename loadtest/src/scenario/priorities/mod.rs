//! More messages than their recipients take, in two lanes.
//!
//! A few recipients take `--take` messages a second each; the others send one and a half times as much to them, so that their
//! queues in the relay fill. One sender in ten sends in the lane `high`. Its messages have to arrive before those of the normal
//! lane that wait in the relay. The sockets' own buffers, which know no lanes, are kept small on this side.

mod lanes;
mod party;

use std::sync::Arc;

use anyhow::ensure;
use futures_util::future::BoxFuture;
use relay_protocol::client::Lane;
use tokio::sync::Notify;

use crate::scenario::Scenario;
use crate::scenario::priorities::lanes::Lanes;
use crate::scenario::priorities::party::{Party, Sending, Taking};
use crate::trial::conduct::conduct;
use crate::trial::crew::{Crew, Member};
use crate::trial::pace::{Metronome, Schedule};
use crate::trial::performance::Performance;
use crate::trial::{Place, Trial, addresses};

/// See the page.
pub const SCENARIO: Scenario = Scenario {
    name: "priorities",
    about: "four recipients get more than they --take; compares the lane `high` with the normal one",
    // Not below the 65,483 bytes of a segment on loopback: a socket that never has room for one stalls at some 50 KiB a second.
    arguments: "--agents=100 --payload=1024 --receipt=all --duration=6 --warm-up=3 --receive-buffer=65536",
    environment: &[],
    floor: None,
    instances: 1,
    divisible: false,
    run,
};

/// Those who get more than they take, the first of all.
const RECIPIENTS: u32 = 4;
/// Of so many senders one is in the lane `high`.
const HIGH_ONE_IN: u32 = 10;

fn run<'t>(trial: &'t Trial<'t>) -> BoxFuture<'t, anyhow::Result<Performance>> {
    Box::pin(async move {
        let plan = trial.plan();
        let senders = plan.agents.saturating_sub(RECIPIENTS);
        ensure!(senders >= HIGH_ONE_IN, "priorities needs {} --agents", RECIPIENTS + HIGH_ONE_IN);
        let rate = plan.rate.unwrap_or(plan.take * RECIPIENTS * 3 / 2);
        let identities = trial.identities(plan.agents, |slot| Place { tenant: 0, slot })?;
        let everybody = addresses(&identities)?;
        let lanes = Arc::new(Lanes::new()?);
        let lane = |sender: u32| if sender.is_multiple_of(HIGH_ONE_IN) { Lane::High } else { Lane::Normal };
        let members: Vec<Member<Party>> = identities
            .into_iter()
            .zip(0..)
            .map(|(identity, number): (_, u32)| {
                let turn = number.checked_sub(RECIPIENTS);
                let role = Party {
                    correspondent: trial.correspondent(number, Vec::new(), &everybody, true),
                    sending: turn.map(|turn| Sending {
                        to: turn / HIGH_ONE_IN % RECIPIENTS,
                        lane: lane(turn),
                        schedule: Schedule::new(turn, senders, rate),
                    }),
                    taking: Taking::new(plan.take),
                    window: None,
                    lanes: Arc::clone(&lanes),
                };
                Member { identity, role, topics: Vec::new(), wake: Arc::new(Notify::new()) }
            })
            .collect();
        let wakes = members[RECIPIENTS as usize..].iter().map(|member| Arc::clone(&member.wake)).collect();
        let crew = Crew::gather(trial, members).await?;
        let metronome = |window| Ok(Metronome::start(window, rate, wakes)?);
        let mut performance = conduct(trial, crew, 1, metronome).await?;
        performance.broken.extend(lanes.breach().map(|name| (name, 1)));
        performance.extra.insert("lanes".to_owned(), lanes.figures());
        Ok(performance)
    })
}

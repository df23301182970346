//! Pairs of agents that send to each other.
//!
//! Closed loop: the first of each pair keeps `--depth` messages in flight, and each arrival is answered with a message
//! back. Open loop (`--rate`): both send on a schedule. Every message counts, there and back.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use relay_protocol::{Address, ServerFrame};
use tokio::sync::Notify;

use crate::agent::{Ended, Outbox};
use crate::checker::Books;
use crate::scenario::owed::Owed;
use crate::scenario::{FloorKind, Scenario, pair_place};
use crate::stamp::Destination;
use crate::trial::conduct::conduct;
use crate::trial::correspondent::{Correspondent, Heard};
use crate::trial::crew::{Crew, Member};
use crate::trial::drive::Role;
use crate::trial::pace::{Metronome, Schedule};
use crate::trial::performance::Performance;
use crate::trial::stage::Window;
use crate::trial::{Trial, addresses};

/// See the page.
pub const SCENARIO: Scenario = Scenario {
    name: "direct",
    about: "pairs of agents send to each other, in ping-pong with --depth in flight or on a schedule with --rate",
    arguments: "",
    environment: &[],
    floor: Some(FloorKind::Echo),
    run,
};

fn run<'t>(trial: &'t Trial<'t>) -> BoxFuture<'t, anyhow::Result<Performance>> {
    Box::pin(async move {
        let plan = trial.plan();
        let members = members(trial)?;
        let wakes: Vec<Arc<Notify>> = members.iter().map(|member| Arc::clone(&member.wake)).collect();
        let crew = Crew::gather(trial, members).await?;
        let metronome =
            |window| Ok(plan.rate.map(|rate| Metronome::start(window, rate, wakes)).transpose()?);
        conduct(trial, crew, 1, metronome).await
    })
}

/// Both of every pair.
pub(crate) fn members(trial: &Trial<'_>) -> anyhow::Result<Vec<Member<Partner>>> {
    let plan = trial.plan();
    let count = plan.agents.next_multiple_of(2);
    let identities = trial.identities(count, |number| pair_place(number, plan.tenants))?;
    let everybody = addresses(&identities)?;
    Ok(identities
        .into_iter()
        .zip(0..)
        .map(|(identity, number)| Member {
            identity,
            role: Partner {
                correspondent: trial.correspondent(number, Vec::new(), &everybody, true),
                peer: (Destination::Agent(number ^ 1), everybody[(number ^ 1) as usize].clone()),
                owed: Owed::new(if number % 2 == 0 { plan.depth.unwrap_or(1) } else { 0 }),
                schedule: plan.rate.map(|rate| Schedule::new(number, count, rate)),
            },
            topics: Vec::new(),
            wake: Arc::new(Notify::new()),
        })
        .collect())
}

/// One of a pair.
#[derive(Debug)]
pub(crate) struct Partner {
    correspondent: Correspondent,
    peer: (Destination, Address<'static>),
    owed: Owed,
    schedule: Option<Schedule>,
}

impl Role for Partner {
    fn correspondent(&mut self) -> &mut Correspondent {
        &mut self.correspondent
    }

    fn hear(&mut self, frame: &ServerFrame<'_>, read_ns: u64, _: &mut Outbox) {
        match self.correspondent.hear(frame, read_ns) {
            Heard::Message(_) => self.owed.one(),
            Heard::Unsent(unsent) => self.owed.again(&unsent, read_ns),
            Heard::Nothing => {}
        }
    }

    fn tick(&mut self, window: &Window, now_ns: u64, outbox: &mut Outbox) -> Option<u64> {
        if let Some(schedule) = &mut self.schedule {
            return schedule.send_due(window, now_ns, outbox, |at_ns, outbox| {
                self.correspondent.post(self.peer.clone(), at_ns, outbox, |_, _| {});
            });
        }
        if !window.is_open(now_ns) {
            // Before the start it is asked again by then; after the end no more.
            return (now_ns < window.start_ns).then_some(window.start_ns);
        }
        while self.owed.take(now_ns) {
            self.correspondent.post(self.peer.clone(), now_ns, outbox, |_, _| {});
        }
        self.owed.next_ns()
    }

    fn finish(self, ended: Option<Ended>) -> Books {
        self.correspondent.into_books(ended)
    }
}

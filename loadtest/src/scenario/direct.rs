//! Pairs of agents that send to each other.
//!
//! Closed loop: the first of each pair keeps `--depth` messages in flight, and each arrival is answered with a message
//! back. Open loop (`--rate`): both send on a schedule. Every message counts, there and back.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use relay_protocol::ServerFrame;
use relay_protocol::client::Qos;
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
use crate::trial::{Place, Trial, addresses};

/// See the page.
pub const SCENARIO: Scenario = Scenario {
    name: "direct",
    about: "pairs of agents send to each other, in ping-pong with --depth in flight or on a schedule with --rate",
    arguments: "",
    environment: &[],
    floor: Some(FloorKind::Echo),
    instances: 1,
    divisible: true,
    run,
};

fn run<'t>(trial: &'t Trial<'t>) -> BoxFuture<'t, anyhow::Result<Performance>> {
    Box::pin(async move {
        let members = members(trial)?;
        talk(trial, members).await
    })
}

/// Gathers talkers and lets them talk.
pub(crate) async fn talk<R: Role>(trial: &Trial<'_>, members: Vec<Member<R>>) -> anyhow::Result<Performance> {
    let plan = trial.plan();
    let wakes: Vec<Arc<Notify>> = members.iter().map(|member| Arc::clone(&member.wake)).collect();
    let crew = Crew::gather(trial, members).await?;
    let metronome = |window| Ok(plan.rate.map(|rate| Metronome::start(window, rate, wakes)).transpose()?);
    conduct(trial, crew, 1, metronome).await
}

/// Both of every pair.
pub(crate) fn members(trial: &Trial<'_>) -> anyhow::Result<Vec<Member<Partner>>> {
    let plan = trial.plan();
    let count = plan.agents.next_multiple_of(2);
    let depth = plan.depth.unwrap_or(1);
    let owes = |number| if number % 2 == 0 { depth } else { 0 };
    talkers(trial, count, |number| pair_place(number, plan.tenants), |number| vec![number ^ 1], owes)
}

/// Agents that each send to some others in turn, and begin with so many.
pub(crate) fn talkers(
    trial: &Trial<'_>,
    count: u32,
    place: impl Fn(u32) -> Place,
    peers: impl Fn(u32) -> Vec<u32>,
    owes: impl Fn(u32) -> u32,
) -> anyhow::Result<Vec<Member<Partner>>> {
    let plan = trial.plan();
    let identities = trial.identities(count, place)?;
    let everybody = addresses(&identities)?;
    Ok(identities
        .into_iter()
        .zip(0..)
        .map(|(identity, number)| Member {
            identity,
            role: Partner {
                correspondent: trial.correspondent(number, Vec::new(), &everybody, true),
                peers: peers(number),
                turn: 0,
                qos: Qos::AtMostOnce,
                owed: Owed::new(owes(number)),
                schedule: plan.rate.map(|rate| Schedule::new(number, count, rate)),
            },
            topics: Vec::new(),
            wake: Arc::new(Notify::new()),
        })
        .collect())
}

/// One that talks.
#[derive(Debug)]
pub(crate) struct Partner {
    correspondent: Correspondent,
    /// Whom it sends to, one after another.
    peers: Vec<u32>,
    turn: usize,
    qos: Qos,
    owed: Owed,
    schedule: Option<Schedule>,
}

impl Partner {
    /// The same, whose messages are stored.
    pub(crate) fn reliable(self) -> Partner {
        Partner { qos: Qos::AtLeastOnce, ..self }
    }

    fn post(&mut self, at_ns: u64, outbox: &mut Outbox) {
        let peer = self.peers[self.turn % self.peers.len()];
        self.turn += 1;
        let to = (Destination::Agent(peer), self.correspondent.address(peer));
        let (qos, run) = (self.qos, self.correspondent.run());
        self.correspondent.post(to, at_ns, outbox, |send, number| {
            if qos == Qos::AtLeastOnce {
                send.qos = qos;
                send.mid = Some(format!("{run:x}:{peer}:{number}").into());
                send.counter = Some(number);
            }
        });
    }
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
        if let Some(mut schedule) = self.schedule {
            let again = schedule.send_due(window, now_ns, outbox, |at_ns, outbox| self.post(at_ns, outbox));
            self.schedule = Some(schedule);
            return again;
        }
        if !window.is_open(now_ns) {
            // Before the start it is asked again by then; after the end no more.
            return (now_ns < window.start_ns).then_some(window.start_ns);
        }
        while self.owed.take(now_ns) {
            self.post(now_ns, outbox);
        }
        self.owed.next_ns()
    }

    fn finish(self, ended: Option<Ended>) -> Books {
        self.correspondent.into_books(ended)
    }
}

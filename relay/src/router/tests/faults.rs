//! What a client is promised holds for every seed, whatever the bus does: one outcome for each send, nothing twice, order
//! for each sender, recipient and address, no `queued` of what was not, a gap where a topic lost something; and once
//! nothing more goes wrong, everything flows.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use super::fleet::{Fleet, OUTCOME_TIMEOUT, Session};
use super::ledger::{Ledger, Mark};
use crate::bus::BusHealth;
use crate::bus::faulty::Faults;
use crate::router::held::SILENCE;

const SEEDS: u64 = 300;
const STEPS: usize = 120;
/// One that changes instances, and one on each that stays.
const MOVER: usize = 2;
const AGENTS: [&str; 3] = ["left", "right", "mover"];
const TOPIC: &str = "topic/news";
const GROUP: &str = "group/work";

struct Run {
    fleet: Fleet,
    sessions: Vec<Session>,
    ledger: Ledger,
    chance: StdRng,
    ids: u64,
}

impl Run {
    async fn new(seed: u64, faults: Faults) -> Run {
        let mut fleet = Fleet::new(faults, seed).await;
        let mut sessions = Vec::new();
        for (instance, agent) in [0, 1, 0].into_iter().zip(AGENTS) {
            sessions.push(fleet.join(instance, agent).await);
        }
        for session in &mut sessions[..MOVER] {
            session.subscribe("news").await;
            session.join_group(GROUP).await;
        }
        Run { fleet, sessions, ledger: Ledger::default(), chance: StdRng::seed_from_u64(seed), ids: 0 }
    }

    async fn step(&mut self) {
        match self.chance.random_range(0..100) {
            0..4 => {
                let health = [BusHealth::Down, BusHealth::Deaf][self.chance.random_range(0..2)];
                self.fleet.buses[self.chance.random_range(0..2)].set_health(health);
            }
            4..10 => self.fleet.buses[self.chance.random_range(0..2)].set_health(BusHealth::Up),
            10..14 => self.move_on().await,
            _ => {
                for _ in 0..self.chance.random_range(1..6) {
                    let to = match self.chance.random_range(0..10) {
                        0..3 => TOPIC.to_owned(),
                        3 => GROUP.to_owned(),
                        4..6 => format!("session/{}", self.sessions[self.chance.random_range(0..3)].name),
                        _ => format!("agent/{}", AGENTS[self.chance.random_range(0..3)]),
                    };
                    let sender = self.chance.random_range(0..3);
                    self.send(sender, &to);
                }
            }
        }
        let pause = self.chance.random_range(0..30);
        tokio::time::sleep(Duration::from_millis(pause)).await;
        self.drain();
    }

    fn send(&mut self, sender: usize, to: &str) {
        self.ids += 1;
        self.fleet.send(&self.sessions[sender], self.ids, to, &mut self.ledger);
    }

    /// The mover leaves, whatever it waits for, and comes back as another session on any instance.
    async fn move_on(&mut self) {
        self.settle().await;
        let gone = self.sessions.remove(MOVER);
        gone.drain(&mut self.ledger);
        drop(gone);
        let instance = self.chance.random_range(0..2);
        self.sessions.push(self.fleet.join(instance, AGENTS[MOVER]).await);
    }

    fn drain(&mut self) {
        for session in &self.sessions {
            session.drain(&mut self.ledger);
        }
    }

    /// Waits until the mover has heard of its sends, as nobody could tell it afterwards.
    async fn settle(&mut self) {
        for _ in 0..40 {
            // Work has its outcome when it was written.
            self.drain();
            if self.sessions[MOVER].in_flight() == 0 {
                return;
            }
            tokio::time::sleep(OUTCOME_TIMEOUT / 4).await;
        }
        self.ledger.faults.push("sends without an outcome".to_owned());
    }

    /// Ends the faults: what is sent from then on arrives, all of it.
    async fn recover(&mut self) {
        for bus in &self.fleet.buses {
            bus.calm_down();
        }
        self.drain();
        tokio::time::sleep(2 * SILENCE).await;
        self.drain();
        let first = self.ids + 1;
        for sender in 0..3 {
            for agent in AGENTS {
                self.send(sender, &format!("agent/{agent}"));
            }
            self.send(sender, TOPIC);
            self.send(sender, GROUP);
        }
        for _ in 0..2 {
            tokio::time::sleep(OUTCOME_TIMEOUT / 2).await;
            self.drain();
        }
        self.ledger.expect_good(first);
        if self.sessions.iter().any(|session| session.in_flight() > 0) {
            self.ledger.faults.push("sends without an outcome".to_owned());
        }
    }
}

/// How many sends of all seeds had which outcome, and how many topic messages did not arrive.
async fn all_seeds(faults: Faults, lenient: bool) -> [u64; 5] {
    let mut sums = [0; 5];
    for seed in 0..SEEDS {
        let mut run = Run::new(seed, faults).await;
        run.ledger.lenient = lenient;
        for _ in 0..STEPS {
            run.step().await;
        }
        run.recover().await;
        let subscribers: Vec<_> = run.sessions[..MOVER].iter().map(|session| session.name.clone()).collect();
        run.ledger.judge(&subscribers);
        assert!(run.ledger.faults.is_empty(), "seed {seed}: {:#?}", run.ledger.faults);
        for (sum, mark) in sums.iter_mut().zip([Mark::Queued, Mark::Accepted, Mark::Failed, Mark::Unknown]) {
            *sum += run.ledger.count(mark) as u64;
        }
        sums[4] += subscribers.iter().map(|subscriber| run.ledger.missed(subscriber) as u64).sum::<u64>();
        drop(run.sessions);
        run.fleet.end().await;
    }
    sums
}

#[tokio::test(start_paused = true)]
async fn the_promises_hold_over_a_bus_that_does_what_a_bus_may_do() {
    let sums = all_seeds(Faults::promised(), false).await;
    assert!(sums.iter().all(|sum| *sum > SEEDS), "too little went wrong to show anything: {sums:?}");
}

#[tokio::test(start_paused = true)]
async fn messages_to_agents_do_not_mind_batches_that_repeat_and_overtake() {
    let faults = Faults { duplicated: 0.1, overtaken: 0.2, ..Faults::promised() };
    let sums = all_seeds(faults, true).await;
    assert!(sums.iter().all(|sum| *sum > SEEDS), "too little went wrong to show anything: {sums:?}");
}

//! Agents that do nothing but stay: each subscribed to a topic of its own, answering heartbeats.
//!
//! Shows how fast agents connect and what a connection costs in memory; with `--after-message` also what it costs once it
//! has carried a message, which each agent sends itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;
use relay_protocol::{Address, ServerFrame};
use serde_json::json;
use tokio::sync::Notify;

use crate::agent::{Ended, Greeting, Outbox};
use crate::checker::Books;
use crate::clock;
use crate::scenario::{FloorKind, Scenario};
use crate::stamp::Destination;
use crate::trial::conduct::conduct;
use crate::trial::correspondent::Correspondent;
use crate::trial::crew::{Crew, Member};
use crate::trial::drive::Role;
use crate::trial::performance::Performance;
use crate::trial::stage::Window;
use crate::trial::{Place, Trial, addresses};

/// See the page.
pub const SCENARIO: Scenario = Scenario {
    name: "idle",
    about: "agents connect, subscribe to a topic each, and stay; shows memory for each connection",
    arguments: "",
    environment: &[],
    floor: Some(FloorKind::Memory),
    instances: 1,
    divisible: true,
    run,
};

fn run<'t>(trial: &'t Trial<'t>) -> BoxFuture<'t, anyhow::Result<Performance>> {
    Box::pin(async move {
        let plan = trial.plan();
        let place = |number| Place { tenant: number % plan.tenants, slot: number / plan.tenants };
        let identities = trial.identities(plan.agents, place)?;
        let everybody = addresses(&identities)?;
        let seen = Arc::new(Seen::default());
        let members = identities
            .into_iter()
            .zip(0..)
            .map(|(identity, number)| {
                let topic = format!("load.idle.{}", place(trial.part.first + number).slot);
                let topics = vec![(Destination::Topic(number), topic.clone())];
                let payload = plan.after_message.unwrap_or(plan.payload);
                let role = Sitter {
                    correspondent: trial.sized_correspondent(number, topics, &everybody, true, payload),
                    me: (Destination::Agent(number), everybody[number as usize].clone()),
                    owes_message: plan.after_message.is_some(),
                    heartbeat: Duration::MAX,
                    heard_ns: clock::now_ns(),
                    seen: Arc::clone(&seen),
                };
                Member { identity, role, topics: vec![topic], wake: Arc::new(Notify::new()) }
            })
            .collect();
        let crew = Crew::gather(trial, members).await?;
        let mut performance = conduct(trial, crew, 1, |_| Ok(())).await?;
        let silent = seen.silent.load(Ordering::Relaxed);
        if silent > 0 {
            performance.tally.disconnected.insert("silent".to_owned(), silent);
        }
        performance.extra.insert("heartbeats".to_owned(), json!(seen.heartbeats.load(Ordering::Relaxed)));
        Ok(performance)
    })
}

/// What all of them saw.
#[derive(Debug, Default)]
struct Seen {
    heartbeats: AtomicU64,
    /// Agents that heard nothing for twice as long as the relay promised.
    silent: AtomicU64,
}

/// One that stays.
#[derive(Debug)]
struct Sitter {
    correspondent: Correspondent,
    me: (Destination, Address<'static>),
    owes_message: bool,
    heartbeat: Duration,
    heard_ns: u64,
    seen: Arc<Seen>,
}

impl Role for Sitter {
    fn correspondent(&mut self) -> &mut Correspondent {
        &mut self.correspondent
    }

    fn welcomed(&mut self, greeting: &Greeting) {
        self.heartbeat = greeting.heartbeat;
        self.heard_ns = clock::now_ns();
    }

    fn hear(&mut self, frame: &ServerFrame<'_>, read_ns: u64, _: &mut Outbox) {
        self.heard_ns = read_ns;
        if matches!(frame, ServerFrame::Ping) {
            self.seen.heartbeats.fetch_add(1, Ordering::Relaxed);
        }
        self.correspondent.hear(frame, read_ns);
    }

    fn tick(&mut self, window: &Window, now_ns: u64, outbox: &mut Outbox) -> Option<u64> {
        if now_ns < window.start_ns {
            return Some(window.start_ns);
        }
        if std::mem::take(&mut self.owes_message) {
            self.correspondent.post(self.me.clone(), now_ns, outbox, |_, _| {});
        }
        let silent_ns = self.heard_ns.saturating_add(clock::nanoseconds(self.heartbeat.saturating_mul(2)));
        if now_ns >= silent_ns {
            self.seen.silent.fetch_add(1, Ordering::Relaxed);
            self.heartbeat = Duration::MAX;
            return None;
        }
        Some(silent_ns)
    }

    fn finish(self, ended: Option<Ended>) -> Books {
        self.correspondent.into_books(ended)
    }
}

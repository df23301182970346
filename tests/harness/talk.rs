//! Traffic among many agents of which every message is accounted for: all numbers go into the checker's books.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use relay_loadtest::agent::{Ended, Outbox};
use relay_loadtest::bench::{Bench, Tokens};
use relay_loadtest::checker::{Books, Tally, judge};
use relay_loadtest::clock::{SECOND_NS, nanoseconds};
use relay_loadtest::plan::{EncodingChoice, Plan, Receipt};
use relay_loadtest::stamp::Destination;
use relay_loadtest::trial::correspondent::Correspondent;
use relay_loadtest::trial::crew::{Crew, Member};
use relay_loadtest::trial::drive::Role;
use relay_loadtest::trial::live::{Live, Sums};
use relay_loadtest::trial::stage::{Stage, Window};
use relay_loadtest::trial::{Place, Trial, addresses};
use relay_protocol::client::ReceiptMode;
use relay_protocol::server::Failed;
use relay_protocol::{Address, ServerFrame};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::eventually::eventually;
use crate::fleet::Fleet;
use crate::seed::Chance;

/// Frames that may travel in one WebSocket message.
const BATCH: u32 = 8;
/// Size of payloads.
const PAYLOAD_BYTES: usize = 128;
/// How long nothing may happen before traffic counts as over: what comes twice has come by then.
const QUIET: Duration = Duration::from_millis(700);

/// Who talks, and how much.
#[derive(Debug, Clone, Copy)]
pub struct Talk {
    /// How many agents, spread over the relays in turn.
    pub agents: u32,
    /// How many neighbours subscribe to a topic together.
    pub subscribers: u32,
    /// How many of a hundred messages go to topics.
    pub topics_percent: u32,
    /// How much each agent sends.
    pub pace: Pace,
    /// Decides who sends where.
    pub seed: u32,
}

/// How much an agent sends.
#[derive(Debug, Clone, Copy)]
pub enum Pace {
    /// So many messages, at most so many without an outcome.
    Count {
        /// In all.
        messages: u32,
        /// Without an outcome.
        depth: u64,
    },
    /// One each time this has passed, until told to stop.
    Every(Duration),
}

/// Agents that talk.
#[derive(Debug)]
pub struct Conversation {
    crew: Crew,
    live: Arc<Live>,
    hush: Arc<AtomicBool>,
}

impl Conversation {
    /// Connects everybody and lets them talk.
    pub async fn begin(fleet: &Fleet, talk: Talk) -> anyhow::Result<Conversation> {
        let tokens = Tokens::Minter(fleet.cluster.minter().clone());
        let bench = Bench::anonymous(plan(talk.agents), fleet.cluster.targets(), tokens);
        let trial = Trial { run: talk.seed, ..Trial::new(&bench)? };
        let identities = trial.identities(talk.agents, |number| Place { tenant: 0, slot: number })?;
        let everybody = addresses(&identities)?;
        let topics = topics(talk.agents.div_ceil(talk.subscribers))?;
        let hush = Arc::new(AtomicBool::new(false));
        let members = identities.into_iter().zip(0..).map(|(identity, number)| {
            let (topic, address) = topics[(number / talk.subscribers) as usize].clone();
            let topic_name = address.name().to_owned();
            let heard = vec![(topic, topic_name.clone())];
            let role = Talker {
                correspondent: trial.correspondent(number, heard, &everybody, false),
                talk,
                topics: topics.clone(),
                chance: Chance::new(talk.seed, number),
                hush: Arc::clone(&hush),
                sent: 0,
                in_flight: 0,
                due_ns: 0,
            };
            Member { identity, role, topics: vec![topic_name], wake: Arc::new(Notify::new()) }
        });
        let members = members.collect();
        let crew = Crew::gather(&trial, members).await?;
        let soon = Window::soon(Duration::ZERO, Duration::from_hours(1));
        crew.stage.send_replace(Stage::Go(soon));
        Ok(Conversation { crew, live: trial.live, hush })
    }

    /// What has happened so far.
    pub fn sums(&self) -> Sums {
        self.live.sums()
    }

    /// Lets nobody begin a message, and waits until all are answered and nothing more comes.
    pub async fn hush(&self, within: Duration) -> anyhow::Result<Sums> {
        self.hush.store(true, Ordering::Relaxed);
        self.rest(within).await
    }

    /// Waits until all is answered and nothing more comes.
    pub async fn rest(&self, within: Duration) -> anyhow::Result<Sums> {
        let (mut last, mut since) = (self.sums(), Instant::now());
        eventually("traffic comes to rest", within, async || {
            let sums = self.sums();
            if sums != last {
                (last, since) = (sums, Instant::now());
            }
            let rests = sums.answered >= sums.sent && since.elapsed() >= QUIET;
            Ok(rests.then_some(sums))
        })
        .await
    }

    /// Lets everybody leave, and says what became of every message.
    pub async fn end(self) -> Tally {
        self.crew.stage.send_replace(Stage::Stop);
        judge(&self.crew.tasks.join_all().await, ReceiptMode::All)
    }
}

fn plan(agents: u32) -> Plan {
    Plan {
        agents,
        payload: PAYLOAD_BYTES,
        encoding: EncodingChoice::Mixed,
        receipt: Receipt::All,
        batch: BATCH,
        ..Plan::default()
    }
}

fn topics(count: u32) -> anyhow::Result<Vec<(Destination, Address<'static>)>> {
    let topic = |number| {
        crate::fleet::address(&format!("topic/talk.{number}")).map(|to| (Destination::Topic(number), to))
    };
    (0..count).map(topic).collect()
}

/// One who talks.
#[derive(Debug)]
struct Talker {
    correspondent: Correspondent,
    talk: Talk,
    topics: Vec<(Destination, Address<'static>)>,
    chance: Chance,
    hush: Arc<AtomicBool>,
    sent: u32,
    in_flight: u64,
    due_ns: u64,
}

impl Talker {
    fn post(&mut self, at_ns: u64, outbox: &mut Outbox) {
        let to = if self.chance.below(100) < self.talk.topics_percent {
            let count = u32::try_from(self.topics.len()).unwrap_or(u32::MAX);
            self.topics[self.chance.below(count) as usize].clone()
        } else {
            let number = self.chance.below(self.talk.agents);
            (Destination::Agent(number), self.correspondent.address(number))
        };
        self.correspondent.post(to, at_ns, outbox, |_, _| {});
        self.sent += 1;
        self.in_flight += 1;
    }
}

impl Role for Talker {
    fn correspondent(&mut self) -> &mut Correspondent {
        &mut self.correspondent
    }

    fn hear(&mut self, frame: &ServerFrame<'_>, read_ns: u64, _: &mut Outbox) {
        self.in_flight = self.in_flight.saturating_sub(outcomes(frame));
        self.correspondent.hear(frame, read_ns);
    }

    fn tick(&mut self, window: &Window, now_ns: u64, outbox: &mut Outbox) -> Option<u64> {
        if !window.is_open(now_ns) || self.hush.load(Ordering::Relaxed) {
            return (now_ns < window.start_ns).then_some(window.start_ns);
        }
        match self.talk.pace {
            Pace::Count { messages, depth } => {
                while self.sent < messages && self.in_flight < depth {
                    self.post(now_ns, outbox);
                }
                None
            }
            Pace::Every(pause) => {
                if self.due_ns == 0 {
                    // Spread from the beginning, or all would send at once for ever.
                    self.due_ns = now_ns + u64::from(self.chance.below(1_000)) * SECOND_NS / 1_000;
                }
                while self.due_ns <= now_ns {
                    self.post(self.due_ns, outbox);
                    self.due_ns += nanoseconds(pause);
                }
                Some(self.due_ns)
            }
        }
    }

    fn finish(self, ended: Option<Ended>) -> Books {
        self.correspondent.into_books(ended)
    }
}

/// How many sends a frame tells the outcome of.
fn outcomes(frame: &ServerFrame<'_>) -> u64 {
    match frame {
        ServerFrame::Receipt(receipt) => {
            let ranges = [&receipt.queued, &receipt.accepted, &receipt.delivered, &receipt.unknown];
            let told: u64 = ranges.into_iter().flatten().map(|(first, last)| last - first + 1).sum();
            told + receipt.failed.iter().map(Failed::count).sum::<u64>()
        }
        ServerFrame::Error { id: Some(_), .. } => 1,
        _ => 0,
    }
}

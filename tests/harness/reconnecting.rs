//! A client at `qos` 1 that lives through restarts of its relays as PROTOCOL.md tells it to: it comes back when it was told
//! to, at any relay, with its ticket, and sends again under the same `mid` what has no outcome.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context;
use relay_loadtest::agent::{Agent, ConnectError, ConnectOptions};
use relay_loadtest::target::Target;
use relay_protocol::client::{Qos, ReceiptMode, Resume};
use relay_protocol::{Address, ClientFrame, Payload, ServerFrame};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior};

use crate::fleet::{Fleet, address};
use crate::reliable::Book;
use crate::seed::Chance;

/// What PROTOCOL.md §10 lets a client wait at most at its first attempt; it doubles.
const BACK_OFF_MS: u32 = 500;
/// How often it doubles.
const DOUBLINGS_MAX: u32 = 6;

/// What a relay takes at most to end a connection that was replaced.
const FORMER_PATIENCE: Duration = Duration::from_secs(5);

/// How many of the last messages are sent again after each return, whatever their outcome was.
const DOUBTED: u64 = 3;

/// What all clients are to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Send and read.
    Talk,
    /// Send nothing more but what has no outcome, and read.
    Settle,
    /// Leave.
    Leave,
}

/// What all clients did.
#[derive(Debug, Default)]
pub struct Sums {
    /// Messages sent, each once.
    pub sent: AtomicU64,
    /// Of which an outcome says that they are stored.
    pub stored: AtomicU64,
    /// Messages presented.
    pub presented: AtomicU64,
    /// Ways to a further connection.
    pub returns: AtomicU64,
}

/// A way to a further connection.
#[derive(Debug, Clone, Copy)]
pub struct Return {
    /// When the connection ended.
    pub left: Instant,
    /// When the next one was welcomed; before that end where the client moved.
    pub back: Instant,
    /// Whether it went on with its session.
    pub resumed: bool,
}

/// Such a client, which sends to one agent.
#[derive(Debug)]
pub struct Reconnecting {
    token: String,
    targets: Vec<Target>,
    agent: Agent,
    to: Address<'static>,
    chance: Chance,
    sums: Arc<Sums>,
    /// What it sent and heard.
    pub record: Record,
    /// Sends without an outcome, by id: of this connection.
    in_flight: BTreeMap<u64, u64>,
    /// The numbers of messages of which nothing says that they are stored.
    open: BTreeSet<u64>,
    come_back_ms: Option<u64>,
    /// The lease of the connection is over.
    is_to_move: bool,
    /// Messages presented that were counted.
    counted: usize,
}

/// What a client sent and heard.
#[derive(Debug, Default)]
pub struct Record {
    /// Its name, which its messages begin with.
    pub name: String,
    /// How many messages it sent: they are numbered from 1.
    pub sent: u64,
    /// How often it sent one again.
    pub resent: u64,
    /// What came.
    pub book: Book,
    /// Its ways back.
    pub returns: Vec<Return>,
}

impl Reconnecting {
    /// A client at the relay of that number, which sends to `to`.
    pub async fn join(
        fleet: &Fleet,
        instance: usize,
        name: &str,
        to: &str,
        chance: Chance,
        sums: &Arc<Sums>,
    ) -> anyhow::Result<Reconnecting> {
        Ok(Reconnecting {
            token: fleet.token(name)?,
            targets: fleet.cluster.targets(),
            agent: fleet.agent(instance, name).await?,
            to: address(&format!("agent/{to}"))?,
            chance,
            sums: Arc::clone(sums),
            record: Record { name: name.to_owned(), ..Record::default() },
            in_flight: BTreeMap::new(),
            open: BTreeSet::new(),
            come_back_ms: None,
            is_to_move: false,
            counted: 0,
        })
    }

    /// Sends a message each `pause` and reads, until it is to leave.
    pub async fn run(mut self, pause: Duration, stage: watch::Receiver<Stage>) -> anyhow::Result<Record> {
        // Those who begin together do not send all at once, at each pause again.
        let offset = self.chance.below(u32::try_from(pause.as_millis())?);
        let first = Instant::now() + Duration::from_millis(offset.into());
        let mut ticks = tokio::time::interval_at(first, pause);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut leaving = stage.clone();
        loop {
            let ended = tokio::select! {
                read = self.read() => read.is_err(),
                _ = ticks.tick() => {
                    let now = *stage.borrow();
                    self.send(now == Stage::Talk).await.is_err()
                }
                left = async { leaving.wait_for(|stage| *stage == Stage::Leave).await.map(drop) } => {
                    left.context("nobody says when to leave")?;
                    self.agent.leave().await;
                    return Ok(self.record);
                }
            };
            if ended {
                self.come_back().await?;
            } else if self.is_to_move {
                self.move_on().await;
            }
        }
    }

    async fn read(&mut self) -> anyhow::Result<()> {
        let (book, come_back_ms) = (&mut self.record.book, &mut self.come_back_ms);
        let is_to_move = &mut self.is_to_move;
        let read = self
            .agent
            .receive(|frame, _, _| {
                match frame {
                    ServerFrame::Drain { reason, .. } if *reason.0 == *"lease" => *is_to_move = true,
                    ServerFrame::Drain { reconnect_after_ms, .. } => {
                        *come_back_ms = Some(*reconnect_after_ms);
                    }
                    ServerFrame::Closing { reconnect_after_ms, .. } => *come_back_ms = *reconnect_after_ms,
                    _ => {}
                }
                book.take(frame);
            })
            .await;
        self.settle();
        read?;
        if self.count() > 0 {
            for position in self.record.book.positions() {
                self.agent.outbox().push(&ClientFrame::Ack(position));
            }
        }
        Ok(())
    }

    /// Counts what was presented; also by a call that was dropped.
    fn count(&mut self) -> usize {
        let presented = self.record.book.presented.len() - self.counted;
        self.counted += presented;
        self.sums.presented.fetch_add(presented as u64, Ordering::Relaxed);
        presented
    }

    /// Takes note of the outcomes that were heard.
    fn settle(&mut self) {
        for (id, outcome) in self.record.book.outcomes.drain(..) {
            let Some(number) = self.in_flight.remove(&id) else { continue };
            if ["accepted", "delivered"].contains(&outcome) && self.open.remove(&number) {
                self.sums.stored.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Sends the next message, or again from the first that was refused.
    async fn send(&mut self, further: bool) -> anyhow::Result<()> {
        if self.in_flight.is_empty() {
            for number in self.open.clone() {
                self.record.resent += 1;
                self.put(number);
            }
        }
        // Behind what was refused it would be out of order.
        if further && self.in_flight.len() == self.open.len() {
            self.record.sent += 1;
            self.sums.sent.fetch_add(1, Ordering::Relaxed);
            self.open.insert(self.record.sent);
            self.put(self.record.sent);
        }
        Ok(self.agent.flush().await?)
    }

    fn put(&mut self, number: u64) {
        let id = self.agent.outbox().next_id();
        let mid = format!("{}:{number}", self.record.name);
        let payload = Payload::Json(format!("\"{mid}\"").into());
        let settled = self.open.first().map_or(self.record.sent, |first| first - 1);
        self.agent.outbox().send(id, self.to.clone(), payload, ReceiptMode::All, |send| {
            send.qos = Qos::AtLeastOnce;
            send.mid = Some(mid.into());
            (send.counter, send.settled) = (Some(number), Some(settled));
        });
        self.in_flight.insert(id, number);
    }

    /// Connects again, anywhere.
    async fn come_back(&mut self) -> anyhow::Result<()> {
        let left = Instant::now();
        let mut wait = Duration::from_millis(self.come_back_ms.take().unwrap_or(0));
        // Ids of commands begin again.
        self.in_flight.clear();
        // As if their outcomes had been lost with the connection: a drain loses none by itself.
        for number in self.record.sent.saturating_sub(DOUBTED) + 1..=self.record.sent {
            if self.open.insert(number) {
                self.sums.stored.fetch_sub(1, Ordering::Relaxed);
            }
        }
        for attempt in 0.. {
            // Told by the relay, or by PROTOCOL.md.
            tokio::time::interval_at(Instant::now() + wait, Duration::from_millis(BACK_OFF_MS.into()))
                .tick()
                .await;
            match self.connect().await {
                Ok(agent) => {
                    self.agent = agent;
                    break;
                }
                Err(ConnectError::Command { command, code }) => {
                    anyhow::bail!("{} was refused {command}: {code}", self.record.name);
                }
                Err(_) => {
                    let most = BACK_OFF_MS << attempt.min(DOUBLINGS_MAX);
                    wait = Duration::from_millis(self.chance.below(most).into());
                }
            }
        }
        self.note_return(left, Instant::now());
        Ok(())
    }

    /// Connects to another relay, and only then leaves this one. Where that fails the connection ends at its time.
    async fn move_on(&mut self) {
        self.is_to_move = false;
        let Ok(next) = self.connect().await else { return };
        let back = Instant::now();
        // The relay ends the former connection when all was written.
        let (agent, book) = (&mut self.agent, &mut self.record.book);
        let to_its_end = async { while agent.receive(|frame, _, _| book.take(frame)).await.is_ok() {} };
        let ended = tokio::time::timeout(FORMER_PATIENCE, to_its_end).await;
        assert!(ended.is_ok(), "{} still has its former connection", self.record.name);
        self.settle();
        // Ids of commands begin again; what has no outcome is sent again.
        self.in_flight.clear();
        self.agent = next;
        self.note_return(Instant::now(), back);
    }

    fn note_return(&mut self, left: Instant, back: Instant) {
        let resumed = self.agent.greeting().resumed;
        self.record.returns.push(Return { left, back, resumed });
        self.sums.returns.fetch_add(1, Ordering::Relaxed);
    }

    async fn connect(&mut self) -> Result<Agent, ConnectError> {
        let count = u32::try_from(self.targets.len()).unwrap_or(u32::MAX);
        let target = &self.targets[self.chance.below(count) as usize];
        let book = &mut self.record.book;
        let streams = book.positions();
        let ticket = self.agent.greeting().ticket.clone();
        let resume = ticket.map(|ticket| Resume { ticket: ticket.into(), streams });
        let options = ConnectOptions::default();
        Agent::resume(target.address, &target.uri, &self.token, &options, resume, |frame| {
            book.take(frame);
        })
        .await
    }
}

//! A client that lives through faults as PROTOCOL.md tells it to: it finds dead connections by their silence, backs off,
//! goes on anywhere with its ticket, subscribes again from where it was, and sends again what has no outcome. What it does
//! and hears goes into the history.

mod line;
mod stage;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use relay_loadtest::agent::{Agent, ConnectOptions, Outbox};
use relay_loadtest::target::Target;
use relay_protocol::client::{Point, Qos, ReceiptMode, Resume, Rewind};
use relay_protocol::{Address, ClientFrame, ErrorCode, Send, ServerFrame};
use relay_tests::fleet::address;
use relay_tests::history::{History, Witness};
use relay_tests::seed::Chance;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval, interval_at, timeout};

use line::Line;
use stage::Progress;
pub(crate) use stage::{Board, Stage};

/// How often a client sends: 30 of them in a timeline, and several timelines at once, leave room on two cores.
const PAUSE: Duration = Duration::from_millis(300);
/// A relay that has not welcomed by then is given up; its stores may take a second each.
const WELCOME_WITHIN: Duration = Duration::from_secs(5);
/// PROTOCOL.md §10 allows 0.5 s at the first attempt, doubled up to 30 s; a short test does not wait for that.
const BACK_OFF_MS: u32 = 500;
const BACK_OFF_MS_MAX: u32 = 4_000;
/// More than a topic gets in a run: with no position yet, from its beginning.
const REWIND: u64 = 10_000;
/// The topics of each tenant.
const LOG: &str = "chaos.log";
const NEWS: &str = "chaos.news";

/// Who a client is and where it may go.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    pub(crate) number: usize,
    pub(crate) tenant: String,
    pub(crate) agent: String,
    pub(crate) token: String,
    /// Whom it sends to.
    pub(crate) to: String,
    pub(crate) targets: Arc<[Target]>,
}

/// Such a client.
pub(crate) struct Client {
    identity: Identity,
    witness: Witness,
    chance: Chance,
    stage: watch::Receiver<Stage>,
    board: Arc<Board>,
    lines: [Line; 2],
    news: [Address<'static>; 2],
    sent: Sent,
    ticket: Option<String>,
    topics: BTreeMap<&'static str, Topic>,
    come_back_ms: Option<u64>,
    /// The relay of the last attempt.
    tried: Option<usize>,
}

/// What was sent on a connection, and what has to succeed for a proof.
#[derive(Default)]
struct Sent {
    ticks: u64,
    messages: u64,
    /// Sends at `qos` 0 without an outcome, with their kind.
    fleeting: BTreeMap<u64, usize>,
    /// When the proof being made was asked for.
    since: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Topic {
    Wanted,
    Asked(u64),
    InForce,
}

impl Client {
    pub(crate) fn new(
        identity: Identity,
        history: &History,
        chance: Chance,
        stage: watch::Receiver<Stage>,
        board: &Arc<Board>,
    ) -> anyhow::Result<Client> {
        let to = |text: String| address(&text);
        Ok(Client {
            witness: Witness::new(history, &identity.tenant, &identity.agent),
            chance,
            stage,
            board: Arc::clone(board),
            lines: [
                Line::new(to(format!("agent/{}", identity.to))?, 'd'),
                Line::new(to(format!("topic/{LOG}"))?, 't'),
            ],
            news: [to(format!("agent/{}", identity.to))?, to(format!("topic/{NEWS}"))?],
            sent: Sent::default(),
            ticket: None,
            topics: [LOG, NEWS].map(|topic| (topic, Topic::Wanted)).into(),
            come_back_ms: None,
            tried: None,
            identity,
        })
    }

    /// Lives until it is told to leave.
    pub(crate) async fn run(mut self) -> anyhow::Result<()> {
        let mut leaving = self.stage.clone();
        let life = async {
            let mut refused = 0;
            loop {
                self.rest(refused).await;
                let Some(agent) = self.connect().await else {
                    refused += 1;
                    continue;
                };
                refused = 0;
                self.talk(agent).await;
                self.board.of(self.identity.number).relay = None;
                self.witness.closed(None, false);
            }
        };
        tokio::select! {
            () = life => {}
            left = leaving.wait_for(|stage| *stage == Stage::Leave) => drop(left.context("nobody says when to leave")?),
        }
        Ok(())
    }

    /// As long as a relay told, or PROTOCOL.md.
    async fn rest(&mut self, refused: u32) {
        let told = Duration::from_millis(self.come_back_ms.take().unwrap_or(0));
        let most = BACK_OFF_MS.saturating_mul(1 << refused.min(8)).min(BACK_OFF_MS_MAX);
        let back_off = if refused == 0 { 20 } else { most };
        let wait = told + Duration::from_millis(self.chance.below(back_off).into());
        interval_at(Instant::now() + wait, PAUSE).tick().await;
    }

    async fn connect(&mut self) -> Option<Agent> {
        let relay = self.another_relay();
        let target = self.identity.targets[relay].clone();
        for line in &mut self.lines {
            line.is_cut();
        }
        self.sent.fleeting.clear();
        self.topics.values_mut().for_each(|topic| *topic = Topic::Wanted);
        let streams = self.witness.positions();
        let resume = self.ticket.clone().map(|ticket| Resume { ticket: ticket.into(), streams });
        let (token, options) = (self.identity.token.clone(), ConnectOptions::default());
        let connecting = Agent::resume(target.address, &target.uri, &token, &options, resume, |frame| {
            if let ServerFrame::Welcome(welcome) = frame {
                self.ticket = welcome.ticket.as_ref().map(ToString::to_string);
                self.witness.welcomed(welcome.session.name(), welcome.resumed, welcome.ticket.is_some());
            }
            self.hear(frame);
        });
        let agent = timeout(WELCOME_WITHIN, connecting).await;
        let Ok(Ok(agent)) = agent else {
            self.witness.closed(None, false);
            return None;
        };
        self.board.of(self.identity.number).relay = Some(relay);
        Some(agent)
    }

    /// Any but the one that was tried last, as who has several addresses would do, and a load balancer does.
    fn another_relay(&mut self) -> usize {
        let others: Vec<usize> =
            (0..self.identity.targets.len()).filter(|relay| Some(*relay) != self.tried).collect();
        let relay = others[self.chance.below(u32::try_from(others.len()).unwrap_or(u32::MAX)) as usize];
        self.tried = Some(relay);
        relay
    }

    /// Talks until the connection ends, or is silent for longer than it may be.
    async fn talk(&mut self, mut agent: Agent) {
        let silence_max = 2 * agent.greeting().heartbeat;
        let mut ticks = interval(PAUSE);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut heard = Instant::now();
        self.acknowledge(agent.outbox());
        loop {
            tokio::select! {
                // What is sent is written by receiving, which a dead connection does not hold up.
                received = agent.receive(|frame, _, _| self.hear(frame)) => {
                    if received.is_err() {
                        return;
                    }
                    heard = Instant::now();
                    self.acknowledge(agent.outbox());
                }
                _ = ticks.tick() => {
                    if heard.elapsed() > silence_max {
                        return;
                    }
                    self.tick(agent.outbox());
                }
            }
        }
    }

    fn acknowledge(&mut self, outbox: &mut Outbox) {
        for position in self.witness.acknowledges() {
            outbox.push(&ClientFrame::Ack(position));
        }
    }

    fn tick(&mut self, outbox: &mut Outbox) {
        self.subscribe(outbox);
        let stage = *self.stage.borrow();
        self.prove(stage);
        self.sent.ticks += 1;
        let turn = self.sent.ticks + self.identity.number as u64;
        for which in 0..self.lines.len() {
            // A topic goes to ten, so a quarter of the pace is for it.
            let further = stage.is_talking() && (which == 0 || turn.is_multiple_of(4));
            for number in self.lines[which].due(further) {
                let line = &self.lines[which];
                let (to, settled) = (line.to.clone(), line.settled());
                let mid = format!("{}{number}", line.letter);
                let id = self.send(outbox, to, &mid, |send| {
                    send.qos = Qos::AtLeastOnce;
                    (send.counter, send.settled) = (Some(number), Some(settled));
                });
                self.lines[which].put(id, number);
            }
        }
        let news = usize::from(turn.is_multiple_of(4));
        if stage.is_talking() && (news == 1 || turn.is_multiple_of(2)) {
            self.sent.messages += 1;
            let (to, mid) = (self.news[news].clone(), format!("q{}", self.sent.messages));
            let id = self.send(outbox, to, &mid, |_| {});
            self.sent.fleeting.insert(id, news);
        }
    }

    fn send(
        &mut self,
        outbox: &mut Outbox,
        to: Address<'static>,
        mid: &str,
        further: impl FnOnce(&mut Send<'_>),
    ) -> u64 {
        let id = outbox.next_id();
        let mut send = Send::new(id, to, self.witness.payload(mid));
        (send.receipt, send.mid) = (ReceiptMode::All, Some(mid.to_owned().into()));
        further(&mut send);
        self.witness.sends(&send);
        outbox.push(&ClientFrame::Send(send));
        id
    }

    fn subscribe(&mut self, outbox: &mut Outbox) {
        let positions = self.witness.positions();
        for (topic, state) in &mut self.topics {
            if *state != Topic::Wanted {
                continue;
            }
            let qos = if *topic == LOG { Qos::AtLeastOnce } else { Qos::AtMostOnce };
            let known = positions.iter().find(|at| at.stream.strip_prefix("topic/") == Some(*topic));
            let from = known.map(|at| Point { epoch: at.epoch.clone(), seq: at.seq });
            let rewind = (qos == Qos::AtLeastOnce && from.is_none()).then_some(Rewind::Last(REWIND));
            let id = outbox.next_id();
            self.witness.subscribes(id, topic, qos);
            outbox.push(&ClientFrame::Subscribe {
                id,
                topic: (*topic).into(),
                qos,
                rewind,
                from,
                present: false,
            });
            *state = Topic::Asked(id);
        }
    }

    /// A proof: everything is subscribed, nothing is open, and of each kind a message sent since it was asked for arrived.
    fn prove(&mut self, stage: Stage) {
        let Stage::Talk { proof } = stage else { return };
        let mut at = self.board.of(self.identity.number);
        if proof != at.proof {
            *at = Progress { proof, relay: at.relay, ..Progress::default() };
            self.sent.since = self.sent.ticks;
        }
        at.weigh(self.topics.values().all(|topic| *topic == Topic::InForce));
    }

    fn told(&mut self, id: u64, outcome: Result<(), Option<ErrorCode>>) {
        let (is_good, is_since) = (outcome.is_ok(), self.sent.ticks > self.sent.since);
        let mut at = self.board.of(self.identity.number);
        for (kind, line) in self.lines.iter_mut().enumerate() {
            at.good[2 + kind] |= line.told(id, is_good) && line.is_done() && is_since;
        }
        if let Some(kind) = self.sent.fleeting.remove(&id) {
            at.good[kind] |= is_good && is_since;
            at.refused[kind] = outcome.err().flatten();
        }
    }

    fn hear(&mut self, frame: &ServerFrame<'_>) {
        self.witness.hears(frame);
        match frame {
            ServerFrame::Receipt(receipt) => {
                for (ranges, outcome) in [
                    (&receipt.queued, Ok(())),
                    (&receipt.accepted, Ok(())),
                    (&receipt.delivered, Ok(())),
                    (&receipt.unknown, Err(None)),
                ] {
                    let ids: Vec<u64> = ranges.iter().flat_map(|(first, last)| *first..=*last).collect();
                    for id in ids {
                        self.told(id, outcome);
                    }
                }
                for failed in &receipt.failed {
                    for id in failed.each_id() {
                        self.told(id, Err(Some(failed.reason)));
                    }
                }
            }
            ServerFrame::Ok { id } => self.answered(*id, Topic::InForce),
            ServerFrame::Error { id: Some(id), code, .. } => {
                self.answered(*id, Topic::Wanted);
                self.told(*id, Err(Some(*code)));
            }
            ServerFrame::Drain { reconnect_after_ms, .. } => self.come_back_ms = Some(*reconnect_after_ms),
            ServerFrame::Closing { reconnect_after_ms, .. } => self.come_back_ms = *reconnect_after_ms,
            _ => {}
        }
    }

    fn answered(&mut self, id: u64, state: Topic) {
        if let Some(topic) = self.topics.values_mut().find(|topic| **topic == Topic::Asked(id)) {
            *topic = state;
        }
    }
}

//! An agent at `qos` 1 as a client library would be: it presents each message of a stream once and in order, acknowledges,
//! and goes on with its ticket.

use std::collections::BTreeMap;

use anyhow::Context;
use relay_loadtest::agent::Agent;
use relay_protocol::client::{Position, Qos, ReceiptMode, Resume};
use relay_protocol::{ClientFrame, Payload, ServerFrame};

use crate::fleet::{Fleet, PATIENCE, address};

/// An agent at `qos` 1.
#[derive(Debug)]
pub struct Reliable {
    name: String,
    /// The connection.
    pub agent: Agent,
    /// What it heard, over all its connections.
    pub book: Book,
}

/// What an agent heard.
#[derive(Debug, Default)]
pub struct Book {
    /// Payloads in the order in which they were presented.
    pub presented: Vec<String>,
    /// Of each stream that went on, whether nothing is missing.
    pub resumed: Vec<bool>,
    /// Messages that were said not to come.
    pub skipped: u64,
    /// Messages that came and had been presented before.
    pub repeats: usize,
    /// Messages before which one is missing of which nothing was said.
    pub holes: usize,
    /// Outcomes of sends: the command, and which.
    pub outcomes: Vec<(u64, &'static str)>,
    /// Outcomes of sends of earlier connections: which message, and whether it was delivered.
    pub earlier: Vec<(String, bool)>,
    done: Vec<u64>,
    positions: BTreeMap<String, (String, u64)>,
}

impl Reliable {
    /// An agent, connected to the relay of that number.
    pub async fn join(fleet: &Fleet, instance: usize, name: &str) -> anyhow::Result<Reliable> {
        let mut book = Book::default();
        let agent = fleet.enter(instance, name, None, |frame| book.take(frame)).await?;
        Ok(Reliable { name: name.to_owned(), agent, book })
    }

    /// Goes on at another relay with what was presented so far.
    pub async fn move_to(&mut self, fleet: &Fleet, instance: usize) -> anyhow::Result<()> {
        let ticket = self.agent.greeting().ticket.clone().context("no ticket")?;
        let streams = self.book.positions();
        let resume = Resume { ticket: ticket.into(), streams };
        let book = &mut self.book;
        self.agent = fleet.enter(instance, &self.name, Some(resume), |frame| book.take(frame)).await?;
        // Ids of commands begin again.
        self.book.outcomes.clear();
        Ok(())
    }

    /// Sends at `qos` 1; returns the command's id.
    pub async fn send(&mut self, to: &str, mid: &str, counter: Option<u64>) -> anyhow::Result<u64> {
        let (id, to) = (self.agent.outbox().next_id(), address(to)?);
        let payload = Payload::Json(format!("\"{mid}\"").into());
        self.agent.outbox().send(id, to, payload, ReceiptMode::All, |send| {
            send.qos = Qos::AtLeastOnce;
            send.mid = Some(mid.to_owned().into());
            send.counter = counter;
        });
        self.agent.flush().await?;
        Ok(id)
    }

    /// Sends at `qos` 1 and waits for the first outcome.
    pub async fn ask(&mut self, to: &str, mid: &str) -> anyhow::Result<&'static str> {
        let id = self.send(to, mid, None).await?;
        self.until(|book| book.outcome(id).is_some()).await?;
        self.book.outcome(id).context("no outcome")
    }

    /// Reads the stream of a topic from now on.
    pub async fn subscribe(&mut self, topic: &str) -> anyhow::Result<()> {
        let id = self.agent.outbox().next_id();
        let (qos, rewind, from) = (Qos::AtLeastOnce, None, None);
        self.agent.outbox().push(&ClientFrame::Subscribe {
            id,
            topic: topic.into(),
            qos,
            rewind,
            from,
            present: false,
        });
        self.until(|book| book.done.contains(&id)).await
    }

    /// Reads, presents and acknowledges until something holds.
    pub async fn until(&mut self, holds: impl Fn(&Book) -> bool) -> anyhow::Result<()> {
        let reading = async {
            while !holds(&self.book) {
                let book = &mut self.book;
                self.agent.flush().await?;
                self.agent.receive(|frame, _, _| book.take(frame)).await?;
                for position in self.book.positions() {
                    self.agent.outbox().push(&ClientFrame::Ack(position));
                }
                self.agent.flush().await?;
            }
            anyhow::Ok(())
        };
        tokio::time::timeout(PATIENCE, reading).await.with_context(|| format!("not so: {:?}", self.book))?
    }

    /// Reads until so many messages were presented.
    pub async fn present(&mut self, count: usize) -> anyhow::Result<()> {
        self.until(|book| book.presented.len() >= count).await
    }
}

impl Book {
    /// The first outcome of a send.
    pub fn outcome(&self, id: u64) -> Option<&'static str> {
        self.outcomes.iter().find(|(of, _)| *of == id).map(|(_, told)| *told)
    }

    /// Whether this outcome of a send was told.
    pub fn has(&self, id: u64, outcome: &str) -> bool {
        self.outcomes.iter().any(|(of, told)| *of == id && *told == outcome)
    }

    /// Up to where each stream was presented.
    pub fn positions(&self) -> Vec<Position<'static>> {
        let position = |(stream, (epoch, seq)): (&String, &(String, u64))| Position {
            stream: stream.clone().into(),
            epoch: epoch.clone().into(),
            seq: *seq,
        };
        self.positions.iter().map(position).collect()
    }

    /// Takes what a frame says.
    pub fn take(&mut self, frame: &ServerFrame<'_>) {
        match frame {
            ServerFrame::Ok { id } => self.done.push(*id),
            ServerFrame::Message(message) => {
                let (Some(at), Payload::Json(text)) = (&message.position, &message.payload) else { return };
                let (stream, epoch) = (at.stream.to_string(), at.epoch.to_string());
                let last = self.positions.get(&stream).filter(|(known, _)| *known == epoch);
                if last.is_some_and(|(_, last)| at.seq <= *last) {
                    self.repeats += 1;
                    return;
                }
                self.holes += usize::from(last.is_some_and(|(_, last)| at.seq != *last + 1));
                self.positions.insert(stream, (epoch, at.seq));
                self.presented.push(text.trim_matches('"').to_owned());
            }
            ServerFrame::Skip { first, to, .. } => {
                self.skipped += to + 1 - first.seq;
                self.positions.insert(first.stream.to_string(), (first.epoch.to_string(), *to));
            }
            ServerFrame::Resume { position: at, recovered, .. } => {
                self.resumed.push(*recovered);
                let known = self.positions.get(&at.stream.to_string());
                if known.is_none_or(|(epoch, _)| **epoch != *at.epoch.to_string()) {
                    self.positions.insert(at.stream.to_string(), (at.epoch.to_string(), at.seq));
                }
            }
            ServerFrame::Receipt(receipt) => {
                let told = [
                    ("accepted", &receipt.accepted),
                    ("delivered", &receipt.delivered),
                    ("unknown", &receipt.unknown),
                ];
                for (name, ranges) in told {
                    let ids = ranges.iter().flat_map(|(first, last)| *first..=*last);
                    self.outcomes.extend(ids.map(|id| (id, name)));
                }
                let earlier = receipt.earlier.iter();
                self.earlier.extend(earlier.map(|told| (told.mid.to_string(), told.failed.is_none())));
                for failed in &receipt.failed {
                    self.outcomes.extend(failed.each_id().map(|id| (id, failed.reason.name())));
                }
            }
            _ => {}
        }
    }
}

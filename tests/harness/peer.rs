//! An agent for one message at a time: it sends and waits for the outcome, or hears, and loses nothing of what comes
//! meanwhile.

use std::collections::VecDeque;

use anyhow::Context;
use relay_loadtest::agent::{Agent, ConnectError};
use relay_protocol::client::ReceiptMode;
use relay_protocol::{Address, ErrorCode, Payload, Send, ServerFrame};

use crate::fleet::PATIENCE;

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// On a recipient's queue.
    Queued,
    /// Handed to the bus.
    Accepted,
    /// Nobody can know.
    Unknown,
    /// It did not arrive.
    Failed(ErrorCode),
}

/// A message as its recipient sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    /// The sending agent.
    pub from: String,
    /// As the sender wrote it.
    pub to: String,
}

/// An agent, and the messages that came while it waited for something else.
#[derive(Debug)]
pub struct Peer {
    /// The agent. What is read from it directly is not heard.
    pub agent: Agent,
    heard: VecDeque<Heard>,
}

impl From<Agent> for Peer {
    fn from(agent: Agent) -> Peer {
        Peer { agent, heard: VecDeque::new() }
    }
}

impl Peer {
    /// Sends one message and waits for its outcome.
    pub async fn ask(&mut self, to: &Address<'_>) -> anyhow::Result<Outcome> {
        self.ask_with(to, |_| {}).await
    }

    /// The same, with further fields.
    pub async fn ask_with(
        &mut self,
        to: &Address<'_>,
        fields: impl FnOnce(&mut Send<'_>),
    ) -> anyhow::Result<Outcome> {
        let id = self.agent.outbox().next_id();
        let payload = Payload::Json("\"there?\"".into());
        self.agent.outbox().send(id, to.clone().into_owned(), payload, ReceiptMode::All, fields);
        let told = self.wait_for(|frame| {
            let ServerFrame::Receipt(receipt) = frame else { return None };
            let has =
                |ranges: &[(u64, u64)]| ranges.iter().any(|(first, last)| (*first..=*last).contains(&id));
            let failed = receipt.failed.iter().find(|failed| failed.each_id().contains(&id));
            let failed = failed.map(|failed| Outcome::Failed(failed.reason));
            let queued = has(&receipt.queued).then_some(Outcome::Queued);
            let accepted = has(&receipt.accepted).then_some(Outcome::Accepted);
            queued.or(accepted).or(failed).or(has(&receipt.unknown).then_some(Outcome::Unknown))
        });
        told.await.context("no outcome")
    }

    /// The next message.
    pub async fn hear(&mut self) -> anyhow::Result<Heard> {
        if self.heard.is_empty() {
            let is_message = |frame: &ServerFrame<'_>| matches!(frame, ServerFrame::Message(_)).then_some(());
            self.wait_for(is_message).await.context("no message came")?;
        }
        self.heard.pop_front().context("a message came and was not kept")
    }

    /// Subscribes and waits for the answer.
    pub async fn subscribe(&mut self, topic: &str) -> Result<(), ConnectError> {
        let heard = &mut self.heard;
        self.agent.subscribe(topic, |frame| keep(heard, frame)).await
    }

    /// Writes what waits, and reads until `pick` finds something in a frame; messages are kept.
    pub async fn wait_for<T>(
        &mut self,
        mut pick: impl FnMut(&ServerFrame<'_>) -> Option<T>,
    ) -> anyhow::Result<T> {
        let heard = &mut self.heard;
        let found = self.agent.wait_for(|frame| {
            keep(heard, frame);
            pick(frame)
        });
        Ok(tokio::time::timeout(PATIENCE, found).await.context("nothing came in time")??)
    }
}

fn keep(heard: &mut VecDeque<Heard>, frame: &ServerFrame<'_>) {
    if let ServerFrame::Message(message) = frame {
        let (from, to) = (message.from.as_str().to_owned(), message.to.as_str().to_owned());
        heard.push_back(Heard { from, to });
    }
}

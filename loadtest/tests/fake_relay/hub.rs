//! Who is connected to the fake relay, and how messages reach them, rightly or wrongly.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use relay_protocol::client::ReceiptMode;
use relay_protocol::server::{Failed, GapReason, Receipt};
use relay_protocol::{
    Address, AddressKind, Chunk, CloseCode, Encoding, ErrorCode, Message, Payload, Send, ServerFrame,
    SharedFrame,
};
use tokio::sync::mpsc::UnboundedSender;

use crate::fake_relay::fault::{Fault, Wrong};

/// A connected agent: its tenant and name.
pub(crate) type Who = (String, String);

/// Where frames for an agent go.
#[derive(Debug, Clone)]
pub(crate) struct Mailbox(pub(crate) UnboundedSender<Arc<SharedFrame>>);

impl Mailbox {
    /// Sends a frame.
    pub(crate) fn put(&self, frame: &ServerFrame<'_>) {
        let mut bytes = Vec::new();
        frame.encode(Encoding::Json, &mut bytes);
        // An agent that left takes nothing.
        let _ = self.0.send(Arc::new(SharedFrame::new(Encoding::Json, Chunk::one(bytes))));
    }
}

/// All that are connected.
#[derive(Debug)]
pub(crate) struct Hub {
    /// What goes wrong.
    pub(crate) fault: Fault,
    agents: Mutex<HashMap<Who, Mailbox>>,
    topics: Mutex<HashMap<(String, String), Vec<Who>>>,
    /// Held back until the next message for the same agent.
    held: Mutex<HashMap<Who, Message<'static>>>,
}

impl Hub {
    /// Nobody.
    pub(crate) fn new(fault: Fault) -> Hub {
        Hub { fault, agents: Mutex::default(), topics: Mutex::default(), held: Mutex::default() }
    }

    /// An agent came.
    pub(crate) fn join(&self, who: Who, mailbox: Mailbox) {
        self.agents.lock().insert(who, mailbox);
    }

    /// An agent left.
    pub(crate) fn leave(&self, who: &Who) {
        self.agents.lock().remove(who);
    }

    /// An agent subscribed.
    pub(crate) fn subscribe(&self, who: &Who, topic: &str) {
        self.topics.lock().entry((who.0.clone(), topic.to_owned())).or_default().push(who.clone());
    }

    fn recipients(&self, tenant: &str, to: &Address<'_>) -> Vec<Who> {
        match to.kind() {
            AddressKind::Topic => {
                let key = (tenant.to_owned(), to.name().to_owned());
                self.topics.lock().get(&key).cloned().unwrap_or_default()
            }
            _ => vec![(tenant.to_owned(), to.name().to_owned())],
        }
    }

    /// Takes a send, delivers it, and answers it.
    pub(crate) fn send(&self, sender: &Who, sender_box: &Mailbox, send: &Send<'_>) {
        let wrong = match self.fault.next() {
            Some(Wrong::LimitSecondTenant) => sender.0.ends_with("-1").then_some(Wrong::Limit),
            wrong => wrong,
        };
        let message = message(sender, send);
        for who in self.recipients(&sender.0, &send.to) {
            self.deliver(&who, &message, wrong);
        }
        let told = |receipt| sender_box.put(&ServerFrame::Receipt(receipt));
        let good = || Receipt { queued: vec![(send.id, send.id)], ..Receipt::default() };
        let reason =
            if wrong == Some(Wrong::Limit) { ErrorCode::RateLimited } else { ErrorCode::NoRecipient };
        let failed = Failed { ids: (send.id, send.id), reason, retry_after_ms: None, limit: None };
        let failed = || Receipt { failed: vec![failed], ..Receipt::default() };
        match wrong {
            Some(Wrong::LieFailed | Wrong::Refuse | Wrong::Limit) => return told(failed()),
            Some(Wrong::Unknown) => {
                return told(Receipt { unknown: vec![(send.id, send.id)], ..Receipt::default() });
            }
            Some(Wrong::AnswerTwice) => told(failed()),
            Some(Wrong::AnswerStray) => told(Receipt { queued: vec![(1, 1)], ..Receipt::default() }),
            Some(Wrong::AnswerNever) => return,
            Some(Wrong::Disconnect) => {
                sender_box.put(&ServerFrame::closing(CloseCode::SlowConsumer, "fault", None));
            }
            _ => {}
        }
        if send.receipt == ReceiptMode::All {
            told(good());
        }
    }

    fn deliver(&self, who: &Who, message: &Message<'static>, wrong: Option<Wrong>) {
        match wrong {
            Some(Wrong::Drop | Wrong::LieQueued | Wrong::Refuse | Wrong::Limit | Wrong::Unknown) => return,
            Some(Wrong::DropAndOwnUp) => return self.own_up(who, message, Some(1)),
            Some(Wrong::DropAndOwnUpToLess) => return self.own_up(who, message, Some(0)),
            Some(Wrong::Swap) => {
                self.held.lock().insert(who.clone(), message.clone());
                return;
            }
            Some(Wrong::Duplicate) => self.put(who, message),
            Some(Wrong::Misdeliver) => {
                let other =
                    self.agents.lock().keys().find(|other| other.0 == who.0 && *other != who).cloned();
                self.put(&other.expect("another agent"), message);
            }
            Some(Wrong::Leak) => {
                let other =
                    self.agents.lock().keys().find(|other| other.1 == who.1 && *other != who).cloned();
                self.put(&other.expect("another tenant"), message);
            }
            Some(Wrong::Forge) => {
                let from = Address::parse("agent/somebody-else".into()).expect("an address");
                return self.put(who, &Message { from, ..message.clone() });
            }
            Some(Wrong::Corrupt) => {
                let Payload::Json(text) = &message.payload else { panic!("JSON only") };
                let payload = Payload::Json(text.replace("x\"", "y\"").into());
                return self.put(who, &Message { payload, ..message.clone() });
            }
            _ => {}
        }
        self.put(who, message);
        if let Some(held) = self.held.lock().remove(who) {
            self.put(who, &held);
        }
    }

    fn own_up(&self, who: &Who, message: &Message<'_>, dropped: Option<u64>) {
        let direct = message.to.kind() == AddressKind::Agent;
        let topics = if direct { Vec::new() } else { vec![message.to.name().to_owned().into()] };
        if let Some(mailbox) = self.agents.lock().get(who) {
            mailbox.put(&ServerFrame::Gap { reason: GapReason::Slow, direct, topics, dropped });
        }
    }

    fn put(&self, who: &Who, message: &Message<'static>) {
        if let Some(mailbox) = self.agents.lock().get(who) {
            mailbox.put(&ServerFrame::Message(message.clone()));
        }
    }
}

fn message(sender: &Who, send: &Send<'_>) -> Message<'static> {
    let from = Address::parse(format!("agent/{}", sender.1).into()).expect("an agent");
    let session =
        Address::parse(format!("session/{}~{}", sender.1, "s".repeat(22)).into()).expect("a session");
    Message {
        from,
        session,
        to: send.to.clone().into_owned(),
        ts: 0,
        payload: send.payload.clone().into_owned(),
        mid: None,
        reply_to: send.reply_to.clone().map(Address::into_owned),
        correlation_id: send.correlation_id.clone().map(relay_protocol::Text::into_owned),
        deadline_ms: send.deadline_ms,
        lane: send.lane,
        key: None,
        headers: Vec::new(),
        position: None,
        redelivered: false,
    }
}

//! Reads the frames of one client's connections as a client library does, and writes the history of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use relay_protocol::address::AddressKind;
use relay_protocol::client::{Position, Qos, Send};
use relay_protocol::server::{Message, Receipt};
use relay_protocol::{Address, Payload, ServerFrame};

use super::History;
use super::event::{At, Attempt, Name, Notice, Outcome, Party, To, What};

/// One client, over all its connections.
#[derive(Debug)]
pub struct Witness {
    history: History,
    party: Party,
    connection: u64,
    is_open: bool,
    /// How far each stream was presented. Outlives sessions, unless the client [forgets](Witness::forget).
    positions: BTreeMap<Arc<str>, (Arc<str>, u64)>,
    /// Sends of the connection, by command.
    sends: BTreeSet<u64>,
    subscribing: BTreeMap<u64, (Arc<str>, Qos)>,
}

/// What a client is to do with a message that came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Presented {
    /// Which message.
    pub name: Name,
    /// Where it stands, at `qos` 1: to be acknowledged.
    pub at: Option<At>,
}

impl Witness {
    /// A client that has not connected yet.
    pub fn new(history: &History, tenant: &str, agent: &str) -> Witness {
        Witness {
            history: history.clone(),
            party: Party { tenant: tenant.into(), agent: agent.into(), session: "".into() },
            connection: 0,
            is_open: false,
            positions: BTreeMap::new(),
            sends: BTreeSet::new(),
            subscribing: BTreeMap::new(),
        }
    }

    /// The payload to send message `mid` with: JSON text that says whose it is, so that one that goes astray is known.
    pub fn payload(&self, mid: &str) -> Payload<'static> {
        let Party { tenant, agent, .. } = &self.party;
        Payload::Json(format!("\"{tenant}/{agent}/{mid}\"").into())
    }

    /// The message of this client that is named so.
    pub fn name(&self, mid: &str) -> Name {
        Name { tenant: Arc::clone(&self.party.tenant), agent: Arc::clone(&self.party.agent), mid: mid.into() }
    }

    /// A connection was welcomed. Frames that came before the caller knew are to be [heard](Witness::hears) after this.
    pub fn welcomed(&mut self, session: &str, resumed: bool, reliable: bool) {
        self.closed(None, false);
        self.party.session = session.into();
        self.connection = self.history.connection();
        self.is_open = true;
        self.sends.clear();
        self.subscribing.clear();
        let (party, connection) = (self.party.clone(), self.connection);
        self.history.record(What::Opened { party, connection, resumed, reliable });
    }

    /// The connection ended; `over` if its session did, or if the client will not come back to it.
    pub fn closed(&mut self, code: Option<u16>, over: bool) {
        if self.is_open {
            self.is_open = false;
            self.history.record(What::Closed { connection: self.connection, code, over });
        }
    }

    /// The client loses its memory, as when its process ends.
    pub fn forget(&mut self) {
        self.positions.clear();
        self.party.session = "".into();
    }

    /// A message is about to be sent.
    pub fn sends(&mut self, send: &Send<'_>) {
        let Some(to) = destination(&send.to) else { return };
        self.sends.insert(send.id);
        self.history.record(What::Sent {
            attempt: Attempt { connection: self.connection, id: send.id },
            name: self.name(send.mid.as_deref().unwrap_or_default()),
            to,
            qos: send.qos,
            lane: send.lane,
            counter: send.counter,
        });
    }

    /// A subscription is about to be asked for.
    pub fn subscribes(&mut self, id: u64, topic: &str, qos: Qos) {
        self.history.record(What::Asked { party: self.party.clone(), topic: topic.into() });
        self.subscribing.insert(id, (topic.into(), qos));
    }

    /// A subscription is about to be ended.
    pub fn unsubscribes(&mut self, topic: &str) {
        self.positions.remove(&*format!("topic/{topic}"));
        self.history.record(What::Unsubscribed { party: self.party.clone(), topic: topic.into() });
    }

    /// A frame came. Returns what the application is to be shown.
    pub fn hears(&mut self, frame: &ServerFrame<'_>) -> Option<Presented> {
        match frame {
            ServerFrame::Message(message) => return self.message(message),
            ServerFrame::Receipt(receipt) => self.receipt(receipt),
            ServerFrame::Ok { id } => {
                if let Some((topic, qos)) = self.subscribing.remove(id) {
                    self.history.record(What::Subscribed { party: self.party.clone(), topic, qos });
                }
            }
            ServerFrame::Error { id: Some(id), code, .. } => {
                self.subscribing.remove(id);
                if self.sends.remove(id) {
                    self.told(*id, Outcome::Failed(code.name().into()));
                }
            }
            ServerFrame::Gap { .. } => self.notice(Notice::Gap),
            ServerFrame::Skip { first, to, reason } => {
                let first = place(first);
                self.positions.insert(Arc::clone(&first.stream), (Arc::clone(&first.epoch), *to));
                self.notice(Notice::Skip { first, to: *to, reason: reason.to_string().into() });
            }
            ServerFrame::Resume { position, recovered, .. } => {
                let mut after = place(position);
                match self.positions.get(&after.stream) {
                    // What an earlier session of the client presented is passed over when it comes again.
                    Some((epoch, seq)) if *epoch == after.epoch => after.seq = after.seq.max(*seq),
                    _ => {
                        let at = (Arc::clone(&after.epoch), after.seq);
                        self.positions.insert(Arc::clone(&after.stream), at);
                    }
                }
                self.notice(Notice::Goes { after, recovered: *recovered });
            }
            _ => {}
        }
        None
    }

    /// Everything that was presented is done with; the acknowledgements to write.
    pub fn acknowledges(&self) -> Vec<Position<'static>> {
        for (stream, (epoch, seq)) in &self.positions {
            let (stream, epoch) = (Arc::clone(stream), Arc::clone(epoch));
            let at = At { stream, epoch, seq: *seq };
            self.history.record(What::Acknowledged { party: self.party.clone(), at });
        }
        self.positions()
    }

    /// How far each stream was presented.
    pub fn positions(&self) -> Vec<Position<'static>> {
        let position = |(stream, (epoch, seq)): (&Arc<str>, &(Arc<str>, u64))| Position {
            stream: stream.to_string().into(),
            epoch: epoch.to_string().into(),
            seq: *seq,
        };
        self.positions.iter().map(position).collect()
    }

    fn message(&mut self, message: &Message<'_>) -> Option<Presented> {
        let at = message.position.as_ref().map(place);
        if let Some(at) = &at {
            let last = self.positions.get(&at.stream).filter(|(epoch, _)| *epoch == at.epoch);
            if last.is_some_and(|(_, last)| at.seq <= *last) {
                return None;
            }
            self.positions.insert(Arc::clone(&at.stream), (Arc::clone(&at.epoch), at.seq));
        }
        let name = written(message);
        self.history.record(What::Presented {
            party: self.party.clone(),
            name: name.clone(),
            at: at.clone(),
            redelivered: message.redelivered,
        });
        Some(Presented { name, at })
    }

    fn receipt(&mut self, receipt: &Receipt<'_>) {
        let told = [
            (Outcome::Queued, &receipt.queued),
            (Outcome::Accepted, &receipt.accepted),
            (Outcome::Delivered, &receipt.delivered),
            (Outcome::Unknown, &receipt.unknown),
        ];
        for (outcome, ranges) in told {
            for id in ranges.iter().flat_map(|(first, last)| *first..=*last) {
                self.told(id, outcome.clone());
            }
        }
        for failed in &receipt.failed {
            for id in failed.each_id() {
                self.told(id, Outcome::Failed(failed.reason.name().into()));
            }
        }
    }

    fn told(&self, id: u64, outcome: Outcome) {
        let attempt = Attempt { connection: self.connection, id };
        self.history.record(What::Told { attempt, outcome });
    }

    fn notice(&self, notice: Notice) {
        self.history.record(What::Noticed { party: self.party.clone(), notice });
    }
}

/// The message that a payload says to be, which its frame must bear out.
fn written(message: &Message<'_>) -> Name {
    let text = match &message.payload {
        Payload::Json(text) => text.trim_matches('"'),
        Payload::Bytes(_) => "",
    };
    let mut words = text.splitn(3, '/');
    let (tenant, agent, mid) = (words.next(), words.next(), words.next());
    let named = message.mid.as_deref();
    match (tenant, agent, mid) {
        (Some(tenant), Some(agent), Some(mid)) if agent == message.from.name() && named == Some(mid) => {
            Name { tenant: tenant.into(), agent: agent.into(), mid: mid.into() }
        }
        _ => {
            let forged = format!("{text:?} from {} as {named:?}", message.from.name());
            Name { tenant: "?".into(), agent: "?".into(), mid: forged.into() }
        }
    }
}

fn destination(to: &Address<'_>) -> Option<To> {
    match to.kind() {
        AddressKind::Agent => Some(To::Agent(to.name().into())),
        AddressKind::Topic => Some(To::Topic(to.name().into())),
        AddressKind::Session | AddressKind::Group => None,
    }
}

fn place(position: &Position<'_>) -> At {
    let (stream, epoch) = (position.stream.to_string().into(), position.epoch.to_string().into());
    At { stream, epoch, seq: position.seq }
}

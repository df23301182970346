//! What can happen in a history, seen from its clients.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use relay_protocol::client::{Lane, Qos};

/// One thing that happened.
#[derive(Debug, Clone)]
pub struct Event {
    /// When.
    pub at: Moment,
    /// What.
    pub what: What,
}

/// When something happened: no two events have one moment, though a paused clock may not have moved between them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Moment {
    /// Since the history began, by tokio's clock: real, or virtual where it is paused.
    pub since: Duration,
    /// How many events went before.
    pub number: u64,
}

/// A session of an agent.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Party {
    /// Its tenant.
    pub tenant: Arc<str>,
    /// Its agent.
    pub agent: Arc<str>,
    /// Its name, the agent's included.
    pub session: Arc<str>,
}

/// A message, however often it is sent.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name {
    /// Its sender's tenant.
    pub tenant: Arc<str>,
    /// Its sender.
    pub agent: Arc<str>,
    /// Unique among what the sender sends.
    pub mid: Arc<str>,
}

/// One try to send a message: a command of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Attempt {
    /// The connection, as [`History::connection`](super::History::connection) numbered it.
    pub connection: u64,
    /// The command.
    pub id: u64,
}

/// Where a message goes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum To {
    /// All sessions of an agent.
    Agent(Arc<str>),
    /// All subscribers.
    Topic(Arc<str>),
}

/// A place in a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct At {
    /// The address of its agent or topic.
    pub stream: Arc<str>,
    /// Which life of it.
    pub epoch: Arc<str>,
    /// Which number.
    pub seq: u64,
}

/// The outcome of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// On a recipient's queue.
    Queued,
    /// Stored, or handed to the bus.
    Accepted,
    /// Acknowledged by a recipient.
    Delivered,
    /// Nobody can know.
    Unknown,
    /// Refused, or expired: by this reason.
    Failed(Arc<str>),
}

/// What a session was told of its losses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// Messages at `qos` 0 may be lost.
    Gap,
    /// From here to this number none will come.
    Skip {
        /// The first.
        first: At,
        /// The last.
        to: u64,
        /// Why.
        reason: Arc<str>,
    },
    /// A stream goes on behind this place.
    Goes {
        /// The place.
        after: At,
        /// Nothing is missing.
        recovered: bool,
    },
}

/// What happened.
#[derive(Debug, Clone)]
pub enum What {
    /// A connection was welcomed.
    Opened {
        /// Whose.
        party: Party,
        /// Its number.
        connection: u64,
        /// It goes on with a session.
        resumed: bool,
        /// It gets what is sent at `qos` 1: it was given a ticket.
        reliable: bool,
    },
    /// A connection ended.
    Closed {
        /// Its number.
        connection: u64,
        /// By this close code, if by any.
        code: Option<u16>,
        /// The session ended with it, or its client forgot it.
        over: bool,
    },
    /// A subscription is being asked for: messages may come, and need not.
    Asked {
        /// Whose.
        party: Party,
        /// To what.
        topic: Arc<str>,
    },
    /// A subscription is in force.
    Subscribed {
        /// Whose.
        party: Party,
        /// To what.
        topic: Arc<str>,
        /// Of which class.
        qos: Qos,
    },
    /// A subscription is being ended.
    Unsubscribed {
        /// Whose.
        party: Party,
        /// To what.
        topic: Arc<str>,
    },
    /// An attempt to send a message: noted before it is written.
    Sent {
        /// The attempt.
        attempt: Attempt,
        /// The message.
        name: Name,
        /// Where to.
        to: To,
        /// Of which class.
        qos: Qos,
        /// In which lane.
        lane: Lane,
        /// Its place among what the session sends there, if the relay is to keep it.
        counter: Option<u64>,
    },
    /// An outcome was told.
    Told {
        /// Of which attempt.
        attempt: Attempt,
        /// Which.
        outcome: Outcome,
    },
    /// A message was presented to the application.
    Presented {
        /// To whom.
        party: Party,
        /// Which.
        name: Name,
        /// Where it stands, at `qos` 1.
        at: Option<At>,
        /// The relay said that it may have been presented before.
        redelivered: bool,
    },
    /// A session was told of losses.
    Noticed {
        /// Which session.
        party: Party,
        /// What.
        notice: Notice,
    },
    /// A session acknowledges.
    Acknowledged {
        /// Which session.
        party: Party,
        /// Up to where.
        at: At,
    },
    /// The test did something to the system. For the reader of a counterexample.
    Fault(String),
    /// The store forgot everything: who has no session that could be told of it loses what was accepted.
    Forgotten,
    /// The last fault is over: what is sent from here on arrives.
    Calm,
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>14}  {}", self.at.to_string(), self.what)
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.6} s", self.since.as_secs_f64())
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            What::Opened { party, connection, resumed, reliable } => {
                let how = if *resumed { "goes on" } else { "begins" };
                let class = if *reliable { "" } else { ", at qos 0 only" };
                write!(f, "{party} {how} on connection {connection}{class}")
            }
            What::Closed { connection, code, over } => {
                let over = if *over { ", its session over" } else { "" };
                write!(f, "connection {connection} ended ({code:?}){over}")
            }
            What::Asked { party, topic } => write!(f, "{party} asks for {topic}"),
            What::Subscribed { party, topic, qos } => write!(f, "{party} reads {topic} at {qos:?}"),
            What::Unsubscribed { party, topic } => write!(f, "{party} leaves {topic}"),
            What::Sent { attempt, name, to, qos, lane, counter } => {
                write!(f, "{name} is sent to {to} by {attempt}, {qos:?}, lane {lane:?}, counter {counter:?}")
            }
            What::Told { attempt, outcome } => write!(f, "{attempt} is told {outcome:?}"),
            What::Presented { party, name, at, redelivered } => {
                let again = if *redelivered { ", said to be redelivered" } else { "" };
                let at = at.as_ref().map(|at| format!(" at {at}")).unwrap_or_default();
                write!(f, "{name} is presented to {party}{at}{again}")
            }
            What::Noticed { party, notice } => match notice {
                Notice::Gap => write!(f, "{party} is told of a gap"),
                Notice::Skip { first, to, reason } => {
                    write!(f, "{party} is told to skip {first} to {to}: {reason}")
                }
                Notice::Goes { after, recovered } => {
                    write!(f, "{party} is told to go on after {after}, recovered: {recovered}")
                }
            },
            What::Acknowledged { party, at } => write!(f, "{party} acknowledges {at}"),
            What::Fault(what) => write!(f, "FAULT {what}"),
            What::Forgotten => f.write_str("FAULT the store forgets everything"),
            What::Calm => f.write_str("no fault from here on"),
        }
    }
}

impl fmt::Display for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.tenant, self.session)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "message {}/{}/{}", self.tenant, self.agent, self.mid)
    }
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "command {} of connection {}", self.id, self.connection)
    }
}

impl fmt::Display for To {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            To::Agent(name) => write!(f, "agent/{name}"),
            To::Topic(name) => write!(f, "topic/{name}"),
        }
    }
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}:{}", self.stream, self.epoch, self.seq)
    }
}

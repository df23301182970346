//! Frames from client to relay.

use crate::address::Address;
use crate::card::Card;
use crate::payload::Payload;
use crate::text::Text;

/// A frame from client to relay (PROTOCOL.md §4).
#[derive(Debug, Clone, PartialEq)]
pub enum ClientFrame<'a> {
    /// The first frame.
    Hello {
        /// Command id.
        id: u64,
        /// The token, unless it came with the upgrade.
        token: Option<Text<'a>>,
        /// Name and version of the client.
        client: Option<Text<'a>>,
        /// What to go on with.
        resume: Option<Resume<'a>>,
        /// What the agent says of itself.
        card: Option<Card<'a>>,
    },
    /// Another token for the live connection.
    Auth {
        /// Command id.
        id: u64,
        /// The token.
        token: Text<'a>,
    },
    /// A message for others.
    Send(Send<'a>),
    /// Messages of matching topics from now on.
    Subscribe {
        /// Command id.
        id: u64,
        /// Topic pattern.
        topic: Text<'a>,
        /// Delivery class.
        qos: Qos,
        /// How much of the past to begin with.
        rewind: Option<Rewind>,
        /// The position to go on from.
        from: Option<Point<'a>>,
        /// Whether the agent is to be seen as present in the topic.
        present: bool,
    },
    /// No more of them.
    Unsubscribe {
        /// Command id.
        id: u64,
        /// Topic pattern.
        topic: Text<'a>,
    },
    /// Messages to a group from now on, one member each.
    Join {
        /// Command id.
        id: u64,
        /// Group.
        group: Text<'a>,
    },
    /// No more of them.
    Leave {
        /// Command id.
        id: u64,
        /// Group.
        group: Text<'a>,
    },
    /// News of who is present from now on.
    Watch {
        /// Command id.
        id: u64,
        /// An agent, a group or a topic.
        to: Address<'a>,
    },
    /// No more of them.
    Unwatch {
        /// Command id.
        id: u64,
        /// An agent, a group or a topic.
        to: Address<'a>,
    },
    /// Asks for a `pong`.
    Ping {
        /// Command id.
        id: u64,
    },
    /// Answers a heartbeat.
    Pong,
    /// All up to this position has been presented.
    Ack(Position<'a>),
    /// Room for more.
    Credit {
        /// Messages.
        messages: u64,
        /// Bytes.
        bytes: u64,
    },
    /// A clean leave.
    Bye,
}

/// A message on its way in (PROTOCOL.md §5).
#[derive(Debug, Clone, PartialEq)]
pub struct Send<'a> {
    /// Command id.
    pub id: u64,
    /// Where to.
    pub to: Address<'a>,
    /// What.
    pub payload: Payload<'a>,
    /// Delivery class.
    pub qos: Qos,
    /// Which outcomes to tell.
    pub receipt: ReceiptMode,
    /// The message's name for good.
    pub mid: Option<Text<'a>>,
    /// Where an answer goes.
    pub reply_to: Option<Address<'a>>,
    /// Joins request and reply.
    pub correlation_id: Option<Text<'a>>,
    /// When an answer becomes worthless, in milliseconds from now.
    pub deadline_ms: Option<u64>,
    /// When the message expires, in milliseconds from now.
    pub ttl_ms: Option<u64>,
    /// Which lane.
    pub lane: Lane,
    /// Conflation key.
    pub key: Option<Text<'a>>,
    /// Carried untouched.
    pub headers: Headers<'a>,
    /// At `qos` 1: contiguous per session and destination.
    pub counter: Option<u64>,
    /// With `counter`: all up to this one have their outcome, and none of them is sent again.
    pub settled: Option<u64>,
}

impl<'a> Send<'a> {
    /// A plain message.
    pub fn new(id: u64, to: Address<'a>, payload: Payload<'a>) -> Self {
        Send {
            id,
            to,
            payload,
            qos: Qos::AtMostOnce,
            receipt: ReceiptMode::Failure,
            mid: None,
            reply_to: None,
            correlation_id: None,
            deadline_ms: None,
            ttl_ms: None,
            lane: Lane::Normal,
            key: None,
            headers: Vec::new(),
            counter: None,
            settled: None,
        }
    }

    /// When the message expires, in milliseconds from now: the sooner of `ttl_ms` and `deadline_ms`.
    pub fn expires_in_ms(&self) -> Option<u64> {
        match (self.ttl_ms, self.deadline_ms) {
            (Some(ttl), Some(deadline)) => Some(ttl.min(deadline)),
            (ttl, deadline) => ttl.or(deadline),
        }
    }
}

/// Names and values carried untouched.
pub type Headers<'a> = Vec<(Text<'a>, Text<'a>)>;

/// Delivery class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Qos {
    /// 0: at most once.
    AtMostOnce,
    /// 1: stored, at least once on the wire, presented once.
    AtLeastOnce,
}

/// Which outcomes of a send are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReceiptMode {
    /// None.
    None,
    /// `failed` and `unknown`.
    Failure,
    /// Every one.
    All,
}

impl ReceiptMode {
    /// Its name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            ReceiptMode::None => "none",
            ReceiptMode::Failure => "failure",
            ReceiptMode::All => "all",
        }
    }
}

/// What goes first to a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lane {
    /// Before normal ones.
    High,
    /// In turn.
    Normal,
}

impl Lane {
    /// Its name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Lane::High => "high",
            Lane::Normal => "normal",
        }
    }
}

/// How much of a topic's past a subscription begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rewind {
    /// The last so many messages.
    Last(u64),
    /// All since this Unix time in milliseconds.
    SinceMs(u64),
}

/// A place in a stream that is named elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Point<'a> {
    /// Which life of the stream.
    pub epoch: Text<'a>,
    /// Contiguous from 1.
    pub seq: u64,
}

/// A place in a named stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position<'a> {
    /// The stream.
    pub stream: Text<'a>,
    /// Which life of the stream.
    pub epoch: Text<'a>,
    /// Contiguous from 1.
    pub seq: u64,
}

/// What a session goes on with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resume<'a> {
    /// From the last `welcome`.
    pub ticket: Text<'a>,
    /// The last positions presented.
    pub streams: Vec<Position<'a>>,
}

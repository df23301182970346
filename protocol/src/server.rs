//! Frames from relay to client.

use std::ops::RangeInclusive;

use crate::address::Address;
use crate::client::{Headers, Lane, Point, Position};
use crate::close::{CloseCode, Reconnect};
use crate::error::ErrorCode;
use crate::payload::Payload;
use crate::text::Text;

/// A frame from relay to client (PROTOCOL.md §4).
#[derive(Debug, Clone, PartialEq)]
pub enum ServerFrame<'a> {
    /// Answers `hello`.
    Welcome(Box<Welcome<'a>>),
    /// The command is done.
    Ok {
        /// The command.
        id: u64,
    },
    /// The command is refused.
    Error {
        /// The command, where known.
        id: Option<u64>,
        /// Why, for programs.
        code: ErrorCode,
        /// Why, for people.
        message: Text<'a>,
        /// When to try again.
        retry_after_ms: Option<u64>,
        /// Which limit was met.
        limit: Option<Text<'a>>,
    },
    /// A message from another agent.
    Message(Message<'a>),
    /// Outcomes of sends.
    Receipt(Receipt<'a>),
    /// Heartbeat.
    Ping,
    /// Answers `ping`.
    Pong {
        /// The command.
        id: u64,
    },
    /// How full the session's queue is.
    Flow {
        /// Which mark was passed.
        state: FlowState,
        /// Messages waiting.
        queued_messages: u64,
        /// Bytes waiting.
        queued_bytes: u64,
    },
    /// Messages at `qos` 0 may have been lost.
    Gap {
        /// Why.
        reason: GapReason,
        /// Whether messages to the agent or session are concerned.
        direct: bool,
        /// The patterns concerned.
        topics: Vec<Text<'a>>,
        /// How many, where known.
        dropped: Option<u64>,
    },
    /// The relay can do less than it should, or all of it again.
    Degraded {
        /// From 0, everything works, to 4.
        level: u64,
        /// What works less.
        reduced: Vec<Text<'a>>,
    },
    /// Who is present where the client watches.
    Presence(Presence<'a>),
    /// A stretch of a stream will not come.
    Skip {
        /// The stream and the first position left out.
        first: Position<'a>,
        /// The last position left out.
        to: u64,
        /// Why.
        reason: Text<'a>,
    },
    /// Where a stream goes on.
    Resume {
        /// From here.
        position: Position<'a>,
        /// Whether nothing is missing.
        recovered: bool,
        /// Why something is.
        reason: Option<Text<'a>>,
    },
    /// Send another token.
    TokenExpiring {
        /// Before this.
        in_ms: u64,
    },
    /// The connection will be closed.
    Drain {
        /// `shutdown` or `lease`.
        reason: Text<'a>,
        /// When to come back.
        reconnect_after_ms: u64,
        /// How long this connection still lives.
        closes_in_ms: u64,
        /// For the resume.
        ticket: Option<Text<'a>>,
    },
    /// The last frame before a close.
    Closing {
        /// The number in the close frame that follows.
        code: u16,
        /// Its name.
        reason: Text<'a>,
        /// Why, for people.
        message: Text<'a>,
        /// What to do then.
        reconnect: Reconnect,
        /// When to come back.
        reconnect_after_ms: Option<u64>,
    },
}

/// Who is present: all of them, or what changed.
#[derive(Debug, Clone, PartialEq)]
pub struct Presence<'a> {
    /// The command, in its answer.
    pub id: Option<u64>,
    /// Where.
    pub to: Address<'a>,
    /// Of these news: each is one above the former.
    pub version: u64,
    /// How many agents there are now.
    pub count: u64,
    /// All of them.
    pub members: Option<Vec<Text<'a>>>,
    /// Who came.
    pub joined: Vec<Text<'a>>,
    /// Who went.
    pub left: Vec<Text<'a>>,
}

impl<'a> ServerFrame<'a> {
    /// The last frame before a close with `code`.
    pub fn closing(code: CloseCode, message: impl Into<Text<'a>>, reconnect_after_ms: Option<u64>) -> Self {
        ServerFrame::Closing {
            code: code.number(),
            reason: code.name().into(),
            message: message.into(),
            reconnect: code.reconnect(),
            reconnect_after_ms,
        }
    }
}

/// Answers `hello` (PROTOCOL.md §3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Welcome<'a> {
    /// The `hello`.
    pub id: u64,
    /// Version of the protocol.
    pub protocol: u64,
    /// Who the client is here.
    pub agent: Address<'a>,
    /// Which session.
    pub session: Address<'a>,
    /// Raised at each connect of the session.
    pub generation: u64,
    /// Whether the ticket was honoured.
    pub resumed: bool,
    /// For the next resume.
    pub ticket: Option<Text<'a>>,
    /// The longest silence to expect.
    pub heartbeat_ms: u64,
    /// How long the relay means to keep the connection.
    pub lease_ms: Option<u64>,
    /// Life left to the token.
    pub token_expires_in_ms: u64,
    /// Unix time.
    pub server_time_ms: u64,
    /// What the client may do.
    pub limits: Limits,
}

/// What a client may do on its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a payload.
    pub payload: u64,
    /// Bytes of a WebSocket message.
    pub message: u64,
    /// Frames in a WebSocket message.
    pub frames: u64,
    /// Subscriptions.
    pub subscriptions: u64,
    /// Sends without an outcome yet.
    pub in_flight: u64,
    /// Frames a second, sustained.
    pub rate_messages: u64,
    /// Frames at once.
    pub rate_burst: u64,
    /// Bytes a second, sustained.
    pub rate_bytes: u64,
    /// Messages that may wait for the session.
    pub queue_messages: u64,
    /// Bytes that may wait for the session.
    pub queue_bytes: u64,
}

/// A message on its way out (PROTOCOL.md §6).
#[derive(Debug, Clone, PartialEq)]
pub struct Message<'a> {
    /// The sending agent.
    pub from: Address<'a>,
    /// The sending session.
    pub session: Address<'a>,
    /// Where it was sent.
    pub to: Address<'a>,
    /// Unix time at which the relay took it.
    pub ts: u64,
    /// What.
    pub payload: Payload<'a>,
    /// The message's name for good.
    pub mid: Option<Text<'a>>,
    /// Where an answer goes.
    pub reply_to: Option<Address<'a>>,
    /// Joins request and reply.
    pub correlation_id: Option<Text<'a>>,
    /// What is left until an answer becomes worthless.
    pub deadline_ms: Option<u64>,
    /// Which lane it came in.
    pub lane: Lane,
    /// Conflation key.
    pub key: Option<Text<'a>>,
    /// Carried untouched.
    pub headers: Headers<'a>,
    /// At `qos` 1: its position.
    pub position: Option<Position<'a>>,
    /// May have been presented before.
    pub redelivered: bool,
}

/// Outcomes of sends, together (PROTOCOL.md §5).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Receipt<'a> {
    /// On a recipient's socket queue.
    pub queued: Vec<(u64, u64)>,
    /// Handed to the bus, or stored.
    pub accepted: Vec<(u64, u64)>,
    /// Acknowledged by a recipient's client.
    pub delivered: Vec<(u64, u64)>,
    /// It may or may not have arrived.
    pub unknown: Vec<(u64, u64)>,
    /// They did not arrive.
    pub failed: Vec<Failed<'a>>,
    /// Where accepted messages stand in their stream.
    pub positions: Vec<(u64, Text<'a>, Point<'a>)>,
    /// What became of sends of earlier connections of the session.
    pub earlier: Vec<Earlier<'a>>,
}

/// What became of a send of an earlier connection, whose id says nothing any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Earlier<'a> {
    /// The message's name for good.
    pub mid: Text<'a>,
    /// Why it failed; nothing if it was delivered.
    pub failed: Option<ErrorCode>,
}

/// Sends that did not arrive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed<'a> {
    /// The sends: the first and the last of a range.
    pub ids: (u64, u64),
    /// Why.
    pub reason: ErrorCode,
    /// When to try again.
    pub retry_after_ms: Option<u64>,
    /// The limit that was met, where one was.
    pub limit: Option<Text<'a>>,
}

impl Failed<'_> {
    /// How many sends.
    pub fn count(&self) -> u64 {
        (self.ids.1 - self.ids.0).saturating_add(1)
    }

    /// The sends, one by one.
    pub fn each_id(&self) -> RangeInclusive<u64> {
        self.ids.0..=self.ids.1
    }
}

/// How full a session's queue is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FlowState {
    /// Below half.
    Normal,
    /// Over three quarters.
    High,
    /// At the bound.
    Full,
}

impl FlowState {
    /// Its name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            FlowState::Normal => "normal",
            FlowState::High => "high",
            FlowState::Full => "full",
        }
    }
}

/// Why messages may have been lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GapReason {
    /// The way between instances was interrupted.
    BusInterrupted,
    /// This instance did not keep up with the bus.
    BusLagged,
    /// The session did not keep up.
    Slow,
    /// Messages expired while they waited.
    Expired,
}

impl GapReason {
    /// Its name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            GapReason::BusInterrupted => "bus_interrupted",
            GapReason::BusLagged => "bus_lagged",
            GapReason::Slow => "slow",
            GapReason::Expired => "expired",
        }
    }
}

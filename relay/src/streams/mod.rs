//! What is stored for reliable delivery (`qos` 1): one bounded log for each agent and topic, what is known of the
//! sessions that read it, and a pending list for each group ([`JobStore`]). A seam of its own; what a store promises is
//! what `conformance` checks, for every form alike.
//!
//! * Messages of a stream are numbered from 1 without a hole. The numbers hold within an *epoch*; it changes when the
//!   store may have forgotten some, so that a number that is given twice is never taken for a repeat.
//! * A message is stored once: who appends one again under its `mid` gets the position of the first.
//! * An agent's stream keeps what a session of it has not acknowledged, a topic's the latest. Both are bounded by
//!   count, bytes and age; what falls out shows in [`Marks::first`].
//! * A topic's stream is made by its first message, as long as its tenant has room for one more.

#[cfg(any(test, feature = "test-util"))]
pub mod conformance;
#[cfg(any(test, feature = "test-util"))]
pub mod faulty;
mod jobs;
pub mod memory;
pub mod redis;
mod return_address;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use thiserror::Error;

use crate::auth::Digest;
use crate::bus::InstanceId;

pub use jobs::{
    Found, GIVEN_MAX, Given, HOLD, JobFate, JobStore, Look, RIPE, Settled, TAKE_BYTES, TAKE_MAX, Taken,
};
pub use return_address::ReturnAddress;

/// How long a `mid` is remembered at least, unless its sender has sent [`MIDS_MAX`] others to the stream since.
pub const MID_MEMORY: Duration = Duration::from_mins(2);
/// How many `mid`s of a sender a stream remembers at least, within [`MID_MEMORY`]; at most twice as many.
pub const MIDS_MAX: usize = 10_000;
/// How long a stream remembers the `counter` of a session after its last message: longer than a session outlives its
/// connection.
pub const COUNTER_MEMORY: Duration = Duration::from_mins(10);
/// The most sessions of an agent that read its stream: every append names their instances.
pub const READERS_MAX: usize = 64;
/// Outcomes kept for a session that is away.
pub const OUTCOMES_MAX: usize = 4_096;
/// How often inboxes are looked at to which nobody may return: a sender has waited for the age of a message by then, which
/// is a minute at least.
pub const UNREAD_EVERY: Duration = Duration::from_secs(30);
/// The most messages of one read.
pub const READ_MAX: usize = 256;

/// Stores streams. Each call is one question to the store, and all or nothing.
pub trait StreamStore: JobStore {
    /// Opens a session of an agent, or goes on with one whose ticket is shown, and enters it among the readers of the
    /// agent's stream. The stream is made by this alone, so nobody who only names an agent makes one.
    fn open(&self, opening: Opening) -> BoxFuture<'static, Result<Opened, StreamError>>;

    /// Says that these sessions of an agent live. One that nobody speaks for is forgotten after the grace, with its
    /// ticket. Nothing if one of them is forgotten already, or the agent has no stream: they are to be opened again.
    fn renew(&self, inbox: StreamKey, sessions: Vec<Arc<str>>) -> Answer<Option<Marks>>;

    /// Ends a session that does not come back, unless a later connection has it.
    fn close(&self, inbox: StreamKey, session: Arc<str>, generation: u64) -> Answer<()>;

    /// Stores messages, each or not, in this order.
    fn append(&self, stream: StreamKey, messages: Vec<Append>) -> Answer<Appended>;

    /// The messages after `after`, at most [`READ_MAX`] and so many bytes but one at least if there is one. Nothing if
    /// there is no such stream.
    fn read(&self, stream: StreamKey, after: u64, bytes_max: usize) -> Answer<Option<Range>>;

    /// A reader of an agent's stream has presented all up to `ack.seq`. Answers who is to hear of it: the senders of
    /// those that nobody had presented before. Who hears of failure only may be left out, but where it had expired.
    /// Nothing if the session was opened for another connection since.
    fn acknowledge(&self, inbox: StreamKey, ack: Ack) -> Answer<Option<Vec<Delivered>>>;

    /// Lets go of what nobody presented in its time, in inboxes of a tenant to which nobody returns, some at a time; to be
    /// asked every [`UNREAD_EVERY`]. Answers who is to hear of it.
    fn expire_unread(&self, tenant: Arc<str>) -> Answer<Vec<Delivered>>;

    /// Keeps outcomes for a session that has no connection where they came, the latest [`OUTCOMES_MAX`], as long as it may
    /// come back. Answers where it was last; nothing if it is not known any more.
    fn keep(
        &self,
        inbox: StreamKey,
        session: Arc<str>,
        outcomes: Vec<LateOutcome>,
    ) -> Answer<Option<InstanceId>>;

    /// Hands out what was kept for a session, once.
    fn kept(&self, inbox: StreamKey, session: Arc<str>) -> Answer<Vec<LateOutcome>>;

    /// How a topic's stream stands. One that is not there [yet](Marks::is_unmade) has an epoch that its first life goes on
    /// from, if the store forgets nothing until then: else there may have been one in between.
    fn marks(&self, topic: StreamKey) -> Answer<Marks>;

    /// The last message of a topic before this Unix time in milliseconds, 0 if there is none.
    fn before(&self, topic: StreamKey, unix_ms: u64) -> Answer<u64>;
}

/// What became of a message after its sender's connection was gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LateOutcome {
    /// The message's name for good.
    pub mid: Box<str>,
    /// It expired; else it was delivered.
    pub expired: bool,
}

/// What a store answers, later.
pub type Answer<T> = BoxFuture<'static, Result<T, StreamError>>;

/// A store that any part may hold.
pub type SharedStreams = Arc<dyn StreamStore>;

/// What an operator chose for streams.
#[derive(Debug, Clone, Copy)]
pub struct StreamSettings {
    /// Messages of one stream.
    pub messages: usize,
    /// Their bytes.
    pub bytes: usize,
    /// How long a message is kept.
    pub age: Duration,
    /// How long a session outlives its connection.
    pub grace: Duration,
    /// Topics of a tenant that have a stream at a time.
    pub topics: usize,
}

/// Which stream.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct StreamKey {
    /// Tenant.
    pub tenant: Arc<str>,
    /// The address of its agent, topic or group.
    pub address: Arc<str>,
}

impl StreamKey {
    /// The stream of an agent.
    pub fn agent(tenant: &Arc<str>, agent: &str) -> StreamKey {
        StreamKey { tenant: Arc::clone(tenant), address: format!("agent/{agent}").into() }
    }

    /// The stream of a topic.
    pub fn topic(tenant: &Arc<str>, topic: &str) -> StreamKey {
        StreamKey { tenant: Arc::clone(tenant), address: format!("topic/{topic}").into() }
    }

    /// The pending list of a group of this address.
    pub fn group(tenant: &Arc<str>, address: &Arc<str>) -> StreamKey {
        StreamKey { tenant: Arc::clone(tenant), address: Arc::clone(address) }
    }

    /// Whether it is the pending list of a group.
    pub fn is_group(&self) -> bool {
        self.address.starts_with("group/")
    }

    /// The agent whose stream it is.
    pub fn as_agent(&self) -> Option<&str> {
        self.address.strip_prefix("agent/")
    }

    /// The topic whose stream it is.
    pub fn as_topic(&self) -> Option<&str> {
        self.address.strip_prefix("topic/")
    }
}

/// A session that wants to be one.
#[derive(Debug, Clone)]
pub struct Opening {
    /// The stream of its agent.
    pub inbox: StreamKey,
    /// Its name, if it does not go on with another.
    pub session: Arc<str>,
    /// Which connection of it, if it does not go on with another.
    pub generation: u64,
    /// The hash of the ticket that it gets.
    pub ticket: Digest,
    /// The session it wants to go on with, and the hash of the ticket that it shows.
    pub resume: Option<(Arc<str>, Digest)>,
    /// Where it lives.
    pub instance: InstanceId,
}

/// A session that was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// Whether it goes on with the one it named; else it has the name it brought.
    pub resumed: bool,
    /// Which connection of the session.
    pub generation: u64,
    /// Where it lived before, if it goes on.
    pub before: Option<InstanceId>,
    /// What it has acknowledged, or where it begins; nothing if the stream has as many readers as it may.
    pub position: Option<u64>,
    /// How the stream stands.
    pub marks: Marks,
}

/// How a stream stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Marks {
    /// Which life of the stream.
    pub epoch: Arc<str>,
    /// The former one and its last number that this one goes on from, if there was one.
    pub former: Option<(Arc<str>, u64)>,
    /// The first message that is kept; the next one to come if none is.
    pub first: u64,
    /// The last message that came, 0 if none.
    pub head: u64,
}

/// What the epoch of a stream begins with that is not there yet.
const UNMADE: char = '@';

impl Marks {
    /// Those of a topic that has no stream yet, in a store of this history.
    fn unmade(history: &str) -> Marks {
        Marks { epoch: format!("{UNMADE}{history}").into(), former: None, first: 1, head: 0 }
    }

    /// Whether the stream is not there yet.
    pub fn is_unmade(&self) -> bool {
        is_unmade(&self.epoch)
    }

    /// Where a reader goes on who has read up to `seq` of `epoch`; nothing if the two cannot be compared.
    pub fn translate(&self, epoch: &str, seq: u64) -> Option<u64> {
        match &self.former {
            _ if *self.epoch == *epoch => Some(seq.min(self.head)),
            Some((former, last)) if **former == *epoch => Some(seq.min(*last)),
            _ => None,
        }
    }
}

/// Whether an epoch is that of a stream that is not there yet.
pub fn is_unmade(epoch: &str) -> bool {
    epoch.starts_with(UNMADE)
}

/// A message to be stored.
#[derive(Debug, Clone)]
pub struct Append {
    /// The sending agent, and its name for the message.
    pub from: Arc<str>,
    /// Unique among what the agent sends.
    pub mid: Box<str>,
    /// The sending session, and which connection of it.
    pub session: Arc<str>,
    /// Raised at each connect of the session.
    pub generation: u64,
    /// Its place among the messages of the session to this stream.
    pub counter: Option<u64>,
    /// The counter up to which its sender has every outcome, and sends none of them again.
    pub settled: Option<u64>,
    /// Life left to it.
    pub expires_in_ms: Option<u64>,
    /// Who hears what becomes of it.
    pub return_to: Option<ReturnAddress>,
    /// What a reader gets. The store does not look into it.
    pub body: Bytes,
}

/// What became of messages to be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Appended {
    /// One for each.
    pub stored: Vec<Stored>,
    /// How the stream stands now; nothing if there is none, and then none was stored.
    pub marks: Option<Marks>,
    /// The instances of those who read an agent's stream.
    pub readers: Vec<InstanceId>,
}

/// What became of one message to be stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stored {
    /// It has this number.
    At(u64),
    /// It was stored before, under this number.
    Repeat {
        /// Its number.
        seq: u64,
        /// Whether a reader has presented it.
        delivered: bool,
    },
    /// It was stored before, and its time passed or it was given too often.
    Expired,
    /// The agent never registered, or too long ago; the group has no member.
    NoRecipient,
    /// The agent's stream or the group's list is full.
    Saturated,
    /// Its counter is not the next of the newest connection.
    OutOfOrder,
    /// The topic has no stream, and its tenant has as many as it may.
    TooManyTopics,
}

/// Some messages of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Range {
    /// How the stream stands.
    pub marks: Marks,
    /// The store's Unix time in milliseconds.
    pub now_ms: u64,
    /// Without a hole, from the later of the one asked for and [`Marks::first`].
    pub messages: Vec<StoredMessage>,
}

/// A message of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredMessage {
    /// Its number.
    pub seq: u64,
    /// When it was stored, in Unix time by the store's clock.
    pub at_ms: u64,
    /// When it is worth nothing any more; 0 if never.
    pub expires_at_ms: u64,
    /// What was stored.
    pub body: Bytes,
}

/// How far a reader has presented.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ack {
    /// The reader.
    pub session: Arc<str>,
    /// Which connection of it.
    pub generation: u64,
    /// Which life of the stream.
    pub epoch: Arc<str>,
    /// All up to this.
    pub seq: u64,
    /// Those among them that had expired and were not presented.
    pub expired: Vec<u64>,
}

/// A message was presented for the first time, or never will be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivered {
    /// Whose message it was.
    pub to: ReturnAddress,
    /// It expired instead.
    pub expired: bool,
}

/// Why a store did not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum StreamError {
    /// It is away; nothing was asked.
    #[error("the store of streams is away")]
    Away,
    /// Nothing was heard; what was asked may have been done.
    #[error("the store of streams did not answer")]
    Unanswered,
}

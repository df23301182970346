//! The pending list of a group: messages at `qos` 1 of which each is for one member. One waits until an instance takes it
//! for a member, and is in that member's hand until it says that it is done.
//!
//! * A job goes back among those that wait when its member gives it back, when [`HOLD`] has passed, or when nothing was
//!   heard of its member's instance for the time that it promised. Given [`GIVEN_MAX`] times it fails.
//! * Whoever was given a job last settles it; what others say of it counts for nothing.
//! * A list takes jobs while an instance with members speaks for it. It is bounded by count, bytes and age; what waits
//!   too long fails, and its sender is named to whoever asks next.
//! * There is no order. A job is stored once: who gives one again under its `mid` hears what became of the first.

use std::sync::Arc;
use std::time::Duration;

use crate::bus::InstanceId;
use crate::streams::{Answer, Append, Delivered, Stored, StoredMessage, StreamKey};

/// How long a member may have a job in hand before another one gets it.
pub const HOLD: Duration = Duration::from_secs(30);
/// How often a job is given at most: one that ends every worker is not given for ever.
pub const GIVEN_MAX: u64 = 8;
/// How long a job is left to the instance that was told of it, before any other may take it: news travel in less.
pub const RIPE: Duration = Duration::from_millis(250);
/// The most jobs that are taken at a time.
pub const TAKE_MAX: usize = 64;
/// Their bytes, but for a single one.
pub const TAKE_BYTES: usize = 256 * 1024;

/// Stores pending lists. Each call is one question to the store, and all or nothing.
pub trait JobStore: Send + Sync + std::fmt::Debug + 'static {
    /// Stores jobs, each or not. Counters are not looked at, as there is no order.
    fn give(&self, group: StreamKey, jobs: Vec<Append>) -> Answer<Given>;

    /// Sees to a list: speaks for an instance, puts back what is overdue, takes jobs.
    fn look(&self, group: StreamKey, look: Look) -> Answer<Found>;

    /// What members did with their jobs. Answers who is to hear of it.
    fn settle(&self, group: StreamKey, settled: Vec<Settled>) -> Answer<Vec<Delivered>>;

    /// An instance has no member any more.
    fn leave(&self, group: StreamKey, instance: InstanceId) -> Answer<()>;
}

/// What became of jobs to be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    /// One for each.
    pub stored: Vec<Stored>,
    /// The instances with members.
    pub instances: Vec<InstanceId>,
    /// Whose jobs had waited too long.
    pub told: Vec<Delivered>,
}

/// Who asks for jobs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    /// The instance that has members, and for how long it counts as living; nothing for one that only looks.
    pub by: Option<(InstanceId, Duration)>,
    /// So many it was told of; the others it takes have waited for [`RIPE`].
    pub told_of: usize,
    /// A session for each job that may be taken, at most [`TAKE_MAX`]; none without `by`.
    pub takers: Vec<Arc<str>>,
}

/// What a look found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Which life of the list.
    pub epoch: Arc<str>,
    /// The store's Unix time in milliseconds.
    pub now_ms: u64,
    /// Jobs that wait still.
    pub waiting: u64,
    /// Jobs in the hands of members.
    pub in_hand: u64,
    /// How many of them had to be put back.
    pub put_back: u64,
    /// Whose jobs had waited too long, or were given too often.
    pub told: Vec<Delivered>,
    /// For the first takers, one each.
    pub jobs: Vec<Taken>,
}

/// A job that was taken for a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// Who is to get it.
    pub session: Arc<str>,
    /// Whether somebody may have had it before.
    pub again: bool,
    /// The job.
    pub message: StoredMessage,
}

/// What a session did with a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled {
    /// The session.
    pub session: Arc<str>,
    /// The life of the list that the job's number is of.
    pub epoch: Arc<str>,
    /// The job.
    pub seq: u64,
    /// What.
    pub fate: JobFate,
}

/// What became of a job in a member's hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobFate {
    /// Done.
    Done,
    /// The member may have had it and is gone.
    Left,
    /// It was never written to the member.
    Unwritten,
}

impl Found {
    /// Of a group that has no list.
    pub(super) fn nothing(now_ms: u64) -> Found {
        let (epoch, told, jobs) = ("".into(), Vec::new(), Vec::new());
        Found { epoch, now_ms, waiting: 0, in_hand: 0, put_back: 0, told, jobs }
    }
}

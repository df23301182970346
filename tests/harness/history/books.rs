//! What is known of each message, session and connection.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use relay_protocol::client::{Lane, Qos};

use super::event::{At, Attempt, Event, Moment, Name, Outcome, Party, To};

/// How many of the last events of a session, and of the last faults, a counterexample shows.
const REMEMBERED: usize = 24;

/// Everything that is known.
#[derive(Debug, Default)]
pub(super) struct Books {
    pub(super) messages: Vec<Message>,
    pub(super) by_name: HashMap<Name, usize>,
    pub(super) attempts: HashMap<Attempt, (usize, usize)>,
    pub(super) connections: HashMap<u64, Connection>,
    pub(super) sessions: Vec<Session>,
    pub(super) by_party: HashMap<Party, usize>,
    /// The sessions of each agent, by tenant and name.
    pub(super) by_agent: HashMap<(Arc<str>, Arc<str>), Vec<usize>>,
    /// How much went each way.
    pub(super) flows: HashMap<Flow, u64>,
    pub(super) faults: Remembered,
    pub(super) forgotten: Option<Moment>,
    pub(super) calm: Option<Moment>,
}

/// The last events of something.
#[derive(Debug, Default)]
pub(super) struct Remembered(pub(super) VecDeque<Event>);

/// What keeps its order: from one session, to one place, in one class and lane. What is counted keeps one of its own.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Flow {
    pub(super) sender: usize,
    pub(super) to: To,
    pub(super) qos: Qos,
    pub(super) lane: Lane,
    pub(super) counted: bool,
}

#[derive(Debug)]
pub(super) struct Connection {
    pub(super) session: usize,
    pub(super) is_open: bool,
}

#[derive(Debug)]
pub(super) struct Message {
    pub(super) name: Name,
    pub(super) to: To,
    pub(super) qos: Qos,
    pub(super) tries: Vec<Try>,
    pub(super) presented: Vec<Presentation>,
}

/// One attempt to send it.
#[derive(Debug)]
pub(super) struct Try {
    pub(super) attempt: Attempt,
    pub(super) sent: Moment,
    pub(super) flow: Flow,
    /// Its place in the flow.
    pub(super) order: u64,
    pub(super) outcome: Option<(Moment, Outcome)>,
    /// What followed `accepted`.
    pub(super) later: Option<(Moment, Outcome)>,
}

#[derive(Debug)]
pub(super) struct Presentation {
    pub(super) session: usize,
    pub(super) connection: Option<u64>,
    pub(super) when: Moment,
    pub(super) at: Option<At>,
}

#[derive(Debug)]
pub(super) struct Session {
    pub(super) party: Party,
    pub(super) opened: Moment,
    pub(super) reliable: bool,
    /// The connection that it has now, and since when.
    pub(super) connection: Option<(u64, Moment)>,
    /// When it had none any more.
    pub(super) left: Option<Moment>,
    pub(super) topics: BTreeMap<Arc<str>, Subscription>,
    pub(super) asked: std::collections::BTreeSet<Arc<str>>,
    pub(super) readings: HashMap<Arc<str>, Reading>,
    pub(super) gap: Option<Moment>,
    /// The latest presented of each flow.
    pub(super) orders: HashMap<Flow, u64>,
    pub(super) log: Remembered,
}

#[derive(Debug, Clone)]
pub(super) struct Subscription {
    pub(super) since: Moment,
    pub(super) qos: Qos,
    /// Whether the relay knows of it; a connection that ends takes it away.
    pub(super) in_force: bool,
}

/// How far a session has read a stream.
#[derive(Debug, Default)]
pub(super) struct Reading {
    pub(super) last: Option<(Arc<str>, u64)>,
    /// When it was said that so many would not come.
    pub(super) skipped: Vec<(Moment, u64)>,
    /// When it was last said that something may be missing.
    pub(super) incomplete: Option<Moment>,
}

impl Remembered {
    pub(super) fn push(&mut self, event: Event) {
        if self.0.len() == REMEMBERED {
            self.0.pop_front();
        }
        self.0.push_back(event);
    }
}

impl Flow {
    /// It is of what subscribers get without a position, which holds as long as their connection.
    pub(super) fn is_of_subscription(&self) -> bool {
        matches!(self.to, To::Topic(_)) && self.qos == Qos::AtMostOnce
    }
}

impl Try {
    /// It was not stored.
    pub(super) fn is_refused(&self) -> bool {
        matches!(&self.outcome, Some((_, Outcome::Failed(why))) if &**why != "expired")
    }
}

impl Message {
    /// The latest attempt that was said to be stored, or handed on.
    pub(super) fn taken(&self) -> Option<&Try> {
        let good = [Outcome::Queued, Outcome::Accepted, Outcome::Delivered];
        self.tries.iter().rev().find(|one| one.outcome.as_ref().is_some_and(|(_, told)| good.contains(told)))
    }

    /// When it was sent at the latest, if this attempt was said to be stored. One that is told `delivered` at once repeats what
    /// an earlier one has stored.
    pub(super) fn stored_since(&self, taken: &Try) -> Moment {
        let is_repeat = matches!(taken.outcome, Some((_, Outcome::Delivered)));
        let is_earlier = |one: &&Try| one.sent < taken.sent && !one.is_refused();
        let earlier = self.tries.iter().rev().find(is_earlier).filter(|_| is_repeat);
        earlier.unwrap_or(taken).sent
    }

    /// Its time passed, and its sender knows.
    pub(super) fn is_expired(&self) -> bool {
        let told = self.tries.iter().flat_map(|one| [&one.outcome, &one.later]).flatten();
        told.into_iter().any(|(_, told)| matches!(told, Outcome::Failed(why) if &**why == "expired"))
    }

    /// Every attempt was refused, so that it is nowhere.
    pub(super) fn is_refused(&self) -> bool {
        self.tries.iter().all(Try::is_refused)
    }

    /// It may have been stored at any later time: its sender cannot know, and did not ask for its place to be kept.
    pub(super) fn may_be_late(&self) -> bool {
        self.tries.iter().any(|one| {
            let untold = one.outcome.as_ref().is_none_or(|(_, told)| *told == Outcome::Unknown);
            untold && !one.flow.counted
        })
    }

    pub(super) fn first_sent(&self) -> Moment {
        self.tries.first().map_or_else(Moment::default, |one| one.sent)
    }

    pub(super) fn was_presented_to(&self, session: usize) -> bool {
        self.presented.iter().any(|one| one.session == session)
    }

    /// The stream it stands in.
    pub(super) fn stream(&self) -> Arc<str> {
        self.to.to_string().into()
    }
}

impl Books {
    /// The sessions of the agent that a message is for.
    pub(super) fn sessions_of(&self, tenant: &Arc<str>, agent: &Arc<str>) -> &[usize] {
        self.by_agent.get(&(Arc::clone(tenant), Arc::clone(agent))).map_or(&[], Vec::as_slice)
    }

    pub(super) fn is_open(&self, connection: u64) -> bool {
        self.connections.get(&connection).is_some_and(|known| known.is_open)
    }
}

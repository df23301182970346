//! One tenant on this instance. A session holds its own tenant and nothing else, so nothing it says can reach another's.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use dashmap::DashMap;
use indexmap::IndexMap;
use parking_lot::{Mutex, RwLock};
use smallvec::SmallVec;

use crate::auth::TokenKey;
use crate::entropy::Keys;
use crate::outbound::Outbound;
use crate::router::board::Board;
use crate::router::feed::Feed;
use crate::router::groups::{Group, is_group};
use crate::router::load::Load;
use crate::router::outbox::Outbox;
use crate::router::route::Route;
use crate::router::storing::Line;

/// A map of names, hashed with a key that nobody outside knows.
pub(super) type Names<V> = DashMap<Arc<str>, V, Keys>;

/// What this instance holds of one tenant.
#[derive(Debug)]
pub struct Tenant {
    pub(super) name: Arc<str>,
    pub(super) agents: Names<Agent>,
    /// By their addresses.
    pub(super) groups: Names<Group>,
    /// What members of groups elsewhere can take, by their sessions.
    pub(super) loads: Names<Load>,
    pub(super) topics: Names<Arc<Subscribers>>,
    pub(super) routes: Names<Route>,
    pub(super) outboxes: Names<Arc<Outbox>>,
    /// Streams that sessions here read, by address.
    pub(super) feeds: Names<Arc<Feed>>,
    /// The jobs of groups, by their addresses.
    pub(super) boards: Names<Arc<Board>>,
    /// What waits to be stored, by the address of its stream.
    pub(super) lines: Names<Arc<Line>>,
    /// Subscriptions with a wildcard.
    pub(super) wildcards: Mutex<usize>,
    /// Routes being resolved. While there is one, a message for a local agent may have to wait behind earlier ones.
    pub(super) resolving: AtomicUsize,
    /// Registrations that live.
    pub(super) members: AtomicUsize,
}

impl Tenant {
    pub(super) fn new(name: Arc<str>) -> Tenant {
        Tenant {
            name,
            agents: Names::default(),
            groups: Names::default(),
            loads: Names::default(),
            topics: Names::default(),
            routes: Names::default(),
            outboxes: Names::default(),
            feeds: Names::default(),
            boards: Names::default(),
            lines: Names::default(),
            wildcards: Mutex::new(0),
            resolving: AtomicUsize::new(0),
            members: AtomicUsize::new(0),
        }
    }

    /// Whether a session of an agent, or member of a group, is on this instance.
    pub(super) fn is_here(&self, agent: &str, session: &str) -> bool {
        if is_group(agent) {
            return self.groups.get(agent).is_some_and(|local| local.member(session).is_some());
        }
        self.agents
            .get(agent)
            .is_some_and(|local| local.members.iter().any(|member| *member.session == *session))
    }

    /// What a member on this instance can take.
    pub(super) fn room_here(&self, group: &str, session: &str) -> u64 {
        let local = self.groups.get(group);
        local.and_then(|local| local.member(session).map(|member| member.outbound.room())).unwrap_or(0)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.members.load(Ordering::Acquire) == 0
    }
}

/// An agent with sessions on this instance.
#[derive(Debug, Default)]
pub(super) struct Agent {
    pub(super) members: SmallVec<[Member; 1]>,
    /// Whether it may have sessions on other instances too. While not, nobody need be asked.
    pub(super) elsewhere: bool,
}

impl Agent {
    /// Whether all that is meant is here: the one session, or every one.
    pub(super) fn is_whole(&self, session: Option<&str>) -> bool {
        !self.elsewhere
            || session.is_some_and(|name| self.members.iter().any(|member| *member.session == *name))
    }
}

/// A session on this instance.
#[derive(Debug, Clone)]
pub(super) struct Member {
    pub(super) session: Arc<str>,
    pub(super) connection: u64,
    /// Which connection of its session.
    pub(super) generation: u64,
    pub(super) outbound: Arc<Outbound>,
    pub(super) token: Option<TokenKey>,
}

/// The local subscribers of one pattern.
#[derive(Debug, Default)]
pub(super) struct Subscribers(
    pub(super) RwLock<IndexMap<u64, Arc<Outbound>, Keys>>,
    /// Whether the topic's stream is read here, whose hints come by the same channel.
    pub(super) AtomicBool,
);

//! Which instance each session lives on. A seam of its own beside the bus.
//!
//! An entry counts only while the lease of its instance lives; an entry is compared by session, instance and generation
//! before it is deleted, so that a late goodbye cannot remove what came after it. What the promises mean is what
//! `conformance` checks, for every directory alike.

#[cfg(any(test, feature = "test-util"))]
pub mod conformance;
pub mod memory;
pub mod redis;

use std::sync::Arc;

use futures_util::future::BoxFuture;
use thiserror::Error;

use crate::bus::InstanceId;

/// Where sessions live.
pub trait Directory: Send + Sync + std::fmt::Debug + 'static {
    /// Enters a session of this instance. The wish is kept, and carried out again whenever the store loses it, until
    /// [`Directory::unregister`]. Resolves when others can find the session, with what was there of the agent at that
    /// moment: of two that register each other's agent exactly one finds the other.
    fn register(&self, entry: OwnEntry) -> BoxFuture<'static, Result<Vec<Entry>, DirectoryError>>;

    /// Deletes a session of this instance.
    fn unregister(&self, entry: OwnEntry) -> BoxFuture<'static, Result<(), DirectoryError>>;

    /// Every living session of an agent, or member of a group, on whatever instance.
    fn lookup(&self, tenant: &str, agent: &str) -> BoxFuture<'static, Result<Vec<Entry>, DirectoryError>>;

    /// The agents of a tenant that have sessions, groups not among them, in the order of their names as bytes: those after a name, so many names
    /// looked at. An agent that comes or goes meanwhile may be among them or not.
    fn agents(
        &self,
        tenant: &str,
        after: Option<&str>,
        max: usize,
    ) -> BoxFuture<'static, Result<AgentPage, DirectoryError>>;

    /// Whether some instance may hold a subscription of this tenant with a wildcard. Never waits; `true` while it is not
    /// known, so that a wrong answer costs work and loses nothing.
    fn may_have_wildcards(&self, tenant: &str) -> bool;

    /// Says that this instance holds subscriptions of this tenant with a wildcard, until
    /// [`Directory::release_wildcards`]. Resolves when no publisher can still believe that there are none.
    fn hold_wildcards(&self, tenant: &str) -> BoxFuture<'static, Result<(), DirectoryError>>;

    /// This instance holds none any more.
    fn release_wildcards(&self, tenant: &str);
}

/// A directory that any part may hold.
pub type SharedDirectory = Arc<dyn Directory>;

/// A session of this instance.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct OwnEntry {
    /// Tenant.
    pub tenant: Arc<str>,
    /// Agent, or the address of a group of which the session is a member.
    pub agent: Arc<str>,
    /// Session, by its whole name.
    pub session: Arc<str>,
    /// Which connect of the session.
    pub generation: u64,
}

/// Whether it is an agent's name and no group's address, in which a `/` stands.
fn is_listed(agent: &str) -> bool {
    !agent.contains('/')
}

/// A session on some instance.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Entry {
    /// Session, by its whole name.
    pub session: Arc<str>,
    /// Where it lives.
    pub instance: InstanceId,
    /// Which connect of the session.
    pub generation: u64,
}

/// Some agents of a tenant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AgentPage {
    /// Each with its sessions, of which it has at least one.
    pub agents: Vec<(Arc<str>, Vec<Entry>)>,
    /// The name after which to go on; nothing at the end.
    pub next: Option<Arc<str>>,
}

/// The store could not be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the directory is away")]
pub struct DirectoryError;

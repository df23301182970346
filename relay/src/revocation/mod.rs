//! Tokens that are good no longer, though their time is not over: by token, by agent, by tenant. A seam of its own.
//!
//! A revocation is stored once and read by every instance into a list of its own, so that looking needs no question. It
//! lasts as long as any token it may concern lives. What the store promises is what `conformance` checks.

#[cfg(any(test, feature = "test-util"))]
pub mod conformance;
mod list;
pub mod memory;
pub mod redis;
mod revocations;
#[cfg(test)]
mod tests;
mod text;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::future::BoxFuture;
use relay_protocol::address::{is_agent, is_tenant};
use thiserror::Error;

use crate::auth::TokenKey;

pub use revocations::{RevocationSettings, Revocations};

/// The most revocations in force at a time, some 200 bytes each on every instance. More at a time are better told by
/// agent or tenant than by token.
pub const REVOCATIONS_MAX: usize = 200_000;

/// How much longer a store keeps revocations than the lists of instances do: else one that a store forgets would be taken
/// for lost, and be added again for ever.
const MARGIN: Duration = Duration::from_mins(1);

/// Some tokens of a tenant that are good no longer.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Revocation {
    tenant: Arc<str>,
    target: Target,
    /// Unix seconds; tokens made later are not concerned. A token made in this very second is, as a token does not say
    /// more closely when it was made.
    issued_before_s: u64,
}

/// Which tokens of a tenant.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Target {
    /// All.
    Tenant,
    /// Those of an agent.
    Agent(Arc<str>),
    /// That one.
    Token(TokenKey),
}

impl Revocation {
    /// Every token of a tenant that was made up to a time.
    pub fn of_tenant(tenant: &str, issued_before: SystemTime) -> Result<Revocation, RevocationError> {
        Revocation::new(tenant, Target::Tenant, seconds(issued_before))
    }

    /// Every token of an agent that was made up to a time.
    pub fn of_agent(
        tenant: &str,
        agent: &str,
        issued_before: SystemTime,
    ) -> Result<Revocation, RevocationError> {
        if !is_agent(agent) {
            return Err(RevocationError::Name);
        }
        Revocation::new(tenant, Target::Agent(agent.into()), seconds(issued_before))
    }

    /// The token with this `jti`, whenever it was made.
    pub fn of_token(tenant: &str, token_id: &str) -> Result<Revocation, RevocationError> {
        Revocation::new(tenant, Target::Token(TokenKey::new(tenant, token_id)), u64::MAX)
    }

    /// The tenant.
    pub fn tenant(&self) -> &Arc<str> {
        &self.tenant
    }

    /// Which of its tokens.
    pub fn target(&self) -> &Target {
        &self.target
    }

    fn new(tenant: &str, target: Target, issued_before_s: u64) -> Result<Revocation, RevocationError> {
        if !is_tenant(tenant) {
            return Err(RevocationError::Name);
        }
        Ok(Revocation { tenant: tenant.into(), target, issued_before_s })
    }
}

/// Why a revocation is not in force everywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RevocationError {
    /// Not the name of a tenant or an agent.
    #[error("not a tenant or not an agent")]
    Name,
    /// There are [`REVOCATIONS_MAX`] in force: on this instance only, if on any.
    #[error("too many revocations are in force; in force on this instance only")]
    Full,
    /// The store is away. It is in force on this instance, and will be on the others when the store is back.
    #[error("the store of revocations is away; in force on this instance only, for now")]
    Away,
}

/// Where revocations are kept for every instance to read.
pub trait RevocationStore: Send + Sync + std::fmt::Debug + 'static {
    /// Adds revocations; one that is there stays as it is. Resolves when every later [`RevocationStore::read`] finds
    /// them. Beyond [`REVOCATIONS_MAX`] the rest is refused as [`StoreError::Full`].
    fn add(&self, revocations: Vec<Revocation>) -> BoxFuture<'static, Result<(), StoreError>>;

    /// What was added after a position, in order, a bounded number at a time.
    fn read(&self, after: Position) -> BoxFuture<'static, Result<Page, StoreError>>;

    /// Resolves soon after something was added since it resolved last. It may resolve for nothing, and may miss
    /// something while the store is away.
    fn news(&self) -> BoxFuture<'static, ()>;
}

/// How far a reader has read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position(pub u64);

/// What was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Revocations, oldest first. Those that this release cannot read are left out.
    pub revocations: Vec<Revocation>,
    /// Where to go on.
    pub position: Position,
    /// Whether there may be more.
    pub more: bool,
    /// The store does not know the position: it has lost something since, or forgotten what is long over. The reader
    /// begins again, and adds what is missing.
    pub lost: bool,
}

/// Why the store did not do it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum StoreError {
    /// It cannot be reached.
    #[error("the store of revocations is away")]
    Away,
    /// It holds as many as it may.
    #[error("the store of revocations is full")]
    Full,
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
}

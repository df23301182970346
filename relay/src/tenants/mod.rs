//! Which tenants are suspended: a seam of its own. Who administrates says so once, and every instance keeps a list of its
//! own, so that looking needs no question. Of two sayings about a tenant the later holds; that one may travel any way, be
//! repeated, or be lost by the store and told again. What the store promises is what `conformance` checks.

#[cfg(any(test, feature = "test-util"))]
pub mod conformance;
mod list;
pub mod memory;
pub mod redis;

use std::sync::Arc;

use futures_util::future::BoxFuture;
use thiserror::Error;

pub use list::Tenants;

/// The most tenants of which something is known that is not the rule; some 100 bytes each on every instance.
pub const TENANTS_MAX: usize = 10_000;

/// What was said of a tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Whether its agents may not connect.
    pub suspended: bool,
    /// When it was said, in microseconds of Unix time; later than all that was known of the tenant.
    pub said_at_us: u64,
}

/// What all stores of a fleet hold, at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Changes with everything that is said, and when the store has lost something.
    pub version: u64,
    /// What was said last of each tenant.
    pub tenants: Vec<(Arc<str>, Standing)>,
}

/// Where standings are kept for every instance to read.
pub trait TenantStore: Send + Sync + std::fmt::Debug + 'static {
    /// Keeps what was said of a tenant unless it holds something later. Beyond [`TENANTS_MAX`] tenants another is refused
    /// as [`TenantError::Full`]. A suspension that was lifted a day ago may be forgotten.
    fn put(&self, tenant: &Arc<str>, standing: Standing) -> BoxFuture<'static, Result<(), TenantError>>;

    /// All of it, unless the version is still this one.
    fn read(&self, version: u64) -> BoxFuture<'static, Result<Option<Snapshot>, TenantError>>;
}

/// Why a suspension, or its lifting, is not in force everywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TenantError {
    /// Of too many tenants something is known.
    #[error("something was said of too many tenants")]
    Full,
    /// The store is away. It is in force on this instance, and will be on the others when the store is back.
    #[error("the store of tenants is away; in force on this instance only, for now")]
    Away,
}

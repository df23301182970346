//! What was said of tenants: which are suspended, and whose limits differ from the configured ones. A seam of its own. Who
//! administrates says so once, and every instance keeps a list of its own, so that looking needs no question. Of two
//! sayings about the same thing the later holds; it may travel any way, be repeated, or be lost by the store and told
//! again. What the store promises is what `conformance` checks.

#[cfg(any(test, feature = "test-util"))]
pub mod conformance;
mod list;
pub mod memory;
pub mod redis;

use std::sync::Arc;

use futures_util::future::BoxFuture;
use thiserror::Error;

use crate::config::tenant_limits::TenantLimits;

pub use list::{News, Tenants};

/// The most tenants of which something is known that is not the rule; some 200 bytes each on every instance.
pub const TENANTS_MAX: usize = 10_000;

/// What was said of one thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Said<T> {
    /// What.
    pub what: T,
    /// When, in microseconds of Unix time; later than all that was known of it. 0 where nothing was said.
    pub at_us: u64,
}

impl<T: Copy + Default + PartialEq> Said<T> {
    /// Takes what is later; says whether this was.
    fn take(&mut self, other: Said<T>) -> bool {
        let later = other.at_us > self.at_us;
        if later {
            *self = other;
        }
        later
    }

    /// As for a tenant of which nothing was said. A store may forget that in time.
    fn is_rule(&self) -> bool {
        self.what == T::default()
    }
}

/// What was said of a tenant. Each thing by itself: who changes limits does not lift a suspension that it has not heard of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Standing {
    /// Whether its agents may not connect.
    pub suspended: Said<bool>,
    /// Its own limits.
    pub limits: Said<TenantLimits>,
}

impl Standing {
    /// Takes of each thing what is later; says whether anything was.
    fn take(&mut self, other: &Standing) -> bool {
        self.suspended.take(other.suspended) | self.limits.take(other.limits)
    }
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
    /// Keeps of each thing that was said of a tenant the later. Beyond [`TENANTS_MAX`] tenants another is refused as
    /// [`TenantError::Full`]. What was taken back a day ago may be forgotten.
    fn put(&self, tenant: &Arc<str>, standing: Standing) -> BoxFuture<'static, Result<(), TenantError>>;

    /// All of it, unless the version is still this one.
    fn read(&self, version: u64) -> BoxFuture<'static, Result<Option<Snapshot>, TenantError>>;
}

/// Why what was said is not in force everywhere.
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

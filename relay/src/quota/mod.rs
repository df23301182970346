//! What a tenant may use of all instances together, handed out in slices. A seam of its own: in one process or in Redis.
//!
//! A bucket a tenant, that fills at its quota and holds [`BURST_S`] seconds of it. An instance leases slices ahead and gives
//! back what it does not need, so that no message asks the store. While less is there than is asked for a lease gets half
//! of it: instances whose leases follow one another then share, where the first would take all.

#[cfg(any(test, feature = "test-util"))]
pub mod conformance;
pub mod memory;
pub mod redis;

use std::sync::Arc;

use futures_util::future::BoxFuture;

/// How many seconds' worth of its quota a tenant may use at once.
pub const BURST_S: u32 = 5;

/// Hands out slices of tenants' quotas.
pub trait QuotaStore: Send + Sync + std::fmt::Debug + 'static {
    /// Leases up to `wanted` of the tenant's quota; what is negative is given back. Resolves in about a second with what
    /// was granted, which is what was wanted where that is negative. While the store is away it grants a local share.
    fn lease(&self, tenant: &Arc<str>, quota: Quota, wanted: Slice) -> BoxFuture<'static, Slice>;
}

/// A store that any part may hold.
pub type SharedQuotaStore = Arc<dyn QuotaStore>;

/// What a tenant may use a second. 0 is no limit, of which nothing is leased.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Quota {
    /// Messages.
    pub messages: u32,
    /// Bytes.
    pub bytes: u32,
}

impl Quota {
    /// Whether anything is limited.
    pub const fn any(self) -> bool {
        self.messages > 0 || self.bytes > 0
    }
}

/// Some of a quota.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Slice {
    /// Messages.
    pub messages: i64,
    /// Bytes.
    pub bytes: i64,
}

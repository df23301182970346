//! Keys for programs on servers: made and revoked by administrators, believed wherever a token is.
//!
//! A key is `ark_<id>_<secret>`. Only a hash of the secret is kept, so that nobody who reads the store can use what stands
//! there. A key opens what a token does: a session that lives as long as a token may, and is then to show it again.

mod authenticator;
#[cfg(any(test, feature = "test-util"))]
pub mod conformance;
mod credential;
mod keys;
pub mod memory;
pub mod redis;
mod stored;
#[cfg(test)]
mod tests;

use std::time::Duration;

use futures_util::future::BoxFuture;
use thiserror::Error;

use crate::auth::{InvalidRight, RightsClaim};

pub use authenticator::TokensAndApiKeys;
pub use credential::KeyId;
pub use keys::ApiKeys;
pub use stored::StoredKey;

/// The most keys of a tenant: one for each program, and some to spare for changing them.
pub const KEYS_PER_TENANT_MAX: usize = 1_000;
/// The longest life of a key, in seconds: a year, and a day to be late.
pub const LIFE_S_MAX: u64 = 366 * 86_400;
/// The longest label, in bytes.
pub const LABEL_BYTES_MAX: usize = 64;
/// The most bytes that a key takes in the store: as much as a token.
pub const KEY_BYTES_MAX: usize = 8 * 1024;

/// For what a key is made.
#[derive(Debug, Clone)]
pub struct ApiKeyRequest {
    /// The tenant.
    pub tenant: String,
    /// The agent that its bearer is.
    pub agent: String,
    /// What people call it: up to [`LABEL_BYTES_MAX`] bytes without control characters.
    pub label: String,
    /// What it grants.
    pub rights: RightsClaim,
    /// How long it lives, in whole seconds, up to [`LIFE_S_MAX`].
    pub life: Duration,
}

/// What may be known of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// What it is called by; no secret.
    pub id: KeyId,
    /// The tenant.
    pub tenant: String,
    /// The agent that its bearer is.
    pub agent: String,
    /// What people call it.
    pub label: String,
    /// What it grants.
    pub rights: RightsClaim,
    /// When it was made, in Unix seconds.
    pub created_at_s: u64,
    /// When it ends, in Unix seconds.
    pub expires_at_s: u64,
    /// When it was used last, in Unix seconds, as of a minute ago.
    pub last_used_at_s: Option<u64>,
}

/// Why nothing was done with a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ApiKeyError {
    /// Not the name of a tenant.
    #[error("not a tenant: 1 to 64 of A-Z a-z 0-9 _ -")]
    Tenant,
    /// Not the name of an agent.
    #[error("not an agent: 1 to 128 of A-Z a-z 0-9 _ - . not beginning with a dot")]
    Agent,
    /// Not a label.
    #[error("a label has at most {LABEL_BYTES_MAX} bytes and no control characters")]
    Label,
    /// Too short or too long a life.
    #[error("a key lives 1 to {LIFE_S_MAX} seconds")]
    Life,
    /// The rights cannot be granted.
    #[error("the rights: {0}")]
    Rights(#[from] InvalidRight),
    /// It grants more than fits.
    #[error("a key takes at most {KEY_BYTES_MAX} bytes; grant less")]
    TooLarge,
    /// The tenant has as many as it may.
    #[error("a tenant has at most {KEYS_PER_TENANT_MAX} keys")]
    Full,
    /// The store is away. Whether something was done is not known; trying again does no harm.
    #[error("the store of API keys is away")]
    Away,
}

/// Where keys are kept for every instance to ask. A key that has expired may be there or not.
pub trait ApiKeyStore: Send + Sync + std::fmt::Debug + 'static {
    /// Keeps a key, unless its tenant has [`KEYS_PER_TENANT_MAX`].
    fn put(&self, key: StoredKey) -> BoxFuture<'static, Result<(), ApiKeyError>>;

    /// The key of an id.
    fn find(&self, id: &KeyId) -> BoxFuture<'static, Result<Option<StoredKey>, ApiKeyError>>;

    /// Notes when a key was used last, in Unix seconds. One that is gone stays so.
    fn note_use(&self, id: &KeyId, at_s: u64) -> BoxFuture<'static, Result<(), ApiKeyError>>;

    /// Forgets a key of a tenant.
    fn remove(&self, tenant: &str, id: &KeyId) -> BoxFuture<'static, Result<(), ApiKeyError>>;

    /// The keys of a tenant, in no order.
    fn list(&self, tenant: &str) -> BoxFuture<'static, Result<Vec<ApiKey>, ApiKeyError>>;
}

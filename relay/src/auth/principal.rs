//! Who was authenticated. Only authenticators make one.

use std::sync::Arc;
use std::time::SystemTime;

use crate::auth::digest::digest;
use crate::auth::keyset::Fingerprint;
use crate::auth::rights::Rights;

/// Who was authenticated, until when, and what it may do. Cloning shares all of it.
#[derive(Debug, Clone)]
pub struct Principal {
    tenant: Arc<str>,
    agent: Arc<str>,
    token_id: Option<Arc<str>>,
    signed_by: Option<Fingerprint>,
    issued_at: SystemTime,
    expires_at: SystemTime,
    rights: Arc<Rights>,
}

/// Stands for the `jti` of a token of some tenant, where the `jti` itself is not to be kept or shown: 128 bits of a
/// SHA-256.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenKey(pub [u8; 16]);

impl TokenKey {
    /// The key of a tenant's token.
    pub fn new(tenant: &str, token_id: &str) -> TokenKey {
        let digest = digest(&[b"token", tenant.as_bytes(), token_id.as_bytes()]);
        let (key, _) = digest.split_at(16);
        TokenKey(key.try_into().unwrap_or_default())
    }
}

/// How long a token is good for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Validity {
    pub(crate) issued_at: SystemTime,
    pub(crate) expires_at: SystemTime,
}

impl Principal {
    /// For authenticators. Both names must have been checked.
    pub(crate) fn new(
        tenant: &str,
        agent: &str,
        token_id: Option<&str>,
        validity: Validity,
        rights: Rights,
    ) -> Principal {
        Principal {
            tenant: tenant.into(),
            agent: agent.into(),
            token_id: token_id.map(Arc::from),
            signed_by: None,
            issued_at: validity.issued_at,
            expires_at: validity.expires_at,
            rights: Arc::new(rights),
        }
    }

    /// The same, of a token that this key signed.
    pub(in crate::auth) fn signed_by_key(self, key: Fingerprint) -> Principal {
        Principal { signed_by: Some(key), ..self }
    }

    /// The key that signed its token, if a signature is what it was authenticated by.
    pub(in crate::auth) fn signed_by(&self) -> Option<&Fingerprint> {
        self.signed_by.as_ref()
    }

    /// A principal that nobody authenticated, whose token lives from the epoch for 100 years.
    ///
    /// # Panics
    ///
    /// If a name is not of the right form.
    #[cfg(any(test, feature = "test-util"))]
    pub fn for_test(tenant: &str, agent: &str, rights: Rights) -> Principal {
        use std::time::Duration;
        assert!(relay_protocol::address::is_tenant(tenant) && relay_protocol::address::is_agent(agent));
        let issued_at = SystemTime::UNIX_EPOCH;
        let expires_at = issued_at + Duration::from_hours(100 * 366 * 24);
        Principal::new(tenant, agent, None, Validity { issued_at, expires_at }, rights)
    }

    /// The tenant: nothing this principal does reaches beyond it.
    pub fn tenant(&self) -> &Arc<str> {
        &self.tenant
    }

    /// The agent it is.
    pub fn agent(&self) -> &Arc<str> {
        &self.agent
    }

    /// The `jti` of its token: 1 to 128 printable ASCII characters, `:` and `*` among them.
    pub fn token_id(&self) -> Option<&Arc<str>> {
        self.token_id.as_ref()
    }

    /// What stands for its token where revocations are kept.
    pub fn token_key(&self) -> Option<TokenKey> {
        self.token_id.as_ref().map(|id| TokenKey::new(&self.tenant, id))
    }

    /// When its token was made.
    pub fn issued_at(&self) -> SystemTime {
        self.issued_at
    }

    /// When its token expires; already past, by at most the leeway, if the token came at the last moment.
    pub fn expires_at(&self) -> SystemTime {
        self.expires_at
    }

    /// What it may do.
    pub fn rights(&self) -> &Arc<Rights> {
        &self.rights
    }
}

//! Who was authenticated. There is no way to make one but by an authenticator.

use std::sync::Arc;
use std::time::SystemTime;

use crate::auth::rights::Rights;

/// Who was authenticated, until when, and what it may do. Cloning shares all of it.
#[derive(Debug, Clone)]
pub struct Principal {
    tenant: Arc<str>,
    agent: Arc<str>,
    token_id: Option<Arc<str>>,
    issued_at: SystemTime,
    expires_at: SystemTime,
    rights: Arc<Rights>,
}

/// How long a token is good for.
#[derive(Debug, Clone, Copy)]
pub(in crate::auth) struct Validity {
    pub(in crate::auth) issued_at: SystemTime,
    pub(in crate::auth) expires_at: SystemTime,
}

impl Principal {
    /// Both names must have been checked.
    pub(in crate::auth) fn new(
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
            issued_at: validity.issued_at,
            expires_at: validity.expires_at,
            rights: Arc::new(rights),
        }
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

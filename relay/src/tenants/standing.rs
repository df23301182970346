//! An authenticator that lets nobody of a suspended tenant in. Whoever asks it cannot forget to look.

use std::sync::Arc;
use std::time::SystemTime;

use futures_util::future::{BoxFuture, FutureExt as _};

use crate::auth::{AuthError, Authenticator, Principal};
use crate::tenants::Tenants;

/// Another authenticator, and the standing of tenants.
#[derive(Debug)]
pub struct InGoodStanding {
    authenticator: Arc<dyn Authenticator>,
    tenants: Arc<Tenants>,
}

impl InGoodStanding {
    /// Whom `authenticator` believes unless its tenant is suspended.
    pub fn new(authenticator: Arc<dyn Authenticator>, tenants: Arc<Tenants>) -> InGoodStanding {
        InGoodStanding { authenticator, tenants }
    }

    fn check(&self, principal: &Principal) -> Result<(), AuthError> {
        if self.tenants.is_suspended(principal.tenant()) { Err(AuthError::TenantSuspended) } else { Ok(()) }
    }
}

impl Authenticator for InGoodStanding {
    fn authenticate<'a>(
        &'a self,
        token: &'a str,
        now: SystemTime,
    ) -> BoxFuture<'a, Result<Principal, AuthError>> {
        let authenticated = self.authenticator.authenticate(token, now);
        async move {
            let principal = authenticated.await?;
            self.check(&principal)?;
            Ok(principal)
        }
        .boxed()
    }

    fn recheck(&self, principal: &Principal) -> Result<(), AuthError> {
        self.check(principal)?;
        self.authenticator.recheck(principal)
    }
}

//! An authenticator that believes nothing revoked. Whoever asks it cannot forget to look.

use std::sync::Arc;
use std::time::SystemTime;

use futures_util::future::{BoxFuture, FutureExt as _};

use crate::auth::{AuthError, Authenticator, Principal};
use crate::revocation::Revocations;

/// Another authenticator, and the revocations.
#[derive(Debug)]
pub struct Checked {
    authenticator: Arc<dyn Authenticator>,
    revocations: Arc<Revocations>,
}

impl Checked {
    /// What `authenticator` believes unless it is revoked.
    pub fn new(authenticator: Arc<dyn Authenticator>, revocations: Arc<Revocations>) -> Checked {
        Checked { authenticator, revocations }
    }
}

impl Authenticator for Checked {
    fn authenticate<'a>(
        &'a self,
        token: &'a str,
        now: SystemTime,
    ) -> BoxFuture<'a, Result<Principal, AuthError>> {
        let authenticated = self.authenticator.authenticate(token, now);
        async move {
            let principal = authenticated.await?;
            self.revocations.admit(&principal, now)?;
            Ok(principal)
        }
        .boxed()
    }

    fn recheck(&self, principal: &Principal) -> Result<(), AuthError> {
        self.revocations.check(principal)?;
        self.authenticator.recheck(principal)
    }
}

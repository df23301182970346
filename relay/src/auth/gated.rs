//! An authenticator behind a gate: whoever asks it cannot forget what keeps out those whose token is good.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::SystemTime;

use futures_util::future::{BoxFuture, FutureExt as _};

use crate::auth::{AuthError, Authenticator, Principal};

/// Keeps out some whose token is good. Never waits.
pub trait Gate: Debug + Send + Sync + 'static {
    /// Whether a principal may come in.
    fn admit(&self, principal: &Principal, now: SystemTime) -> Result<(), AuthError>;

    /// Whether a principal that is in may stay, as far as is known.
    fn check(&self, principal: &Principal) -> Result<(), AuthError>;
}

/// Another authenticator, and what stands before it.
#[derive(Debug)]
pub struct Gated {
    authenticator: Arc<dyn Authenticator>,
    gate: Arc<dyn Gate>,
}

impl Gated {
    /// Whom `authenticator` believes and `gate` lets in.
    pub fn new(authenticator: Arc<dyn Authenticator>, gate: Arc<dyn Gate>) -> Gated {
        Gated { authenticator, gate }
    }
}

impl Authenticator for Gated {
    fn authenticate<'a>(
        &'a self,
        token: &'a str,
        now: SystemTime,
    ) -> BoxFuture<'a, Result<Principal, AuthError>> {
        let authenticated = self.authenticator.authenticate(token, now);
        async move {
            let principal = authenticated.await?;
            self.gate.admit(&principal, now)?;
            Ok(principal)
        }
        .boxed()
    }

    fn recheck(&self, principal: &Principal) -> Result<(), AuthError> {
        self.gate.check(principal)?;
        self.authenticator.recheck(principal)
    }
}

//! Believes everybody: for simulations, where tokens are of no matter.

use std::time::{Duration, SystemTime};

use futures_util::future::{self, BoxFuture, FutureExt as _};

use crate::auth::{AuthError, Authenticator, Principal, Rights, RightsClaim, Validity};

/// Longer than any simulation.
const LIFE: Duration = Duration::from_hours(240);

/// Takes a token for what it says: `tenant/agent`, who may do everything but administrate.
#[derive(Debug, Clone, Copy)]
pub struct Credulous;

impl Authenticator for Credulous {
    fn authenticate<'a>(
        &'a self,
        token: &'a str,
        now: SystemTime,
    ) -> BoxFuture<'a, Result<Principal, AuthError>> {
        future::ready(believe(token, now)).boxed()
    }

    fn recheck(&self, _: &Principal) -> Result<(), AuthError> {
        Ok(())
    }
}

fn believe(token: &str, now: SystemTime) -> Result<Principal, AuthError> {
    let (tenant, agent) = token.split_once('/').ok_or(AuthError::Malformed)?;
    let rights = Rights::new(&RightsClaim::everything()).map_err(|_| AuthError::Malformed)?;
    let validity = Validity { issued_at: now, expires_at: now + LIFE };
    Ok(Principal::new(tenant, agent, None, validity, rights))
}

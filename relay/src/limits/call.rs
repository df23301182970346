//! What is sent without a session, by a call of the API: it counts where a session of that agent would.

use std::num::NonZeroU32;
use std::sync::Arc;

use tokio::time::Instant;

use crate::limits::session::met;
use crate::limits::{Limited, Limits, Scope};
use crate::telemetry::limit::Limit;

impl Limits {
    /// May an agent that has no session here send so many messages, of so many bytes together? Narrowest first, as of
    /// sessions; what has been counted before a limit is in the way stays counted.
    pub fn call(
        &self,
        tenant: &Arc<str>,
        agent: &Arc<str>,
        messages: u32,
        bytes: usize,
    ) -> Result<(), Limited> {
        let met = self.meet_call(tenant, agent, messages, bytes);
        let Err(limited) = met else { return Ok(()) };
        self.metrics.limited(limited.limit, self.dry_run, 1);
        if self.dry_run { Ok(()) } else { Err(limited) }
    }

    fn meet_call(
        &self,
        tenant: &Arc<str>,
        agent: &Arc<str>,
        messages: u32,
        bytes: usize,
    ) -> Result<(), Limited> {
        let bytes = NonZeroU32::new(u32::try_from(bytes).unwrap_or(u32::MAX)).unwrap_or(NonZeroU32::MIN);
        let own = self.agents.hold((Arc::clone(tenant), Arc::clone(agent)));
        let whole = Some(self.tenants.hold(tenant));
        self.clock.set(Instant::now() - self.since);
        for (scope, bucket) in [(Scope::Agent, own), (Scope::Tenant, whole)] {
            let Some((bucket, _)) = bucket else { continue };
            let rates = bucket.rates();
            for _ in 0..messages {
                met(scope.messages(), rates.frame())?;
            }
            met(scope.bytes(), rates.bytes(bytes))?;
        }
        let allowance = self.tenants.allowance(tenant);
        met(Limit::TenantQuotaMessages, allowance.messages.spend(messages))?;
        met(Limit::TenantQuotaBytes, allowance.bytes.spend(bytes.get()))
    }
}

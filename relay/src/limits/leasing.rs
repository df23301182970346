//! The task that keeps allowances filled, and the allowances of the tenants that are here.

use std::sync::Arc;
use std::time::Duration;

use ahash::RandomState;
use dashmap::DashMap;
use futures_util::StreamExt as _;
use tokio::time::MissedTickBehavior;

use crate::config::scopes::ScopesConfig;
use crate::limits::allowance::Allowance;
use crate::quota::{Quota, SharedQuotaStore, Slice};

/// Leases under way at a time: enough to fill a link to Redis, few enough not to crowd out messages.
const AT_A_TIME: usize = 64;

/// Keeps allowances filled.
#[derive(Debug)]
pub(super) struct Leasing {
    store: SharedQuotaStore,
    quota: Quota,
    every: Duration,
    /// No more than there are tenants with a connection here, or that lately had one or called the API.
    allowances: DashMap<Arc<str>, Arc<Allowance>, RandomState>,
}

impl Leasing {
    pub(super) fn new(scopes: &ScopesConfig, store: SharedQuotaStore) -> Leasing {
        let quota = Quota { messages: scopes.tenant_quota_messages, bytes: scopes.tenant_quota_bytes };
        let every = Duration::from_millis(scopes.quota_lease_ms);
        Leasing { store, quota, every, allowances: DashMap::default() }
    }

    /// What `tenant` may spend, by a quota that is made from the configured one.
    pub(super) fn hold(&self, tenant: &Arc<str>, quota: impl FnOnce(Quota) -> Quota) -> Arc<Allowance> {
        // Made under the lock of its place: a change that comes meanwhile finds it and holds.
        let make = || Arc::new(Allowance::new(quota(self.quota), self.every));
        Arc::clone(&self.allowances.entry(Arc::clone(tenant)).or_insert_with(make))
    }

    /// Changes the quota of `tenant`, if it is here.
    pub(super) fn change(&self, tenant: &str, quota: impl FnOnce(Quota) -> Quota) {
        if let Some(allowance) = self.allowances.get(tenant) {
            allowance.change(quota(self.quota));
        }
    }

    /// Leases for ever.
    pub(super) async fn run(&self) {
        let mut ticks = tokio::time::interval(self.every);
        // A lease that took long is no reason for several at once.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.lease().await;
        }
    }

    async fn lease(&self) {
        let mut asked = Vec::new();
        self.allowances.retain(|tenant, allowance| {
            let gone = Arc::strong_count(allowance) == 1;
            let wanted = if gone { allowance.rest() } else { allowance.wanted() };
            if wanted != Slice::default() {
                asked.push((Arc::clone(tenant), Arc::clone(allowance), wanted));
            }
            // A debt is paid first: to leave and come back, or to call the API, is no fresh credit.
            !gone || wanted.messages > 0 || wanted.bytes > 0
        });
        let leases = futures_util::stream::iter(asked).map(|(tenant, allowance, wanted)| async move {
            let granted = self.store.lease(&tenant, allowance.quota(), wanted).await;
            allowance.take(granted);
        });
        leases.for_each_concurrent(AT_A_TIME, |lease| lease).await;
    }
}

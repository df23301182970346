//! Limits of tenants: the configured ones, but for those that an operator gave a tenant of its own while the relay runs.

use std::sync::Arc;

use ahash::HashMap;
use parking_lot::RwLock;

use crate::config::scopes::ScopesConfig;
use crate::config::tenant_limits::TenantLimits;
use crate::limits::allowance::Allowance;
use crate::limits::bucket::{Bounds, Bucket};
use crate::limits::keyed::Keyed;
use crate::limits::leasing::Leasing;
use crate::limits::rate::{Rate, TurnClock};
use crate::limits::{BYTES_BURST_S, MESSAGES_BURST_S};
use crate::quota::{Quota, SharedQuotaStore};

/// What tenants may do on this instance, and on all together. Each tenant that is here has a bucket and an allowance, also
/// while nothing is limited: then those who are connected hold what a limit is later put in.
#[derive(Debug)]
pub(super) struct Tenants {
    pub(super) buckets: Keyed<Arc<str>>,
    pub(super) leasing: Leasing,
    own: RwLock<HashMap<Arc<str>, TenantLimits>>,
}

impl Tenants {
    pub(super) fn new(scopes: &ScopesConfig, quotas: SharedQuotaStore, clock: &TurnClock) -> Tenants {
        let bounds = Bounds::of(
            scopes.tenant_rate_messages,
            scopes.tenant_rate_bytes,
            scopes.tenant_connections,
            scopes.tenant_subscriptions,
        );
        Tenants {
            buckets: Keyed::new(bounds, scopes.limit_keys_max, clock),
            leasing: Leasing::new(scopes, quotas),
            own: RwLock::default(),
        }
    }

    fn own(&self, tenant: &str) -> TenantLimits {
        self.own.read().get(tenant).copied().unwrap_or_default()
    }

    /// The bucket of a tenant, and whether it has one of its own.
    pub(super) fn hold(&self, tenant: &Arc<str>) -> (Arc<Bucket>, bool) {
        let must = self.own(tenant).any();
        self.buckets.hold_with(Arc::clone(tenant), must, |configured| bounds(configured, self.own(tenant)))
    }

    /// What a tenant may spend of its quota.
    pub(super) fn allowance(&self, tenant: &Arc<str>) -> Arc<Allowance> {
        self.leasing.hold(tenant, |configured| quota(configured, self.own(tenant)))
    }

    /// Gives a tenant limits of its own, in place of those it had.
    pub(super) fn change(&self, tenant: &Arc<str>, limits: TenantLimits) {
        {
            let mut own = self.own.write();
            if limits.any() {
                own.insert(Arc::clone(tenant), limits);
            } else {
                own.remove(tenant);
            }
        }
        // Known before what is there is changed: what is made meanwhile is made with these.
        self.buckets.change(&**tenant, |configured| bounds(configured, limits));
        self.leasing.change(tenant, |configured| quota(configured, limits));
    }
}

fn bounds(configured: &Bounds, own: TenantLimits) -> Bounds {
    let rate = |own: Option<u32>, configured, burst_s| own.map_or(configured, |own| Rate::of(own, burst_s));
    Bounds {
        messages: rate(own.rate_messages, configured.messages, MESSAGES_BURST_S),
        bytes: rate(own.rate_bytes, configured.bytes, BYTES_BURST_S),
        connections: own.connections.unwrap_or(configured.connections),
        subscriptions: own.subscriptions.unwrap_or(configured.subscriptions),
    }
}

fn quota(configured: Quota, own: TenantLimits) -> Quota {
    Quota {
        messages: own.quota_messages.unwrap_or(configured.messages),
        bytes: own.quota_bytes.unwrap_or(configured.bytes),
    }
}

//! How much one may do: a connection, an agent, a source address, a tenant; and a tenant on all instances together.
//!
//! Buckets are looked up when a connection opens and held by it ([`SessionLimits`]), so that a frame costs a few atomics
//! and no look-up. In a dry run nothing is refused, and what would be is counted.

mod allowance;
mod bucket;
mod call;
mod keyed;
mod leasing;
mod rate;
mod session;
mod tenants;

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::config::limits::LimitsConfig;
use crate::config::scopes::ScopesConfig;
use crate::config::tenant_limits::TenantLimits;
use crate::quota::SharedQuotaStore;
use crate::telemetry::limit::Limit;
use crate::telemetry::metrics::Metrics;

use bucket::{Bounds, Bucket};
use keyed::Keyed;
use rate::{Rate, Rates, TurnClock};
use tenants::Tenants;

pub use session::SessionLimits;

/// How many seconds' worth of messages a scope may send at once.
const MESSAGES_BURST_S: u32 = 5;
/// How many seconds' worth of bytes may come at once.
const BYTES_BURST_S: u32 = 4;
/// How often those who left are forgotten: many times longer than a bucket takes to fill.
const SWEEP: Duration = Duration::from_mins(1);

/// A rate was met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limited {
    /// Which.
    pub limit: Limit,
    /// When to try again.
    pub retry_after: Duration,
}

/// The limits of an instance.
#[derive(Debug)]
pub struct Limits {
    connection: (Rate, Rate),
    agents: Keyed<(Arc<str>, Arc<str>)>,
    addresses: Keyed<IpAddr>,
    tenants: Tenants,
    clock: TurnClock,
    since: Instant,
    dry_run: bool,
    metrics: Arc<Metrics>,
}

/// Whose limit it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scope {
    Agent,
    Address,
    Tenant,
}

impl Scope {
    const fn messages(self) -> Limit {
        match self {
            Scope::Agent => Limit::AgentRateMessages,
            Scope::Address => Limit::AddressRateMessages,
            Scope::Tenant => Limit::TenantRateMessages,
        }
    }

    const fn bytes(self) -> Limit {
        match self {
            Scope::Agent => Limit::AgentRateBytes,
            Scope::Address => Limit::AddressRateBytes,
            Scope::Tenant => Limit::TenantRateBytes,
        }
    }

    const fn connections(self) -> Limit {
        match self {
            Scope::Agent => Limit::AgentConnections,
            Scope::Address => Limit::AddressConnections,
            Scope::Tenant => Limit::TenantConnections,
        }
    }

    const fn subscriptions(self) -> Limit {
        match self {
            Scope::Agent => Limit::AgentSubscriptions,
            Scope::Address => Limit::AddressSubscriptions,
            Scope::Tenant => Limit::TenantSubscriptions,
        }
    }
}

/// A connection's share of a bucket: its place, and its subscriptions. Both return when it goes.
#[derive(Debug)]
struct Held {
    bucket: Arc<Bucket>,
    /// Of the bucket, as they are after so many changes.
    rates: Arc<Rates>,
    changes: u32,
    scope: Scope,
    subscriptions: u32,
}

impl Held {
    fn new(bucket: Arc<Bucket>, scope: Scope) -> Held {
        // Counted before they are taken: what changes in between is taken twice, and never missed.
        let (changes, rates) = (bucket.changes(), bucket.rates());
        Held { bucket, rates, changes, scope, subscriptions: 0 }
    }

    /// Takes the rates that hold now.
    fn catch_up(&mut self) {
        let changes = self.bucket.changes();
        if changes != self.changes {
            (self.changes, self.rates) = (changes, self.bucket.rates());
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.bucket.connections.give(1);
        self.bucket.subscriptions.give(self.subscriptions);
    }
}

/// A connection's place among those of its source address.
#[derive(Debug, Default)]
pub struct AddressPlace(Option<Held>);

impl Limits {
    /// The limits an operator chose; quotas are leased from `quotas`.
    pub fn new(
        limits: &LimitsConfig,
        scopes: &ScopesConfig,
        quotas: SharedQuotaStore,
        metrics: &Arc<Metrics>,
    ) -> Arc<Limits> {
        let clock = TurnClock::default();
        let s = scopes;
        let agent =
            Bounds::of(s.agent_rate_messages, s.agent_rate_bytes, s.agent_connections, s.agent_subscriptions);
        let address = Bounds::of(
            s.address_rate_messages,
            s.address_rate_bytes,
            s.address_connections,
            s.address_subscriptions,
        );
        let messages = Rate { a_second: limits.rate_messages, burst: limits.rate_burst };
        Arc::new(Limits {
            connection: (messages, Rate::of(limits.rate_bytes, BYTES_BURST_S)),
            agents: Keyed::new(agent, s.limit_keys_max, &clock),
            addresses: Keyed::new(address, s.limit_keys_max, &clock),
            tenants: Tenants::new(s, quotas, &clock),
            clock,
            since: Instant::now(),
            dry_run: s.limits_dry_run,
            metrics: Arc::clone(metrics),
        })
    }

    /// A place for one more connection from `address`, or the limit that is in its way.
    pub fn address(&self, address: IpAddr) -> Result<AddressPlace, Limit> {
        self.place(Scope::Address, self.addresses.hold(source(address))).map(AddressPlace)
    }

    fn place(&self, scope: Scope, bucket: Option<(Arc<Bucket>, bool)>) -> Result<Option<Held>, Limit> {
        let Some((bucket, own)) = bucket else { return Ok(None) };
        if !own {
            self.metrics.limit_keys_shared.increment(1);
        }
        if !bucket.connections.take(self.dry_run) {
            self.metrics.limited(scope.connections(), self.dry_run, 1);
            if !self.dry_run {
                return Err(scope.connections());
            }
        }
        Ok(Some(Held::new(bucket, scope)))
    }

    /// Gives a tenant limits of its own, in place of those it had: in force for its connections that are here from their
    /// next turn on. Those beyond a lower number of connections stay, and no further ones come.
    pub fn change_tenant(&self, tenant: &Arc<str>, limits: TenantLimits) {
        self.tenants.change(tenant, limits);
    }

    /// Leases slices of quotas, and forgets who left, until `stop`.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        let mut sweeps = tokio::time::interval(SWEEP);
        let sweeping = async {
            loop {
                sweeps.tick().await;
                self.sweep();
            }
        };
        stop.run_until_cancelled(async { tokio::join!(sweeping, self.tenants.leasing.run()) }).await;
    }

    fn sweep(&self) {
        self.agents.sweep();
        self.addresses.sweep();
        self.tenants.buckets.sweep();
        let keys = self.agents.len() + self.addresses.len() + self.tenants.buckets.len();
        self.metrics.limit_keys.set(u32::try_from(keys).map_or(f64::MAX, f64::from));
    }
}

/// What counts as one source: an IPv4 address, or the /64 that one IPv6 subscriber is given.
fn source(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests;

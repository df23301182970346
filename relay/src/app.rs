//! The one place that names concrete types: builds everything from a configuration, runs it, and takes it down in order.

mod auth;
mod standing;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router as Routes;
use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::net::TcpListener;

use crate::api;
use crate::api::ApiParts;
use crate::api_keys::ApiKeys;
use crate::api_keys::memory::MemoryApiKeys;
use crate::api_keys::redis::RedisApiKeys;
use crate::bus::memory::MemoryHub;
use crate::bus::redis::RedisBus;
use crate::bus::{BusEvents, Channel, InstanceId, SharedBus};
use crate::config::Config;
use crate::config::ConfigError;
use crate::directory::SharedDirectory;
use crate::directory::memory::MemoryDirectoryHub;
use crate::directory::redis::RedisDirectory;
use crate::idempotency::IdempotencyStore;
use crate::idempotency::memory::MemoryIdempotency;
use crate::idempotency::redis::RedisIdempotency;
use crate::lifecycle::{Life, Lifecycle, Phase};
use crate::limits::Limits;
use crate::presence::Presence;
use crate::quota::SharedQuotaStore;
use crate::quota::memory::MemoryQuota;
use crate::quota::redis::RedisQuota;
use crate::redis::{Redis, RedisSettings, ReplicaSettings};
use crate::resilience::{BreakerSettings, Overload};
use crate::revocation::Revocations;
use crate::revocation::memory::MemoryRevocationHub;
use crate::revocation::redis::RedisRevocations;
use crate::router::{Router, RouterSettings};
use crate::server::{AcceptSettings, Admission, AdmissionBounds, Origins, Pressure, ServerState};
use crate::server::{accept, listen, metrics_routes, routes};
use crate::session::{Returns, SessionContext, SessionSettings};
use crate::streams::memory::MemoryStreams;
use crate::streams::redis::RedisStreams;
use crate::streams::{SharedStreams, StreamSettings};
use crate::telemetry::metrics::Metrics;
use crate::tenants::memory::MemoryTenants;
use crate::tenants::redis::RedisTenants;

pub use auth::minter;

/// A relay that serves.
#[derive(Debug)]
pub struct App {
    address: SocketAddr,
    lifecycle: Lifecycle,
    phase: Arc<Phase>,
    context: Arc<SessionContext>,
    metrics: Arc<Metrics>,
    revocations: Arc<Revocations>,
    api_keys: Arc<ApiKeys>,
    drain: Duration,
}

/// What is wrong with a configuration, all of it: its values, and the keys it names.
pub fn problems(config: &Config) -> Vec<ConfigError> {
    let mut problems = config.validate().err().unwrap_or_default();
    problems.extend(auth::keys(&config.auth).1);
    problems
}

/// Batches from the bus that wait to be dispatched, at most 128 KiB each; more are a gap.
const EVENTS_MAX: usize = 1_024;
/// How often histogram samples are moved to their buckets between scrapes.
const UPKEEP: Duration = Duration::from_secs(5);

impl App {
    /// Starts a relay. Nothing listens before everything is ready.
    pub async fn start(config: &Config) -> anyhow::Result<App> {
        let descriptors = raise_descriptors();
        let metrics = Metrics::new().context("metrics")?;
        let lifecycle = Lifecycle::default();
        let phase = Arc::new(Phase::default());
        let instance = InstanceId::random();
        let shared = join(config, &instance, &lifecycle, &metrics).await?;
        let Shared { bus, events, directory, streams, stores, quotas, idempotency, redis } = shared;
        hear(&bus, &instance).await;
        let router = Router::new(
            instance,
            bus,
            Arc::clone(&directory),
            streams,
            Arc::clone(&metrics),
            lifecycle.errands.clone(),
            routing(config),
        );
        run(&router, events, &lifecycle);
        let limits = limits(config, quotas, &metrics, &lifecycle);
        let identity = auth::build(config, stores, &router, &limits, &metrics)?;
        identity.start(&router, &lifecycle).await;
        let admission = admission(config, descriptors, &metrics, &lifecycle);
        let overload = overload(config, &metrics, &lifecycle);
        let dependencies = standing::dependencies(redis, &router, identity.probe(), &admission, &overload);
        let standing = standing::begin(&dependencies, &router, &metrics, &lifecycle);
        lifecycle.services.spawn(upkeep(Arc::clone(&metrics), lifecycle.clone()));
        let context = Arc::new(SessionContext {
            router: Arc::clone(&router),
            presence: presence(config, &directory, &metrics, &lifecycle),
            limits,
            overload,
            authenticator: Arc::clone(&identity.authenticator),
            metrics: Arc::clone(&metrics),
            tracker: lifecycle.errands.clone(),
            standing,
            drain: lifecycle.drain.clone(),
            returns: Returns::default(),
            settings: SessionSettings::new(config),
        });
        let (server, drain) = (&config.server, Duration::from_millis(config.server.drain_ms));
        let api = open_api(config, &context, &identity, directory, idempotency, &lifecycle);
        let state = Arc::new(ServerState {
            context: Arc::clone(&context),
            admission,
            dependencies,
            origins: Origins::new(&server.allowed_origins),
            trusted_proxies: server.trusted_proxies.clone(),
            phase: Arc::clone(&phase),
            metrics: Arc::clone(&metrics),
            router,
            tracker: lifecycle.sessions.clone(),
            minter: identity.minter,
            metrics_elsewhere: server.metrics_listen.is_some(),
        });
        let address = open(config, &state, api, &lifecycle)?;
        phase.set(Life::Serving);
        let auth::Identity { revocations, api_keys, .. } = identity;
        Ok(App { address, lifecycle, phase, context, metrics, revocations, api_keys, drain })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The power to revoke tokens.
    pub fn revocations(&self) -> &Arc<Revocations> {
        &self.revocations
    }

    /// The power to make, list and revoke API keys.
    pub fn api_keys(&self) -> &Arc<ApiKeys> {
        &self.api_keys
    }

    /// Leaves: no more is taken in, each session is told when to come back, queues are written, and everything ends
    /// within the time for it. Says whether all did.
    pub async fn leave(self) -> bool {
        self.phase.set(Life::Draining);
        self.metrics.draining.set(1.0);
        self.lifecycle.drain.cancel();
        self.context.router.close_all(|| self.context.leave_signal());
        self.lifecycle.end(self.drain).await
    }
}

/// Lets the router work.
fn run(router: &Arc<Router>, events: BusEvents, lifecycle: &Lifecycle) {
    lifecycle.services.spawn(Arc::clone(router).run(events, lifecycle.stop.clone()));
    lifecycle.services.spawn(Arc::clone(router).sweep(lifecycle.stop.clone()));
    lifecycle.services.spawn(Arc::clone(router).speak(lifecycle.stop.clone()));
    lifecycle.services.spawn(Arc::clone(router).tell_of_unread(lifecycle.stop.clone()));
}

/// What connections, agents, addresses and tenants may do.
fn limits(
    config: &Config,
    quotas: SharedQuotaStore,
    metrics: &Arc<Metrics>,
    lifecycle: &Lifecycle,
) -> Arc<Limits> {
    let limits = Limits::new(&config.limits, &config.scopes, quotas, metrics);
    lifecycle.services.spawn(Arc::clone(&limits).run(lifecycle.stop.clone()));
    limits
}

/// Subscribes what concerns this instance.
async fn hear(bus: &SharedBus, instance: &InstanceId) {
    for channel in [Channel::inbox(instance), Channel::fleet()] {
        // While Redis is away the wish stands, and the instance serves those who are here.
        let _ = bus.subscribe(&channel).await;
    }
}

/// Refuses sends while the processor does not keep up.
fn overload(config: &Config, metrics: &Arc<Metrics>, lifecycle: &Lifecycle) -> Arc<Overload> {
    let target = config.admission.shed_sends_delay_ms;
    let overload = Overload::new((target > 0).then(|| Duration::from_millis(target)), metrics);
    lifecycle.services.spawn(Arc::clone(&overload).watch(lifecycle.stop.clone()));
    overload
}

/// Who is let in, as far as there is room.
fn admission(
    config: &Config,
    descriptors: u64,
    metrics: &Arc<Metrics>,
    lifecycle: &Lifecycle,
) -> Arc<Admission> {
    let server = &config.server;
    let reserve = config.admission.descriptor_reserve;
    let bounds =
        AdmissionBounds::new(server.max_connections, server.max_unauthenticated, descriptors, reserve);
    let pressure = Arc::new(Pressure::new(&config.admission, metrics));
    lifecycle.services.spawn(Arc::clone(&pressure).watch(lifecycle.stop.clone()));
    Arc::new(Admission::new(bounds, pressure, metrics))
}

/// What instances share, in the form that a configuration asks for.
struct Shared {
    bus: SharedBus,
    events: BusEvents,
    directory: SharedDirectory,
    streams: SharedStreams,
    stores: auth::Stores,
    idempotency: Arc<dyn IdempotencyStore>,
    quotas: SharedQuotaStore,
    /// Tells how Redis does, if there is one.
    redis: Option<standing::RedisProbe>,
}

async fn join(
    config: &Config,
    instance: &InstanceId,
    lifecycle: &Lifecycle,
    metrics: &Arc<Metrics>,
) -> anyhow::Result<Shared> {
    let revoked_for = auth::longest_life(config);
    let streams = StreamSettings {
        messages: config.streams.stream_messages,
        bytes: config.streams.stream_bytes,
        age: Duration::from_secs(config.streams.stream_age_s),
        grace: config.streams.grace(),
        topics: config.streams.stream_topics,
    };
    let (tracker, stop) = (lifecycle.services.clone(), lifecycle.stop.clone());
    let Some(url) = &config.bus.redis_url else {
        let (bus, events) = MemoryHub::new(tracker, stop).join(EVENTS_MAX);
        let directory = MemoryDirectoryHub::new().join(instance.clone());
        let (revocations, api_keys) = (MemoryRevocationHub::new(revoked_for).join(), MemoryApiKeys::new());
        let stores = auth::Stores { revocations, api_keys, tenants: Arc::new(MemoryTenants::default()) };
        let idempotency = Arc::new(MemoryIdempotency::default());
        return Ok(Shared {
            bus,
            events,
            directory,
            streams: MemoryStreams::new(streams),
            stores,
            idempotency,
            quotas: Arc::new(MemoryQuota::default()),
            redis: None,
        });
    };
    let resilience = &config.resilience;
    let breaker = BreakerSettings {
        failures: resilience.breaker_failures,
        open_for: Duration::from_millis(resilience.breaker_open_ms),
        successes: resilience.breaker_successes,
    };
    let authorities = config.bus.redis_ca_file.as_deref().map(std::fs::read).transpose();
    let settings = RedisSettings {
        breaker,
        slow: Duration::from_millis(resilience.dependency_slow_ms),
        replicas: (config.bus.redis_wait_replicas > 0).then(|| ReplicaSettings {
            count: config.bus.redis_wait_replicas,
            timeout: Duration::from_millis(config.bus.redis_wait_timeout_ms),
        }),
        authorities: authorities.context("RELAY_REDIS_CA_FILE")?,
    };
    let redis = Redis::open(url.expose_text(), settings, tracker, stop).await.context("RELAY_REDIS_URL")?;
    let (bus, events) = RedisBus::connect(&redis, instance, EVENTS_MAX).await;
    let directory = RedisDirectory::join(&redis, instance).await;
    let quotas = Arc::new(RedisQuota::new(&redis, config.scopes.quota_local_percent, metrics));
    let (revocations, api_keys) = (RedisRevocations::join(&redis, revoked_for), RedisApiKeys::join(&redis));
    let stores = auth::Stores { revocations, api_keys, tenants: RedisTenants::join(&redis) };
    let idempotency = RedisIdempotency::join(&redis);
    let streams = RedisStreams::join(&redis, streams);
    let redis = standing::RedisProbe { health: Box::new(redis.probe()), evicts: Box::new(redis.evicts()) };
    Ok(Shared { bus, events, directory, streams, stores, idempotency, quotas, redis: Some(redis) })
}

fn routing(config: &Config) -> RouterSettings {
    RouterSettings {
        outcome_timeout: Duration::from_millis(config.bus.outcome_timeout_ms),
        route_ttl: Duration::from_millis(config.bus.route_ttl_ms),
        grace: config.streams.grace(),
    }
}

/// Who is present, looked after until the relay stops.
fn presence(
    config: &Config,
    directory: &SharedDirectory,
    metrics: &Arc<Metrics>,
    lifecycle: &Lifecycle,
) -> Arc<Presence> {
    let grace = Duration::from_millis(config.session.presence_grace_ms);
    let (directory, errands) = (Arc::clone(directory), lifecycle.errands.clone());
    let presence = Presence::new(directory, Arc::clone(metrics), errands, grace);
    lifecycle.services.spawn(Arc::clone(&presence).run(lifecycle.stop.clone()));
    presence
}

/// The HTTP API, with the powers it has.
fn open_api(
    config: &Config,
    context: &SessionContext,
    identity: &auth::Identity,
    directory: SharedDirectory,
    idempotency: Arc<dyn IdempotencyStore>,
    lifecycle: &Lifecycle,
) -> Routes {
    let parts = ApiParts {
        router: Arc::clone(&context.router),
        presence: Arc::clone(&context.presence),
        directory,
        authenticator: Arc::clone(&context.authenticator),
        revocations: Arc::clone(&identity.revocations),
        api_keys: Arc::clone(&identity.api_keys),
        tenants: Arc::clone(&identity.tenants),
        limits: Arc::clone(&context.limits),
        idempotency,
        metrics: Arc::clone(&context.metrics),
        tracker: lifecycle.sessions.clone(),
    };
    api::routes(config, context.settings.announced(), parts)
}

fn open(
    config: &Config,
    state: &Arc<ServerState>,
    api: Routes,
    lifecycle: &Lifecycle,
) -> anyhow::Result<SocketAddr> {
    let settings = AcceptSettings { header_timeout: Duration::from_millis(config.server.header_timeout_ms) };
    let bind = |address: SocketAddr| -> anyhow::Result<(TcpListener, SocketAddr)> {
        let listener = listen(address).with_context(|| format!("cannot listen on {address}"))?;
        let address = listener.local_addr()?;
        Ok((listener, address))
    };
    let (listener, address) = bind(config.server.address())?;
    let mut doors = vec![(listener, routes(Arc::clone(state), api))];
    if let Some(metrics) = config.server.metrics_listen {
        doors.push((bind(metrics)?.0, metrics_routes(Arc::clone(state))));
    }
    for (listener, routes) in doors {
        let admission = Arc::clone(&state.admission);
        let (sessions, stop) = (lifecycle.sessions.clone(), lifecycle.stop.clone());
        // Health stays readable while the instance drains; upgrades are refused by their route.
        lifecycle.services.spawn(accept(listener, routes, admission, sessions, stop, settings));
    }
    Ok(address)
}

async fn upkeep(metrics: Arc<Metrics>, lifecycle: Lifecycle) {
    let mut ticks = tokio::time::interval(UPKEEP);
    while lifecycle.stop.run_until_cancelled(ticks.tick()).await.is_some() {
        metrics.upkeep();
    }
}

/// Raises the limit of descriptors as far as the system lets us, and says what it is.
fn raise_descriptors() -> u64 {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // Not allowed to raise it, we work within what there is.
    let _: io::Result<()> = setrlimit(Resource::Nofile, limit).map_err(Into::into);
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;

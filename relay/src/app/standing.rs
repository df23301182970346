//! Watches how far the relay is from normal, and tells: a metric, a log line, and a frame to every client.

use std::sync::Arc;
use std::time::Duration;

use relay_protocol::{Chunk, Encoding};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use crate::bus::BusHealth;
use crate::lifecycle::Lifecycle;
use crate::resilience::{Dependencies, Dependency, Health, Level, Overload, PROCESSOR, SELF, Standing};
use crate::router::Router;
use crate::server::Admission;
use crate::telemetry::metrics::Metrics;

/// How often it is looked at.
const PERIOD: Duration = Duration::from_millis(250);
/// How long it must be better before that is told, so that clients do not hear of each stumble on the way back.
const STEADY: Duration = Duration::from_secs(2);

/// What operators read while Redis evicts.
const EVICTS: &str = "its maxmemory-policy is not noeviction: accepted messages of qos 1 may be forgotten";

/// Tells how Redis does.
pub(super) struct RedisProbe {
    /// Whether it answers.
    pub(super) health: Box<dyn Fn() -> Health + Send + Sync>,
    /// Whether it forgets what is stored when its memory is full.
    pub(super) evicts: Box<dyn Fn() -> bool + Send + Sync>,
}

/// What the relay leans on, and what happens while it does not do its part.
pub(super) fn dependencies(
    redis: Option<RedisProbe>,
    router: &Arc<Router>,
    key_servers: Option<impl Fn() -> Health + Send + Sync + 'static>,
    admission: &Arc<Admission>,
    overload: &Arc<Overload>,
) -> Dependencies {
    let mut all = Vec::new();
    if let Some(probe) = redis {
        let meanwhile = "agents of this instance reach each other; sends elsewhere fail with unavailable";
        let redis = Dependency::new("redis", &["other_instances", "topics"], meanwhile, probe.health);
        all.push(redis.warning(EVICTS, probe.evicts));
        let router = Arc::clone(router);
        let deaf = move || if router.bus_health() == BusHealth::Deaf { Health::Down } else { Health::Well };
        let meanwhile =
            "nothing from other instances arrives; the instance is not ready and clients go elsewhere";
        all.push(Dependency::new("subscriptions", &["other_instances", "topics"], meanwhile, deaf));
    }
    if let Some(probe) = key_servers {
        let meanwhile = "tokens whose key is at hand are taken; others are refused with 4105";
        all.push(Dependency::new("key_servers", &["sign_in"], meanwhile, probe));
    }
    let admission = Arc::clone(admission);
    let full = move || if admission.connections_left() == 0 { Health::Down } else { Health::Well };
    let meanwhile = "connections are kept; further ones are refused with 503";
    all.push(Dependency::new(SELF, &["connections"], meanwhile, full));
    let overload = Arc::clone(overload);
    let late = move || if overload.sheds() { Health::Down } else { Health::Well };
    let meanwhile = "a part of sends is refused with saturated, those in lane high last; all else is done";
    all.push(Dependency::new(PROCESSOR, &["sends"], meanwhile, late));
    Dependencies::new(all)
}

/// Begins to watch; tells how it all stands.
pub(super) fn begin(
    dependencies: &Dependencies,
    router: &Arc<Router>,
    metrics: &Arc<Metrics>,
    lifecycle: &Lifecycle,
) -> watch::Receiver<Standing> {
    let (told, standing) = watch::channel(Standing::NORMAL);
    let (router, metrics, stop) = (Arc::clone(router), Arc::clone(metrics), lifecycle.stop.clone());
    lifecycle.services.spawn(watch(dependencies.clone(), told, router, metrics, stop));
    standing
}

/// Watches until `stop`.
async fn watch(
    dependencies: Dependencies,
    told: watch::Sender<Standing>,
    router: Arc<Router>,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
) {
    let mut ticks = tokio::time::interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut better_since = None;
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        count(&dependencies, &metrics);
        let now = dependencies.standing();
        let before = told.borrow().clone();
        if now.level < before.level && better_since.get_or_insert_with(Instant::now).elapsed() < STEADY {
            continue;
        }
        if now.level >= before.level {
            better_since = None;
        }
        if now != before {
            better_since = None;
            metrics.level.set(f64::from(now.level.number()));
            // Before it is told: who comes meanwhile hears it behind `welcome`.
            told.send_replace(now.clone());
            tell(&now, &router);
        }
    }
}

fn count(dependencies: &Dependencies, metrics: &Metrics) {
    for (dependency, health) in dependencies.each() {
        metrics.dependency(dependency.name).set(match health {
            Health::Well => 1.0,
            Health::Slow => 0.5,
            Health::Down => 0.0,
        });
        if dependency.name == "redis" {
            metrics.redis_evicts.set(if dependency.warns().is_some() { 1.0 } else { 0.0 });
        }
    }
}

fn tell(standing: &Standing, router: &Router) {
    if standing.level == Level::Normal {
        tracing::info!(level = %standing.level, "everything works");
    } else {
        tracing::warn!(level = %standing.level, reduced = ?standing.reduced, "degraded");
    }
    let frame = standing.frame();
    let [json, msgpack] = [Encoding::Json, Encoding::Msgpack].map(|encoding| Chunk::of(&frame, encoding));
    router.tell_all(|encoding| match encoding {
        Encoding::Json => json.clone(),
        Encoding::Msgpack => msgpack.clone(),
    });
}

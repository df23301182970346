//! One relay, made of its own parts, that can be ended in the middle of anything.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::Context as _;
use relay::auth::credulous::Credulous;
use relay::bus::faulty::FaultyBus;
use relay::bus::{Bus as _, BusHealth, Channel, InstanceId, SharedBus};
use relay::directory::SharedDirectory;
use relay::lifecycle::Lifecycle;
use relay::limits::Limits;
use relay::presence::Presence;
use relay::quota::memory::MemoryQuota;
use relay::resilience::{Overload, Standing};
use relay::router::{Router, RouterSettings};
use relay::session::{Returns, SessionContext, SessionSettings, Upgraded, serve};
use relay::streams::SharedStreams;
use relay::streams::faulty::FaultyStreams;
use relay::telemetry::metrics::Metrics;
use relay_protocol::Encoding;
use tokio::io::DuplexStream;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::directory::Mortal;
use crate::grounds::Grounds;
use crate::socket::Local;
use crate::spoiled_bus::SpoiledBus;

/// Batches that wait to be dispatched, as in a relay.
const EVENTS_MAX: usize = 1_024;
/// How long the outcome of a send elsewhere is waited for, and a route is used.
const OUTCOME_TIMEOUT: Duration = Duration::from_secs(2);
const ROUTE_TTL: Duration = Duration::from_secs(10);
/// What a relay may take to leave.
const LEAVE_PATIENCE: Duration = Duration::from_secs(8);
/// How long the entries of an instance that is gone are believed: its lease.
const LEASE: Duration = Duration::from_secs(3);

/// A relay.
#[derive(Debug)]
pub(crate) struct Instance {
    pub(crate) number: u64,
    /// Cancelled at its sudden end: what is on its sockets is lost.
    pub(crate) dead: CancellationToken,
    context: Arc<SessionContext>,
    bus: Arc<FaultyBus>,
    streams: Arc<FaultyStreams>,
    directory: Arc<Mortal>,
    lifecycle: Lifecycle,
    _standing: watch::Sender<Standing>,
}

impl Instance {
    pub(crate) async fn start(grounds: &Grounds, number: u64) -> anyhow::Result<Instance> {
        let id = InstanceId::parse(&format!("instance-{number}")).context("name")?;
        let lifecycle = Lifecycle::default();
        let (tracker, errands, stop) = (&lifecycle.services, &lifecycle.errands, &lifecycle.stop);
        let (metrics, weather) = (Metrics::new()?, &grounds.weather);
        let seed = u64::from(grounds.plan.seed) << 16 | number << 1;
        let (joined, events) = grounds.hub.join(EVENTS_MAX);
        let inner: SharedBus = match &grounds.spoiling {
            Some(spoiling) => SpoiledBus::new(joined, spoiling),
            None => joined,
        };
        let (bus, events) = FaultyBus::new((inner, events), weather.bus, seed, EVENTS_MAX, tracker, stop);
        let streams = FaultyStreams::new(&grounds.shelf, weather.streams, seed + 1, grounds.tracker.clone());
        if grounds.calm.load(Ordering::Relaxed) {
            bus.calm_down();
            streams.calm_down();
        }
        for channel in [Channel::inbox(&id), Channel::fleet()] {
            // The wish stands in any case.
            let _ = bus.subscribe(&channel).await;
        }
        let directory = Mortal::new(grounds.directories.join(id.clone()));
        let shared: SharedDirectory = Arc::<Mortal>::clone(&directory);
        let settings =
            RouterSettings { outcome_timeout: OUTCOME_TIMEOUT, route_ttl: ROUTE_TTL, grace: weather.grace };
        let router = Router::new(
            id,
            Arc::<FaultyBus>::clone(&bus),
            Arc::clone(&shared),
            Arc::<FaultyStreams>::clone(&streams) as SharedStreams,
            Arc::clone(&metrics),
            errands.clone(),
            settings,
        );
        tracker.spawn(Arc::clone(&router).run(events, stop.clone()));
        tracker.spawn(Arc::clone(&router).sweep(stop.clone()));
        tracker.spawn(Arc::clone(&router).speak(stop.clone()));
        tracker.spawn(Arc::clone(&router).tell_of_unread(stop.clone()));
        let grace = Duration::from_millis(grounds.config.session.presence_grace_ms);
        let presence = Presence::new(shared, Arc::clone(&metrics), errands.clone(), grace);
        let quotas = Arc::new(MemoryQuota::default());
        let limits = Limits::new(&grounds.config.limits, &grounds.config.scopes, quotas, &metrics);
        let standing = watch::Sender::new(Standing::NORMAL);
        let context = Arc::new(SessionContext {
            router,
            presence,
            limits,
            authenticator: Arc::new(Credulous),
            overload: Overload::new(None, &metrics),
            metrics,
            tracker: errands.clone(),
            standing: standing.subscribe(),
            drain: lifecycle.drain.clone(),
            returns: Returns::default(),
            settings: SessionSettings::new(&grounds.config),
        });
        let dead = CancellationToken::new();
        Ok(Instance { number, dead, context, bus, streams, directory, lifecycle, _standing: standing })
    }

    /// The client's end of a connection whose upgrade is done, with so many bytes of room each way.
    pub(crate) fn accept(&self, encoding: Encoding, room: usize) -> anyhow::Result<DuplexStream> {
        let (near, far) = tokio::io::duplex(room);
        let place = self.context.limits.address(Ipv4Addr::LOCALHOST.into());
        let upgraded = Box::new(Upgraded {
            socket: Local(far),
            encoding,
            token: None,
            place: place.map_err(|limit| anyhow::anyhow!("{limit:?}"))?,
            unauthenticated: (),
            since: Instant::now(),
        });
        self.lifecycle.sessions.spawn(serve(Arc::clone(&self.context), upgraded));
        Ok(near)
    }

    /// Ends it at once: nothing that it does from here on has an effect, and what it holds is lost.
    pub(crate) fn crash(&self, grounds: &Grounds) {
        self.dead.cancel();
        self.bus.set_health(BusHealth::Down);
        self.streams.set_away(true);
        self.lifecycle.stop.cancel();
        self.expire(grounds);
    }

    /// Lets it take its leave, as on SIGTERM.
    pub(crate) async fn leave(&self, grounds: &Grounds) {
        self.lifecycle.drain.cancel();
        self.context.router.close_all(|| self.context.leave_signal());
        // With what has not ended by then it is as with a crash.
        let _ = self.lifecycle.end(LEAVE_PATIENCE).await;
        self.crash(grounds);
    }

    fn expire(&self, grounds: &Grounds) {
        let lease = self.directory.end();
        grounds.tracker.spawn(async move {
            tokio::time::sleep(LEASE).await;
            drop(lease);
        });
    }

    /// Cuts it off from the others, or makes it deaf, or ends that.
    pub(crate) fn set_bus(&self, health: BusHealth) {
        self.bus.set_health(health);
    }

    /// Takes the store away from it, or gives it back.
    pub(crate) fn set_store_away(&self, away: bool) {
        self.streams.set_away(away);
    }

    /// Lets nothing go wrong any more.
    pub(crate) fn calm_down(&self) {
        self.bus.calm_down();
        self.streams.calm_down();
    }
}

//! What the router costs a message between queues, without sockets: on one instance, to another by the bus in memory, and
//! through a topic.

#![expect(clippy::unwrap_used, reason = "a benchmark has no one to tell")]

use std::sync::Arc;
use std::time::Duration;

use divan::Bencher;
use divan::counter::ItemsCount;
use relay::bus::memory::MemoryHub;
use relay::bus::{Bus as _, Channel, InstanceId};
use relay::directory::OwnEntry;
use relay::directory::memory::MemoryDirectoryHub;
use relay::outbound::{Bounds, Outbound, Settlement};
use relay::router::{Outgoing, Registration, Router, RouterSettings, Turn};
use relay::streams::StreamSettings;
use relay::streams::memory::MemoryStreams;
use relay::telemetry::metrics::Metrics;
use relay_protocol::client::{Lane, ReceiptMode};
use relay_protocol::server::Message;
use relay_protocol::{Address, Encoding, Payload, ServerFrame};
use tokio::runtime::Runtime;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

fn main() {
    divan::main();
}

/// Messages that a turn of a session carries: one, and all that a WebSocket message may hold by a client's habit.
const TURNS: [usize; 2] = [1, 64];
const SUBSCRIBERS: [usize; 3] = [10, 100, 1_000];
const TOPIC: &str = "bench";
const BOUNDS: Bounds = Bounds { messages: 4_096, bytes: 1 << 20 };
const EVENTS_MAX: usize = 1 << 12;
const HOUR: Duration = Duration::from_hours(1);

/// Two instances on one bus, in one thread.
struct Fleet {
    runtime: Runtime,
    routers: Vec<Arc<Router>>,
    metrics: Arc<Metrics>,
}

/// An agent's session without a socket. It is dropped where tasks can be spawned, as its end is announced by one.
struct Session {
    registration: Registration,
    outbound: Arc<Outbound>,
    payload: String,
}

impl Fleet {
    fn start() -> Fleet {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let metrics = Metrics::new().unwrap();
        let routers = runtime.block_on(async {
            let (tracker, stop) = (TaskTracker::new(), CancellationToken::new());
            let (hub, directories) =
                (MemoryHub::new(tracker.clone(), stop.clone()), MemoryDirectoryHub::new());
            let streams = MemoryStreams::new(StreamSettings {
                messages: 1,
                bytes: 1,
                age: HOUR,
                grace: HOUR,
                topics: 1,
            });
            let mut routers = Vec::new();
            for number in 0..2 {
                let instance = InstanceId::parse(&format!("instance-{number}")).unwrap();
                let (bus, events) = hub.join(EVENTS_MAX);
                for channel in [Channel::inbox(&instance), Channel::fleet()] {
                    bus.subscribe(&channel).await.unwrap();
                }
                let settings = RouterSettings { outcome_timeout: HOUR, route_ttl: HOUR, grace: HOUR };
                let directory = directories.join(instance.clone());
                let (metrics, streams) = (Arc::clone(&metrics), streams.clone());
                let router =
                    Router::new(instance, bus, directory, streams, metrics, tracker.clone(), settings);
                tracker.spawn(Arc::clone(&router).run(events, stop.clone()));
                routers.push(router);
            }
            routers
        });
        Fleet { runtime, routers, metrics }
    }

    fn join(&self, instance: usize, agent: &str) -> Session {
        let outbound = Arc::new(Outbound::new(Encoding::Json, BOUNDS));
        let entry = OwnEntry {
            tenant: "acme".into(),
            agent: agent.into(),
            session: format!("{agent}~{}", "s".repeat(22)).into(),
            generation: 1,
            about: None,
        };
        let enter = Registration::enter(&self.routers[instance], entry, None, Arc::clone(&outbound));
        let (registration, _) = self.runtime.block_on(enter);
        Session { registration, outbound, payload: format!("\"{}\"", "x".repeat(128)) }
    }

    /// Sends `count` messages in one turn, and waits until each has its outcome.
    async fn send(&self, from: &Session, to: &str, count: usize) {
        let message = ServerFrame::Message(from.message(to));
        let outgoing = Outgoing {
            frame: &message,
            encoding: Encoding::Json,
            taken_at: Instant::now(),
            expires_in_ms: None,
        };
        let mut turn = Turn::default();
        for id in 0..count as u64 {
            let duty = || Settlement::new(&from.outbound, &self.metrics, id, ReceiptMode::Failure);
            from.registration.route(&outgoing, &mut turn, duty);
        }
        turn.end(&self.metrics);
        while from.outbound.in_flight() > 0 {
            tokio::task::yield_now().await;
        }
    }
}

impl Session {
    fn message<'m>(&'m self, to: &'m str) -> Message<'m> {
        Message {
            from: Address::parse("agent/sender".into()).unwrap(),
            session: Address::parse(format!("session/sender~{}", "s".repeat(22)).into()).unwrap(),
            to: Address::parse(to.into()).unwrap(),
            ts: 0,
            payload: Payload::Json(self.payload.as_str().into()),
            mid: None,
            reply_to: None,
            correlation_id: None,
            deadline_ms: None,
            lane: Lane::Normal,
            key: None,
            headers: Vec::new(),
            position: None,
            redelivered: false,
        }
    }

    /// Takes what waits, as the session's own turn would; says how many messages it was.
    fn take(&self) -> usize {
        let items = self.outbound.take(usize::MAX, usize::MAX).items;
        items.iter().map(|item| item.chunk.frames as usize).sum()
    }
}

fn direct(bencher: Bencher<'_, '_>, instance: usize, count: usize) {
    let fleet = Fleet::start();
    let _entered = fleet.runtime.enter();
    let (sender, recipient) = (fleet.join(0, "sender"), fleet.join(instance, "recipient"));
    bencher.counter(ItemsCount::new(count)).bench_local(|| {
        fleet.runtime.block_on(fleet.send(&sender, "agent/recipient", count));
        assert_eq!(recipient.take(), count);
        sender.take()
    });
}

#[divan::bench(args = TURNS)]
fn on_one_instance(bencher: Bencher<'_, '_>, count: usize) {
    direct(bencher, 0, count);
}

#[divan::bench(args = TURNS)]
fn to_another_instance(bencher: Bencher<'_, '_>, count: usize) {
    direct(bencher, 1, count);
}

#[divan::bench(args = SUBSCRIBERS)]
fn to_subscribers_of_a_topic(bencher: Bencher<'_, '_>, count: usize) {
    let fleet = Fleet::start();
    let _entered = fleet.runtime.enter();
    let sender = fleet.join(0, "sender");
    let subscribers: Vec<Session> =
        (0..count).map(|number| fleet.join(0, &format!("agent-{number}"))).collect();
    for subscriber in &subscribers {
        fleet.runtime.block_on(subscriber.registration.subscribe(&TOPIC.into())).unwrap();
    }
    let topic = format!("topic/{TOPIC}");
    bencher.counter(ItemsCount::new(count)).bench_local(|| {
        fleet.runtime.block_on(async {
            fleet.send(&sender, &topic, 1).await;
            for subscriber in &subscribers {
                while subscriber.take() == 0 {
                    tokio::task::yield_now().await;
                }
            }
        });
        sender.take()
    });
}

//! Instances on one bus with faults, and agents on them without sockets.

use std::sync::Arc;
use std::time::Duration;

use relay_protocol::client::{Lane, ReceiptMode};
use relay_protocol::server::{Message, ServerFrame};
use relay_protocol::{Address, Data, Encoding, Payload, decode_server};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::ledger::{Ledger, Mark};
use crate::bus::faulty::{Faults, FaultyBus};
use crate::bus::memory::MemoryHub;
use crate::bus::{Bus as _, Channel, InstanceId};
use crate::directory::OwnEntry;
use crate::directory::memory::MemoryDirectoryHub;
use crate::outbound::{Bounds, Outbound, Settlement};
use crate::router::{Outgoing, Registration, Routed, Router, RouterSettings, Turn};
use crate::streams::StreamSettings;
use crate::streams::memory::MemoryStreams;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::outcome::Outcome;

pub(super) const OUTCOME_TIMEOUT: Duration = Duration::from_secs(1);
const GRACE: Duration = Duration::from_mins(2);
const EVENTS_MAX: usize = 1 << 12;
const FRAMES_MAX: usize = 1 << 12;
/// No queue is to be full here: what is refused is the bus's doing.
const BOUNDS: Bounds = Bounds { messages: 1 << 20, bytes: 1 << 30 };

/// Some instances.
pub(super) struct Fleet {
    pub(super) buses: Vec<Arc<FaultyBus>>,
    pub(super) routers: Vec<Arc<Router>>,
    metrics: Arc<Metrics>,
    tracker: TaskTracker,
    stop: CancellationToken,
    sessions: u32,
}

/// An agent's session on one of them.
pub(super) struct Session {
    pub(super) name: Arc<str>,
    registration: Registration,
    outbound: Arc<Outbound>,
    agent: Address<'static>,
    address: Address<'static>,
}

impl Fleet {
    /// Two instances.
    pub(super) async fn new(faults: Faults, seed: u64) -> Fleet {
        Fleet::of(2, faults, seed).await
    }

    pub(super) async fn of(instances: u64, faults: Faults, seed: u64) -> Fleet {
        let (tracker, stop) = (TaskTracker::new(), CancellationToken::new());
        let hub = MemoryHub::new(tracker.clone(), stop.clone());
        let directories = MemoryDirectoryHub::new();
        let settings = StreamSettings {
            messages: 1 << 20,
            bytes: 1 << 30,
            age: Duration::from_hours(1),
            grace: GRACE,
            topics: 1_000,
        };
        let streams = MemoryStreams::new(settings);
        let metrics = Metrics::new().unwrap();
        let (mut buses, mut routers) = (Vec::new(), Vec::new());
        for number in 0..instances {
            let instance = InstanceId::parse(&format!("instance-{number}")).unwrap();
            let (inner, events) = hub.join(EVENTS_MAX);
            let own_seed = seed << 1 | number;
            let (bus, events) =
                FaultyBus::new((inner, events), faults, own_seed, EVENTS_MAX, &tracker, &stop);
            for channel in [Channel::inbox(&instance), Channel::fleet()] {
                bus.subscribe(&channel).await.unwrap();
            }
            let settings = RouterSettings {
                outcome_timeout: OUTCOME_TIMEOUT,
                route_ttl: Duration::from_secs(10),
                grace: GRACE,
            };
            let directory = directories.join(instance.clone());
            let shared = Arc::clone(&bus);
            let router = Router::new(
                instance,
                shared,
                directory,
                streams.clone(),
                metrics.clone(),
                tracker.clone(),
                settings,
            );
            tracker.spawn(Arc::clone(&router).run(events, stop.clone()));
            tracker.spawn(Arc::clone(&router).sweep(stop.clone()));
            buses.push(bus);
            routers.push(router);
        }
        Fleet { buses, routers, metrics, tracker, stop, sessions: 0 }
    }

    /// A further session of `agent`, on one of the instances.
    pub(super) async fn join(&mut self, instance: usize, agent: &str) -> Session {
        self.sessions += 1;
        let name: Arc<str> = format!("{agent}~{:022}", self.sessions).into();
        let outbound = Arc::new(Outbound::new(Encoding::Json, BOUNDS));
        let entry = OwnEntry {
            tenant: "acme".into(),
            agent: agent.into(),
            session: Arc::clone(&name),
            generation: 1,
            about: None,
        };
        let router = &self.routers[instance];
        let (registration, _) = Registration::enter(router, entry, None, Arc::clone(&outbound)).await;
        let (agent, address) = (address(&format!("agent/{agent}")), address(&format!("session/{name}")));
        Session { name, registration, outbound, agent, address }
    }

    /// Batches that all instances have published.
    pub(super) fn batches(&self) -> u64 {
        let page = self.metrics.render();
        let line = page.lines().find_map(|line| line.strip_prefix("relay_bus_batches_published_total "));
        line.map_or(0, |count| count.parse().unwrap())
    }

    pub(super) async fn end(self) {
        self.stop.cancel();
        self.tracker.close();
        self.tracker.wait().await;
    }

    /// Sends message `id` to `to`.
    pub(super) fn send(&self, session: &Session, id: u64, to: &str, ledger: &mut Ledger) {
        ledger.sent(&session.name, id, to);
        let message = ServerFrame::Message(Message {
            from: session.agent.borrowed(),
            session: session.address.borrowed(),
            to: address(to),
            ts: 0,
            payload: Payload::Json(id.to_string().into()),
            mid: None,
            reply_to: None,
            correlation_id: None,
            deadline_ms: None,
            lane: Lane::Normal,
            key: None,
            headers: Vec::new(),
            position: None,
            redelivered: false,
        });
        let outgoing = Outgoing {
            frame: &message,
            encoding: Encoding::Json,
            taken_at: Instant::now(),
            expires_in_ms: None,
        };
        let mut turn = Turn::default();
        let duty = || Settlement::new(&session.outbound, &self.metrics, id, ReceiptMode::All);
        if let Routed::Settled(outcome) = session.registration.route(&outgoing, &mut turn, duty) {
            ledger.settled(&session.name, id, outcome.into());
        }
        turn.end(&self.metrics);
    }
}

impl Session {
    pub(super) async fn subscribe(&self, pattern: &str) {
        // What is said of the wish while the bus is away is no matter here; it is kept.
        let _ = self.registration.subscribe(&pattern.into()).await;
    }

    pub(super) async fn join_group(&mut self, group: &str) {
        self.registration.join_group(&group.into()).await.unwrap();
    }

    /// Grants so many messages, however large.
    pub(super) fn grant(&self, messages: u64) {
        self.outbound.grant(messages, u64::MAX);
    }

    /// Ends it without writing what waits, as the task of a broken socket does.
    pub(super) fn break_off(self) {
        self.registration.withdraw();
        self.registration.hand_on(self.outbound.abandon().jobs);
    }

    /// Sends of it that have no outcome yet.
    pub(super) fn in_flight(&self) -> u32 {
        self.outbound.in_flight()
    }

    /// Takes all that waits, as the task of a socket would.
    pub(super) fn drain(&self, ledger: &mut Ledger) {
        let taken = self.outbound.take(usize::MAX, usize::MAX);
        for item in taken.items {
            decode_server(Data::new(Encoding::Json, &item.chunk.bytes).unwrap(), FRAMES_MAX, |frame| {
                let Ok(ServerFrame::Message(message)) = frame else { panic!("{frame:?} in line") };
                let Payload::Json(text) = &message.payload else { panic!("{:?}", message.payload) };
                ledger.came(&self.name, message.session.name(), text.parse().unwrap());
            })
            .unwrap();
            if let Some(job) = item.job {
                job.settlement.settle(Outcome::Queued);
            }
        }
        taken.told.frames(std::iter::empty(), |frame| match frame {
            ServerFrame::Gap { .. } => ledger.gap(&self.name),
            ServerFrame::Receipt(receipt) => {
                for (ranges, mark) in [
                    (&receipt.queued, Mark::Queued),
                    (&receipt.accepted, Mark::Accepted),
                    (&receipt.unknown, Mark::Unknown),
                ] {
                    for id in ranges.iter().flat_map(|(first, last)| *first..=*last) {
                        ledger.settled(&self.name, id, mark);
                    }
                }
                for failed in &receipt.failed {
                    failed.each_id().for_each(|id| ledger.settled(&self.name, id, Mark::Failed));
                }
            }
            other => panic!("{other:?} is told"),
        });
    }
}

fn address(text: &str) -> Address<'static> {
    Address::parse(text.to_owned().into()).unwrap()
}

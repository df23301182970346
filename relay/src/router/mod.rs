//! Decides who gets a message: sessions here, an instance elsewhere, or a topic's channel.
//!
//! The router never sees a session. It holds the *queues* of sessions and never waits: a push that does not fit is
//! refused, a lookup that takes time holds the message and not the sender. What the bus brings comes through
//! [`Router::run`], the one reader of its events.

mod barrier;
mod board;
mod caller;
mod delivery;
mod direct;
mod disconnect;
mod dispatch;
mod envelope;
mod feed;
mod groups;
mod hands;
mod held;
mod jobs;
mod link;
mod load;
mod outbox;
mod parcel;
mod publish;
mod readers;
mod receipts;
mod recheck;
mod registration;
mod route;
mod storing;
mod sweep;
mod tenant;
mod topics;
mod turn;
mod unread;
mod work;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use dashmap::DashMap;
use tokio_util::task::TaskTracker;

use crate::bus::InstanceId;
use crate::bus::SharedBus;
use crate::directory::SharedDirectory;
use crate::entropy::Keys;
use crate::streams::SharedStreams;
use crate::telemetry::metrics::Metrics;

pub use caller::Caller;
pub use direct::{Outgoing, Routed};
pub use feed::{Entry, Next, Seat};
pub use groups::NotJoined;
pub use readers::Acks;
pub use recheck::Concerned;
pub use registration::Registration;
pub use tenant::Tenant;
pub use topics::NotSubscribed;
pub use turn::Turn;

use link::Link;
use outbox::Outbox;
use receipts::Keeping;
use tenant::Names;

/// Decides who gets a message.
#[derive(Debug)]
pub struct Router {
    instance: InstanceId,
    tenants: Names<Arc<Tenant>>,
    links: DashMap<InstanceId, Arc<Link>, Keys>,
    /// News for every instance.
    fleet: Outbox,
    keeping: Keeping,
    connections: AtomicU64,
    bus: SharedBus,
    directory: SharedDirectory,
    streams: SharedStreams,
    metrics: Arc<Metrics>,
    tracker: TaskTracker,
    settings: RouterSettings,
}

/// What an operator chose for routing.
#[derive(Debug, Clone, Copy)]
pub struct RouterSettings {
    /// How long the report of another instance is waited for before an outcome is `unknown`.
    pub outcome_timeout: Duration,
    /// How long a route may be used without asking again.
    pub route_ttl: Duration,
    /// How long a session outlives its connection.
    pub grace: Duration,
}

impl Router {
    /// A router of `instance`. Its tasks run on `tracker`.
    pub fn new(
        instance: InstanceId,
        bus: SharedBus,
        directory: SharedDirectory,
        streams: SharedStreams,
        metrics: Arc<Metrics>,
        tracker: TaskTracker,
        settings: RouterSettings,
    ) -> Arc<Router> {
        Arc::new(Router {
            instance,
            tenants: Names::default(),
            links: DashMap::default(),
            fleet: Outbox::default(),
            keeping: Keeping::default(),
            connections: AtomicU64::new(0),
            bus,
            directory,
            streams,
            metrics,
            tracker,
            settings,
        })
    }

    /// This instance.
    pub fn instance(&self) -> &InstanceId {
        &self.instance
    }

    /// Where messages at `qos` 1 are stored.
    pub fn streams(&self) -> &SharedStreams {
        &self.streams
    }

    /// How the bus stands.
    pub fn bus_health(&self) -> crate::bus::BusHealth {
        self.bus.health()
    }

    /// The way to another instance.
    fn link(&self, peer: &InstanceId) -> Arc<Link> {
        if let Some(link) = self.links.get(peer) {
            return Arc::clone(&link);
        }
        let new = || Arc::new(Link::new(peer.clone(), link::first_number()));
        Arc::clone(&self.links.entry(peer.clone()).or_insert_with(new))
    }
}

#[cfg(test)]
mod tests;

//! A bus over Redis pub/sub: one connection publishes (the one for commands), another is subscribed. On a Cluster pub/sub
//! is sharded, and each node that holds slots has a subscribed connection (`shards`).
//!
//! ```text
//! publish ──> Commands ──> Redis ──> broadcast ──> read loop ──> Outlet ──> BusEvents
//!                                        subscribe ──> Wishes ──> Keeper ──> (S)SUBSCRIBE, and proof
//! ```
//!
//! fred is relied on for the wire and for connecting again. What is subscribed is ours to know (`wishes`), to restore and
//! to prove (`reconcile`), and that anything comes back is ours to notice (`probe`). Needs Redis 6.2, whose `CLIENT INFO`
//! tells a connection what it is subscribed to; as a Cluster 7.0.3, which counts sharded channels there.

mod counters;
mod probe;
mod publish;
mod reconcile;
mod shards;
mod subscribe;
#[cfg(test)]
mod tests;
mod wishes;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;

use crate::bus::outlet::Outlet;
use crate::bus::{Bus, BusEvents, BusHealth, Channel, InstanceId, PublishError, SubscribeError};
use crate::redis::{Commands, Redis};

pub use counters::BusCounters;

use shards::Shards;

/// How long [`RedisBus::connect`] waits until it can subscribe before it goes on without.
const FIRST_SUBSCRIPTION: Duration = Duration::from_secs(2);

/// The bus of one instance.
#[derive(Debug)]
pub struct RedisBus {
    commands: Commands,
    shards: Arc<Shards>,
    counters: Arc<BusCounters>,
}

impl RedisBus {
    /// The bus of `instance`, and what comes out of it: at most `events_max` events wait, more are a gap. While Redis
    /// cannot be reached it is [`BusHealth::Down`] and tries on, until the token of `redis` ends it.
    pub async fn connect(
        redis: &Redis,
        instance: &InstanceId,
        events_max: usize,
    ) -> (Arc<RedisBus>, BusEvents) {
        let (tracker, token) = (redis.tracker(), redis.token());
        let (outlet, events) = Outlet::new(events_max, tracker.clone(), token.clone());
        let counters = Arc::new(BusCounters::new(outlet.clone()));
        let shards = Shards::new(redis, instance, outlet, counters.clone());
        let opened = shards.open();

        // While Redis is away nothing is worth waiting for.
        let hears =
            redis.reachable() && tokio::time::timeout(FIRST_SUBSCRIPTION, opened).await.unwrap_or(false);
        if !hears {
            tracing::warn!("nothing can be received from Redis yet; trying on");
        }
        let commands = redis.commands().clone();
        (Arc::new(RedisBus { commands, shards, counters }), events)
    }

    /// What happened on this bus so far.
    pub fn counters(&self) -> &Arc<BusCounters> {
        &self.counters
    }
}

impl Bus for RedisBus {
    fn publish(&self, channel: &Channel, batch: Bytes) -> BoxFuture<'static, Result<u64, PublishError>> {
        publish::publish(&self.commands, channel, batch)
    }

    fn subscribe(&self, channel: &Channel) -> BoxFuture<'static, Result<(), SubscribeError>> {
        Box::pin(self.shards.wish(channel))
    }

    fn unsubscribe(&self, channel: &Channel) {
        self.shards.take_back(channel);
    }

    fn health(&self) -> BusHealth {
        if !self.commands.link().reachable() {
            BusHealth::Down
        } else if self.shards.deaf() {
            BusHealth::Deaf
        } else {
            BusHealth::Up
        }
    }
}

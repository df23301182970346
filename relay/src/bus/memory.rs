//! A bus inside one process: the whole bus of a relay without Redis, and what tests put several instances on.
//!
//! Publishing is a look-up and a send for each subscriber. A subscriber without room is waited for a while: that is how a
//! publisher in the same process learns to put more into a batch. Nothing is copied: every subscriber gets the same bytes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ahash::{HashSet, RandomState};
use bytes::Bytes;
use dashmap::DashMap;
use futures_util::future::{self, BoxFuture, FutureExt as _};
use parking_lot::Mutex;
use smallvec::SmallVec;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::bus::outlet::Outlet;
use crate::bus::{Bus, BusEvents, BusHealth, Channel, PublishError, SubscribeError};

/// How long a publish waits for a subscriber without room before the batch is lost to it. Longer than any turn of a
/// healthy process; shorter than a sender waits for its outcome.
const PATIENCE: Duration = Duration::from_secs(1);

/// What the buses of one process meet on.
#[derive(Debug)]
pub struct MemoryHub {
    subscribers: DashMap<Channel, SmallVec<[Subscriber; 1]>, RandomState>,
    buses: AtomicU64,
    tracker: TaskTracker,
    token: CancellationToken,
}

#[derive(Debug)]
struct Subscriber {
    bus: u64,
    outlet: Outlet,
}

impl MemoryHub {
    /// A hub without buses. Its only tasks are those that wait to tell a slow receiver of a gap.
    pub fn new(tracker: TaskTracker, token: CancellationToken) -> Arc<MemoryHub> {
        let (subscribers, buses) = (DashMap::default(), AtomicU64::new(0));
        Arc::new(MemoryHub { subscribers, buses, tracker, token })
    }

    /// The bus of one instance, and what comes out of it: at most `events_max` events wait, more are a gap.
    pub fn join(self: &Arc<Self>, events_max: usize) -> (Arc<MemoryBus>, BusEvents) {
        let (outlet, events) = Outlet::new(events_max, self.tracker.clone(), self.token.clone());
        let number = self.buses.fetch_add(1, Ordering::Relaxed);
        let bus = MemoryBus { hub: self.clone(), number, outlet, channels: Mutex::default() };
        (Arc::new(bus), events)
    }
}

/// The bus of one instance on a [`MemoryHub`]. Dropping it ends its subscriptions.
#[derive(Debug)]
pub struct MemoryBus {
    hub: Arc<MemoryHub>,
    number: u64,
    outlet: Outlet,
    channels: Mutex<HashSet<Channel>>,
}

impl MemoryBus {
    /// How many batches were lost because what comes out of this bus was not taken in time.
    pub fn lagged(&self) -> u64 {
        self.outlet.lagged_total()
    }

    fn leave(&self, channel: &Channel) {
        self.hub.subscribers.remove_if_mut(channel, |_, subscribers| {
            subscribers.retain(|subscriber| subscriber.bus != self.number);
            subscribers.is_empty()
        });
    }
}

impl Bus for MemoryBus {
    fn publish(&self, channel: &Channel, batch: Bytes) -> BoxFuture<'static, Result<u64, PublishError>> {
        let mut receivers = 0;
        let mut busy: SmallVec<[Outlet; 1]> = SmallVec::new();
        if let Some(subscribers) = self.hub.subscribers.get(channel) {
            for Subscriber { outlet, .. } in subscribers.iter() {
                if outlet.has_room() {
                    receivers += u64::from(outlet.batch(channel.clone(), batch.clone()));
                } else {
                    busy.push(outlet.clone());
                }
            }
        }
        if busy.is_empty() {
            return future::ready(Ok(receivers)).boxed();
        }
        let channel = channel.clone();
        async move {
            for outlet in busy {
                receivers += u64::from(outlet.batch_within(PATIENCE, channel.clone(), batch.clone()).await);
            }
            Ok(receivers)
        }
        .boxed()
    }

    fn subscribe(&self, channel: &Channel) -> BoxFuture<'static, Result<(), SubscribeError>> {
        let mut channels = self.channels.lock();
        if channels.insert(channel.clone()) {
            let subscriber = Subscriber { bus: self.number, outlet: self.outlet.clone() };
            self.hub.subscribers.entry(channel.clone()).or_default().push(subscriber);
        }
        future::ready(Ok(())).boxed()
    }

    fn unsubscribe(&self, channel: &Channel) {
        let mut channels = self.channels.lock();
        if channels.remove(channel) {
            self.leave(channel);
        }
    }

    fn health(&self) -> BusHealth {
        BusHealth::Up
    }
}

impl Drop for MemoryBus {
    fn drop(&mut self) {
        for channel in &*self.channels.lock() {
            self.leave(channel);
        }
    }
}

//! Subscriptions of local sessions, and through them of this instance: the first in subscribes to the bus, the last out
//! unsubscribes.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use thiserror::Error;

use crate::bus::Channel;
use crate::outbound::Outbound;
use crate::router::Router;
use crate::router::tenant::Tenant;

/// The bus is away, so nothing can be promised about messages from now on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the bus is away")]
pub struct NotSubscribed;

impl Router {
    /// Enters a connection as subscriber of `pattern` at once; the future ends when no later message can be missed.
    pub(super) fn join(
        self: &Arc<Self>,
        tenant: &Arc<Tenant>,
        pattern: &Arc<str>,
        connection: u64,
        outbound: &Arc<Outbound>,
    ) -> BoxFuture<'static, Result<(), NotSubscribed>> {
        let channel = Channel::topic(&tenant.name, pattern);
        // Under the lock of the entry, so that the wish at the bus follows the first in and the last out.
        let entry = tenant.topics.entry(Arc::clone(pattern)).or_insert_with(|| {
            self.metrics.topic_channels.increment(1.0);
            Arc::default()
        });
        let joined = entry.0.write().insert(connection, Arc::clone(outbound)).is_none();
        if joined {
            self.metrics.subscriptions.increment(1.0);
        }
        let subscribed = self.bus.subscribe(&channel);
        drop(entry);
        if !pattern.ends_with('*') {
            return subscribed.map(|result| result.map_err(|_| NotSubscribed)).boxed();
        }
        if joined {
            *tenant.wildcards.lock() += 1;
        }
        let held = self.directory.hold_wildcards(&tenant.name);
        async move {
            subscribed.await.map_err(|_| NotSubscribed)?;
            held.await.map_err(|_| NotSubscribed)
        }
        .boxed()
    }

    /// Takes a connection out of the subscribers of `pattern`.
    pub(super) fn leave(&self, tenant: &Tenant, pattern: &Arc<str>, connection: u64) {
        let left = tenant
            .topics
            .get(pattern)
            .is_some_and(|subscribers| subscribers.0.write().swap_remove(&connection).is_some());
        if !left {
            return;
        }
        self.metrics.subscriptions.decrement(1.0);
        self.release_unused(tenant, pattern);
        if pattern.ends_with('*') {
            let mut wildcards = tenant.wildcards.lock();
            *wildcards -= 1;
            if *wildcards == 0 {
                self.directory.release_wildcards(&tenant.name);
            }
        }
    }

    /// Listens for the hints of a topic's stream; the future ends when none can be missed.
    pub(super) fn hold_channel(
        &self,
        tenant: &Tenant,
        topic: &Arc<str>,
    ) -> BoxFuture<'static, Result<(), NotSubscribed>> {
        let entry = tenant.topics.entry(Arc::clone(topic)).or_insert_with(|| {
            self.metrics.topic_channels.increment(1.0);
            Arc::default()
        });
        entry.1.store(true, Ordering::Release);
        let subscribed = self.bus.subscribe(&Channel::topic(&tenant.name, topic));
        drop(entry);
        subscribed.map(|result| result.map_err(|_| NotSubscribed)).boxed()
    }

    /// Nobody here reads a topic's stream any more.
    pub(super) fn release_channel(&self, tenant: &Tenant, topic: &str) {
        if let Some(subscribers) = tenant.topics.get(topic) {
            subscribers.1.store(false, Ordering::Release);
        }
        self.release_unused(tenant, topic);
    }

    fn release_unused(&self, tenant: &Tenant, pattern: &str) {
        tenant.topics.remove_if(pattern, |_, subscribers| {
            let unused = subscribers.0.read().is_empty() && !subscribers.1.load(Ordering::Acquire);
            if unused {
                self.metrics.topic_channels.decrement(1.0);
                self.bus.unsubscribe(&Channel::topic(&tenant.name, pattern));
            }
            unused
        });
    }
}

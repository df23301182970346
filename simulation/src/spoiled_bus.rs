//! A bus that breaks its promise with one message to a topic. (Of those to agents the links between instances keep
//! account, so that the sender hears of what such a bus does.)

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::{self, BoxFuture};
use parking_lot::Mutex;
use relay::bus::memory::MemoryBus;
use relay::bus::{Bus, BusHealth, Channel, PublishError, SharedBus, SubscribeError};

use crate::client::CHAT;
use crate::plan::Spoil;
use crate::tenants;

/// What the spoiled buses of a run have in common.
#[derive(Debug)]
pub(crate) struct Spoiler {
    spoil: Spoil,
    nth: u64,
    seen: AtomicU64,
}

/// The bus of one instance.
#[derive(Debug)]
struct SpoiledBus {
    inner: Arc<MemoryBus>,
    spoiler: Arc<Spoiler>,
    /// The batch that is overtaken by the next of its sender.
    held: Mutex<Option<(Channel, Bytes, Bytes)>>,
}

impl Spoiler {
    /// Breaks the promise with the `nth` message to a topic, or the next that it can break it with.
    pub(crate) fn new(spoil: Spoil, nth: u64) -> Arc<Spoiler> {
        Arc::new(Spoiler { spoil, nth, seen: AtomicU64::new(0) })
    }

    pub(crate) fn spoil(self: &Arc<Self>, inner: Arc<MemoryBus>) -> SharedBus {
        Arc::new(SpoiledBus { inner, spoiler: Arc::clone(self), held: Mutex::default() })
    }

    fn chooses(&self) -> bool {
        self.seen.fetch_add(1, Ordering::Relaxed) == self.nth
    }
}

/// The sender of the one message of a batch, as its payload says: `tenant/agent/`.
fn sender(tenant: &str, batch: &[u8]) -> Option<Bytes> {
    let begin = format!("\"{tenant}/");
    let at = batch.windows(begin.len()).position(|part| part == begin.as_bytes())?;
    let mut slashes = batch[at..].iter().enumerate().filter(|(_, byte)| **byte == b'/');
    let end = slashes.nth(1).map(|(end, _)| at + end)?;
    Some(Bytes::copy_from_slice(&batch[at..end]))
}

/// The batch as it would stand in another tenant: its head names one, before its payload does.
fn readdressed(batch: &[u8], tenant: &str, other: &str) -> Bytes {
    let mut batch = batch.to_vec();
    if let Some(at) = batch.windows(tenant.len()).position(|part| part == tenant.as_bytes()) {
        batch[at..at + tenant.len()].copy_from_slice(other.as_bytes());
    }
    batch.into()
}

impl Bus for SpoiledBus {
    fn publish(&self, channel: &Channel, batch: Bytes) -> BoxFuture<'static, Result<u64, PublishError>> {
        let Some((tenant, name)) = channel.as_topic() else { return self.inner.publish(channel, batch) };
        // Of what is stored only copies travel here, which nobody relies on.
        let Some(sender) = sender(tenant, &batch).filter(|_| name == CHAT) else {
            return self.inner.publish(channel, batch);
        };
        let mut held = self.held.lock();
        if held.as_ref().is_some_and(|(on, of, _)| on == channel && *of == sender)
            && let Some((_, _, earlier)) = held.take()
        {
            let (later, earlier) = (self.inner.publish(channel, batch), self.inner.publish(channel, earlier));
            return async move { later.await.and(earlier.await) }.boxed();
        }
        if !self.spoiler.chooses() {
            return self.inner.publish(channel, batch);
        }
        match self.spoiler.spoil {
            Spoil::Drop => future::ready(Ok(1)).boxed(),
            Spoil::Swap => {
                *held = Some((channel.clone(), sender, batch));
                future::ready(Ok(1)).boxed()
            }
            Spoil::Duplicate => {
                let (once, again) =
                    (self.inner.publish(channel, batch.clone()), self.inner.publish(channel, batch));
                async move { once.await.and(again.await) }.boxed()
            }
            Spoil::Leak => {
                let other = tenants::other(tenant);
                let elsewhere =
                    self.inner.publish(&Channel::topic(other, name), readdressed(&batch, tenant, other));
                let here = self.inner.publish(channel, batch);
                async move { elsewhere.await.and(here.await) }.boxed()
            }
        }
    }

    fn subscribe(&self, channel: &Channel) -> BoxFuture<'static, Result<(), SubscribeError>> {
        self.inner.subscribe(channel)
    }

    fn unsubscribe(&self, channel: &Channel) {
        self.inner.unsubscribe(channel);
    }

    fn health(&self) -> BusHealth {
        self.inner.health()
    }
}

//! A bus that breaks its promise with one message: it knows how messages lie in a batch, as `relay::router::envelope` writes
//! them.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use relay::bus::{Bus, BusHealth, Channel, PublishError, SharedBus, SubscribeError};

use crate::client::CHAT;
use crate::plan::{Spoil, Way};
use crate::tenants::{self, TENANTS};

/// Batches of its channel that go before a message that is overtaken: the next of its sender is among them.
const OVERTAKEN_BY: u32 = 12;
/// The kinds of items that are messages.
const DIRECT: u8 = 1;
const TOPIC: u8 = 3;
/// The length of an item, before it.
const LENGTH: usize = 4;

/// Which message is spoiled, over all instances.
#[derive(Debug)]
pub(crate) struct Spoiling {
    spoil: Spoil,
    way: Way,
    nth: u64,
    seen: AtomicU64,
    spoiled: AtomicU64,
}

/// The bus of one instance, right but for one message.
#[derive(Debug)]
pub(crate) struct SpoiledBus {
    inner: SharedBus,
    spoiling: Arc<Spoiling>,
    held: Mutex<Option<Held>>,
}

/// A message that others overtake.
#[derive(Debug)]
struct Held {
    channel: Channel,
    batch: Bytes,
    goes_after: u32,
}

impl Spoiling {
    /// Of the `nth` message that goes this way.
    pub(crate) fn new(spoil: Spoil, way: Way, nth: u64) -> Arc<Spoiling> {
        Arc::new(Spoiling { spoil, way, nth, seen: AtomicU64::new(0), spoiled: AtomicU64::new(0) })
    }

    /// How many it has spoiled.
    pub(crate) fn spoiled(&self) -> u64 {
        self.spoiled.load(Ordering::Relaxed)
    }

    /// The item of a batch to be spoiled, if it is the turn of one.
    fn chosen(&self, channel: &Channel, batch: &[u8]) -> Option<Range<usize>> {
        let kind = match self.way {
            Way::Link => DIRECT,
            // Of what is stored only copies go by the bus, which nobody here reads.
            Way::Topic => channel.as_topic().filter(|(_, name)| *name == CHAT).map(|_| TOPIC)?,
        };
        let of_kind = |item: &Range<usize>| batch.get(item.start + LENGTH) == Some(&kind);
        let chosen = |_: &Range<usize>| self.seen.fetch_add(1, Ordering::Relaxed) + 1 == self.nth;
        let chosen = items(batch).into_iter().filter(of_kind).find(chosen)?;
        self.spoiled.fetch_add(1, Ordering::Relaxed);
        Some(chosen)
    }
}

impl SpoiledBus {
    /// Around the bus of an instance.
    pub(crate) fn new(inner: SharedBus, spoiling: &Arc<Spoiling>) -> Arc<SpoiledBus> {
        Arc::new(SpoiledBus { inner, spoiling: Arc::clone(spoiling), held: Mutex::new(None) })
    }

    /// What goes out in place of a batch.
    fn spoil(&self, channel: &Channel, batch: &Bytes, item: Range<usize>) -> Bytes {
        let (sender, message) =
            (&batch[..items(batch).first().map_or(0, |first| first.start)], &batch[item.clone()]);
        let alone = || Bytes::from([sender, message].concat());
        let without = || Bytes::from([&batch[..item.start], &batch[item.end..]].concat());
        match self.spoiling.spoil {
            Spoil::Drop => without(),
            Spoil::Swap => {
                let held = Held { channel: channel.clone(), batch: alone(), goes_after: OVERTAKEN_BY };
                *self.held.lock() = Some(held);
                without()
            }
            Spoil::Duplicate => [&batch[..], message].concat().into(),
            Spoil::Leak => {
                let Some((tenant, leaked)) = of_other_tenant(message) else { return batch.clone() };
                match channel.as_topic() {
                    Some((_, name)) => {
                        let elsewhere = Channel::topic(tenants::other(tenant), name);
                        drop(self.inner.publish(&elsewhere, [sender, &leaked].concat().into()));
                        batch.clone()
                    }
                    None => [&batch[..item.start], &leaked, &batch[item.end..]].concat().into(),
                }
            }
        }
    }

    /// Lets the message go that was overtaken by now.
    fn release(&self, channel: &Channel) {
        let mut held = self.held.lock();
        let Some(waiting) = held.as_mut().filter(|waiting| waiting.channel == *channel) else { return };
        waiting.goes_after -= 1;
        if waiting.goes_after == 0
            && let Some(waiting) = held.take()
        {
            drop(self.inner.publish(&waiting.channel, waiting.batch));
        }
    }
}

impl Bus for SpoiledBus {
    fn publish(&self, channel: &Channel, batch: Bytes) -> BoxFuture<'static, Result<u64, PublishError>> {
        if let Some(item) = self.spoiling.chosen(channel, &batch) {
            return self.inner.publish(channel, self.spoil(channel, &batch, item));
        }
        let published = self.inner.publish(channel, batch);
        self.release(channel);
        published
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

/// Where the items of a batch lie, their lengths included.
fn items(batch: &[u8]) -> Vec<Range<usize>> {
    let mut items = Vec::new();
    // The version, and the sender behind its length.
    let mut at = 2 + batch.get(1).map_or(0, |length| usize::from(*length));
    while let Some((length, _)) = batch.get(at..).and_then(|rest| rest.split_first_chunk::<LENGTH>()) {
        let end = at + LENGTH + u32::from_be_bytes(*length) as usize;
        items.push(at..end);
        at = end;
    }
    items
}

/// The tenant of a message, and the same message of the other, whose name is as long. It stands first in what is text.
fn of_other_tenant(message: &[u8]) -> Option<(&'static str, Vec<u8>)> {
    let found = |tenant: &&'static str| {
        let at = message.windows(tenant.len()).position(|window| window == tenant.as_bytes());
        at.map(|at| (at, *tenant))
    };
    let (at, tenant) = TENANTS.iter().filter_map(found).min()?;
    let other = tenants::other(tenant).as_bytes();
    Some((tenant, [&message[..at], other, &message[at + other.len()..]].concat()))
}

//! A bus that fails by seed, around any other: what holds over it holds over every bus that keeps the promises. The same
//! seed makes the same run, where the runtime is single-threaded and its clock is paused.

mod receiving;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{self, BoxFuture, FutureExt as _};
use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::bus::outlet::Outlet;
use crate::bus::{Bus, BusEvents, BusHealth, Channel, PublishError, SharedBus, SubscribeError};

use receiving::Receiving;

/// How often what goes wrong, each as a probability from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Faults {
    /// A publish is not carried out, and answers so.
    pub not_sent: f64,
    /// A publish answers that nobody can know; half of them are carried out.
    pub unknown: f64,
    /// A batch is lost on the way to this instance, which is told as a gap.
    pub lost: f64,
    /// A batch, and what follows it on its channel, comes up to [`Faults::delay_max`] late.
    pub delayed: f64,
    /// How late.
    pub delay_max: Duration,
    /// A batch comes twice: **no bus does that**. For receivers that should not mind all the same.
    pub duplicated: f64,
    /// A delayed batch is overtaken on its own channel: **no bus does that** either.
    pub overtaken: f64,
}

impl Faults {
    /// None.
    pub fn none() -> Faults {
        Faults::default()
    }

    /// Everything that a bus may do by its promises, often.
    pub fn promised() -> Faults {
        let delay_max = Duration::from_millis(50);
        Faults { not_sent: 0.05, unknown: 0.05, lost: 0.02, delayed: 0.2, delay_max, ..Faults::none() }
    }
}

/// A bus with faults.
#[derive(Debug)]
pub struct FaultyBus {
    inner: SharedBus,
    faults: Faults,
    chance: Mutex<StdRng>,
    health: Arc<Mutex<BusHealth>>,
    calm: Arc<AtomicBool>,
    outlet: Outlet,
}

impl FaultyBus {
    /// Puts faults around a bus and what comes out of it; at most `events_max` events wait, more are a gap.
    pub fn new(
        inner: (SharedBus, BusEvents),
        faults: Faults,
        seed: u64,
        events_max: usize,
        tracker: &TaskTracker,
        token: &CancellationToken,
    ) -> (Arc<FaultyBus>, BusEvents) {
        let (outlet, events) = Outlet::new(events_max, tracker.clone(), token.clone());
        let health = Arc::new(Mutex::new(BusHealth::Up));
        let calm = Arc::new(AtomicBool::new(false));
        let receiving = Receiving::new(inner.1, outlet.clone(), faults, seed, health.clone(), calm.clone());
        tracker.spawn(receiving.run(token.clone()));
        // Publishing and receiving draw apart, so that neither disturbs the run of the other.
        let chance = Mutex::new(StdRng::seed_from_u64(!seed));
        (Arc::new(FaultyBus { inner: inner.0, faults, chance, health, calm, outlet }), events)
    }

    /// Makes the server go away, makes this instance deaf, or ends that: then there is a gap.
    pub fn set_health(&self, health: BusHealth) {
        let before = std::mem::replace(&mut *self.health.lock(), health);
        if before != health && health == BusHealth::Up {
            self.outlet.interrupted();
        }
    }

    /// Lets nothing more go wrong. What is late already still comes late.
    pub fn calm_down(&self) {
        self.calm.store(true, Ordering::Release);
        self.set_health(BusHealth::Up);
    }

    fn happens(&self, probability: f64) -> bool {
        !self.calm.load(Ordering::Acquire) && self.chance.lock().random_bool(probability)
    }
}

impl Bus for FaultyBus {
    fn publish(&self, channel: &Channel, batch: Bytes) -> BoxFuture<'static, Result<u64, PublishError>> {
        if self.health() == BusHealth::Down || self.happens(self.faults.not_sent) {
            return future::ready(Err(PublishError::NotSent)).boxed();
        }
        if !self.happens(self.faults.unknown) {
            return self.inner.publish(channel, batch);
        }
        let carried_out = self.happens(0.5).then(|| self.inner.publish(channel, batch));
        async move {
            if let Some(carried_out) = carried_out {
                // Its answer is what is lost.
                carried_out.await.ok();
            }
            Err(PublishError::Unknown)
        }
        .boxed()
    }

    fn subscribe(&self, channel: &Channel) -> BoxFuture<'static, Result<(), SubscribeError>> {
        let in_force = self.inner.subscribe(channel);
        if self.health() == BusHealth::Up {
            return in_force;
        }
        // The wish is kept by the inner bus.
        in_force.map(|_| Err(SubscribeError)).boxed()
    }

    fn unsubscribe(&self, channel: &Channel) {
        self.inner.unsubscribe(channel);
    }

    fn health(&self) -> BusHealth {
        let health = *self.health.lock();
        if health == BusHealth::Up { self.inner.health() } else { health }
    }
}

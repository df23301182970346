//! The receiving side of a [`FaultyBus`](super::FaultyBus): takes what the inner bus delivers, and loses, delays, repeats.
//!
//! Bound: [`HELD_MAX`] delayed batches; one more is lost.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ahash::HashMap;
use bytes::Bytes;
use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::bus::faulty::Faults;
use crate::bus::outlet::Outlet;
use crate::bus::{BusEvent, BusEvents, BusHealth, Channel, Gap};

const HELD_MAX: usize = 4096;

pub(super) struct Receiving {
    events: BusEvents,
    outlet: Outlet,
    faults: Faults,
    chance: StdRng,
    health: Arc<Mutex<BusHealth>>,
    calm: Arc<AtomicBool>,
    /// Delayed batches by when they are due, and then by when they came.
    held: BTreeMap<(Instant, u64), (Channel, Bytes)>,
    /// When the last batch of a channel is due, while one is held.
    last_due: HashMap<Channel, Instant>,
    came: u64,
}

impl Receiving {
    pub(super) fn new(
        events: BusEvents,
        outlet: Outlet,
        faults: Faults,
        seed: u64,
        health: Arc<Mutex<BusHealth>>,
        calm: Arc<AtomicBool>,
    ) -> Receiving {
        let chance = StdRng::seed_from_u64(seed);
        let (held, last_due, came) = Default::default();
        Receiving { events, outlet, faults, chance, health, calm, held, last_due, came }
    }

    pub(super) async fn run(mut self, token: CancellationToken) {
        loop {
            let due = self.held.first_key_value().map(|((due, _), _)| *due);
            tokio::select! {
                biased;
                () = token.cancelled() => return,
                () = tokio::time::sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => self.release(),
                event = self.events.recv() => match event {
                    Some(BusEvent::Batch { channel, batch }) => self.take(&channel, &batch),
                    Some(BusEvent::Gap(Gap::Interrupted)) => self.outlet.interrupted(),
                    Some(BusEvent::Gap(Gap::Lagged(batches))) => self.outlet.lagged(batches),
                    None => return,
                }
            }
        }
    }

    fn take(&mut self, channel: &Channel, batch: &Bytes) {
        if *self.health.lock() != BusHealth::Up {
            // Told when it ends.
            return;
        }
        if self.happens(self.faults.lost) || self.held.len() >= HELD_MAX {
            return self.outlet.interrupted();
        }
        let copies = 1 + u8::from(self.happens(self.faults.duplicated));
        for _ in 0..copies {
            match self.due(channel) {
                Some(due) => {
                    self.came += 1;
                    self.last_due.insert(channel.clone(), due);
                    self.held.insert((due, self.came), (channel.clone(), batch.clone()));
                }
                None => {
                    self.outlet.batch(channel.clone(), batch.clone());
                }
            }
        }
    }

    /// When a batch is to come out; `None` for at once.
    fn due(&mut self, channel: &Channel) -> Option<Instant> {
        let delay = self.happens(self.faults.delayed).then(|| {
            let part = self.chance.random::<f64>();
            Instant::now() + self.faults.delay_max.mul_f64(part)
        });
        // What is held on a channel holds what follows on it.
        let behind = self.last_due.get(channel).copied().filter(|_| !self.happens(self.faults.overtaken));
        delay.max(behind)
    }

    fn release(&mut self) {
        let now = Instant::now();
        while let Some(first) = self.held.first_entry().filter(|first| first.key().0 <= now) {
            let (channel, batch) = first.remove();
            self.outlet.batch(channel, batch);
        }
        self.last_due.retain(|_, due| *due > now);
    }

    fn happens(&mut self, probability: f64) -> bool {
        !self.calm.load(Ordering::Acquire) && self.chance.random_bool(probability)
    }
}

//! Buckets by key, within a bound. A connection looks its bucket up once and holds it, so that no frame costs a look-up.

use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use ahash::RandomState;
use dashmap::DashMap;

use crate::limits::bucket::{Bounds, Bucket};
use crate::limits::rate::TurnClock;

/// The buckets of one kind of key.
#[derive(Debug)]
pub(super) struct Keyed<K: Eq + Hash> {
    bounds: Bounds,
    clock: TurnClock,
    buckets: DashMap<K, Arc<Bucket>, RandomState>,
    keys_max: usize,
    /// What all keys share for which there is no room.
    shared: Arc<Bucket>,
}

impl<K: Eq + Hash> Keyed<K> {
    pub(super) fn new(bounds: Bounds, keys_max: usize, clock: &TurnClock) -> Keyed<K> {
        let shared = Arc::new(Bucket::new(&bounds, clock));
        Keyed { bounds, clock: clock.clone(), buckets: DashMap::default(), keys_max, shared }
    }

    /// The bucket of `key`, if its kind is limited at all; and whether it has one of its own.
    pub(super) fn hold(&self, key: K) -> Option<(Arc<Bucket>, bool)> {
        self.bounds.any().then(|| self.hold_with(key, false, |bounds| *bounds))
    }

    /// The bucket of `key`, with bounds that are made from the configured ones; and whether it has one of its own, which
    /// it has in any case if it `must`.
    pub(super) fn hold_with(
        &self,
        key: K,
        must: bool,
        bounds: impl FnOnce(&Bounds) -> Bounds,
    ) -> (Arc<Bucket>, bool) {
        // Connections that come at the same moment may pass the bound by as many as there are threads.
        if !must && self.buckets.len() >= self.keys_max && !self.buckets.contains_key(&key) {
            return (Arc::clone(&self.shared), false);
        }
        // Made under the lock of its place: a change that comes meanwhile finds it and holds.
        let make = || Arc::new(Bucket::new(&bounds(&self.bounds), &self.clock));
        let bucket = self.buckets.entry(key).or_insert_with(make);
        bucket.was_idle.store(false, Ordering::Relaxed);
        (Arc::clone(&bucket), true)
    }

    /// Changes the bounds of `key`, if it has a bucket of its own.
    pub(super) fn change<Q>(&self, key: &Q, bounds: impl FnOnce(&Bounds) -> Bounds)
    where
        K: std::borrow::Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        if let Some(bucket) = self.buckets.get(key) {
            bucket.change(&bounds(&self.bounds), &self.clock);
        }
    }

    /// Forgets who has not been here between two sweeps: by then its bucket is full again, as a fresh one would be.
    pub(super) fn sweep(&self) {
        self.buckets.retain(|_, bucket| {
            let held = Arc::strong_count(bucket) > 1;
            let was_idle = bucket.was_idle.swap(!held, Ordering::Relaxed);
            held || !was_idle
        });
        if self.buckets.capacity() > 4 * self.buckets.len() {
            self.buckets.shrink_to_fit();
        }
    }

    /// Keys held.
    pub(super) fn len(&self) -> usize {
        self.buckets.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::rate::Rate;

    fn keyed(keys_max: usize) -> Keyed<u32> {
        let none = Rate::of(0, 1);
        let bounds = Bounds { messages: Rate::of(1, 1), bytes: none, connections: 0, subscriptions: 0 };
        Keyed::new(bounds, keys_max, &TurnClock::default())
    }

    #[test]
    fn a_key_keeps_its_bucket_while_it_matters_and_no_longer() {
        let keyed = keyed(10);
        let (held, own) = keyed.hold(1).unwrap();
        assert!(own && held.rates().frame().is_ok());
        drop(held);
        keyed.sweep();
        let (held, _) = keyed.hold(1).unwrap();
        assert!(held.rates().frame().is_err(), "to leave and come back does not fill a bucket");
        keyed.sweep();
        keyed.sweep();
        assert_eq!(keyed.len(), 1, "held");
        drop(held);
        keyed.sweep();
        assert_eq!(keyed.len(), 1, "just left");
        keyed.sweep();
        assert_eq!(keyed.len(), 0);
        assert!(keyed.buckets.capacity() < 100, "{}", keyed.buckets.capacity());
    }

    #[test]
    fn beyond_the_bound_keys_share_one_bucket() {
        let keyed = keyed(2);
        let (_one, _two) = (keyed.hold(1), keyed.hold(2));
        let ((three, own), (four, _)) = (keyed.hold(3).unwrap(), keyed.hold(4).unwrap());
        assert!(!own && Arc::ptr_eq(&three, &four));
        assert!(keyed.hold(1).unwrap().1, "who has one keeps it");
        assert_eq!(keyed.len(), 2);
    }
}

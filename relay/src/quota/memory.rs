//! Quotas of one process; also the share an instance gives while Redis is away.

use std::sync::Arc;

use ahash::HashMap;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::quota::{BURST_S, Quota, QuotaStore, Slice};

/// Tenants from which on those with full buckets are forgotten: a fresh bucket is full too.
const FORGET_FROM: usize = 1_024;

/// Quotas of one process. Clones share their state.
#[derive(Debug, Clone, Default)]
pub struct MemoryQuota(Arc<Mutex<Levels>>);

#[derive(Debug, Default)]
struct Levels {
    tenants: HashMap<Arc<str>, Level>,
    forget_at: usize,
}

/// What is left of a quota, at a time.
#[derive(Debug, Clone, Copy)]
struct Level {
    messages: f64,
    bytes: f64,
    at: Instant,
}

impl Levels {
    fn forget_full(&mut self, now: Instant) {
        if self.tenants.len() < self.forget_at.max(FORGET_FROM) {
            return;
        }
        self.tenants.retain(|_, level| (now - level.at).as_secs() < u64::from(BURST_S));
        self.forget_at = 2 * self.tenants.len();
    }
}

impl MemoryQuota {
    /// Leases at once.
    pub(super) fn lease_now(&self, tenant: &Arc<str>, quota: Quota, wanted: Slice) -> Slice {
        let now = Instant::now();
        let mut levels = self.0.lock();
        levels.forget_full(now);
        let full = |a_second: u32| f64::from(a_second) * f64::from(BURST_S);
        let fresh = Level { messages: full(quota.messages), bytes: full(quota.bytes), at: now };
        let level = levels.tenants.entry(Arc::clone(tenant)).or_insert(fresh);
        let passed = (now - level.at).as_secs_f64();
        level.at = now;
        Slice {
            messages: draw(&mut level.messages, quota.messages, passed, wanted.messages),
            bytes: draw(&mut level.bytes, quota.bytes, passed, wanted.bytes),
        }
    }
}

/// Fills a level for the seconds that passed, and takes up to half of it, or puts back.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "levels are far below 2^53, and whole slices are wanted"
)]
fn draw(level: &mut f64, a_second: u32, passed: f64, wanted: i64) -> i64 {
    if a_second == 0 {
        return 0;
    }
    let full = f64::from(a_second) * f64::from(BURST_S);
    *level = (*level + f64::from(a_second) * passed).min(full);
    let granted =
        if wanted < 0 { wanted } else { wanted.min((*level / 2.0).ceil() as i64).min(*level as i64) };
    *level = (*level - granted as f64).min(full);
    granted
}

impl QuotaStore for MemoryQuota {
    fn lease(&self, tenant: &Arc<str>, quota: Quota, wanted: Slice) -> BoxFuture<'static, Slice> {
        std::future::ready(self.lease_now(tenant, quota, wanted)).boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quota::conformance;

    #[tokio::test]
    async fn memory_conforms() {
        let quota = MemoryQuota::default();
        conformance::check(|| Arc::new(quota.clone())).await;
    }

    #[tokio::test(start_paused = true)]
    async fn tenants_that_need_not_be_known_are_forgotten() {
        let (store, quota) = (MemoryQuota::default(), Quota { messages: 10, bytes: 0 });
        let lease = |number: usize| {
            store.lease_now(&format!("t{number}").into(), quota, Slice { messages: 5, bytes: 0 })
        };
        for number in 0..FORGET_FROM {
            lease(number);
        }
        tokio::time::advance(std::time::Duration::from_secs(5)).await;
        lease(FORGET_FROM);
        assert_eq!(store.0.lock().tenants.len(), 1);
    }
}

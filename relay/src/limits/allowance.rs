//! What this instance may still spend of a tenant's quota: slices leased ahead, so that no message asks Redis.
//!
//! What is spent before a slice has come is owed, up to the credit, and paid from the next: over time the quota holds
//! exactly, and the most that all instances together can run over it is one credit each, once.

use std::sync::atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use crate::quota::{BURST_S, Quota, Slice};

/// The share of its burst that an instance holds ready for a tenant, and may owe: an eighth.
const READY: i64 = 8;

/// What may be spent of one tenant's quota.
#[derive(Debug)]
pub(super) struct Allowance {
    pub(super) messages: Purse,
    pub(super) bytes: Purse,
}

impl Allowance {
    pub(super) fn new(quota: Quota, lease: Duration) -> Allowance {
        Allowance { messages: Purse::new(quota.messages, lease), bytes: Purse::new(quota.bytes, lease) }
    }

    /// The quota.
    pub(super) fn quota(&self) -> Quota {
        Quota { messages: self.messages.a_second(), bytes: self.bytes.a_second() }
    }

    /// Changes the quota; what was leased by the former one can be spent or goes back with the next lease.
    pub(super) fn change(&self, quota: Quota) {
        self.messages.a_second.store(quota.messages, Ordering::Relaxed);
        self.bytes.a_second.store(quota.bytes, Ordering::Relaxed);
    }

    /// What is to be leased now; negative is given back.
    pub(super) fn wanted(&self) -> Slice {
        Slice { messages: self.messages.wanted(), bytes: self.bytes.wanted() }
    }

    /// What is left of a tenant that has gone.
    pub(super) fn rest(&self) -> Slice {
        Slice { messages: -self.messages.balance(), bytes: -self.bytes.balance() }
    }

    /// A slice came.
    pub(super) fn take(&self, slice: Slice) {
        self.messages.put(slice.messages);
        self.bytes.put(slice.bytes);
    }
}

/// One kind of quota.
#[derive(Debug)]
pub(super) struct Purse {
    /// 0 is no limit.
    a_second: AtomicU32,
    lease: Duration,
    balance: AtomicI64,
    /// The balance after the last lease, for what was spent since.
    leased: AtomicI64,
    refused: AtomicI64,
    /// What was wished for in a lease's time, falling by half each time it is less.
    demand: AtomicU64,
}

impl Purse {
    fn new(a_second: u32, lease: Duration) -> Purse {
        let (balance, leased, refused, demand) = Default::default();
        Purse { a_second: AtomicU32::new(a_second), lease, balance, leased, refused, demand }
    }

    fn a_second(&self) -> u32 {
        self.a_second.load(Ordering::Relaxed)
    }

    /// Spends `amount`, or says when to come back.
    pub(super) fn spend(&self, amount: u32) -> Result<(), Duration> {
        let a_second = self.a_second();
        if a_second == 0 {
            return Ok(());
        }
        let ready = ready(a_second);
        let amount = i64::from(amount);
        let left = self.balance.fetch_sub(amount, Ordering::Relaxed) - amount;
        if left >= -ready {
            return Ok(());
        }
        self.balance.fetch_add(amount, Ordering::Relaxed);
        self.refused.fetch_add(amount, Ordering::Relaxed);
        let missing_ms = (-ready - left).unsigned_abs().saturating_mul(1_000) / u64::from(a_second);
        Err(self.lease + Duration::from_millis(missing_ms.min(u64::from(BURST_S) * 1_000)))
    }

    fn balance(&self) -> i64 {
        self.balance.load(Ordering::Relaxed)
    }

    fn put(&self, amount: i64) {
        let balance = self.balance.fetch_add(amount, Ordering::Relaxed) + amount;
        self.leased.store(balance, Ordering::Relaxed);
    }

    /// Twice what was wished for lately, and never less than is held ready. Asked by the leasing task alone.
    fn wanted(&self) -> i64 {
        let a_second = self.a_second();
        if a_second == 0 {
            return 0;
        }
        let balance = self.balance();
        let spent = self.leased.load(Ordering::Relaxed) - balance;
        let wished = spent.saturating_add(self.refused.swap(0, Ordering::Relaxed)).max(0).unsigned_abs();
        let demand = wished.max(self.demand.load(Ordering::Relaxed) / 2);
        self.demand.store(demand, Ordering::Relaxed);
        let burst = i64::from(a_second) * i64::from(BURST_S);
        let target =
            i64::try_from(demand).unwrap_or(i64::MAX).saturating_mul(2).clamp(ready(a_second), burst);
        // Given back only where it is much, else a steady tenant would trade to and fro.
        if balance > 2 * target || balance < target { target - balance } else { 0 }
    }
}

/// What is held ready of a quota, and may be owed.
fn ready(a_second: u32) -> i64 {
    (i64::from(a_second) * i64::from(BURST_S) / READY).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEASE: Duration = Duration::from_millis(250);

    #[test]
    fn what_is_owed_is_paid_before_more_is_spent() {
        let purse = Purse::new(80, LEASE);
        assert_eq!((0..1_000).filter(|_| purse.spend(1).is_ok()).count(), 50, "an eighth of 400");
        assert!(purse.spend(1).unwrap_err() >= LEASE);
        purse.put(30);
        assert_eq!((0..1_000).filter(|_| purse.spend(1).is_ok()).count(), 30);
    }

    #[test]
    fn as_much_is_asked_for_as_is_used_and_the_rest_is_given_back() {
        let purse = Purse::new(80, LEASE);
        assert_eq!(purse.wanted(), 50, "ready before anything is spent");
        purse.put(50);
        assert_eq!(purse.wanted(), 0);
        assert!((0..90).all(|_| purse.spend(1).is_ok()));
        assert_eq!(purse.wanted(), 180 + 40, "twice the demand, and what is owed");
        purse.put(220);
        for _ in 0..8 {
            purse.put(purse.wanted());
        }
        assert!((50..=100).contains(&purse.balance()), "{}", purse.balance());
    }

    #[test]
    fn no_quota_is_no_limit() {
        let purse = Purse::new(0, LEASE);
        assert!((0..1_000).all(|_| purse.spend(u32::MAX).is_ok()) && purse.wanted() == 0);
    }
}

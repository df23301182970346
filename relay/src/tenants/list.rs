//! What one instance knows of tenants: looked up without waiting, kept up by one task, told to whoever may close sessions.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use ahash::HashMap;
use parking_lot::RwLock;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::auth::{AuthError, Gate, Principal};
use crate::tenants::{Snapshot, Standing, TenantError, TenantStore};

/// How often the store is read: half of the second within which a suspension is in force.
const READ_EVERY: Duration = Duration::from_millis(500);

/// A version that no store has.
const UNREAD: u64 = u64::MAX;

/// Hears of a tenant that is suspended from now on.
type Tell = Box<dyn Fn(&Arc<str>) + Send + Sync>;

/// The standing of tenants, and the power to change it. Handed to those who administrate.
pub struct Tenants {
    store: Arc<dyn TenantStore>,
    list: RwLock<HashMap<Arc<str>, Standing>>,
    read: watch::Sender<bool>,
    /// Something was said that the store did not take.
    owes: AtomicBool,
    tell: Tell,
}

impl Tenants {
    /// The list of an instance, which [`Tenants::run`] keeps up. `tell` hears of each tenant that is suspended from now
    /// on; it must not wait.
    pub fn new(
        store: Arc<dyn TenantStore>,
        tell: impl Fn(&Arc<str>) + Send + Sync + 'static,
    ) -> Arc<Tenants> {
        let (list, read) = (RwLock::default(), watch::Sender::new(false));
        Arc::new(Tenants { store, list, read, owes: AtomicBool::new(false), tell: Box::new(tell) })
    }

    /// Whether a tenant is suspended, as far as is known.
    pub fn is_suspended(&self, tenant: &str) -> bool {
        self.list.read().get(tenant).is_some_and(|standing| standing.suspended)
    }

    /// Suspends a tenant or lifts that: on this instance when the call begins, on every other within a second of its end.
    pub async fn set(&self, tenant: &Arc<str>, suspended: bool) -> Result<(), TenantError> {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let now_us = u64::try_from(now.as_micros()).unwrap_or(u64::MAX);
        let known = self.list.read().get(tenant).map_or(0, |held| held.said_at_us);
        // Later than what is known, whatever the clocks say.
        let standing = Standing { suspended, said_at_us: now_us.max(known.saturating_add(1)) };
        self.take(tenant, standing);
        let put = self.store.put(tenant, standing).await;
        if put == Err(TenantError::Away) {
            self.owes.store(true, Ordering::Release);
        }
        put
    }

    /// Waits until the list has been read once.
    pub async fn first_read(&self) {
        // The sender lives as long as `self`.
        drop(self.read.subscribe().wait_for(|read| *read).await);
    }

    /// Keeps the list as the store has it, and the store as the list has it, until `stop`.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        let mut version = UNREAD;
        let mut ticks = tokio::time::interval(READ_EVERY);
        while stop.run_until_cancelled(ticks.tick()).await.is_some() {
            let Some(read) = stop.run_until_cancelled(self.catch_up(&mut version)).await else { return };
            if read.is_ok() {
                self.read.send_replace(true);
            }
        }
    }

    async fn catch_up(&self, version: &mut u64) -> Result<(), TenantError> {
        if self.owes.load(Ordering::Acquire) {
            *version = UNREAD;
        }
        let Some(Snapshot { version: read, tenants }) = self.store.read(*version).await? else {
            return Ok(());
        };
        for (tenant, standing) in &tenants {
            self.take(tenant, *standing);
        }
        // Unset before looking: what is said from here on is looked at the next time.
        self.owes.store(false, Ordering::Release);
        for (tenant, standing) in self.owed(&tenants) {
            if self.store.put(&tenant, standing).await == Err(TenantError::Away) {
                self.owes.store(true, Ordering::Release);
                return Err(TenantError::Away);
            }
        }
        *version = read;
        Ok(())
    }

    /// Suspensions, and news, that the store lacks: it was away when they were said, or has lost them since.
    fn owed(&self, stored: &[(Arc<str>, Standing)]) -> Vec<(Arc<str>, Standing)> {
        let stored: HashMap<&str, Standing> =
            stored.iter().map(|(tenant, standing)| (&**tenant, *standing)).collect();
        let list = self.list.read();
        let lacks = list.iter().filter(|(tenant, held)| match stored.get(&***tenant) {
            Some(stored) => stored.said_at_us < held.said_at_us,
            // What was lifted is forgotten in time.
            None => held.suspended,
        });
        lacks.map(|(tenant, standing)| (Arc::clone(tenant), *standing)).collect()
    }

    fn take(&self, tenant: &Arc<str>, standing: Standing) {
        {
            let mut list = self.list.write();
            if list.get(tenant).is_some_and(|held| held.said_at_us >= standing.said_at_us) {
                return;
            }
            list.insert(Arc::clone(tenant), standing);
        }
        if standing.suspended {
            (self.tell)(tenant);
        }
    }
}

impl Gate for Tenants {
    fn admit(&self, principal: &Principal, _: SystemTime) -> Result<(), AuthError> {
        self.check(principal)
    }

    fn check(&self, principal: &Principal) -> Result<(), AuthError> {
        if self.is_suspended(principal.tenant()) { Err(AuthError::TenantSuspended) } else { Ok(()) }
    }
}

impl fmt::Debug for Tenants {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tenants").field("held", &self.list.read().len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tenants::memory::MemoryTenants;
    use parking_lot::Mutex;
    use tokio_util::task::TaskTracker;

    #[tokio::test(start_paused = true)]
    async fn every_instance_hears_within_a_second_and_what_the_store_lost_is_told_again() {
        let (stop, tracker) = (CancellationToken::new(), TaskTracker::new());
        let told = Arc::new(Mutex::new(Vec::new()));
        let store = Arc::new(MemoryTenants::default());
        let join = |store: &Arc<MemoryTenants>| {
            let told = Arc::clone(&told);
            let tenants =
                Tenants::new(Arc::clone(store) as _, move |tenant| told.lock().push(tenant.to_string()));
            tracker.spawn(Arc::clone(&tenants).run(stop.clone()));
            tenants
        };
        let (a, b) = (join(&store), join(&store));
        b.first_read().await;
        let acme: Arc<str> = Arc::from("acme");
        a.set(&acme, true).await.unwrap();
        assert!(a.is_suspended("acme") && !a.is_suspended("other"));
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(b.is_suspended("acme"));
        assert_eq!(*told.lock(), ["acme", "acme"]);
        b.set(&acme, false).await.unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(!a.is_suspended("acme") && !b.is_suspended("acme"));
        assert_eq!(told.lock().len(), 2, "a lifting closes nobody");
        stop.cancel();
    }

    #[tokio::test(start_paused = true)]
    async fn a_store_that_has_lost_a_suspension_is_told_again() {
        let store = Arc::new(MemoryTenants::default());
        let tenants = Tenants::new(Arc::clone(&store) as _, |_| {});
        let acme: Arc<str> = Arc::from("acme");
        let standing = Standing { suspended: true, said_at_us: 7 };
        tenants.take(&acme, standing);
        // Another version, and nothing in it of what this instance knows.
        let other = Standing { suspended: false, said_at_us: 1 };
        store.put(&Arc::from("other"), other).await.unwrap();
        let mut version = UNREAD;
        tenants.catch_up(&mut version).await.unwrap();
        let held = store.read(0).await.unwrap().unwrap().tenants;
        assert!(held.contains(&(acme, standing)), "{held:?}");
    }
}

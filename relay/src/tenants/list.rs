//! What one instance knows of tenants: looked up without waiting, kept up by one task, told to whoever closes
//! sessions and whoever limits them.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use ahash::HashMap;
use parking_lot::RwLock;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::auth::{AuthError, Gate, Principal};
use crate::config::tenant_limits::TenantLimits;
use crate::tenants::{Said, Snapshot, Standing, TenantError, TenantStore};

/// How often the store is read: half of the second within which a suspension is in force.
const READ_EVERY: Duration = Duration::from_millis(500);

/// A version that no store has.
const UNREAD: u64 = u64::MAX;

/// What is in force of a tenant from now on, and was not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum News {
    /// It is suspended.
    Suspended,
    /// It has these limits of its own.
    Limits(TenantLimits),
}

/// Hears of tenants.
type Tell = Box<dyn Fn(&Arc<str>, News) + Send + Sync>;

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
    /// The list of an instance, which [`Tenants::run`] keeps up. `tell` hears of what is in force of a tenant from now
    /// on; it must not wait.
    pub fn new(
        store: Arc<dyn TenantStore>,
        tell: impl Fn(&Arc<str>, News) + Send + Sync + 'static,
    ) -> Arc<Tenants> {
        let (list, read) = (RwLock::default(), watch::Sender::new(false));
        Arc::new(Tenants { store, list, read, owes: AtomicBool::new(false), tell: Box::new(tell) })
    }

    /// Whether a tenant is suspended, as far as is known.
    pub fn is_suspended(&self, tenant: &str) -> bool {
        self.standing(tenant).suspended.what
    }

    /// The limits of its own that a tenant has, as far as is known.
    pub fn limits(&self, tenant: &str) -> TenantLimits {
        self.standing(tenant).limits.what
    }

    fn standing(&self, tenant: &str) -> Standing {
        self.list.read().get(tenant).copied().unwrap_or_default()
    }

    /// Suspends a tenant or lifts that: on this instance when the call begins, on every other within a second of its end.
    pub async fn suspend(&self, tenant: &Arc<str>, suspended: bool) -> Result<(), TenantError> {
        let known = self.standing(tenant).suspended;
        let standing = Standing { suspended: later(&known, suspended), ..Standing::default() };
        self.say(tenant, standing).await
    }

    /// Gives a tenant limits of its own in place of those it had, in force as a suspension is.
    pub async fn limit(&self, tenant: &Arc<str>, limits: TenantLimits) -> Result<(), TenantError> {
        let known = self.standing(tenant).limits;
        let standing = Standing { limits: later(&known, limits), ..Standing::default() };
        self.say(tenant, standing).await
    }

    async fn say(&self, tenant: &Arc<str>, standing: Standing) -> Result<(), TenantError> {
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

    /// What holds, and news, that the store lacks: it was away when they were said, or has lost them since.
    fn owed(&self, stored: &[(Arc<str>, Standing)]) -> Vec<(Arc<str>, Standing)> {
        let stored: HashMap<&str, Standing> =
            stored.iter().map(|(tenant, standing)| (&**tenant, *standing)).collect();
        let list = self.list.read();
        let lacks = list.iter().filter_map(|(tenant, held)| {
            let stored = stored.get(&**tenant).copied().unwrap_or_default();
            let owed = Standing {
                suspended: lacked(held.suspended, stored.suspended),
                limits: lacked(held.limits, stored.limits),
            };
            (owed != Standing::default()).then(|| (Arc::clone(tenant), owed))
        });
        lacks.collect()
    }

    fn take(&self, tenant: &Arc<str>, standing: Standing) {
        let suspended = {
            let mut list = self.list.write();
            let held = list.entry(Arc::clone(tenant)).or_default();
            let before = *held;
            held.take(&standing);
            let now = *held;
            if now.limits.what != before.limits.what {
                // While nobody else can take: of two changes the later is told last.
                (self.tell)(tenant, News::Limits(now.limits.what));
            }
            now.suspended.what && now.suspended != before.suspended
        };
        if suspended {
            (self.tell)(tenant, News::Suspended);
        }
    }
}

/// What is said now: later than what is known, whatever the clocks say.
fn later<T>(known: &Said<T>, what: T) -> Said<T> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let now_us = u64::try_from(now.as_micros()).unwrap_or(u64::MAX);
    Said { what, at_us: now_us.max(known.at_us.saturating_add(1)) }
}

/// What is held, if a store lacks it. What was taken back is forgotten in time.
fn lacked<T: Copy + Default + PartialEq>(held: Said<T>, stored: Said<T>) -> Said<T> {
    let lacks = if stored.at_us == 0 { !held.is_rule() } else { stored.at_us < held.at_us };
    if lacks { held } else { Said::default() }
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
            let tenants = Tenants::new(Arc::clone(store) as _, move |tenant, news| {
                told.lock().push((tenant.to_string(), news));
            });
            tracker.spawn(Arc::clone(&tenants).run(stop.clone()));
            tenants
        };
        let (a, b) = (join(&store), join(&store));
        b.first_read().await;
        let acme: Arc<str> = Arc::from("acme");
        a.suspend(&acme, true).await.unwrap();
        assert!(a.is_suspended("acme") && !a.is_suspended("other"));
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(b.is_suspended("acme"));
        let suspended = || ("acme".to_owned(), News::Suspended);
        assert_eq!(*told.lock(), [suspended(), suspended()]);
        b.suspend(&acme, false).await.unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(!a.is_suspended("acme") && !b.is_suspended("acme"));
        assert_eq!(told.lock().len(), 2, "a lifting closes nobody");
        let limits = TenantLimits { connections: Some(3), ..TenantLimits::default() };
        b.limit(&acme, limits).await.unwrap();
        b.limit(&acme, limits).await.unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
        let limited = || ("acme".to_owned(), News::Limits(limits));
        assert_eq!(told.lock()[2..], [limited(), limited()], "once on each instance");
        assert_eq!((a.limits("acme"), a.is_suspended("acme")), (limits, false));
        stop.cancel();
    }

    #[tokio::test(start_paused = true)]
    async fn a_store_that_has_lost_a_suspension_is_told_again() {
        let store = Arc::new(MemoryTenants::default());
        let tenants = Tenants::new(Arc::clone(&store) as _, |_, _| {});
        let acme: Arc<str> = Arc::from("acme");
        let limits = TenantLimits { rate_messages: Some(9), ..TenantLimits::default() };
        let standing =
            Standing { suspended: Said { what: true, at_us: 7 }, limits: Said { what: limits, at_us: 3 } };
        tenants.take(&acme, standing);
        // Another version, and nothing in it of what this instance knows.
        let other = Standing { suspended: Said { what: false, at_us: 1 }, ..Standing::default() };
        store.put(&Arc::from("other"), other).await.unwrap();
        let mut version = UNREAD;
        tenants.catch_up(&mut version).await.unwrap();
        let held = store.read(0).await.unwrap().unwrap().tenants;
        assert!(held.contains(&(acme, standing)), "{held:?}");
    }
}

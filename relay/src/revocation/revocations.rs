//! The revocations of one instance: looked up without waiting, kept up by one task, told to whoever may close sessions.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use parking_lot::RwLock;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::auth::{AuthError, Gate, Principal};
use crate::revocation::list::{List, is_younger};
use crate::revocation::{
    Position, REVOCATIONS_MAX, Revocation, RevocationError, RevocationStore, StoreError,
};
use crate::telemetry::metrics::Metrics;

/// How often the store is read without news: half of the second within which a revocation is in force, for news that got
/// lost.
const READ_EVERY: Duration = Duration::from_millis(500);
/// Revocations that are added again in one go.
const OWED_TOGETHER_MAX: usize = 500;

/// What an operator chose for revocations.
#[derive(Debug, Clone, Copy)]
pub struct RevocationSettings {
    /// How long one is in force: longer than any token lives on a connection.
    pub life: Duration,
    /// How old the list may be for a token that is no younger.
    pub stale_for: Duration,
}

/// Revocations, and the power to make them. Handed to those who administrate.
pub struct Revocations {
    store: Arc<dyn RevocationStore>,
    settings: RevocationSettings,
    list: RwLock<List>,
    /// When the list was whole.
    read_at: watch::Sender<Option<Instant>>,
    tell: Box<dyn Fn(&Revocation) + Send + Sync>,
    metrics: Arc<Metrics>,
}

impl Revocations {
    /// The revocations of an instance, which [`Revocations::run`] keeps up. `tell` hears of each one that is new to this
    /// instance, after it is in force; it must not wait.
    pub fn new(
        store: Arc<dyn RevocationStore>,
        settings: RevocationSettings,
        tell: impl Fn(&Revocation) + Send + Sync + 'static,
        metrics: Arc<Metrics>,
    ) -> Arc<Revocations> {
        let (list, read_at) = (RwLock::default(), watch::Sender::new(None));
        Arc::new(Revocations { store, settings, list, read_at, tell: Box::new(tell), metrics })
    }

    /// Puts a revocation in force: on this instance when the call begins, on every other within a second of its end.
    pub async fn revoke(&self, revocation: Revocation) -> Result<(), RevocationError> {
        if self.list.read().len() >= REVOCATIONS_MAX {
            return Err(RevocationError::Full);
        }
        self.put_in_force(&revocation, false);
        match self.store.add(vec![revocation.clone()]).await {
            Ok(()) => {
                self.list.write().add(&revocation, self.settings.life, true);
                Ok(())
            }
            Err(StoreError::Full) => Err(RevocationError::Full),
            // Owed from here on.
            Err(StoreError::Away) => Err(RevocationError::Away),
        }
    }

    /// Waits until the list has been read once.
    pub async fn first_read(&self) {
        // The sender lives as long as `self`.
        drop(self.read_at.subscribe().wait_for(Option::is_some).await);
    }

    /// Keeps the list as the store has it, and the store as the list has it, until `stop`.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        let mut position = Position::default();
        loop {
            let Some(read) = stop.run_until_cancelled(self.read(&mut position)).await else { return };
            match read {
                Ok(at) => {
                    self.read_at.send_replace(Some(at));
                }
                Err(_) => self.metrics.revocation_reads_failed.increment(1),
            }
            let held = {
                let mut list = self.list.write();
                list.forget();
                list.len()
            };
            self.metrics.revocations.set(u32::try_from(held).unwrap_or(u32::MAX));
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.store.news() => {}
                () = tokio::time::sleep(READ_EVERY) => {}
            }
        }
    }

    /// Reads on to the end, and says when that was begun.
    async fn read(&self, position: &mut Position) -> Result<Instant, StoreError> {
        loop {
            let begun = Instant::now();
            let page = self.store.read(*position).await?;
            if page.lost {
                *position = Position::default();
                self.list.write().doubt();
                continue;
            }
            for revocation in &page.revocations {
                self.put_in_force(revocation, true);
            }
            *position = page.position;
            if page.more {
                continue;
            }
            let owed = self.list.read().owed(OWED_TOGETHER_MAX);
            if owed.is_empty() {
                return Ok(begun);
            }
            match self.store.add(owed.clone()).await {
                Ok(()) => {
                    let mut list = self.list.write();
                    for revocation in &owed {
                        list.add(revocation, self.settings.life, true);
                    }
                }
                // What the store has was read, which is all that admission asks.
                Err(StoreError::Full) => return Ok(begun),
                Err(StoreError::Away) => return Err(StoreError::Away),
            }
        }
    }

    fn put_in_force(&self, revocation: &Revocation, stored: bool) {
        if self.list.write().add(revocation, self.settings.life, stored) {
            (self.tell)(revocation);
        }
    }
}

impl Gate for Revocations {
    /// While the list is out of date only with a token that was made lately: its issuer vouched for it no longer ago than
    /// the list did.
    fn admit(&self, principal: &Principal, now: SystemTime) -> Result<(), AuthError> {
        self.check(principal)?;
        let stale_for = self.settings.stale_for;
        let is_fresh = self.read_at.borrow().is_some_and(|at| at.elapsed() <= stale_for);
        if is_fresh || is_younger(principal, stale_for, now) {
            Ok(())
        } else {
            Err(AuthError::RevocationsUnavailable)
        }
    }

    fn check(&self, principal: &Principal) -> Result<(), AuthError> {
        if self.list.read().concerns(principal) { Err(AuthError::Revoked) } else { Ok(()) }
    }
}

impl fmt::Debug for Revocations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Revocations").field("held", &self.list.read().len()).finish_non_exhaustive()
    }
}

//! The revocations in force, as one instance knows them.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use ahash::HashMap;
use tokio::time::Instant;

use crate::auth::Principal;
use crate::revocation::{Revocation, Target, seconds};

/// Revocations in force.
#[derive(Debug, Default)]
pub(super) struct List(HashMap<(Arc<str>, Target), Entry>);

#[derive(Debug, Clone, Copy)]
struct Entry {
    issued_before_s: u64,
    until: Instant,
    /// Whether the store is known to have it.
    stored: bool,
}

impl List {
    /// How many.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Puts one in force for so long. Says whether that changes anything.
    pub(super) fn add(&mut self, revocation: &Revocation, life: Duration, stored: bool) -> bool {
        let Revocation { tenant, target, issued_before_s } = revocation;
        let entry = Entry { issued_before_s: *issued_before_s, until: Instant::now() + life, stored };
        let key = (Arc::clone(tenant), target.clone());
        match self.0.get_mut(&key) {
            Some(held) if held.issued_before_s > *issued_before_s => false,
            Some(held) if held.issued_before_s == *issued_before_s => {
                held.stored |= stored;
                false
            }
            Some(held) => {
                *held = entry;
                true
            }
            None => {
                self.0.insert(key, entry);
                true
            }
        }
    }

    /// Whether the principal's token is good no longer.
    pub(super) fn concerns(&self, principal: &Principal) -> bool {
        if self.0.is_empty() {
            return false;
        }
        let issued_s = seconds(principal.issued_at());
        let tenant = principal.tenant();
        let concerns = |target| {
            self.0.get(&(Arc::clone(tenant), target)).is_some_and(|entry| issued_s <= entry.issued_before_s)
        };
        concerns(Target::Tenant)
            || concerns(Target::Agent(Arc::clone(principal.agent())))
            || principal.token_key().is_some_and(|key| concerns(Target::Token(key)))
    }

    /// Forgets what is over.
    pub(super) fn forget(&mut self) {
        let now = Instant::now();
        self.0.retain(|_, entry| entry.until > now);
    }

    /// The store may have lost any of them.
    pub(super) fn doubt(&mut self) {
        self.0.values_mut().for_each(|entry| entry.stored = false);
    }

    /// What the store is not known to have, so many at most.
    pub(super) fn owed(&self, max: usize) -> Vec<Revocation> {
        let owed = self.0.iter().filter(|(_, entry)| !entry.stored);
        let owed = owed.map(|((tenant, target), entry)| Revocation {
            tenant: Arc::clone(tenant),
            target: target.clone(),
            issued_before_s: entry.issued_before_s,
        });
        owed.take(max).collect()
    }
}

/// Whether a token was made so lately that its issuer may be taken to vouch for it.
pub(super) fn is_younger(principal: &Principal, than: Duration, now: SystemTime) -> bool {
    now.duration_since(principal.issued_at()).unwrap_or_default() <= than
}

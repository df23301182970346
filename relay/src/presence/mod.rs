//! Who is present: an agent while it has a session, the members of a group, and in a topic whoever subscribed to be seen.
//!
//! All of it stands in the directory, so it ends with the lease of an instance that dies. Watched places are looked at
//! once a second, each once for all of its watchers here, who hear what changed since they last heard. Whoever is lost
//! without a goodbye stays present for a grace.

mod grace;
mod members;
#[cfg(test)]
mod tests;
mod watch;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use dashmap::DashMap;
use futures_util::stream::{self, StreamExt as _};
use relay_protocol::address::agent_of_session;
use relay_protocol::{Address, AddressKind};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::directory::{DirectoryError, Entry, OwnEntry, SharedDirectory};
use crate::entropy::Keys;
use crate::telemetry::metrics::Metrics;

pub use members::Members;
pub use watch::Watch;

use grace::Grace;
use watch::Watcher;

/// How often watched places are looked at, and so the most often that a watcher hears of one.
const PERIOD: Duration = Duration::from_secs(1);
/// Places looked at together.
const UNDER_WAY_MAX: usize = 64;

/// Who is present, for this instance.
#[derive(Debug)]
pub struct Presence {
    directory: SharedDirectory,
    watched: DashMap<Place, Vec<Watcher>, Keys>,
    numbers: AtomicU64,
    grace: Grace,
    metrics: Arc<Metrics>,
    tracker: TaskTracker,
}

/// Where somebody may be present.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Place {
    tenant: Arc<str>,
    address: Address<'static>,
}

impl Presence {
    /// What `directory` tells. Who is lost stays present for `grace`.
    pub fn new(
        directory: SharedDirectory,
        metrics: Arc<Metrics>,
        tracker: TaskTracker,
        grace: Duration,
    ) -> Arc<Presence> {
        let (watched, numbers, grace) = (DashMap::default(), AtomicU64::new(0), Grace::new(grace));
        Arc::new(Presence { directory, watched, numbers, grace, metrics, tracker })
    }

    /// Looks at what is watched, and ends what is over, until `stop`.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        let mut ticks = tokio::time::interval(PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while stop.run_until_cancelled(ticks.tick()).await.is_some() {
            self.end_graces();
            let places: Vec<Place> = self.watched.iter().map(|watched| watched.key().clone()).collect();
            let looks = stream::iter(places).map(|place| self.look(place));
            let looked = looks.buffer_unordered(UNDER_WAY_MAX).for_each(|()| std::future::ready(()));
            if stop.run_until_cancelled(looked).await.is_none() {
                return;
            }
        }
    }

    /// Who is present at an address of a tenant. A session is looked for as its agent.
    pub async fn find(&self, tenant: &str, address: &Address<'_>) -> Result<Members, DirectoryError> {
        let mut entries = self.directory.lookup(tenant, address.as_str()).await?;
        if address.kind() == AddressKind::Agent {
            // What was found is what is left of it; the agent itself stands by its name.
            entries.extend(self.directory.lookup(tenant, address.name()).await?);
        }
        Ok(agents(&entries))
    }

    /// A session is present at an address from now on. It is found until it is let go.
    pub fn enter(self: &Arc<Self>, entry: OwnEntry) -> Present {
        let registered = self.directory.register(entry.clone());
        self.tracker.spawn(async move {
            // The wish is kept while the store is away.
            let _ = registered.await;
        });
        Present { presence: Arc::clone(self), entry: Some(entry) }
    }

    fn leave(&self, entry: OwnEntry) {
        let unregistered = self.directory.unregister(entry);
        self.tracker.spawn(async move {
            let _ = unregistered.await;
        });
    }
}

/// A session's being present somewhere. Dropped, it is so no more.
#[derive(Debug)]
pub struct Present {
    presence: Arc<Presence>,
    entry: Option<OwnEntry>,
}

impl Present {
    /// Where.
    pub fn address(&self) -> &str {
        self.entry.as_ref().map_or("", |entry| &entry.agent)
    }

    /// The session was lost without a goodbye: it may be back before anybody need know.
    pub fn linger(mut self) {
        if let Some(entry) = self.entry.take() {
            self.presence.begin_grace(entry);
        }
    }
}

impl Drop for Present {
    fn drop(&mut self) {
        if let Some(entry) = self.entry.take() {
            self.presence.leave(entry);
        }
    }
}

/// The agents of some sessions.
fn agents(entries: &[Entry]) -> Members {
    entries.iter().filter_map(|entry| agent_of_session(&entry.session)).map(Arc::from).collect()
}

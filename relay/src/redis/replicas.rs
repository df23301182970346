//! What counts as stored only when replicas have it too. `WAIT` looks at what its own connection wrote, and holds up all
//! that follows on it, so such writes have a connection of their own.
//!
//! One `WAIT` stands for all writes that were answered before it; while it is under way the next ones collect. Bound: the
//! questions under way.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use fred::clients::Client;
use fred::interfaces::{ClientLike as _, EventInterface as _, ServerInterface as _};
use fred::types::config::{Options, Server};
use futures_util::future::join_all;
use parking_lot::Mutex;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::TryRecvError;
use tokio::sync::{Notify, oneshot};

use crate::redis::options;
use crate::redis::{Commands, Topology};

/// What an operator chose.
#[derive(Debug, Clone, Copy)]
pub struct ReplicaSettings {
    /// Replicas that are to have a write.
    pub count: u32,
    /// How long they are waited for.
    pub timeout: Duration,
}

/// Writes that are waited for.
pub(crate) struct Replicas {
    client: Client,
    commands: Commands,
    topology: Topology,
    settings: ReplicaSettings,
    connects: Mutex<Connects>,
    waiting: Mutex<HashMap<Option<Server>, Vec<oneshot::Sender<bool>>>>,
    more: Notify,
}

/// How often a connection was made, as far as it was looked at.
struct Connects {
    made: u64,
    events: Receiver<Server>,
}

/// On which connection a write begins: one made meanwhile knows nothing of it, and would be sure of it at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ground {
    connects: u64,
    node: Option<Server>,
}

impl Replicas {
    /// With a client that is not connected yet, whose state the link of `commands` need not know.
    pub(super) fn new(client: Client, commands: &Commands, settings: ReplicaSettings) -> Arc<Replicas> {
        let connects = Mutex::new(Connects { made: 0, events: client.reconnect_rx() });
        Arc::new(Replicas {
            commands: commands.over(client.with_options(&options::at_most_once_at_once())),
            topology: Topology::new(client.clone()),
            client,
            settings,
            connects,
            waiting: Mutex::default(),
            more: Notify::new(),
        })
    }

    /// What such writes are asked with.
    pub(crate) fn commands(&self) -> &Commands {
        &self.commands
    }

    /// Where a write to this key begins.
    pub(crate) fn ground(&self, key: &str) -> Ground {
        let mut connects = self.connects.lock();
        loop {
            match connects.events.try_recv() {
                Ok(_) => connects.made += 1,
                Err(TryRecvError::Lagged(some)) => connects.made += some,
                Err(TryRecvError::Empty | TryRecvError::Closed) => break,
            }
        }
        let node = self.topology.slots().and_then(|slots| slots.holder(key).cloned());
        Ground { connects: connects.made, node }
    }

    /// Whether enough replicas have what was written to this key, and answered, since it began there.
    pub(crate) async fn have(&self, key: &str, begun: Ground) -> bool {
        let (sender, heard) = oneshot::channel();
        self.waiting.lock().entry(begun.node.clone()).or_default().push(sender);
        self.more.notify_one();
        heard.await.unwrap_or(false) && self.ground(key) == begun
    }

    /// Asks whenever something is to be known.
    pub(super) async fn run(self: Arc<Self>) {
        loop {
            self.more.notified().await;
            let waiting = std::mem::take(&mut *self.waiting.lock());
            join_all(waiting.into_iter().map(|(node, those)| self.ask(node, those))).await;
        }
    }

    async fn ask(&self, node: Option<Server>, those: Vec<oneshot::Sender<bool>>) {
        let options = Options { cluster_node: node, ..options::at_most_once_at_once() };
        let (count, timeout) = (i64::from(self.settings.count), self.settings.timeout.as_millis());
        let wait = self.client.with_options(&options);
        let have = wait.wait::<i64>(count, i64::try_from(timeout).unwrap_or(i64::MAX)).await;
        let enough = have.is_ok_and(|have| have >= count);
        for one in those {
            // Who no longer waits does not need to know.
            one.send(enough).ok();
        }
    }
}

impl fmt::Debug for Replicas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replicas").field("settings", &self.settings).finish_non_exhaustive()
    }
}

//! Which servers there are: one, or the nodes of a Cluster and the slots that each holds, as the client for commands knows
//! them. It asks for them when it connects, and when a node says that a slot has moved.

use std::fmt;

use fred::clients::{Client, WithOptions};
use fred::interfaces::{ClientLike as _, ClusterInterface as _, EventInterface as _};
use fred::types::ClusterStateChange;
use fred::types::cluster::ClusterRouting;
use fred::types::config::{Options, Server};
use tokio::sync::broadcast::Receiver;

use crate::redis::options;

/// Who holds what. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Topology(Client);

impl Topology {
    pub(super) fn new(client: Client) -> Topology {
        Topology(client)
    }

    /// Whether there may be several servers.
    pub(crate) fn is_cluster(&self) -> bool {
        self.0.is_clustered()
    }

    /// The slots of a Cluster; nothing before they are known, and of a single server.
    pub(crate) fn slots(&self) -> Option<Slots> {
        if !self.is_cluster() {
            return None;
        }
        self.0.cached_cluster_state().filter(|routing| !routing.slots().is_empty()).map(Slots)
    }

    /// Hears of each change, from this call on.
    pub(crate) fn changes(&self) -> Receiver<Vec<ClusterStateChange>> {
        self.0.cluster_change_rx()
    }

    /// Asks who holds what, as it may have changed.
    pub(crate) async fn refresh(&self) {
        // Without an answer it is asked again by whoever finds it wrong.
        drop(tokio::time::timeout(options::COMMAND_TIMEOUT, self.0.sync_cluster()).await);
    }

    /// The client, once for each server: for what is asked of a server and not of a key.
    pub(super) fn each(&self) -> Vec<WithOptions<Client>> {
        let nodes = self.slots().map(|slots| slots.nodes()).unwrap_or_default();
        if nodes.is_empty() {
            return vec![self.0.with_options(&options::at_most_once())];
        }
        let of = |node| Options { cluster_node: Some(node), ..options::at_most_once() };
        nodes.into_iter().map(|node| self.0.with_options(&of(node))).collect()
    }
}

impl fmt::Debug for Topology {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Topology").field("is_cluster", &self.is_cluster()).finish_non_exhaustive()
    }
}

/// Which node holds which slot, at some time.
#[derive(Debug, Clone)]
pub(crate) struct Slots(ClusterRouting);

impl Slots {
    /// The nodes that hold any.
    pub(crate) fn nodes(&self) -> Vec<Server> {
        self.0.unique_primary_nodes()
    }

    /// The node that holds a key or a sharded channel of this name.
    pub(crate) fn holder(&self, name: &str) -> Option<&Server> {
        self.0.get_server(ClusterRouting::hash_key(name.as_bytes()))
    }
}

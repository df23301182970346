//! The servers that channels are subscribed at: one, or each node of a Cluster that holds slots. A shard is such a server
//! with a connection, wishes and a probe of its own, so that one that ails does not disturb the others.
//!
//! When slots move the wishes go with them, and each that was carried out elsewhere is a gap. A wish whose slot nobody
//! holds waits in limbo.

use std::sync::Arc;

use fred::clients::Client;
use fred::interfaces::EventInterface as _;
use fred::types::config::Server;
use futures_util::future::{BoxFuture, FutureExt as _, join_all};
use parking_lot::RwLock;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

use crate::bus::outlet::Outlet;
use crate::bus::redis::counters::BusCounters;
use crate::bus::redis::probe::{Hearing, Probe};
use crate::bus::redis::reconcile::Keeper;
use crate::bus::redis::subscribe;
use crate::bus::redis::wishes::Wishes;
use crate::bus::{Channel, InstanceId, SubscribeError};
use crate::redis::{Commands, Connections, Redis, Slots, Topology};

/// Names tried for a probe until one is of a slot that a node holds: a node with one slot in a thousand finds its own.
const PROBES_TRIED_MAX: u32 = 1 << 14;

/// Resolves when a probe can come back.
type InForce = BoxFuture<'static, Result<(), SubscribeError>>;

/// Every shard of one instance.
#[derive(Debug)]
pub(super) struct Shards {
    commands: Commands,
    connections: Connections,
    topology: Topology,
    instance: InstanceId,
    outlet: Outlet,
    counters: Arc<BusCounters>,
    state: RwLock<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Nothing of a single server, and while a Cluster is not known.
    slots: Option<Slots>,
    shards: Vec<Shard>,
    limbo: Arc<Wishes>,
}

#[derive(Debug)]
struct Shard {
    /// Of a Cluster.
    node: Option<Server>,
    wishes: Arc<Wishes>,
    hearing: Arc<Hearing>,
    token: CancellationToken,
}

impl State {
    fn holds(&self, shard: &Shard, channel: &Channel) -> bool {
        self.slots.as_ref().is_none_or(|slots| slots.holder(channel.name()) == shard.node.as_ref())
    }

    fn wishes(&self, channel: &Channel) -> &Arc<Wishes> {
        let shard = self.shards.iter().find(|shard| self.holds(shard, channel));
        shard.map_or(&self.limbo, |shard| &shard.wishes)
    }
}

impl Shards {
    /// The shards of `instance`, of which nothing is subscribed yet.
    pub(super) fn new(
        redis: &Redis,
        instance: &InstanceId,
        outlet: Outlet,
        counters: Arc<BusCounters>,
    ) -> Arc<Shards> {
        let (commands, connections) = (redis.commands().clone(), redis.connections().clone());
        let (topology, instance, state) = (redis.topology().clone(), instance.clone(), RwLock::default());
        Arc::new(Shards { commands, connections, topology, instance, outlet, counters, state })
    }

    /// Opens them, and resolves when all that are known can receive. Those of a Cluster are followed from here on.
    pub(super) fn open(self: &Arc<Self>) -> impl Future<Output = bool> + Send + use<> {
        let opened = if self.topology.is_cluster() {
            let opened = self.settle();
            self.connections.tracker().spawn(Arc::clone(self).follow());
            opened
        } else {
            let (shard, in_force) = self.shard(None, Channel::probe(&self.instance));
            self.state.write().shards.push(shard);
            vec![in_force]
        };
        async move {
            let opened = join_all(opened).await;
            !opened.is_empty() && opened.iter().all(Result::is_ok)
        }
    }

    /// Records a wish, and resolves when it is in force.
    pub(super) fn wish(
        &self,
        channel: &Channel,
    ) -> impl Future<Output = Result<(), SubscribeError>> + Send + use<> {
        self.state.read().wishes(channel).wish(channel, false)
    }

    /// Takes a wish back.
    pub(super) fn take_back(&self, channel: &Channel) {
        self.state.read().wishes(channel).take_back(channel);
    }

    /// Whether what is published at some shard does not come back.
    pub(super) fn deaf(&self) -> bool {
        self.state.read().shards.iter().any(|shard| shard.hearing.deaf())
    }

    async fn follow(self: Arc<Self>) {
        let mut changes = self.topology.changes();
        let mut connections = self.commands.link().connections();
        loop {
            // A probe that is not waited for is as good.
            drop(self.settle());
            tokio::select! {
                () = self.connections.token().cancelled() => return,
                change = changes.recv() => if matches!(change, Err(RecvError::Closed)) { return },
                Ok(()) = connections.changed() => {}
            }
        }
    }

    /// Makes the shards what the nodes are, and gives each wish to the one that holds its slot.
    fn settle(&self) -> Vec<InForce> {
        let mut opened = Vec::new();
        let mut state = self.state.write();
        let Some(slots) = self.topology.slots() else { return opened };
        let nodes = slots.nodes();
        state.slots = Some(slots.clone());
        let (mut kept, gone): (Vec<Shard>, Vec<Shard>) = std::mem::take(&mut state.shards)
            .into_iter()
            .partition(|shard| state.holds(shard, shard.hearing.channel()));
        let mut moved = state.limbo.release(|_| true);
        for shard in &gone {
            // Before anything is subscribed elsewhere, so that nothing comes twice.
            shard.token.cancel();
            moved.extend(shard.wishes.release(|channel| channel != shard.hearing.channel()));
        }
        for shard in &kept {
            moved.extend(shard.wishes.release(|channel| !state.holds(shard, channel)));
        }
        for node in nodes {
            if kept.iter().any(|shard| shard.node.as_ref() == Some(&node)) {
                continue;
            }
            let mut probes =
                (0..PROBES_TRIED_MAX).map(|number| Channel::numbered_probe(&self.instance, number));
            let Some(probe) = probes.find(|probe| slots.holder(probe.name()) == Some(&node)) else {
                continue;
            };
            let (shard, in_force) = self.shard(Some(node), probe);
            opened.push(in_force);
            kept.push(shard);
        }
        if !(gone.is_empty() && opened.is_empty()) {
            tracing::info!(nodes = kept.len(), "the nodes of the Redis Cluster changed");
        }
        state.shards = kept;
        for channel in moved {
            state.wishes(&channel).adopt(&channel);
        }
        opened
    }

    fn shard(&self, node: Option<Server>, probe: Channel) -> (Shard, InForce) {
        let token = self.connections.token().child_token();
        let tracker = self.connections.tracker();
        let client = self.connections.subscriber(node.as_ref());
        let (hearing, wishes) = (Arc::new(Hearing::new(probe)), Arc::new(Wishes::default()));
        let (outlet, counters) = (self.outlet.clone(), Arc::clone(&self.counters));
        // All listen before the client connects, so that nothing it says is missed.
        let messages = client.message_rx();
        tracker.spawn(subscribe::read(messages, outlet.clone(), hearing.clone(), token.clone()));
        let topology = self.topology.clone();
        let keeper =
            Keeper::new(client.clone(), topology, outlet, wishes.clone(), hearing.clone(), counters.clone());
        // Ended wherever they are: what they asked a connection that comes back may take seconds.
        tracker.spawn(token.clone().run_until_cancelled_owned(keeper.run()));
        let in_force = wishes.wish(hearing.channel(), true).boxed();
        self.connections.keep(Client::clone(&client), token.clone());
        let probe = Probe::new(self.commands.clone(), hearing.clone(), counters);
        tracker.spawn(token.clone().run_until_cancelled_owned(probe.run()));
        (Shard { node, wishes, hearing, token }, in_force)
    }
}

//! A real Redis Cluster for tests: primaries that share the slots, each with a replica where a fail-over is tested.

use futures_util::future::join_all;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::bus::conformance::eventually;
use crate::redis::test_server::{TestServer, free_port};
use crate::redis::{Redis, RedisSettings};

/// How many primaries.
const PRIMARIES: u16 = 3;
const SLOTS: u32 = 16_384;
/// After how long a node that does not answer is taken for dead, in milliseconds.
const NODE_TIMEOUT: &str = "2000";

/// Runs until it is dropped.
pub(crate) struct TestCluster(Vec<TestServer>);

impl TestCluster {
    /// Three primaries.
    pub(crate) async fn start() -> TestCluster {
        TestCluster::start_with(0).await
    }

    /// Three primaries and their replicas: that of the first is the fourth.
    pub(crate) async fn replicated() -> TestCluster {
        TestCluster::start_with(PRIMARIES).await
    }

    async fn start_with(replicas: u16) -> TestCluster {
        let nodes = join_all((0..PRIMARIES + replicas).map(|_| async {
            let bus = free_port();
            let options =
                ["--cluster-enabled", "yes", "--cluster-node-timeout", NODE_TIMEOUT, "--cluster-port"];
            let mut node =
                TestServer::absent_with(options.map(str::to_owned).into_iter().chain([bus.to_string()]));
            node.restart().await;
            (node, bus)
        }))
        .await;
        let first = (nodes[0].0.port(), nodes[0].1);
        let cluster = TestCluster(nodes.into_iter().map(|(node, _)| node).collect());
        for (number, node) in (0..PRIMARIES).zip(&cluster.0) {
            let share = |number: u16| SLOTS * u32::from(number) / u32::from(PRIMARIES);
            let slots = format!("{} {}", share(number), share(number + 1) - 1);
            node.say(&format!("CLUSTER SET-CONFIG-EPOCH {}", number + 1)).await;
            node.say(&format!("CLUSTER ADDSLOTSRANGE {slots}")).await;
        }
        for node in &cluster.0[1..] {
            node.say(&format!("CLUSTER MEET 127.0.0.1 {} {}", first.0, first.1)).await;
        }
        cluster.all_say("cluster_known_nodes", &cluster.0.len().to_string()).await;
        for (primary, replica) in cluster.0.iter().zip(&cluster.0[usize::from(PRIMARIES)..]) {
            let id = primary.say("CLUSTER MYID").await;
            let id = id.lines().nth(1).unwrap().to_owned();
            eventually("the replica knows its primary", async || {
                replica.say(&format!("CLUSTER REPLICATE {id}")).await.starts_with("+OK")
            })
            .await;
        }
        for replica in &cluster.0[usize::from(PRIMARIES)..] {
            eventually("the replica follows", async || {
                replica.say("INFO replication").await.contains("master_link_status:up")
            })
            .await;
        }
        cluster.all_say("cluster_state", "ok").await;
        cluster
    }

    async fn all_say(&self, field: &str, value: &str) {
        let expected = format!("{field}:{value}\r\n");
        for node in &self.0 {
            eventually(&expected, async || node.say("CLUSTER INFO").await.contains(&expected)).await;
        }
    }

    /// The node of that number: primaries first.
    pub(crate) fn node(&self, number: usize) -> &TestServer {
        &self.0[number]
    }

    /// The same, to be killed and started again.
    pub(crate) fn node_mut(&mut self, number: usize) -> &mut TestServer {
        &mut self.0[number]
    }

    /// Which primary holds a name, of those that it began with.
    pub(crate) async fn holder(&self, name: &str) -> usize {
        let slot = self.0[0].say(&format!("CLUSTER KEYSLOT {name}")).await;
        let slot: u32 = slot.trim().trim_start_matches(':').parse().unwrap();
        ((slot * u32::from(PRIMARIES) + u32::from(PRIMARIES) - 1) / SLOTS) as usize
    }

    /// By two of its nodes.
    pub(crate) fn url(&self) -> String {
        format!("redis-cluster://127.0.0.1:{},127.0.0.1:{}", self.0[1].port(), self.0[2].port())
    }

    /// A connection to it as a relay has, until `token` ends it.
    pub(crate) async fn open_until(&self, token: &CancellationToken) -> Redis {
        Redis::open(&self.url(), RedisSettings::default(), TaskTracker::new(), token.clone()).await.unwrap()
    }

    /// A connection to it as a relay has.
    pub(crate) async fn open(&self) -> Redis {
        self.open_until(&CancellationToken::new()).await
    }

    /// How many keys it holds that have no end.
    pub(crate) async fn keys_for_good(&self) -> usize {
        join_all(self.0.iter().map(TestServer::keys_for_good)).await.iter().sum()
    }
}

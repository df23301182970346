//! A Redis Cluster: three primaries that share the slots, each with a replica that takes its place when it dies.

use std::time::Duration;

use anyhow::{Context, ensure};
use relay_loadtest::launch::ready::free_port;

use crate::eventually::eventually;
use crate::redis::Redis;

const PRIMARIES: usize = 3;
/// After how long a node that does not answer is taken for dead, in milliseconds.
const NODE_TIMEOUT: &str = "2000";
/// How long the nodes may take to agree.
const PATIENCE: Duration = Duration::from_secs(30);
/// Of a node's name, in characters.
const NAME_LENGTH: usize = 40;
/// The slots of a Cluster.
const SLOTS: usize = 16_384;

/// Makes one Cluster of nodes that know nobody, at these ports, their buses at those: the slots to so many of them, each other
/// one a replica of one of these. `sign_in` goes before each command.
pub(crate) async fn join(
    nodes: &[Redis],
    places: &[(u16, u16)],
    primaries: usize,
    sign_in: &str,
) -> anyhow::Result<()> {
    let say = async |number: usize, command: String| {
        let said = nodes[number].say(&format!("{sign_in}{command}")).await?;
        ensure!(!is_refused(&said), "{command}: {said}");
        Ok(said)
    };
    for number in 0..nodes.len() {
        say(number, format!("CLUSTER SET-CONFIG-EPOCH {}", number + 1)).await?;
        if number < primaries {
            let [first, end] = [number, number + 1].map(|at| at * SLOTS / primaries);
            say(number, format!("CLUSTER ADDSLOTSRANGE {first} {}", end - 1)).await?;
        }
    }
    for (port, bus) in &places[1..] {
        say(0, format!("CLUSTER MEET 127.0.0.1 {port} {bus}")).await?;
    }
    for (number, replica) in nodes.iter().enumerate().skip(primaries) {
        let said = say(number - primaries, "CLUSTER MYID".to_owned()).await?;
        let name = said.lines().find(|line| line.len() == NAME_LENGTH).context("a node without a name")?;
        let replicate = format!("{sign_in}CLUSTER REPLICATE {name}");
        // It hears of its primary by the first.
        eventually("the nodes know each other", PATIENCE, async || {
            let said = replica.say(&replicate).await?;
            ensure!(!is_refused(&said) || said.contains("Unknown node"), "{said}");
            Ok((!is_refused(&said)).then_some(()))
        })
        .await?;
    }
    Ok(())
}

/// Whether one of the answers is an error, of whatever kind.
fn is_refused(said: &str) -> bool {
    said.lines().any(|line| line.starts_with('-'))
}

/// Such a Cluster. Dropped, all of it is killed.
#[derive(Debug)]
pub struct RedisCluster {
    nodes: Vec<Redis>,
}

impl RedisCluster {
    /// Starts one; when this returns, any one of its nodes may die.
    pub async fn start() -> anyhow::Result<RedisCluster> {
        let (mut nodes, mut places) = (Vec::new(), Vec::new());
        for _ in 0..2 * PRIMARIES {
            let bus = free_port().await?;
            let arguments = [
                "--cluster-enabled",
                "yes",
                "--cluster-node-timeout",
                NODE_TIMEOUT,
                "--cluster-port",
                &bus.to_string(),
            ];
            let node = Redis::start_with(&arguments.map(str::to_owned), "+PONG").await?;
            places.push((node.port(), bus));
            nodes.push(node);
        }
        join(&nodes, &places, PRIMARIES, "").await?;
        let cluster = RedisCluster { nodes };
        for number in 0..cluster.nodes.len() {
            cluster.is_whole(number).await?;
        }
        Ok(cluster)
    }

    /// The number of the primary that holds a key.
    pub async fn holder(&self, key: &str) -> anyhow::Result<usize> {
        for (number, node) in self.nodes.iter().enumerate() {
            let is_primary = node.say("INFO replication").await?.contains("role:master");
            if is_primary && !node.say(&format!("EXISTS {key}")).await?.starts_with("-MOVED") {
                return Ok(number);
            }
        }
        anyhow::bail!("no primary holds {key}")
    }

    /// Kills a node, as a crash would.
    pub async fn kill(&mut self, number: usize) -> anyhow::Result<()> {
        self.nodes[number].kill().await
    }

    /// Cuts the replica of a primary off, and returns its number: what the primary stores from here on it never gets.
    pub async fn cut_replica_off(&self, primary: usize) -> anyhow::Result<usize> {
        let said = self.nodes[primary].say("INFO replication").await?;
        let is_its = |node: &Redis| said.contains(&format!("port={},", node.port()));
        let replica = self.nodes.iter().position(is_its).context("a primary without a replica")?;
        self.nodes[replica].freeze()?;
        // Else the kernel would keep for it what is written meanwhile.
        self.nodes[primary].say("CLIENT KILL TYPE replica").await?;
        Ok(replica)
    }

    /// Lets a node that was cut off go on.
    pub fn thaw(&self, number: usize) -> anyhow::Result<()> {
        self.nodes[number].thaw()
    }

    /// Starts, empty, the node that was killed, and waits until it is a replica that has everything.
    pub async fn rejoin(&mut self, number: usize) -> anyhow::Result<()> {
        self.nodes[number].begin().await?;
        self.is_whole(number).await?;
        eventually("the replica has everything", PATIENCE, async || {
            let said = self.nodes[number].say("INFO replication").await?;
            Ok((said.contains("role:slave") && said.contains("master_link_status:up")).then_some(()))
        })
        .await
    }

    async fn is_whole(&self, number: usize) -> anyhow::Result<()> {
        eventually("the nodes agree", PATIENCE, async || {
            let node = &self.nodes[number];
            let replication = node.say("INFO replication").await?;
            let follows =
                replication.contains("role:master") || replication.contains("master_link_status:up");
            Ok((follows && node.say("CLUSTER INFO").await?.contains("cluster_state:ok")).then_some(()))
        })
        .await
    }

    /// What a relay is told.
    pub fn url(&self) -> String {
        let nodes: Vec<String> = self.nodes.iter().map(|node| format!("127.0.0.1:{}", node.port())).collect();
        format!("redis-cluster://{}", nodes.join(","))
    }
}

//! A Redis Cluster as it stands in a network: TLS among its nodes and to relays, and a user that may do what a relay does
//! and no more.

use std::path::PathBuf;
use std::time::Duration;

use relay_loadtest::launch::ready::free_port;

use crate::eventually::eventually;
use crate::redis::Redis;
use crate::redis_cluster::join;
use crate::secured::{Certificates, PASSWORD, RIGHTS};

const PRIMARIES: usize = 3;
/// What README.md tells operators to allow a relay on a Cluster besides.
const CLUSTER_RIGHTS: &str = "+cluster|slots +cluster|info";
/// Somebody who may do everything: the nodes themselves, and this test.
const OPERATOR: &str = "operator";
/// How long the nodes may take to agree.
const PATIENCE: Duration = Duration::from_secs(30);

/// Such a Cluster: three primaries. Dropped, all of it is killed.
#[derive(Debug)]
pub struct SecuredCluster {
    nodes: Vec<Redis>,
    ports: Vec<u16>,
    certificates: Certificates,
}

impl SecuredCluster {
    /// Starts one, with an authority of its own.
    pub async fn start() -> anyhow::Result<SecuredCluster> {
        let certificates = Certificates::issue()?;
        let (mut nodes, mut places) = (Vec::new(), Vec::new());
        for _ in 0..PRIMARIES {
            let (port, bus) = (free_port().await?, free_port().await?);
            let mut arguments = certificates.arguments(port, &format!("{RIGHTS} {CLUSTER_RIGHTS}"))?;
            let further = format!(
                "--user {OPERATOR} on >{PASSWORD} ~* &* +@all --tls-cluster yes --cluster-enabled yes --cluster-port {bus}"
            );
            arguments.extend(further.split(' ').map(str::to_owned));
            nodes.push(Redis::start_with(&arguments, "-NOAUTH").await?);
            places.push((port, bus));
        }
        let ports = places.iter().map(|(port, _)| *port).collect();
        let cluster = SecuredCluster { nodes, ports, certificates };
        cluster.join(&places).await?;
        Ok(cluster)
    }

    async fn join(&self, places: &[(u16, u16)]) -> anyhow::Result<()> {
        join(&self.nodes, places, PRIMARIES, &format!("AUTH {OPERATOR} {PASSWORD}\r\n")).await?;
        for node in &self.nodes {
            eventually("the nodes agree", PATIENCE, async || {
                let said = node.say(&format!("AUTH {OPERATOR} {PASSWORD}\r\nCLUSTER INFO")).await?;
                Ok(said.contains("cluster_state:ok").then_some(()))
            })
            .await?;
        }
        Ok(())
    }

    /// What each node answers to a command of the relays' user.
    pub async fn say_as_relay(&self, command: &str) -> anyhow::Result<Vec<String>> {
        let mut said = Vec::new();
        for node in &self.nodes {
            said.push(node.say(&format!("AUTH relay {PASSWORD}\r\n{command}")).await?);
        }
        Ok(said)
    }

    /// The names of all keys of all nodes.
    pub async fn keys(&self) -> anyhow::Result<Vec<String>> {
        let mut keys = Vec::new();
        for node in &self.nodes {
            let said = node.say(&format!("AUTH {OPERATOR} {PASSWORD}\r\nKEYS *")).await?;
            let is_name = |line: &&str| !line.is_empty() && !line.starts_with(['+', '*', '$']);
            keys.extend(said.lines().filter(is_name).map(str::to_owned));
        }
        Ok(keys)
    }

    /// What a relay is told.
    pub fn url(&self) -> String {
        let nodes: Vec<String> = self.ports.iter().map(|port| format!("127.0.0.1:{port}")).collect();
        format!("rediss-cluster://relay:{PASSWORD}@{}", nodes.join(","))
    }

    /// The file with the authority's certificate.
    pub fn authority(&self) -> PathBuf {
        self.certificates.authority()
    }
}

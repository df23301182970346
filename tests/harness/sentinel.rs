//! A primary, its replica, and three Sentinels that put one in the place of the other.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context;
use relay_loadtest::launch::Child;
use relay_loadtest::launch::ready::{free_port, until_answers};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::process::Command;

use crate::eventually::eventually;
use crate::program;
use crate::redis::Redis;

/// The name that the Sentinels know the primary by.
const SERVICE: &str = "relay";
/// After how long without an answer Sentinels take a server for down. They ask once a second, and a server that they have just
/// put in place for the first time after one: if that were all, it would be down whenever it does not answer at once.
const DOWN_AFTER_MS: u32 = 2_000;
/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(5);
/// How long a replica may take to have everything.
const PATIENCE: Duration = Duration::from_secs(30);

/// Two servers that are watched. Dropped, all of it is killed.
#[derive(Debug)]
pub struct Watched {
    servers: [Redis; 2],
    /// Which of them was the primary when it was last looked at.
    primary: usize,
    /// Which configuration of the Sentinels that was: each fail-over makes another.
    configuration: u64,
    sentinels: Vec<Child>,
    ports: Vec<u16>,
    _folder: TempDir,
}

impl Watched {
    /// Starts them; when this returns a fail-over is possible.
    pub async fn start() -> anyhow::Result<Watched> {
        let primary = Redis::start().await?;
        let of = ["--replicaof".to_owned(), "127.0.0.1".to_owned(), primary.port().to_string()];
        let replica = Redis::start_with(&of, "+PONG").await?;
        let folder = TempDir::with_prefix("relay-tests-sentinel-")?;
        let (mut sentinels, mut ports) = (Vec::new(), Vec::new());
        for number in 0..3 {
            let (port, file) = (free_port().await?, folder.path().join(format!("{number}.conf")));
            let text = format!(
                "bind 127.0.0.1\nport {port}\nsentinel monitor {SERVICE} 127.0.0.1 {} 2\n\
                 sentinel down-after-milliseconds {SERVICE} {DOWN_AFTER_MS}\nsentinel failover-timeout {SERVICE} 5000\n",
                primary.port()
            );
            std::fs::write(&file, text)?;
            let mut command = Command::new(program::tool("redis-server")?);
            command.arg(&file).arg("--sentinel").arg("--dir").arg(folder.path());
            sentinels.push(Child::spawn(&format!("sentinel-{number}"), command, folder.path())?);
            ports.push(port);
        }
        for (sentinel, port) in sentinels.iter_mut().zip(&ports) {
            let address = SocketAddr::from(([127, 0, 0, 1], *port));
            let question = format!("SENTINEL CKQUORUM {SERVICE}\r\n");
            until_answers(sentinel, address, &question, "+OK 3 usable").await.context("a Sentinel")?;
        }
        let mut watched = Watched {
            servers: [primary, replica],
            primary: 0,
            configuration: 0,
            sentinels,
            ports,
            _folder: folder,
        };
        watched.replicates().await?;
        Ok(watched)
    }

    /// Kills the primary, as a crash would. What waits in its buffers for the replica is lost.
    pub async fn kill_primary(&mut self) -> anyhow::Result<()> {
        self.servers[self.primary].kill().await
    }

    /// Cuts the replica off: what the primary stores from here on it never gets.
    pub async fn cut_replica_off(&self) -> anyhow::Result<()> {
        self.servers[1 - self.primary].freeze()?;
        // Else the kernel would keep for it what is written meanwhile.
        self.servers[self.primary].say("CLIENT KILL TYPE replica").await.map(drop)
    }

    /// Kills the primary while its replica is cut off, and lets that go on.
    pub async fn kill_primary_of_cut_off(&mut self) -> anyhow::Result<()> {
        self.kill_primary().await?;
        self.servers[1 - self.primary].thaw()
    }

    /// Waits until every Sentinel says that the replica is the primary. One that died must not come back before: it is
    /// empty, and would be taken for the primary still.
    pub async fn taken_over(&mut self) -> anyhow::Result<()> {
        let replica = self.servers[1 - self.primary].port().to_string();
        let question = format!("SENTINEL GET-MASTER-ADDR-BY-NAME {SERVICE}\r\n");
        let expected = format!("*2\r\n$9\r\n127.0.0.1\r\n${}\r\n{replica}\r\n", replica.len());
        for (sentinel, port) in self.sentinels.iter_mut().zip(&self.ports) {
            let address = SocketAddr::from(([127, 0, 0, 1], *port));
            until_answers(sentinel, address, &question, &expected).await.context("no fail-over")?;
        }
        self.configuration = self.configured().await?;
        Ok(())
    }

    /// Whether the Sentinels have put another in the place of the primary since they were last waited for, or asked this.
    pub async fn has_changed(&mut self) -> anyhow::Result<bool> {
        let configured = self.configured().await?;
        Ok(std::mem::replace(&mut self.configuration, configured) != configured)
    }

    async fn configured(&self) -> anyhow::Result<u64> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.ports[0])).await?;
        stream.write_all(format!("SENTINEL MASTER {SERVICE}\r\n").as_bytes()).await?;
        let mut lines = BufReader::new(stream).lines();
        let read = async {
            while lines.next_line().await?.context("no config-epoch")? != "config-epoch" {}
            // The value is behind its length.
            lines.next_line().await?;
            Ok(lines.next_line().await?.context("no value")?.parse()?)
        };
        tokio::time::timeout(ANSWER, read).await.context("a Sentinel that does not answer")?
    }

    /// Starts, empty, what was the primary, as a replica of the other, and waits until it has everything.
    pub async fn rejoin(&mut self) -> anyhow::Result<()> {
        self.servers[self.primary].begin().await?;
        self.primary = 1 - self.primary;
        // As who starts it again would; a Sentinel comes to it after 10 s or more.
        let of = format!("REPLICAOF 127.0.0.1 {}", self.servers[self.primary].port());
        self.servers[1 - self.primary].say(&of).await?;
        self.replicates().await
    }

    /// Stops the replica where it stands: what is written from now on it has not.
    pub fn hold_replica(&self) -> anyhow::Result<()> {
        self.servers[1 - self.primary].freeze()
    }

    /// Lets the replica go on.
    pub fn release_replica(&self) -> anyhow::Result<()> {
        self.servers[1 - self.primary].thaw()
    }

    /// Waits until one is the other's replica. Which is which the Sentinels may have changed again meanwhile: they take a server
    /// for down that does not answer for two seconds, which on a busy machine may happen to one that lives.
    async fn replicates(&mut self) -> anyhow::Result<()> {
        self.primary = eventually("the replica has everything", PATIENCE, async || {
            let mut said = Vec::new();
            for server in &self.servers {
                said.push(server.say("INFO replication").await?);
            }
            let is_replica =
                |said: &str| said.contains("role:slave") && said.contains("master_link_status:up");
            Ok((0..2).find(|&one| said[one].contains("role:master") && is_replica(&said[1 - one])))
        })
        .await?;
        Ok(())
    }

    /// What a relay is told.
    pub fn url(&self) -> String {
        let nodes: Vec<String> =
            self.ports[1..].iter().map(|port| format!("node=127.0.0.1:{port}")).collect();
        format!(
            "redis-sentinel://127.0.0.1:{}?{}&sentinelServiceName={SERVICE}",
            self.ports[0],
            nodes.join("&")
        )
    }
}

//! A Redis that can be killed, stopped and started again where it was.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context;
use relay_loadtest::launch::Child;
use relay_loadtest::launch::ready::{free_port, until_answers};
use rustix::process::Signal;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::process::Command;

use crate::program;

/// What it holds, in its folder: where it is asked to write that, and wherever a replica has synchronised with its primary.
const SNAPSHOT: &str = "dump.rdb";
/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(5);

/// A Redis on a loopback port that stays the same over its lives. Dropped, it is killed.
#[derive(Debug)]
pub struct Redis {
    child: Option<Child>,
    port: u16,
    arguments: Vec<String>,
    /// What it answers to a stranger.
    greeting: &'static str,
    // Last, so that it outlives what writes into it.
    folder: TempDir,
}

impl Redis {
    /// Starts one.
    pub async fn start() -> anyhow::Result<Redis> {
        Redis::start_with(&[], "+PONG").await
    }

    /// Starts one with further arguments, which answers a first `PING` with something that begins with `greeting`.
    pub async fn start_with(arguments: &[String], greeting: &'static str) -> anyhow::Result<Redis> {
        let folder = TempDir::with_prefix("relay-tests-redis-")?;
        let port = free_port().await?;
        let mut redis = Redis { child: None, port, arguments: arguments.to_vec(), greeting, folder };
        redis.begin().await?;
        Ok(redis)
    }

    /// Starts it, empty, where it was before.
    pub async fn begin(&mut self) -> anyhow::Result<()> {
        let snapshot = self.folder.path().join(SNAPSHOT);
        if snapshot.exists() {
            std::fs::remove_file(snapshot)?;
        }
        self.start_here().await
    }

    /// Starts it where it was before, with what it held at an earlier time.
    pub async fn begin_with(&mut self, snapshot: &[u8]) -> anyhow::Result<()> {
        std::fs::write(self.folder.path().join(SNAPSHOT), snapshot)?;
        self.start_here().await
    }

    /// What it holds now.
    pub async fn snapshot(&self) -> anyhow::Result<Vec<u8>> {
        let said = self.say("SAVE").await?;
        anyhow::ensure!(said.starts_with("+OK"), "SAVE: {said}");
        Ok(std::fs::read(self.folder.path().join(SNAPSHOT))?)
    }

    async fn start_here(&mut self) -> anyhow::Result<()> {
        let mut command = Command::new(program::tool("redis-server")?);
        command.args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--port"]);
        command.arg(self.port.to_string()).arg("--dir").arg(self.folder.path()).args(&self.arguments);
        let mut child = Child::spawn("redis", command, self.folder.path())?;
        let address = SocketAddr::from(([127, 0, 0, 1], self.port));
        until_answers(&mut child, address, "PING\r\n", self.greeting).await.context("redis-server")?;
        self.child = Some(child);
        Ok(())
    }

    /// Kills it, as a crash would.
    pub async fn kill(&mut self) -> anyhow::Result<()> {
        let child = self.child.take().context("Redis is not running")?;
        child.kill().await.map(drop)
    }

    /// Stops it where it stands: connections stay, nothing is answered.
    pub fn freeze(&self) -> anyhow::Result<()> {
        self.child.as_ref().context("Redis is not running")?.signal(Signal::STOP)
    }

    /// Lets it go on.
    pub fn thaw(&self) -> anyhow::Result<()> {
        self.child.as_ref().context("Redis is not running")?.signal(Signal::CONT)
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What it answers to a command that is written as one line.
    pub async fn say(&self, command: &str) -> anyhow::Result<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await?;
        stream.write_all(format!("{command}\r\nQUIT\r\n").as_bytes()).await?;
        let mut said = String::new();
        tokio::time::timeout(ANSWER, stream.read_to_string(&mut said)).await??;
        Ok(said)
    }

    /// Where it is.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }
}

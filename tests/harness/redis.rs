//! A Redis that can be killed, stopped and started again where it was.

use std::net::SocketAddr;

use anyhow::Context;
use relay_loadtest::launch::Child;
use relay_loadtest::launch::ready::{free_port, until_answers};
use rustix::process::Signal;
use tempfile::TempDir;
use tokio::process::Command;

use crate::program;

/// A Redis on a loopback port that stays the same over its lives. Dropped, it is killed.
#[derive(Debug)]
pub struct Redis {
    child: Option<Child>,
    port: u16,
    // Last, so that it outlives what writes into it.
    folder: TempDir,
}

impl Redis {
    /// Starts one.
    pub async fn start() -> anyhow::Result<Redis> {
        let folder = TempDir::with_prefix("relay-tests-redis-")?;
        let mut redis = Redis { child: None, port: free_port().await?, folder };
        redis.begin().await?;
        Ok(redis)
    }

    /// Starts it, empty, where it was before.
    pub async fn begin(&mut self) -> anyhow::Result<()> {
        let mut command = Command::new(program::tool("redis-server")?);
        command.args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--port"]);
        command.arg(self.port.to_string()).arg("--dir").arg(self.folder.path());
        let mut child = Child::spawn("redis", command, self.folder.path())?;
        let address = SocketAddr::from(([127, 0, 0, 1], self.port));
        until_answers(&mut child, address, "PING\r\n", "+PONG").await.context("redis-server")?;
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

    /// Where it is.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }
}

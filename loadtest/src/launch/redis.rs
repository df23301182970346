//! A Redis of our own: in memory, on a free port, gone afterwards.

#![expect(clippy::disallowed_methods, reason = "where the program is belongs to the machine, not to a run")]

use std::net::SocketAddr;
use std::path::Path;

use anyhow::Context;
use tokio::process::Command;

use crate::launch::child::Child;
use crate::launch::ready::{free_port, until_answers};

/// The program to start, unless this variable names another.
pub const PROGRAM: &str = "redis-server";
/// Names the program.
pub const PROGRAM_VARIABLE: &str = "RELAY_REDIS_SERVER";

/// A Redis started here.
#[derive(Debug)]
pub struct RedisServer {
    /// Its process.
    pub child: Child,
    port: u16,
}

impl RedisServer {
    /// Starts one whose files are in `folder`, with further arguments for its configuration.
    pub async fn start(folder: &Path, arguments: &[&str]) -> anyhow::Result<RedisServer> {
        RedisServer::start_on(free_port().await?, folder, arguments).await
    }

    /// Starts one on a given port, as when it comes back.
    pub async fn start_on(port: u16, folder: &Path, arguments: &[&str]) -> anyhow::Result<RedisServer> {
        let program = std::env::var(PROGRAM_VARIABLE).unwrap_or_else(|_| PROGRAM.to_owned());
        let mut command = Command::new(&program);
        command
            .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--port"])
            .arg(port.to_string());
        command.arg("--dir").arg(folder).args(arguments);
        let mut child = Child::spawn("redis", command, folder).with_context(|| {
            format!("install {PROGRAM}, or name it by {PROGRAM_VARIABLE}, or give --redis-url")
        })?;
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        until_answers(&mut child, address, "PING\r\n", "+PONG").await.context(program)?;
        Ok(RedisServer { child, port })
    }

    /// Where it is.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }
}

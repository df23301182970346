//! One relay process.

use std::path::{Path, PathBuf};

use anyhow::Context;
use tokio::process::Command;

use crate::launch::child::Child;
use crate::launch::ready::{free_port, until_answers};
use crate::target::Target;

const READY: &str = "GET /health/ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

/// How to start a relay.
#[derive(Debug, Clone)]
pub struct RelayOptions {
    /// The program.
    pub binary: PathBuf,
    /// Arguments behind `serve`.
    pub arguments: Vec<String>,
    /// Its whole environment but `PORT`; nothing is inherited but what finds libraries and folders.
    pub environment: Vec<(String, String)>,
}

/// A relay started here.
#[derive(Debug)]
pub struct Relay {
    /// Its process.
    pub child: Child,
    /// Where agents connect.
    pub target: Target,
}

impl Relay {
    /// Starts one on a free port and waits until it is ready. Its log is `<name>.log` in `folder`.
    pub async fn start(name: &str, options: &RelayOptions, folder: &Path) -> anyhow::Result<Relay> {
        Relay::start_on(free_port().await?, name, options, folder).await
    }

    /// The same on a port.
    pub async fn start_on(
        port: u16,
        name: &str,
        options: &RelayOptions,
        folder: &Path,
    ) -> anyhow::Result<Relay> {
        let mut relay = Relay::spawn_on(port, name, options, folder)?;
        until_answers(&mut relay.child, relay.target.address, READY, "HTTP/1.1 200")
            .await
            .with_context(|| format!("relay {}", options.binary.display()))?;
        Ok(relay)
    }

    /// The same without waiting, as it is not ready while what it needs is away.
    pub fn spawn_on(port: u16, name: &str, options: &RelayOptions, folder: &Path) -> anyhow::Result<Relay> {
        let mut command = Command::new(&options.binary);
        command.arg("serve").args(&options.arguments).env_clear();
        for inherited in ["PATH", "HOME", "LD_LIBRARY_PATH", "RUST_BACKTRACE"] {
            if let Some(value) = std::env::var_os(inherited) {
                command.env(inherited, value);
            }
        }
        command.envs(options.environment.iter().cloned()).env("PORT", port.to_string());
        let child = Child::spawn(name, command, folder)?;
        Ok(Relay { child, target: Target::local(port)? })
    }
}

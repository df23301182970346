//! The floor as a child process.

use std::process::Stdio;

use anyhow::Context;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::floor::spec::{ServerSpec, Upgrade};
use crate::process::Process;
use crate::target::Target;

/// What the floor says before its port, in a line of its own.
pub const LISTENING: &str = "listening on port ";

/// A floor that runs; dropped, it is killed.
#[derive(Debug)]
pub struct FloorProcess {
    /// Where it listens.
    pub target: Target,
    /// Its process.
    pub process: Process,
    _child: Child,
}

impl FloorProcess {
    /// Starts this program again, as the floor.
    pub async fn start(spec: ServerSpec) -> anyhow::Result<FloorProcess> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["floor", "--port", "0", "--upgrade"]);
        command.arg(match spec.upgrade {
            Upgrade::Axum => "axum",
            Upgrade::Raw => "raw",
        });
        if let Some(bytes) = spec.read_buffer {
            command.arg("--read-buffer").arg(bytes.to_string());
        }
        if spec.naive {
            command.arg("--naive");
        }
        if spec.broadcasts {
            command.arg("--broadcasts");
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().context("cannot start the floor")?;
        let output = child.stdout.take().context("the floor has no output")?;
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line).await?;
        let port = line.trim().strip_prefix(LISTENING).and_then(|port| port.parse().ok());
        let port = port.with_context(|| format!("the floor said {line:?} instead of its port"))?;
        let process = Process(child.id().context("the floor ended at once")?);
        Ok(FloorProcess { target: Target::local(port)?, process, _child: child })
    }
}

//! A process started here, which does not outlive its guard.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::Context;
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::Command;

use crate::process::Process;

/// How long a process may take to leave when asked.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(10);
/// How much of a log is shown when something went wrong.
const LOG_LINES_SHOWN: usize = 20;

/// A process started here. Dropped, it is killed.
#[derive(Debug)]
pub struct Child {
    name: String,
    inner: tokio::process::Child,
    id: u32,
    log: PathBuf,
}

impl Child {
    /// Starts `command`, whose output goes to a file in `folder`.
    pub fn spawn(name: &str, mut command: Command, folder: &Path) -> anyhow::Result<Child> {
        let log = folder.join(format!("{name}.log"));
        let output = File::options().create(true).append(true).open(&log)?;
        let inner = command
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {}", command.as_std().get_program().display()))?;
        let id = inner.id().with_context(|| format!("{name} ended at once"))?;
        Ok(Child { name: name.to_owned(), inner, id, log })
    }

    /// Its process.
    pub fn process(&self) -> Process {
        Process(self.id)
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let id = i32::try_from(self.id).ok().and_then(Pid::from_raw).context("no process id")?;
        kill_process(id, signal).with_context(|| format!("cannot signal {}", self.name))
    }

    /// How it ended, if it has.
    pub fn exited(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        Ok(self.inner.try_wait()?)
    }

    /// Asks it to leave, kills it if it does not, and tells how it ended.
    pub async fn stop(mut self) -> anyhow::Result<ExitStatus> {
        if let Some(status) = self.exited()? {
            return Ok(status);
        }
        self.signal(Signal::TERM)?;
        match tokio::time::timeout(LEAVE_TIMEOUT, self.inner.wait()).await {
            Ok(status) => Ok(status?),
            Err(_) => self.kill().await,
        }
    }

    /// Kills it, as a crash would.
    pub async fn kill(mut self) -> anyhow::Result<ExitStatus> {
        self.inner.start_kill()?;
        Ok(self.inner.wait().await?)
    }

    /// All that it wrote.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// The end of what it wrote.
    pub fn log_end(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(LOG_LINES_SHOWN)..].join("\n")
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;

    use super::*;

    #[tokio::test]
    async fn a_child_is_asked_to_leave_and_what_it_wrote_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", "echo hello; exec sleep 1000"]);
        let child = Child::spawn("one", command, folder.path()).unwrap();
        while !child.log().contains("hello") {
            tokio::task::yield_now().await;
        }
        assert_eq!(child.log_end(), "hello");
        let status = child.stop().await.unwrap();
        assert_eq!(status.signal(), Some(Signal::TERM.as_raw()));
    }

    #[tokio::test]
    async fn a_child_that_ended_by_itself_says_how() {
        let folder = tempfile::tempdir().unwrap();
        let mut child = Child::spawn("two", Command::new("false"), folder.path()).unwrap();
        let status = loop {
            if let Some(status) = child.exited().unwrap() {
                break status;
            }
            tokio::task::yield_now().await;
        };
        assert_eq!((status.code(), child.stop().await.unwrap().code()), (Some(1), Some(1)));
    }
}

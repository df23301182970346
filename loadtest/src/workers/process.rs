//! A worker as a child process.

use std::process::Stdio;
use std::sync::Arc;

use anyhow::Context;
use futures_util::stream::{self, BoxStream, StreamExt};
use parking_lot::Mutex;
use serde::Serialize;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::process::{Process, cores};
use crate::workers::wire::{Assignment, Word};

/// What a worker says, and which one; an error is one that ended before its part was done.
pub(super) type Words = BoxStream<'static, anyhow::Result<(usize, Word)>>;

/// A worker that runs; dropped, it is killed.
#[derive(Debug)]
pub(super) struct WorkerProcess {
    /// Its process.
    pub(super) process: Process,
    orders: ChildStdin,
    _child: Child,
}

/// The workers of the run under way, to be counted with the generator.
#[derive(Debug, Clone, Default)]
pub struct Workers(Arc<Mutex<Vec<Process>>>);

impl Workers {
    /// These run.
    pub(super) fn are(&self, processes: Vec<Process>) {
        *self.0.lock() = processes;
    }

    /// What they have used; one that is gone counts no more.
    pub fn cpu_seconds(&self) -> f64 {
        self.0.lock().iter().filter_map(|process| process.cpu_seconds().ok()).sum()
    }
}

impl WorkerProcess {
    /// Starts this program again, as one of `count` workers.
    pub(super) async fn start(
        index: usize,
        count: u32,
        assignment: &Assignment,
    ) -> anyhow::Result<(WorkerProcess, Words)> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["worker", "--threads"]).arg(threads(count).to_string());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().context("cannot start a process of the generator")?;
        let process = Process(child.id().context("a process of the generator ended at once")?);
        let orders = child.stdin.take().context("it has no input")?;
        let words = words(index, child.stdout.take().context("it has no output")?);
        let mut worker = WorkerProcess { process, orders, _child: child };
        worker.tell(assignment).await?;
        Ok((worker, words))
    }

    /// Tells it something.
    pub(super) async fn tell(&mut self, order: &impl Serialize) -> anyhow::Result<()> {
        let mut line = serde_json::to_vec(order)?;
        line.push(b'\n');
        self.orders.write_all(&line).await.context("a process of the generator does not listen")
    }
}

/// Its share of what one process would have.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a number of processors")]
fn threads(count: u32) -> u32 {
    (cores() as u32).div_ceil(count)
}

fn words(index: usize, output: ChildStdout) -> Words {
    let lines = Some(BufReader::new(output).lines());
    let next = move |lines| async move {
        let Some(mut lines): Option<tokio::io::Lines<BufReader<ChildStdout>>> = lines else {
            return Ok(None);
        };
        let line = lines.next_line().await?;
        let line = line.context("a process of the generator ended before its part was done")?;
        let word = serde_json::from_str(&line).context("a process of the generator is not understood")?;
        let over = matches!(word, Word::Done(_) | Word::Failed(_));
        Ok(Some(((index, word), (!over).then_some(lines))))
    };
    stream::try_unfold(lines, next).boxed()
}

//! Starting and leaving: signals, the order of going, and the deadline for it.

use std::sync::atomic::{AtomicU8, Ordering};

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// What the tasks of an instance live by.
#[derive(Debug, Clone, Default)]
pub struct Lifecycle {
    /// No more is taken in; each session is told to come back elsewhere.
    pub drain: CancellationToken,
    /// Everything ends.
    pub stop: CancellationToken,
    /// Connections and what they started.
    pub sessions: TaskTracker,
    /// Everything else: bus, sweeping, serving.
    pub services: TaskTracker,
}

/// Where an instance is in its life.
#[derive(Debug, Default)]
pub struct Phase(AtomicU8);

/// A moment in the life of an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Life {
    /// Not yet listening.
    Starting,
    /// Serving.
    Serving,
    /// Leaving.
    Draining,
}

impl Phase {
    /// Goes on to `life`.
    pub fn set(&self, life: Life) {
        self.0.store(life as u8, Ordering::Release);
    }

    /// Where it is.
    pub fn get(&self) -> Life {
        match self.0.load(Ordering::Acquire) {
            0 => Life::Starting,
            1 => Life::Serving,
            _ => Life::Draining,
        }
    }
}

/// Waits for SIGTERM or SIGINT.
pub async fn terminated() -> std::io::Result<()> {
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
    Ok(())
}

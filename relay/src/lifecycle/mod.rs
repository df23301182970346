//! Starting and leaving: signals, the order of going, and the deadline for it.

use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Kept of the time for leaving, for what comes after the connections.
const AFTER_SESSIONS: Duration = Duration::from_secs(1);
/// Kept of that for the services.
const AFTER_ERRANDS: Duration = Duration::from_millis(500);
/// How long errands may take: each is a question or two to Redis, which has a second for an answer.
const ERRANDS: Duration = Duration::from_secs(2);
/// How long services may take to see that all ends.
const SERVICES: Duration = Duration::from_secs(1);

/// What the tasks of an instance live by.
#[derive(Debug, Clone, Default)]
pub struct Lifecycle {
    /// No more is taken in; each session is told to come back elsewhere.
    pub drain: CancellationToken,
    /// Everything ends.
    pub stop: CancellationToken,
    /// Connections and requests.
    pub sessions: TaskTracker,
    /// What ends by itself and outlives the connection it is done for: goodbyes to the directory, reports, batches.
    pub errands: TaskTracker,
    /// Everything else: bus, sweeping, serving.
    pub services: TaskTracker,
}

impl Lifecycle {
    /// Ends everything within `time`: connections first, which `drain` has told, then what is still to be done for them, then
    /// what that is done with. Says whether all ended.
    pub async fn end(&self, time: Duration) -> bool {
        let deadline = Instant::now() + time;
        self.sessions.close();
        let left = timeout_at(deadline - AFTER_SESSIONS, self.sessions.wait()).await.is_ok();
        self.errands.close();
        let patience = (Instant::now() + ERRANDS).min(deadline - AFTER_ERRANDS);
        let done = timeout_at(patience, self.errands.wait()).await.is_ok();
        self.stop.cancel();
        self.services.close();
        let patience = (Instant::now() + SERVICES).min(deadline);
        let ended = timeout_at(patience, self.services.wait()).await.is_ok();
        left && done && ended
    }
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicBool;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_a_session_left_to_be_done_is_done_before_that_is_gone_which_it_is_done_with() {
        let life = Lifecycle::default();
        let (drain, stop, errands) = (life.drain.clone(), life.stop.clone(), life.errands.clone());
        let until = stop.clone();
        life.services.spawn(async move { until.cancelled().await });
        let done = Arc::new(AtomicBool::new(false));
        let doing = Arc::clone(&done);
        life.sessions.spawn(async move {
            drain.cancelled().await;
            tokio::time::sleep(Duration::from_secs(6)).await;
            errands.spawn(async move {
                tokio::time::sleep(Duration::from_millis(900)).await;
                doing.store(!stop.is_cancelled(), Ordering::Relaxed);
            });
        });
        life.drain.cancel();
        assert!(life.end(Duration::from_secs(8)).await);
        assert!(done.load(Ordering::Relaxed));
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_keeps_an_instance_longer_than_it_may_take() {
        let time = Duration::from_secs(8);
        for hanging in 1..8 {
            let life = Lifecycle::default();
            for (bit, tasks) in [&life.sessions, &life.errands, &life.services].into_iter().enumerate() {
                if hanging >> bit & 1 == 1 {
                    tasks.spawn(std::future::pending::<()>());
                }
            }
            let begun = Instant::now();
            assert!(!life.end(time).await);
            assert!(life.stop.is_cancelled() && begun.elapsed() <= time, "{hanging}: {:?}", begun.elapsed());
        }
    }
}

//! Time of the processors that other machines took, by `/proc/stat`, so that who reads a figure knows what else went into it.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::task::JoinSet;
use tokio::time::{Instant, interval};

const EVERY: Duration = Duration::from_secs(1);

/// Looked at once a second until it is dropped.
pub(super) struct Stolen {
    looks: Arc<Mutex<Vec<Look>>>,
    _task: JoinSet<()>,
}

/// What the system has counted so far, in its ticks.
#[derive(Debug, Clone, Copy)]
struct Look {
    at: Instant,
    stolen: u64,
    all: u64,
}

impl Stolen {
    /// Looks from now on.
    pub(super) fn watch() -> Stolen {
        let (looks, mut task) = (Arc::<Mutex<Vec<Look>>>::default(), JoinSet::new());
        let found = Arc::clone(&looks);
        task.spawn(async move {
            let mut ticks = interval(EVERY);
            loop {
                ticks.tick().await;
                let Some((stolen, all)) = counted() else { return };
                found.lock().push(Look { at: Instant::now(), stolen, all });
            }
        });
        Stolen { looks, _task: task }
    }

    /// The largest share of a second of this time, in percent; 0 where the system does not count it.
    pub(super) fn percent(&self, from: Instant, to: Instant) -> u64 {
        let looks = self.looks.lock();
        let within = looks.windows(2).filter(|pair| pair[1].at > from && pair[0].at < to);
        let share =
            |pair: &[Look]| (pair[1].stolen - pair[0].stolen) * 100 / (pair[1].all - pair[0].all).max(1);
        within.map(share).max().unwrap_or(0)
    }
}

/// Stolen and all: the eighth number of the first line, and the sum of the first eight.
fn counted() -> Option<(u64, u64)> {
    let text = std::fs::read_to_string("/proc/stat").ok()?;
    let line = text.lines().next()?.strip_prefix("cpu ")?;
    let ticks: Vec<u64> = line.split_whitespace().take(8).filter_map(|ticks| ticks.parse().ok()).collect();
    Some((*ticks.get(7)?, ticks.iter().sum()))
}

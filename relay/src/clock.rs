//! Unix time: the system's. In a simulation it goes with tokio's clock, which may be paused.

use std::time::{SystemTime, UNIX_EPOCH};

/// Now.
pub fn now() -> SystemTime {
    #[cfg(any(test, feature = "test-util"))]
    if let Some(now) = simulated::now() {
        return now;
    }
    SystemTime::now()
}

/// Milliseconds since 1970.
pub fn unix_ms() -> u64 {
    let since = now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(any(test, feature = "test-util"))]
pub use simulated::{Simulated, simulate};

#[cfg(any(test, feature = "test-util"))]
mod simulated {
    use std::cell::Cell;
    use std::time::{Duration, SystemTime, UNIX_EPOCH};

    use tokio::time::Instant;

    /// Where simulations begin: in 2027.
    const BEGIN: Duration = Duration::from_hours(500_000);

    thread_local! {
        static BEGAN: Cell<Option<Instant>> = const { Cell::new(None) };
    }

    /// While it lives Unix time goes with tokio's clock on this thread. A guard.
    #[derive(Debug)]
    pub struct Simulated(());

    /// Lets Unix time go with tokio's clock, from the same moment on in every run.
    #[must_use]
    pub fn simulate() -> Simulated {
        BEGAN.set(Some(Instant::now()));
        Simulated(())
    }

    impl Drop for Simulated {
        fn drop(&mut self) {
            BEGAN.set(None);
        }
    }

    pub(super) fn now() -> Option<SystemTime> {
        BEGAN.get().map(|began| UNIX_EPOCH + BEGIN + began.elapsed())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn simulated_time_stands_still_with_the_clock() {
        let simulated = simulate();
        let begun = now();
        tokio::time::advance(Duration::from_secs(5)).await;
        assert_eq!(now(), begun + Duration::from_secs(5));
        drop(simulated);
        assert!(now() != begun + Duration::from_secs(5));
    }
}

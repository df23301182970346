//! Sheds sends while the processor does not keep up: a part of them, found out by how late the instance's own tasks run.
//!
//! A task waits for its turn as long as every message does, so its lateness is the delay that the relay itself adds. As in
//! `CoDel` the least of some looks counts: a burst delays a few, more work than there is processor delays all.
//! The share refused grows while that is above its target, and falls faster than it came once it is below.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::telemetry::metrics::Metrics;

/// How often a timer is set, to see how late it is.
const PROBE: Duration = Duration::from_millis(10);
/// Of what was seen in this time the least late counts, and the share is set anew.
const LOOK: Duration = Duration::from_millis(100);
/// Looks have so many probes at least, however late they are: one may be a stumble.
const PROBES_MIN: usize = 2;
/// All sends, as a share: a power of two, so that a sum of shares wraps into refusals.
const ALL: u32 = 1 << 10;
/// The most that is refused: what passes shows whether it is still too much.
const SHARE_MAX: u32 = ALL - ALL / 16;
/// From this share on those in lane `high` are refused too.
const HIGH_FROM: u32 = ALL - ALL / 4;

/// What part of sends is refused now.
#[derive(Debug)]
pub struct Overload {
    target: Option<Duration>,
    share: AtomicU32,
    metrics: Arc<Metrics>,
}

/// What one sender is owed in refusals, so that each has its part and none depends on chance.
#[derive(Debug, Default)]
pub struct Owed {
    normal: u32,
    high: u32,
}

impl Overload {
    /// Sheds while tasks are later than `target`; never without one.
    pub fn new(target: Option<Duration>, metrics: &Arc<Metrics>) -> Arc<Overload> {
        Arc::new(Overload { target, share: AtomicU32::new(0), metrics: Arc::clone(metrics) })
    }

    /// Whether sends are refused.
    pub fn sheds(&self) -> bool {
        self.share.load(Ordering::Relaxed) > 0
    }

    /// Whether one more send is to be refused. One relaxed load while nothing is.
    pub fn refuses(&self, owed: &mut Owed, high: bool) -> bool {
        let share = self.share.load(Ordering::Relaxed);
        if share == 0 {
            return false;
        }
        let (share, owed) = if high {
            (share.saturating_sub(HIGH_FROM) * 4, &mut owed.high)
        } else {
            (share, &mut owed.normal)
        };
        *owed += share.min(SHARE_MAX);
        let refused = *owed >= ALL;
        *owed %= ALL;
        refused
    }

    /// Looks after the share until `stop`.
    pub async fn watch(self: Arc<Self>, stop: CancellationToken) {
        if self.target.is_none() {
            return;
        }
        loop {
            let (mut least, begun) = (Duration::MAX, Instant::now());
            for probe in 0.. {
                if probe >= PROBES_MIN && begun.elapsed() >= LOOK {
                    break;
                }
                let due = Instant::now() + PROBE;
                if stop.run_until_cancelled(tokio::time::sleep_until(due)).await.is_none() {
                    return;
                }
                // Who is woken by a timer runs next; who yields waits behind all that are ready, as a session does.
                tokio::task::yield_now().await;
                least = least.min(due.elapsed());
            }
            self.see(least);
        }
    }

    fn see(&self, least: Duration) {
        let Some(target) = self.target else { return };
        let was = self.share.load(Ordering::Relaxed);
        let is = if least > target {
            // Twice as late, twice as fast; never by more than a quarter of all at once, as late looks are far apart.
            let late = u32::try_from(least.as_micros() / target.as_micros().max(1)).unwrap_or(u32::MAX);
            (was + (ALL / 64).saturating_mul(late).min(ALL / 4)).min(SHARE_MAX)
        } else {
            (was - was / 8).saturating_sub(ALL / 128)
        };
        self.share.store(is, Ordering::Relaxed);
        self.metrics.shedding_sends.set(f64::from(is) / f64::from(ALL));
        match (was, is) {
            (0, 1..) => tracing::warn!("refusing a part of sends, as the processor does not keep up"),
            (1.., 0) => tracing::info!("taking all sends again"),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TARGET: Duration = Duration::from_millis(20);

    fn overload() -> Arc<Overload> {
        Overload::new(Some(TARGET), &Metrics::new().unwrap())
    }

    fn refused(overload: &Overload, high: bool) -> usize {
        let mut owed = Owed::default();
        (0..1_000).filter(|_| overload.refuses(&mut owed, high)).count()
    }

    #[test]
    fn a_part_is_refused_while_tasks_are_late_and_nothing_soon_after() {
        let overload = overload();
        overload.see(TARGET);
        assert!(!overload.sheds() && refused(&overload, false) == 0);
        overload.see(TARGET + Duration::from_micros(1));
        let first = refused(&overload, false);
        assert!((10..=20).contains(&first), "{first}");
        for _ in 0..100 {
            overload.see(10 * TARGET);
        }
        let most = refused(&overload, false);
        assert!((930..=940).contains(&most), "some pass, to show whether it is still too much: {most}");
        let mut looks = 0;
        while overload.sheds() {
            overload.see(TARGET);
            looks += 1;
        }
        assert!(looks < 40, "{looks} looks of 100 ms, of 5 s in all");
        assert!(overload.metrics.render().contains("relay_shedding_sends_share 0\n"));
    }

    #[test]
    fn the_high_lane_is_refused_last() {
        let overload = overload();
        while refused(&overload, false) < 700 {
            overload.see(2 * TARGET);
        }
        assert_eq!(refused(&overload, true), 0);
        (0..100).for_each(|_| overload.see(2 * TARGET));
        let (normal, high) = (refused(&overload, false), refused(&overload, true));
        assert!(high > 0 && high < normal, "{high} {normal}");
    }

    #[test]
    fn without_a_target_nothing_is() {
        let overload = Overload::new(None, &Metrics::new().unwrap());
        overload.see(Duration::from_secs(9));
        assert!(!overload.sheds());
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_instance_is_never_late() {
        let (overload, stop) = (overload(), CancellationToken::new());
        let watching = tokio_util::task::TaskTracker::new().spawn(Arc::clone(&overload).watch(stop.clone()));
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert!(!overload.sheds());
        stop.cancel();
        watching.await.unwrap();
    }
}

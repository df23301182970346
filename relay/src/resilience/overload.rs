//! Sheds sends while the processor does not keep up: a part of them, found out by how late the instance's own work is.
//!
//! Two things are late when there is more work than processor. A task waits for its turn as long as every message does, so
//! its lateness is a delay that the relay itself adds; as in `CoDel` the least of some looks counts: a burst delays a few,
//! more work than there is processor delays all. And as each turn reads a bounded part, what is left waits in the sockets,
//! which no task's lateness shows: there it is how long they have not been empty ([`Backlog`](super::backlog::Backlog)).
//! The share refused grows while the later of the two is above its target, and falls faster than it came once it is below.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
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
/// All sends, as a share.
pub(super) const ALL: u32 = 1 << 10;
/// The most that is refused: what passes shows whether it is still too much.
const SHARE_MAX: u32 = ALL - ALL / 16;
/// From this share on those in lane `high` are refused too.
const HIGH_FROM: u32 = ALL - ALL / 4;
/// Sessions for each processor that may leave something unread without being an overload: each keeps a processor busy.
const CROWD: usize = 4;

/// What part of sends is refused now.
#[derive(Debug)]
pub struct Overload {
    target: Option<Duration>,
    share: AtomicU32,
    /// Sessions that have left something unread for longer than the target.
    behind: AtomicUsize,
    /// With more of them than this there is more to do than there are processors.
    crowd: usize,
    /// How long the one that is furthest behind has been, since the last look: microseconds.
    furthest_us: AtomicU64,
    metrics: Arc<Metrics>,
}

impl Overload {
    /// Sheds while work is later than `target`; never without one.
    pub fn new(target: Option<Duration>, metrics: &Arc<Metrics>) -> Arc<Overload> {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Arc::new(Overload {
            target,
            share: AtomicU32::new(0),
            behind: AtomicUsize::new(0),
            crowd: CROWD * processors,
            furthest_us: AtomicU64::new(0),
            metrics: Arc::clone(metrics),
        })
    }

    /// Whether sends are refused.
    pub fn sheds(&self) -> bool {
        self.share.load(Ordering::Relaxed) > 0
    }

    /// The parts of normal and of high sends that are refused, of [`ALL`]. One relaxed load.
    pub(super) fn shares(&self) -> (u32, u32) {
        let share = self.share.load(Ordering::Relaxed).min(SHARE_MAX);
        (share, share.saturating_sub(HIGH_FROM) * 4)
    }

    pub(super) fn target(&self) -> Option<Duration> {
        self.target
    }

    /// A session has left something unread for so long, which is above the target; `first` says since this turn.
    pub(super) fn is_behind(&self, for_how_long: Duration, first: bool) {
        if first {
            self.behind.fetch_add(1, Ordering::Relaxed);
        }
        let us = u64::try_from(for_how_long.as_micros()).unwrap_or(u64::MAX);
        // All sessions write here, so only those that change it.
        if us > self.furthest_us.load(Ordering::Relaxed) {
            self.furthest_us.fetch_max(us, Ordering::Relaxed);
        }
    }

    /// A session that was has read everything, or ended.
    pub(super) fn is_behind_no_more(&self) {
        self.behind.fetch_sub(1, Ordering::Relaxed);
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
            self.see(least.max(self.backlog()));
        }
    }

    /// How far sessions have been behind since the last look, if too many are for the processors there are.
    fn backlog(&self) -> Duration {
        let furthest = Duration::from_micros(self.furthest_us.swap(0, Ordering::Relaxed));
        if self.behind.load(Ordering::Relaxed) > self.crowd { furthest } else { Duration::ZERO }
    }

    pub(super) fn see(&self, late: Duration) {
        let Some(target) = self.target else { return };
        let was = self.share.load(Ordering::Relaxed);
        let is = if late > target {
            // Twice as late, twice as fast; never by more than a quarter of all at once, as late looks are far apart.
            let late = u32::try_from(late.as_micros() / target.as_micros().max(1)).unwrap_or(u32::MAX);
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
    use crate::resilience::Shed;

    const TARGET: Duration = Duration::from_millis(20);

    fn overload() -> Arc<Overload> {
        Overload::new(Some(TARGET), &Metrics::new().unwrap())
    }

    /// Of a thousand sends, each in a turn of its own.
    fn refused(overload: &Arc<Overload>, high: bool) -> usize {
        let mut shed = Shed::new(overload);
        let mut refuses = |_: &i32| {
            shed.turn();
            shed.refuses(high)
        };
        (0..1_000).filter(|turn| refuses(turn)).count()
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

    fn leave(all: &mut [Shed], now: Instant) {
        for session in all {
            session.read(now, true);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_waits_in_the_sockets_of_many_is_seen() {
        let (overload, begun) = (overload(), Instant::now());
        let mut all: Vec<Shed> = (0..1_000).map(|_| Shed::new(&overload)).collect();
        let late = begun + 3 * TARGET;
        leave(&mut all, begun);
        assert_eq!(overload.backlog(), Duration::ZERO, "a burst");
        leave(&mut all, late);
        assert_eq!(overload.backlog(), 3 * TARGET);
        assert_eq!(overload.backlog(), Duration::ZERO, "they have not been seen since");
        leave(&mut all, late);
        all.truncate(overload.crowd);
        assert_eq!(overload.backlog(), Duration::ZERO, "who has left is not behind");
        all[0].read(late, false);
        all[0].read(late, true);
        assert_eq!(overload.behind.load(Ordering::Relaxed), overload.crowd - 1);
    }
}

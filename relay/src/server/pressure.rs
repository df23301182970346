//! Is there room for one more connection, though there are places? Refused before memory runs out, before the processor
//! fails those that are there, and in a storm. Those who are connected notice nothing.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::config::admission::AdmissionConfig;
use crate::server::memory;
use crate::telemetry::metrics::{Metrics, Refused};

/// How often a timer is set, to see how late it is.
const PROBE: Duration = Duration::from_millis(100);
/// Of so many probes in a row the least late counts: a moment's work delays one or two, too much work all.
const PROBES: usize = 10;
/// By how many points memory must have fallen before connections are let in again.
const RECOVERED_POINTS: u64 = 5;

/// Whether connections are refused, and why.
#[derive(Debug)]
pub struct Pressure {
    memory_bytes: Option<u64>,
    memory_percent: u64,
    delay_max: Option<Duration>,
    rate: Option<DefaultDirectRateLimiter>,
    memory: AtomicBool,
    delay: AtomicBool,
    metrics: Arc<Metrics>,
}

impl Pressure {
    /// The thresholds an operator chose.
    pub fn new(config: &AdmissionConfig, metrics: &Arc<Metrics>) -> Pressure {
        let memory_bytes =
            if config.memory_bytes > 0 { Some(config.memory_bytes) } else { memory::allowed() };
        let rate = NonZeroU32::new(config.connect_rate)
            .map(|rate| RateLimiter::direct(Quota::per_second(rate).allow_burst(rate.saturating_mul(TWICE))));
        Pressure {
            memory_bytes: memory_bytes.filter(|_| config.shed_memory_percent > 0),
            memory_percent: u64::from(config.shed_memory_percent),
            delay_max: (config.shed_delay_ms > 0).then(|| Duration::from_millis(config.shed_delay_ms)),
            rate,
            memory: AtomicBool::new(false),
            delay: AtomicBool::new(false),
            metrics: Arc::clone(metrics),
        }
    }

    /// Why an upgrade is refused now, if it is.
    pub(super) fn refusal(&self) -> Option<Refused> {
        self.shedding().or_else(|| {
            let over = self.rate.as_ref().is_some_and(|rate| rate.check().is_err());
            over.then_some(Refused::Rate)
        })
    }

    /// Why every upgrade is refused for now, if they are.
    pub(super) fn shedding(&self) -> Option<Refused> {
        if self.memory.load(Ordering::Relaxed) {
            Some(Refused::Memory)
        } else {
            self.delay.load(Ordering::Relaxed).then_some(Refused::Delay)
        }
    }

    /// Looks after memory and delay until `stop`.
    pub async fn watch(self: Arc<Self>, stop: CancellationToken) {
        let mut delays = [Duration::ZERO; PROBES];
        for turn in (0..PROBES).cycle() {
            if turn == 0 {
                self.see_memory(memory::used());
            }
            let due = Instant::now() + PROBE;
            if stop.run_until_cancelled(tokio::time::sleep_until(due)).await.is_none() {
                return;
            }
            // Who is woken by a timer runs next; who yields waits behind all that are ready, as a session does.
            tokio::task::yield_now().await;
            delays[turn] = due.elapsed();
            self.see_delay(delays.into_iter().min().unwrap_or_default());
        }
    }

    fn see_memory(&self, used: Option<u64>) {
        let (Some(used), Some(allowed)) = (used, self.memory_bytes) else { return };
        let percent = used.saturating_mul(100) / allowed.max(1);
        let share = u32::try_from(percent).unwrap_or(u32::MAX);
        self.metrics.memory_share.set(f64::from(share) / 100.0);
        let was = self.memory.load(Ordering::Relaxed);
        let bound =
            if was { self.memory_percent.saturating_sub(RECOVERED_POINTS) } else { self.memory_percent };
        let shed = percent >= bound;
        self.memory.store(shed, Ordering::Relaxed);
        self.metrics.shedding_memory.set(f64::from(u8::from(shed)));
        told(was, shed, "memory");
    }

    fn see_delay(&self, least: Duration) {
        self.metrics.loop_delay.set(least.as_secs_f64());
        let Some(bound) = self.delay_max else { return };
        let was = self.delay.load(Ordering::Relaxed);
        let shed = least > if was { bound / 2 } else { bound };
        self.delay.store(shed, Ordering::Relaxed);
        self.metrics.shedding_delay.set(f64::from(u8::from(shed)));
        told(was, shed, "delay");
    }
}

/// A storm's first second is let through twice as fast.
const TWICE: NonZeroU32 = NonZeroU32::MIN.saturating_add(1);

fn told(was: bool, is: bool, reason: &'static str) {
    match (was, is) {
        (false, true) => tracing::warn!(reason, "refusing connections"),
        (true, false) => tracing::info!(reason, "letting connections in again"),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pressure(connect_rate: u32) -> Pressure {
        let config = AdmissionConfig {
            descriptor_reserve: 0,
            memory_bytes: 1_000,
            shed_memory_percent: 80,
            shed_delay_ms: 100,
            shed_sends_delay_ms: 0,
            connect_rate,
        };
        Pressure::new(&config, &Metrics::new().unwrap())
    }

    #[test]
    fn memory_is_shed_at_its_share_and_let_in_again_below() {
        let pressure = pressure(0);
        let after = |used| {
            pressure.see_memory(Some(used));
            pressure.refusal()
        };
        let shed = Some(Refused::Memory);
        assert_eq!([700, 799, 800, 790, 750, 749].map(after), [None, None, shed, shed, shed, None]);
        pressure.see_memory(None);
        assert_eq!(pressure.refusal(), None);
    }

    #[test]
    fn a_processor_that_does_not_keep_up_is_spared() {
        let pressure = pressure(0);
        let after = |ms| {
            pressure.see_delay(Duration::from_millis(ms));
            pressure.shedding()
        };
        let shed = Some(Refused::Delay);
        assert_eq!([0, 100, 101, 60, 50].map(after), [None, None, shed, shed, None]);
    }

    #[test]
    fn a_storm_is_let_in_at_its_rate() {
        let pressure = pressure(5);
        let refused = (0..20).filter(|_| pressure.refusal() == Some(Refused::Rate)).count();
        assert!((9..=10).contains(&refused), "{refused}");
        assert_eq!(pressure.shedding(), None, "the instance stays ready");
    }
}

//! Rates by the generic cell rate algorithm, on a clock that is set once a turn: reading the system's for each frame costs
//! more than the check.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};

/// Nanoseconds since some beginning; never goes back, whichever of its users is late.
#[derive(Debug, Clone, Default)]
pub(super) struct TurnClock(Arc<AtomicU64>);

impl TurnClock {
    pub(super) fn set(&self, since_beginning: Duration) {
        let nanos = u64::try_from(since_beginning.as_nanos()).unwrap_or(u64::MAX);
        self.0.fetch_max(nanos, Ordering::Relaxed);
    }
}

impl Clock for TurnClock {
    type Instant = Nanos;
    fn now(&self) -> Nanos {
        self.0.load(Ordering::Relaxed).into()
    }
}

type Limiter = RateLimiter<NotKeyed, InMemoryState, TurnClock, NoOpMiddleware<Nanos>>;

/// A rate and what may come at once; a rate of 0 is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rate {
    pub(super) a_second: u32,
    pub(super) burst: u32,
}

impl Rate {
    /// A rate of which so many seconds' worth may come at once.
    pub(super) const fn of(a_second: u32, burst_s: u32) -> Rate {
        Rate { a_second, burst: a_second.saturating_mul(burst_s) }
    }

    fn limiter(self, clock: &TurnClock) -> Option<Limiter> {
        let quota = Quota::per_second(NonZeroU32::new(self.a_second)?)
            .allow_burst(NonZeroU32::new(self.burst).unwrap_or(NonZeroU32::MIN));
        Some(RateLimiter::direct_with_clock(quota, clock.clone()))
    }
}

/// Rates of messages and bytes, those of them that are limited.
#[derive(Debug)]
pub(super) struct Rates {
    limited_to: (Rate, Rate),
    messages: Option<Limiter>,
    bytes: Option<Limiter>,
    clock: TurnClock,
}

impl Rates {
    /// Full buckets.
    pub(super) fn new(messages: Rate, bytes: Rate, clock: &TurnClock) -> Rates {
        Rates {
            limited_to: (messages, bytes),
            messages: messages.limiter(clock),
            bytes: bytes.limiter(clock),
            clock: clock.clone(),
        }
    }

    /// Whether anything is limited.
    pub(super) const fn any(&self) -> bool {
        self.messages.is_some() || self.bytes.is_some()
    }

    /// Whether these are the rates.
    pub(super) fn are(&self, messages: Rate, bytes: Rate) -> bool {
        self.limited_to == (messages, bytes)
    }

    /// May one more frame be carried out, and if not, when?
    pub(super) fn frame(&self) -> Result<(), Duration> {
        let Some(messages) = &self.messages else { return Ok(()) };
        messages.check().map_err(|until| until.wait_time_from(self.clock.now()))
    }

    /// May a WebSocket message of so many bytes be carried out, and if not, when?
    pub(super) fn bytes(&self, bytes: NonZeroU32) -> Result<(), Duration> {
        let Some(limiter) = &self.bytes else { return Ok(()) };
        match limiter.check_n(bytes) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(until)) => Err(until.wait_time_from(self.clock.now())),
            // Configuration makes the burst larger than any WebSocket message, so waiting always helps.
            Err(_) => Err(Duration::from_secs(1)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_what_follows_is_told_when_to_come_back() {
        let rates = Rates::new(Rate { a_second: 10, burst: 20 }, Rate::of(1_000, 4), &TurnClock::default());
        assert_eq!((0..20).filter(|_| rates.frame().is_ok()).count(), 20);
        assert!(rates.frame().unwrap_err() <= Duration::from_millis(100));
        let bytes = |bytes| rates.bytes(NonZeroU32::new(bytes).unwrap());
        assert_eq!(bytes(4_000), Ok(()));
        assert!(bytes(500).unwrap_err() > Duration::from_millis(400));
    }

    #[test]
    fn what_is_not_limited_passes() {
        let rates = Rates::new(Rate::of(0, 5), Rate::of(0, 4), &TurnClock::default());
        assert!((0..10_000).all(|_| rates.frame().is_ok() && rates.bytes(NonZeroU32::MAX).is_ok()));
    }

    #[test]
    fn the_clock_never_goes_back() {
        let clock = TurnClock::default();
        clock.set(Duration::from_secs(2));
        clock.set(Duration::from_secs(1));
        assert_eq!(clock.now(), Nanos::from(Duration::from_secs(2)));
    }
}

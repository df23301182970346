//! How much one connection may do, by the generic cell rate algorithm. The limiter lives in its connection: no map to
//! grow, and eight times cheaper than a keyed one.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use tokio::time::Instant;

use crate::config::limits::LimitsConfig;

/// A clock that its connection sets once a turn: reading the system's for each frame costs more than the check.
#[derive(Debug, Clone)]
struct TurnClock(Arc<AtomicU64>);

impl Clock for TurnClock {
    type Instant = Nanos;
    fn now(&self) -> Nanos {
        self.0.load(Ordering::Relaxed).into()
    }
}

type Limiter = RateLimiter<NotKeyed, InMemoryState, TurnClock, NoOpMiddleware<Nanos>>;

/// Rates of one connection.
#[derive(Debug)]
pub struct ConnectionLimits {
    messages: Limiter,
    bytes: Limiter,
    clock: TurnClock,
    since: Instant,
}

/// A rate was met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limited {
    /// Which, as PROTOCOL.md names it.
    pub limit: &'static str,
    /// When to try again.
    pub retry_after: Duration,
}

/// How many seconds' worth of bytes may come at once.
pub const BYTES_BURST_S: u32 = 4;

impl ConnectionLimits {
    /// Full buckets.
    pub fn new(config: &LimitsConfig) -> ConnectionLimits {
        let quota = |rate: u32, burst: u32| {
            Quota::per_second(NonZeroU32::new(rate).unwrap_or(NonZeroU32::MIN))
                .allow_burst(NonZeroU32::new(burst).unwrap_or(NonZeroU32::MIN))
        };
        let clock = TurnClock(Arc::default());
        let limiter = |quota| RateLimiter::direct_with_clock(quota, clock.clone());
        ConnectionLimits {
            messages: limiter(quota(config.rate_messages, config.rate_burst)),
            bytes: limiter(quota(config.rate_bytes, config.rate_bytes.saturating_mul(BYTES_BURST_S))),
            since: Instant::now(),
            clock,
        }
    }

    /// A turn begins.
    pub fn at(&self, now: Instant) {
        let nanos = u64::try_from((now - self.since).as_nanos()).unwrap_or(u64::MAX);
        self.clock.0.store(nanos, Ordering::Relaxed);
    }

    /// May one more frame be carried out?
    pub fn frame(&self) -> Result<(), Limited> {
        self.messages.check().map_err(|until| Limited {
            limit: "rate_messages",
            retry_after: until.wait_time_from(self.clock.now()),
        })
    }

    /// May a WebSocket message of so many bytes be carried out?
    pub fn bytes(&self, bytes: usize) -> Result<(), Limited> {
        let Some(bytes) = u32::try_from(bytes).ok().and_then(NonZeroU32::new) else { return Ok(()) };
        match self.bytes.check_n(bytes) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(until)) => {
                Err(Limited { limit: "rate_bytes", retry_after: until.wait_time_from(self.clock.now()) })
            }
            // Configuration makes the burst larger than any WebSocket message, so waiting always helps.
            Err(_) => Err(Limited { limit: "rate_bytes", retry_after: Duration::from_secs(1) }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_what_follows_is_told_when_to_come_back() {
        let config = LimitsConfig {
            payload_bytes: 1,
            frames_per_message: 1,
            subscriptions: 1,
            in_flight: 1,
            rate_messages: 10,
            rate_burst: 20,
            rate_bytes: 1_000,
            rate_strikes: 1,
        };
        let limits = ConnectionLimits::new(&config);
        assert_eq!((0..20).filter(|_| limits.frame().is_ok()).count(), 20);
        let refused = limits.frame().unwrap_err();
        assert!(refused.limit == "rate_messages" && refused.retry_after <= Duration::from_millis(100));
        assert_eq!(limits.bytes(4_000), Ok(()));
        let refused = limits.bytes(500).unwrap_err();
        assert!(refused.limit == "rate_bytes" && refused.retry_after > Duration::from_millis(400));
    }
}

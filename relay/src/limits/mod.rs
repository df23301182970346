//! How much one connection may do, by the generic cell rate algorithm. The limiter lives in its connection: no map to
//! grow, and eight times cheaper than a keyed one.

use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};

use crate::config::limits::LimitsConfig;

/// Rates of one connection.
#[derive(Debug)]
pub struct ConnectionLimits {
    messages: DefaultDirectRateLimiter,
    bytes: DefaultDirectRateLimiter,
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
        ConnectionLimits {
            messages: RateLimiter::direct(quota(config.rate_messages, config.rate_burst)),
            bytes: RateLimiter::direct(quota(
                config.rate_bytes,
                config.rate_bytes.saturating_mul(BYTES_BURST_S),
            )),
        }
    }

    /// May one more frame be carried out?
    pub fn frame(&self) -> Result<(), Limited> {
        self.messages.check().map_err(|until| Limited {
            limit: "rate_messages",
            retry_after: until.wait_time_from(DefaultClock::default().now()),
        })
    }

    /// May a WebSocket message of so many bytes be carried out?
    pub fn bytes(&self, bytes: usize) -> Result<(), Limited> {
        let Some(bytes) = u32::try_from(bytes).ok().and_then(NonZeroU32::new) else { return Ok(()) };
        match self.bytes.check_n(bytes) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(until)) => Err(Limited {
                limit: "rate_bytes",
                retry_after: until.wait_time_from(DefaultClock::default().now()),
            }),
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

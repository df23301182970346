//! How often one principal may call, and how many messages it may send that way.

use std::num::NonZeroU32;
use std::time::Duration;

use axum::http::StatusCode;
use governor::clock::{Clock as _, DefaultClock};
use governor::state::keyed::HashMapStateStore;
use governor::{NotUntil, Quota, RateLimiter};
use relay_protocol::ErrorCode;

use crate::api::ApiState;
use crate::api::problem::Problem;
use crate::auth::{Digest, Principal, digest};
use crate::config::api::ApiConfig;
use crate::config::limits::LimitsConfig;
use crate::limits::Limited;

/// Principals that are remembered before those are forgotten whose rate is whole again. Above it each call looks through
/// them, some 100 µs.
const REMEMBERED: usize = 10_000;

type Limiter = RateLimiter<Digest, HashMapStateStore<Digest>, DefaultClock>;

/// The rates of the API.
#[derive(Debug)]
pub(super) struct Rates {
    calls: Limiter,
    messages: Limiter,
}

impl Rates {
    pub(super) fn new(api: &ApiConfig, limits: &LimitsConfig) -> Rates {
        let quota = |rate: u32, burst: u32| {
            Quota::per_second(NonZeroU32::new(rate).unwrap_or(NonZeroU32::MIN))
                .allow_burst(NonZeroU32::new(burst).unwrap_or(NonZeroU32::MIN))
        };
        Rates {
            calls: RateLimiter::hashmap(quota(api.api_rate, api.api_burst)),
            messages: RateLimiter::hashmap(quota(limits.rate_messages, limits.rate_burst)),
        }
    }

    /// May it make one more call?
    pub(super) fn call(&self, principal: &Principal) -> Result<(), Problem> {
        forget(&self.calls);
        let checked = self.calls.check_key(&key(principal));
        checked.map_err(|until| limited("api_rate", &until))
    }

    /// May it send so many messages?
    fn messages(&self, principal: &Principal, count: usize) -> Result<(), Problem> {
        forget(&self.messages);
        let count = u32::try_from(count).ok().and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MIN);
        match self.messages.check_key_n(&key(principal), count) {
            Ok(checked) => checked.map_err(|until| limited("rate_messages", &until)),
            Err(_) => Err(Problem::full("more recipients than may be sent to at once").limit("rate_burst")),
        }
    }
}

impl ApiState {
    /// May a principal send so many messages, of so many bytes together? By the API's own rate, and by those that count
    /// what its agent and its tenant send by sockets.
    pub(super) fn may_send(&self, by: &Principal, messages: usize, bytes: usize) -> Result<(), Problem> {
        self.rates.messages(by, messages)?;
        let messages = u32::try_from(messages).unwrap_or(u32::MAX);
        Ok(self.parts.limits.call(by.tenant(), by.agent(), messages, bytes)?)
    }
}

impl From<Limited> for Problem {
    fn from(limited: Limited) -> Problem {
        over(limited.limit.name(), limited.retry_after)
    }
}

fn key(principal: &Principal) -> Digest {
    digest(&[principal.tenant().as_bytes(), principal.agent().as_bytes()])
}

fn forget(limiter: &Limiter) {
    if limiter.len() > REMEMBERED {
        limiter.retain_recent();
    }
}

fn limited(
    limit: &'static str,
    until: &NotUntil<<DefaultClock as governor::clock::Clock>::Instant>,
) -> Problem {
    over(limit, until.wait_time_from(DefaultClock::default().now()))
}

fn over(limit: &'static str, wait: Duration) -> Problem {
    let ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).saturating_add(1);
    Problem::new(StatusCode::TOO_MANY_REQUESTS, ErrorCode::RateLimited.name(), "over a rate")
        .retry_after(ms)
        .limit(limit)
}

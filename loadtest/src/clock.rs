//! One monotonic clock for the whole process, so that a sender's and a recipient's times can be compared.

use std::sync::LazyLock;
use std::time::Duration;

use anyhow::Context;
use rustix::time::{ClockId, clock_gettime};
use tokio::time::Instant;

/// A second.
pub const SECOND_NS: u64 = 1_000_000_000;

static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Nanoseconds since the process first asked.
pub fn now_ns() -> u64 {
    nanoseconds(START.elapsed())
}

/// The instant that [`now_ns`] calls `at_ns`.
pub fn instant(at_ns: u64) -> Instant {
    *START + Duration::from_nanos(at_ns)
}

/// What the machine's own monotonic clock, which all processes share, shows when [`now_ns`] is `at_ns`.
pub fn machine_ns(at_ns: u64) -> anyhow::Result<u64> {
    Ok((machine_now_ns()? + at_ns).saturating_sub(now_ns()))
}

/// What [`now_ns`] is when the machine's clock shows `machine_ns`.
pub fn of_machine_ns(machine_ns: u64) -> anyhow::Result<u64> {
    Ok((machine_ns + now_ns()).saturating_sub(machine_now_ns()?))
}

fn machine_now_ns() -> anyhow::Result<u64> {
    let now = Duration::try_from(clock_gettime(ClockId::Monotonic)).ok();
    Ok(nanoseconds(now.context("the machine's clock shows no time")?))
}

/// A duration in nanoseconds; 584 years are enough.
pub fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Nanoseconds in seconds.
#[expect(clippy::cast_precision_loss, reason = "exact up to 104 days")]
pub fn seconds(ns: u64) -> f64 {
    ns as f64 / 1e9
}

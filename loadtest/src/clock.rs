//! One monotonic clock for the whole process, so that a sender's and a recipient's times can be compared.

use std::sync::LazyLock;
use std::time::Duration;

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

/// A duration in nanoseconds; 584 years are enough.
pub fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Nanoseconds in seconds.
#[expect(clippy::cast_precision_loss, reason = "exact up to 104 days")]
pub fn seconds(ns: u64) -> f64 {
    ns as f64 / 1e9
}

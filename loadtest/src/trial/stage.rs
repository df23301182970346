//! The times of a run.

use std::time::Duration;

use crate::clock;

/// Where a run stands, as every agent is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Agents connect and answer heartbeats.
    Gather,
    /// Traffic.
    Go(Window),
    /// Leave.
    Stop,
}

/// When traffic begins, counts, and ends, on [`crate::clock`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// The first send.
    pub start_ns: u64,
    /// From here on figures count; before, the relay warms up.
    pub measure_ns: u64,
    /// The last send.
    pub end_ns: u64,
}

impl Window {
    /// A window that begins soon enough for everybody to hear of it first.
    pub fn soon(warm_up: Duration, duration: Duration) -> Window {
        let start_ns = clock::now_ns() + clock::nanoseconds(Duration::from_millis(100));
        Window::from(start_ns, warm_up, duration)
    }

    /// A window that begins then.
    pub fn from(start_ns: u64, warm_up: Duration, duration: Duration) -> Window {
        let measure_ns = start_ns + clock::nanoseconds(warm_up);
        Window { start_ns, measure_ns, end_ns: measure_ns + clock::nanoseconds(duration) }
    }

    /// Whether messages are sent.
    pub fn is_open(&self, at_ns: u64) -> bool {
        (self.start_ns..self.end_ns).contains(&at_ns)
    }

    /// Whether figures count.
    pub fn counts(&self, at_ns: u64) -> bool {
        (self.measure_ns..self.end_ns).contains(&at_ns)
    }
}

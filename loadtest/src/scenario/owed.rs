//! Sends that a closed loop still has to make, held back for a while after a refusal.

use std::time::Duration;

use crate::clock;
use crate::trial::correspondent::Unsent;

/// How long to hold back where the relay does not say.
const BACK_OFF: Duration = Duration::from_millis(20);

/// Sends to be made.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Owed {
    count: u32,
    not_before_ns: u64,
}

impl Owed {
    pub(crate) fn new(count: u32) -> Owed {
        Owed { count, not_before_ns: 0 }
    }

    /// One more, at once.
    pub(crate) fn one(&mut self) {
        self.count += 1;
    }

    /// What did not arrive is sent again as something new, later.
    pub(crate) fn again(&mut self, unsent: &Unsent, now_ns: u64) {
        self.count += u32::try_from(unsent.sends.len()).unwrap_or(u32::MAX);
        let wait = unsent.retry_after_ms.map_or(BACK_OFF, Duration::from_millis);
        self.not_before_ns = self.not_before_ns.max(now_ns + clock::nanoseconds(wait));
    }

    /// Takes one that may be made now.
    pub(crate) fn take(&mut self, now_ns: u64) -> bool {
        let may = self.count > 0 && now_ns >= self.not_before_ns;
        self.count -= u32::from(may);
        may
    }

    /// When the rest may be made.
    pub(crate) fn next_ns(&self) -> Option<u64> {
        (self.count > 0).then_some(self.not_before_ns)
    }
}

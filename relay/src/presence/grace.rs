//! Those who were lost without a goodbye, until their grace is over.

use std::collections::VecDeque;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::directory::OwnEntry;
use crate::presence::Presence;

/// Those in grace at a time; of one more the oldest is over. A storm that ends more connections than this in one grace is
/// seen as it is.
const IN_GRACE_MAX: usize = 65_536;

/// Who is in grace, the earliest to end first: all graces are of one length.
#[derive(Debug)]
pub(super) struct Grace {
    length: Duration,
    ends: Mutex<VecDeque<(Instant, OwnEntry)>>,
}

impl Grace {
    pub(super) fn new(length: Duration) -> Grace {
        Grace { length, ends: Mutex::default() }
    }
}

impl Presence {
    pub(super) fn begin_grace(&self, entry: OwnEntry) {
        if self.grace.length.is_zero() {
            return self.leave(entry);
        }
        let over = {
            let mut ends = self.grace.ends.lock();
            ends.push_back((Instant::now() + self.grace.length, entry));
            if ends.len() > IN_GRACE_MAX { ends.pop_front() } else { None }
        };
        if let Some((_, entry)) = over {
            self.leave(entry);
        }
    }

    pub(super) fn end_graces(&self) {
        let now = Instant::now();
        let over: Vec<_> = {
            let mut ends = self.grace.ends.lock();
            let count = ends.partition_point(|(end, _)| *end <= now);
            ends.drain(..count).collect()
        };
        for (_, entry) in over {
            self.leave(entry);
        }
    }
}

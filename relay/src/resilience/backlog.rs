//! What a session has left unread in its socket, and for how long. Each turn reads a bounded part, so that tasks are in
//! time however much there is; what is late then is what waits in the sockets.
//!
//! As in `CoDel` the time since it was last empty counts: a burst empties soon, more than there is processor for does not.

use std::sync::Arc;

use tokio::time::Instant;

use crate::resilience::Overload;

/// What one session has left unread.
#[derive(Debug)]
pub(super) struct Backlog {
    overload: Arc<Overload>,
    since: Option<Instant>,
    /// For longer than the target.
    behind: bool,
}

impl Backlog {
    /// Nothing.
    pub(super) fn new(overload: &Arc<Overload>) -> Backlog {
        Backlog { overload: Arc::clone(overload), since: None, behind: false }
    }

    /// A turn that began at `now` read all there was, or left some of it.
    pub(super) fn read(&mut self, now: Instant, is_more: bool) {
        if !is_more {
            self.since = None;
            if std::mem::take(&mut self.behind) {
                self.overload.is_behind_no_more();
            }
            return;
        }
        let since = *self.since.get_or_insert(now);
        let late = now.saturating_duration_since(since);
        if self.overload.target().is_some_and(|target| late > target) {
            self.overload.is_behind(late, !self.behind);
            self.behind = true;
        }
    }
}

impl Drop for Backlog {
    fn drop(&mut self) {
        if self.behind {
            self.overload.is_behind_no_more();
        }
    }
}

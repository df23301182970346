//! What a session has left unread in its socket, and for how long. Each turn reads a bounded part, so that tasks are in
//! time however much there is; what is late then is what waits in the sockets.
//!
//! As in `CoDel` the time since it was last empty counts: a burst empties soon, more than there is processor for does not.

use tokio::time::Instant;

use crate::resilience::Overload;

/// What one session has left unread.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    since: Option<Instant>,
    /// For longer than the target.
    behind: bool,
}

impl Backlog {
    /// A turn that began at `now` left something.
    pub(super) fn grow(&mut self, now: Instant, overload: &Overload) {
        let since = *self.since.get_or_insert(now);
        let late = now.saturating_duration_since(since);
        if overload.target().is_some_and(|target| late > target) {
            overload.is_behind(late, !self.behind);
            self.behind = true;
        }
    }

    /// A turn read all there was, or the session has ended.
    pub(super) fn end(&mut self, overload: &Overload) {
        self.since = None;
        if std::mem::take(&mut self.behind) {
            overload.is_behind_no_more();
        }
    }
}

//! What this instance reads of a stream, once for all its sessions: the latest messages, for those who keep up. Who is
//! behind reads the store by itself.
//!
//! Bound: a window of [`WINDOW_MESSAGES`] and [`WINDOW_BYTES`] for each stream that somebody here reads.

mod entry;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use smallvec::SmallVec;
use tokio::time::Instant;

use crate::outbound::Outbound;
use crate::router::Router;
use crate::router::envelope::{Latest, Wake};
use crate::router::tenant::Tenant;
use crate::streams::{Answer, Marks, Range, StoredMessage, StreamError, StreamKey};

pub use entry::Entry;
pub(super) use entry::stored_body;

/// What is kept for those who keep up.
const WINDOW_MESSAGES: usize = 256;
/// The same in bytes.
const WINDOW_BYTES: usize = 256 * 1024;
/// Bytes of one read.
const READ_BYTES: usize = 256 * 1024;
/// How often the head of a stream is looked at without a hint: a hint may be lost, and nothing might follow it.
const LOOK: Duration = Duration::from_secs(5);

/// A stream that sessions of this instance read.
#[derive(Debug)]
pub struct Feed {
    stream: StreamKey,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    marks: Marks,
    /// Without a hole, up to `held`.
    window: VecDeque<Arc<Entry>>,
    window_bytes: usize,
    held: u64,
    /// Somebody reads for all.
    busy: bool,
    /// A hint came since that began.
    again: bool,
    looked_at: Instant,
    /// When the store was asked that said how the stream stands. Only its own questions change the epoch, one at a time, as
    /// answers to others may be older than what is known.
    asked_at: Instant,
    readers: SmallVec<[(u64, Arc<Outbound>); 1]>,
}

/// A question for more.
#[derive(Debug)]
struct Asked {
    at: Instant,
    /// What was known then.
    epoch: Arc<str>,
    after: u64,
}

/// What a reader gets.
#[derive(Debug)]
pub enum Next {
    /// The messages after the one it named.
    Entries(Vec<Arc<Entry>>),
    /// There are none.
    UpToDate,
    /// There are, and it has to read them by itself.
    Behind,
    /// The stream has another epoch than it named.
    Another(Marks),
}

impl Feed {
    fn new(stream: StreamKey, marks: Marks) -> Feed {
        let (held, now) = (marks.head, Instant::now());
        let (window, readers) = (VecDeque::new(), SmallVec::new());
        let state = State {
            marks,
            window,
            window_bytes: 0,
            held,
            busy: false,
            again: false,
            looked_at: now,
            asked_at: now,
            readers,
        };
        Feed { stream, state: Mutex::new(state) }
    }

    /// What follows `after` in this epoch, which the reader knows since `since`; at most so many messages.
    pub fn next(&self, epoch: &str, since: Instant, after: u64, max: usize) -> Next {
        let state = self.state.lock();
        if state.marks.epoch.is_empty() {
            return Next::UpToDate;
        }
        if *state.marks.epoch != *epoch {
            // One of the two is older; the store is being asked.
            let is_later = state.asked_at >= since;
            return if is_later { Next::Another(state.marks.clone()) } else { Next::UpToDate };
        }
        if after >= state.held {
            return Next::UpToDate;
        }
        match state.window.front() {
            Some(front) if front.seq <= after + 1 => {
                let skip = usize::try_from(after + 1 - front.seq).unwrap_or(usize::MAX);
                Next::Entries(state.window.iter().skip(skip).take(max).cloned().collect())
            }
            _ => Next::Behind,
        }
    }

    /// Whether somebody has to begin reading, now that there may be more.
    fn begin(&self, hint: Option<(&str, u64)>) -> bool {
        let mut state = self.state.lock();
        if hint.is_some_and(|(epoch, head)| *state.marks.epoch == *epoch && head <= state.held) {
            return false;
        }
        state.again = true;
        !std::mem::replace(&mut state.busy, true)
    }

    /// Takes the messages that came along with a hint. Says whether all up to its head is known now; else somebody has to read.
    pub(super) fn append(&self, wake: &Wake<&str>) -> bool {
        let Wake { epoch, head, latest, .. } = wake;
        let Some(before) = head.checked_sub(latest.len() as u64) else { return false };
        let mut state = self.state.lock();
        if *state.marks.epoch != **epoch || before > state.held {
            return false;
        }
        let (now, known) = (Instant::now(), state.held);
        for (seq, Latest { expires_in_ms, body }) in
            (before + 1..).zip(latest).filter(|(seq, _)| *seq > known)
        {
            // By a clock that begins now.
            let expires_at_ms = u64::from(*expires_in_ms);
            let message = StoredMessage { seq, at_ms: 0, expires_at_ms, body: body.clone() };
            state.push(Entry::new(message, now, 0));
        }
        state.bound();
        state.marks.head = state.marks.head.max(*head);
        state.looked_at = now;
        state.readers.iter().for_each(|(_, outbound)| outbound.wake());
        true
    }

    fn wants_look(&self) -> bool {
        self.state.lock().looked_at.elapsed() >= LOOK
    }

    /// From where to read on, for the one who does.
    fn after(&self) -> Asked {
        let mut state = self.state.lock();
        state.again = false;
        Asked { at: Instant::now(), epoch: Arc::clone(&state.marks.epoch), after: state.held }
    }

    /// Takes what was read after that; says whether to read on.
    fn take(&self, asked: &Asked, read: Result<Option<Range>, StreamError>) -> bool {
        let mut state = self.state.lock();
        state.looked_at = Instant::now();
        if read.is_ok() {
            state.asked_at = asked.at;
        }
        let more = match read {
            Ok(Some(range)) => state.take(asked.after, range),
            Ok(None) => {
                // The topic has none any more. What came meanwhile is of one that has begun since.
                if state.marks.epoch == asked.epoch && state.held == asked.after {
                    state.forget();
                }
                false
            }
            // Away: the next look finds out more.
            Err(_) => false,
        };
        let go_on = (more || state.again) && !state.readers.is_empty();
        state.busy = go_on;
        for (_, outbound) in &state.readers {
            outbound.wake();
        }
        go_on
    }
}

impl State {
    /// The store has no such stream: what is here is of one that it lost.
    fn forget(&mut self) {
        (self.window, self.window_bytes, self.held) = (VecDeque::new(), 0, 0);
        self.marks = Marks { epoch: "".into(), former: None, first: 1, head: 0 };
    }

    /// Goes over to another epoch; at `begin`, if it cannot be compared.
    fn change(&mut self, marks: Marks, begin: u64) {
        self.held = marks.translate(&self.marks.epoch, self.held).unwrap_or(begin);
        (self.window, self.window_bytes) = (VecDeque::new(), 0);
        self.marks = marks;
    }

    fn take(&mut self, after: u64, range: Range) -> bool {
        let Range { marks, now_ms, messages } = range;
        if marks.epoch != self.marks.epoch {
            // Read again, from where the other epoch goes on.
            let begin = if self.marks.epoch.is_empty() { marks.head } else { marks.first - 1 };
            self.change(marks, begin);
            return true;
        }
        let now = Instant::now();
        let (head, known) = (marks.head, self.held);
        self.marks = marks;
        if known + 1 < self.marks.first {
            // It fell out before it was read here: readers are to hear so, also where nothing follows.
            (self.window, self.window_bytes) = (VecDeque::new(), 0);
            self.held = self.marks.first - 1;
        }
        // What came along with a hint meanwhile is here already.
        for message in messages.into_iter().skip_while(|message| message.seq <= known) {
            self.push(Entry::new(message, now, now_ms));
        }
        self.bound();
        self.held > after && self.held < head
    }

    fn push(&mut self, entry: Entry) {
        if entry.seq != self.held + 1 {
            // Something fell out in between: those who are before it read by themselves.
            (self.window, self.window_bytes) = (VecDeque::new(), 0);
        }
        self.held = entry.seq;
        self.window_bytes += entry.weight();
        self.window.push_back(Arc::new(entry));
    }

    fn bound(&mut self) {
        while self.window.len() > WINDOW_MESSAGES
            || (self.window_bytes > WINDOW_BYTES && self.window.len() > 1)
        {
            self.window_bytes -= self.window.pop_front().map_or(0, |entry| entry.weight());
        }
    }
}

/// A session's place among the readers of a stream. A guard.
#[derive(Debug)]
pub struct Seat {
    router: Arc<Router>,
    tenant: Arc<Tenant>,
    feed: Arc<Feed>,
    connection: u64,
}

impl Seat {
    /// The stream's messages, for those who keep up.
    pub fn feed(&self) -> &Feed {
        &self.feed
    }

    /// Which stream.
    pub fn stream(&self) -> &StreamKey {
        &self.feed.stream
    }

    /// Has the stream looked at.
    pub fn look(&self) {
        self.router.hint(&self.tenant, &self.feed, None);
    }

    /// Reads by itself what is not kept here.
    pub fn read(&self, after: u64) -> Answer<Option<Range>> {
        self.router.streams.read(self.feed.stream.clone(), after, READ_BYTES)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.feed.state.lock().readers.retain(|(connection, _)| *connection != self.connection);
        let left = |feed: &Arc<Feed>| feed.state.lock().readers.is_empty();
        let address = &self.feed.stream.address;
        if self.tenant.feeds.remove_if(address, |_, feed| left(feed)).is_some()
            && let Some(topic) = self.feed.stream.as_topic()
        {
            self.router.release_channel(&self.tenant, topic);
        }
    }
}

impl Router {
    /// Gives a session a place among the readers of a stream, whose marks it knows.
    pub(super) fn seat(
        self: &Arc<Self>,
        tenant: &Arc<Tenant>,
        stream: &StreamKey,
        marks: &Marks,
        connection: u64,
        outbound: &Arc<Outbound>,
    ) -> Seat {
        let new = || Arc::new(Feed::new(stream.clone(), marks.clone()));
        let feed = tenant.feeds.entry(Arc::clone(&stream.address)).or_insert_with(new);
        // Under the entry's lock, so that the feed is not forgotten between being found and being used.
        feed.state.lock().readers.push((connection, Arc::clone(outbound)));
        let feed = Arc::clone(&feed);
        self.hint(tenant, &feed, None);
        Seat { router: Arc::clone(self), tenant: Arc::clone(tenant), feed, connection }
    }

    /// Reads on, if there may be more than is known.
    pub(super) fn hint(self: &Arc<Self>, tenant: &Arc<Tenant>, feed: &Arc<Feed>, hint: Option<(&str, u64)>) {
        if !feed.begin(hint) {
            return;
        }
        // Kept while it is read for, as a session keeps it.
        tenant.members.fetch_add(1, std::sync::atomic::Ordering::AcqRel);
        let (router, tenant, feed) = (Arc::clone(self), Arc::clone(tenant), Arc::clone(feed));
        self.tracker.spawn(async move {
            loop {
                let asked = feed.after();
                let read = router.streams.read(feed.stream.clone(), asked.after, READ_BYTES).await;
                if !feed.take(&asked, read) {
                    break;
                }
            }
            router.leave_tenant(&tenant);
        });
    }

    /// Looks at the heads of streams that nothing was heard of for a while, at all of them after a gap.
    pub(super) fn look_at_feeds(self: &Arc<Self>, all: bool) {
        for tenant in &self.tenants {
            let tenant = Arc::clone(&tenant);
            let feeds: Vec<_> = tenant.feeds.iter().map(|feed| Arc::clone(&feed)).collect();
            for feed in feeds.into_iter().filter(|feed| all || feed.wants_look()) {
                self.hint(&tenant, &feed, None);
            }
        }
    }
}

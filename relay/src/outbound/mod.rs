//! What waits for one socket: bounded in messages and bytes, filled by anybody, emptied by its session alone.
//!
//! Pushing never waits. What does not fit is refused to the pusher, who knows what that means for its message. The lane
//! of control frames is not bounded here: each control frame answers something the session itself did, and a session
//! that lets them pile up is no longer read from ([`Outbound::control_backlog`]).

mod afterwards;
mod credit;
mod item;
mod lanes;
mod line;
mod notice;
mod settlement;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::Context;

use futures_util::task::AtomicWaker;
use parking_lot::Mutex;
use relay_protocol::Chunk;
use relay_protocol::CloseCode;
use relay_protocol::Encoding;
use relay_protocol::ServerFrame;
use relay_protocol::client::{Lane, ReceiptMode};
use relay_protocol::server::FlowState;
use tokio::time::Instant;

use crate::telemetry::outcome::Outcome;

pub use item::{Item, Job, ReplyRight};
pub use lanes::{Abandoned, Bounds, PushError};
pub use notice::{GapNotice, Place, Told};
pub use settlement::{Settled, Settlement};

use afterwards::Afterwards;
use credit::Credit;
use lanes::Lanes;

/// The queue of one socket.
#[derive(Debug)]
pub struct Outbound {
    encoding: Encoding,
    state: Mutex<State>,
    waker: AtomicWaker,
    in_flight: AtomicU32,
}

#[derive(Debug, Default)]
struct State {
    lanes: Lanes,
    credit: Credit,
    control: Vec<Chunk>,
    control_bytes: usize,
    told: Told,
    unsubscribed: Vec<(u64, Arc<str>)>,
    close: Option<CloseSignal>,
    recheck: bool,
    news: Option<InboxNews>,
    /// How far the session knows its agent's stream.
    seen: Option<(Arc<str>, u64)>,
    /// Made with the first message that is stored.
    afterwards: Option<Box<Afterwards>>,
}

/// News of the stream of a session's agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InboxNews {
    /// There may be messages.
    Look,
    /// The store knows nothing of the session.
    Forgotten,
}

/// What a session looks at when a turn begins. Asked apart from what is to be written, as it holds for a socket that
/// takes nothing too.
#[derive(Debug)]
pub struct Beginning {
    /// The connection is to end.
    pub close: Option<CloseSignal>,
    /// Something came up that concerns who the client is.
    pub recheck: bool,
    /// Something came up that concerns the stream of the session's agent.
    pub news: Option<InboxNews>,
    /// Bytes of control frames that wait.
    pub control_backlog: usize,
}

/// Somebody other than the session wants its connection to end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloseSignal {
    /// Why.
    pub code: CloseCode,
    /// Why, for people.
    pub message: &'static str,
    /// When the client may come back.
    pub reconnect_after_ms: Option<u64>,
}

impl CloseSignal {
    /// A later connection of the session is there.
    pub const REPLACED: CloseSignal = CloseSignal {
        code: CloseCode::Replaced,
        message: "another connection took over",
        reconnect_after_ms: None,
    };
}

/// What a session took from its queue.
#[derive(Debug, Default)]
pub struct Taken {
    /// Control frames, before all others.
    pub control: Vec<Chunk>,
    /// Outcomes and gaps to be written as frames.
    pub told: Told,
    /// Messages, in order.
    pub items: Vec<Item>,
    /// Messages that gave way to later ones under their key, and their bytes.
    pub conflated: (u64, usize),
    /// Subscriptions that could not be put in force, each with the command that wished for it.
    pub unsubscribed: Vec<(u64, Arc<str>)>,
    /// Since when the queue has been full without a break.
    pub full_since: Option<Instant>,
    /// How full the queue is now, if a mark was passed since the last time.
    pub flow: Option<(FlowState, usize, usize)>,
}

impl Taken {
    /// Whether there was nothing.
    pub fn is_empty(&self) -> bool {
        self.control.is_empty()
            && self.items.is_empty()
            && self.told.is_empty()
            && self.unsubscribed.is_empty()
            && self.flow.is_none()
    }
}

impl Outbound {
    /// An empty queue for a client that speaks `encoding`.
    pub fn new(encoding: Encoding, bounds: Bounds) -> Outbound {
        Outbound {
            encoding,
            state: Mutex::new(State { lanes: Lanes::new(bounds), ..State::default() }),
            waker: AtomicWaker::new(),
            in_flight: AtomicU32::new(0),
        }
    }

    /// What the client speaks.
    pub fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// Puts a message in line, or says why not. The session does not learn of it before [`Outbound::wake`]: several
    /// messages pushed in one turn are then written in one go. A full queue wants waking as well, as its session
    /// measures for how long it has been full.
    pub fn push(&self, item: Item) -> Result<(), PushError> {
        self.state.lock().lanes.push(item)
    }

    /// Puts work of a group in line, as [`Outbound::push`] does, if the client can take it.
    pub fn push_job(&self, item: Item, job: Job) -> Result<(), (PushError, Job)> {
        let bytes = item.chunk.bytes.len();
        let mut state = self.state.lock();
        if !state.credit.covers(if job.stored { 1 } else { bytes }) {
            return Err((PushError::Full, job));
        }
        state.lanes.push_job(item, job)?;
        state.credit.spend(bytes);
        Ok(())
    }

    /// The client can take so much more work.
    pub fn grant(&self, messages: u64, bytes: u64) {
        self.state.lock().credit.grant(messages, bytes);
    }

    /// About how many more messages of a group it would take.
    pub fn room(&self) -> u64 {
        let state = self.state.lock();
        state.lanes.room().min(state.credit.messages())
    }

    /// Writes a message in line that has neither a key nor an end, and says how many bytes it takes; else like
    /// [`Outbound::push`].
    pub fn push_frame(
        &self,
        frame: &ServerFrame<'_>,
        lane: Lane,
        taken_at: Instant,
    ) -> Result<usize, PushError> {
        self.state.lock().lanes.push_frame(frame, lane, self.encoding, taken_at)
    }

    /// Tells the session that something waits.
    pub fn wake(&self) {
        self.waker.wake();
    }

    /// Puts a message to a topic in line; what does not fit is dropped, and told by a gap once there is room.
    pub fn push_topic(&self, mut item: Item, pattern: &Arc<str>) -> Result<(), PushError> {
        item.pattern = item.expires_at.map(|_| Arc::clone(pattern));
        let frames = u64::from(item.chunk.frames);
        let mut state = self.state.lock();
        let result = state.lanes.push(item);
        if result.is_err() {
            state.told.push_gap(GapNotice::slow(pattern, frames));
        }
        drop(state);
        self.waker.wake();
        result
    }

    /// Puts a control frame in line.
    pub fn push_control(&self, chunk: Chunk) {
        let mut state = self.state.lock();
        state.control_bytes += chunk.bytes.len();
        state.control.push(chunk);
        drop(state);
        self.waker.wake();
    }

    /// A subscription could not be put in force.
    pub fn push_unsubscribed(&self, command: u64, pattern: Arc<str>) {
        self.state.lock().unsubscribed.push((command, pattern));
        self.waker.wake();
    }

    /// Tells the client of a gap once messages flow again.
    pub fn push_gap(&self, notice: GapNotice) {
        self.state.lock().told.push_gap(notice);
        self.waker.wake();
    }

    /// Asks the session to end its connection; the first reason stands.
    pub fn close(&self, signal: CloseSignal) {
        self.state.lock().close.get_or_insert(signal);
        self.waker.wake();
    }

    /// Asks the session to look again at whether its client may stay.
    pub fn ask_recheck(&self) {
        self.state.lock().recheck = true;
        self.waker.wake();
    }

    /// Tells the session of its agent's stream.
    pub fn push_news(&self, news: InboxNews) {
        let mut state = self.state.lock();
        if state.news != Some(InboxNews::Forgotten) {
            state.news = Some(news);
        }
        drop(state);
        self.waker.wake();
    }

    /// The session knows its agent's stream so far.
    pub fn see(&self, epoch: &Arc<str>, head: u64) {
        self.state.lock().seen = Some((Arc::clone(epoch), head));
    }

    /// Tells the session to look, unless it knows the stream so far.
    pub fn push_head(&self, epoch: &str, head: u64) {
        let known = |(of, seen): &(Arc<str>, u64)| **of == *epoch && *seen >= head;
        if !self.state.lock().seen.as_ref().is_some_and(known) {
            self.push_news(InboxNews::Look);
        }
    }

    /// Tells of a send what became of it after its outcome.
    pub fn tell_later(&self, id: u64, outcome: Outcome) {
        let mut state = self.state.lock();
        let now = match &mut state.afterwards {
            Some(afterwards) => afterwards.hear(id, outcome),
            None => Some(outcome),
        };
        if let Some(outcome) = now {
            state.told.outcome(id, outcome);
            drop(state);
            self.waker.wake();
        }
    }

    /// Tells what became of what an earlier connection of the session sent.
    pub fn tell_earlier(&self, told: impl Iterator<Item = (Box<str>, Outcome)>) {
        self.state.lock().told.earlier(told);
        self.waker.wake();
    }

    /// Takes control frames, and messages up to `bytes_max` and `frames_max`, at least one if there is one.
    pub fn take(&self, bytes_max: usize, frames_max: usize) -> Taken {
        let mut state = self.state.lock();
        let state = &mut *state;
        let mut taken = Taken {
            control: std::mem::take(&mut state.control),
            told: std::mem::take(&mut state.told),
            unsubscribed: std::mem::take(&mut state.unsubscribed),
            ..Taken::default()
        };
        state.control_bytes = 0;
        state.lanes.take(bytes_max, frames_max, &mut taken.items);
        taken.conflated = state.lanes.take_conflated();
        taken.flow = state.lanes.flow_change();
        taken.full_since = state.lanes.full_since();
        taken
    }

    /// What is to be looked at first.
    pub fn begin_turn(&self) -> Beginning {
        let mut state = self.state.lock();
        Beginning {
            close: state.close.take(),
            recheck: std::mem::take(&mut state.recheck),
            news: state.news.take(),
            control_backlog: state.control_bytes,
        }
    }

    /// Bytes of control frames that wait.
    pub fn control_backlog(&self) -> usize {
        self.state.lock().control_bytes
    }

    /// What nobody will write, taken out.
    pub fn abandon(&self) -> Abandoned {
        self.state.lock().lanes.abandon()
    }

    /// Whom to wake when something is pushed. To be called before looking.
    pub fn register(&self, cx: &Context<'_>) {
        self.waker.register(cx.waker());
    }

    /// Sends of this session that have no outcome yet.
    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// A send has its outcome, told if the client asked.
    fn settled(&self, id: u64, mode: ReceiptMode, outcome: Outcome) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
        let mut state = self.state.lock();
        let further = state.afterwards.as_mut().and_then(|afterwards| afterwards.settle(id, outcome));
        let told = [outcome.is_told(mode).then_some(outcome), further];
        for outcome in told.into_iter().flatten() {
            state.told.outcome(id, outcome);
        }
        drop(state);
        if told.iter().any(Option::is_some) {
            self.waker.wake();
        }
    }

    /// A send is being stored: what is heard of it before its outcome is told behind that.
    fn stores(&self, id: u64) {
        self.state.lock().afterwards.get_or_insert_default().begin(id);
    }

    fn tell_place(&self, id: u64, place: Place) {
        self.state.lock().told.place(id, place);
    }

    fn begun(&self) {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests;

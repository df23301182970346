//! One stream as a session reads it: what comes next, what falls out, what the client has presented.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::FutureExt as _;
use relay_protocol::client::Position;
use relay_protocol::{Chunk, Encoding, ServerFrame};
use tokio::time::Instant;

use crate::outbound::ReplyRight;
use crate::router::{Entry, Next, Seat};
use crate::session::credit::Credit;
use crate::streams::{Answer, Marks, Range, is_unmade};

/// Messages that are taken from the window at a time.
const TAKE: usize = 64;
/// Lives of a stream that are remembered besides the one that is read. One is over with each fail-over or restart of Redis.
/// With more the oldest is forgotten: what the store brings back of that comes again, as `redelivered`.
const LIVES_MAX: usize = 8;

/// A stream that the session reads.
pub(super) struct Reading {
    seat: Seat,
    epoch: Arc<str>,
    /// When that was known from the store.
    since: Instant,
    /// The last message that was written.
    cursor: u64,
    /// The lives read before, each with the last message that was written of it, the latest last.
    before: Vec<(Arc<str>, u64)>,
    /// Up to here messages may have been presented before.
    seen: u64,
    backlog: VecDeque<Arc<Entry>>,
    /// What the session reads by itself.
    asked: Option<Answer<Option<Range>>>,
    /// What had expired and was not written, since the last acknowledgement.
    expired: Vec<u64>,
}

/// What a session writes next of its streams.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) chunks: Vec<Chunk>,
    pub(super) bytes: usize,
    /// Messages among them.
    pub(super) messages: u64,
    /// Messages that will not come.
    pub(super) skipped: u64,
    pub(super) rights: Vec<ReplyRight>,
    /// The agent's stream is another one: the store has forgotten who reads it.
    pub(super) is_forgotten: bool,
}

impl Batch {
    fn control(&mut self, frame: &ServerFrame<'_>, encoding: Encoding) {
        let chunk = Chunk::of(frame, encoding);
        self.bytes += chunk.bytes.len();
        self.chunks.push(chunk);
    }
}

impl Reading {
    /// Reads on after `cursor`; all up to `seen` may have been presented before.
    pub(super) fn new(seat: Seat, epoch: Arc<str>, cursor: u64, seen: u64) -> Reading {
        let (since, backlog, before, expired) = (Instant::now(), VecDeque::new(), Vec::new(), Vec::new());
        Reading { seat, epoch, since, cursor, before, seen, backlog, asked: None, expired }
    }

    /// The address of the stream.
    pub(super) fn stream(&self) -> &str {
        &self.seat.stream().address
    }

    /// Which life of it is read, and how far.
    pub(super) fn position(&self) -> (&Arc<str>, u64) {
        (&self.epoch, self.cursor)
    }

    /// What had expired up to `seq`.
    pub(super) fn take_expired(&mut self, seq: u64) -> Vec<u64> {
        self.expired.extract_if(.., |expired| *expired <= seq).collect()
    }

    /// Adds what comes next, as far as credit and room go.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        encoding: Encoding,
        credit: &mut Credit,
        room: (usize, usize),
        batch: &mut Batch,
    ) {
        let now = Instant::now();
        while batch.bytes < room.0 && batch.chunks.len() < room.1 && credit.allows() {
            if let Some(entry) = self.backlog.pop_front() {
                self.write(&entry, now, encoding, credit, batch);
                continue;
            }
            if let Some(asked) = &mut self.asked {
                let Poll::Ready(read) = asked.poll_unpin(cx) else { return };
                self.asked = None;
                match read {
                    Ok(Some(range)) if range.marks.epoch == self.epoch => {
                        self.take(range, now, encoding, batch);
                    }
                    // The feed is to find out first, or the two would not agree on what comes next.
                    Ok(Some(_)) => return self.seat.look(),
                    // Looked at again when the stream is.
                    Ok(None) | Err(_) => return,
                }
                continue;
            }
            match self.seat.feed().next(&self.epoch, self.since, self.cursor, TAKE) {
                Next::UpToDate => return,
                Next::Entries(entries) => self.backlog.extend(entries),
                Next::Behind => self.asked = Some(self.seat.read(self.cursor)),
                Next::Another(marks) => self.go_on(&marks, encoding, batch),
            }
        }
    }

    fn take(&mut self, range: Range, now: Instant, encoding: Encoding, batch: &mut Batch) {
        let Range { marks, now_ms, messages } = range;
        if messages.is_empty() && marks.first > self.cursor + 1 {
            self.skip(marks.first - 1, encoding, batch);
        }
        self.backlog.extend(messages.into_iter().map(|message| Arc::new(Entry::new(message, now, now_ms))));
    }

    /// The stream has another life: the client is told where it goes on, and that something may be missing.
    fn go_on(&mut self, marks: &Marks, encoding: Encoding, batch: &mut Batch) {
        let translated = marks.translate(&self.epoch, self.cursor);
        // It had no other: else that one began and was lost unseen.
        let begins = is_unmade(&self.epoch) && translated.is_some();
        // A Redis that was set back goes on from a life before the last: what was written in that is not written again.
        let earlier = || self.before.iter().rev().find_map(|(epoch, last)| marks.translate(epoch, *last));
        let cursor = translated.or_else(earlier).unwrap_or(marks.first - 1);
        self.seen = if translated.is_some() { cursor } else { marks.head };
        batch.is_forgotten |= translated.is_none() && self.seat.stream().as_agent().is_some();
        let former = std::mem::replace(&mut self.epoch, Arc::clone(&marks.epoch));
        if self.before.len() == LIVES_MAX {
            self.before.remove(0);
        }
        self.before.push((former, std::mem::replace(&mut self.cursor, cursor)));
        self.backlog.clear();
        self.expired.clear();
        let reason = if begins { None } else { Some("epoch") };
        batch.control(&self.resume(reason), encoding);
    }

    /// Where the stream goes on; `reason` says why something may be missing.
    pub(super) fn resume(&self, reason: Option<&'static str>) -> ServerFrame<'_> {
        let (stream, epoch) = (self.stream().into(), (&*self.epoch).into());
        ServerFrame::Resume {
            position: Position { stream, epoch, seq: self.cursor },
            recovered: reason.is_none(),
            reason: reason.map(Into::into),
        }
    }

    fn write(
        &mut self,
        entry: &Entry,
        now: Instant,
        encoding: Encoding,
        credit: &mut Credit,
        batch: &mut Batch,
    ) {
        if entry.seq <= self.cursor {
            return;
        }
        if entry.seq > self.cursor + 1 {
            self.skip(entry.seq - 1, encoding, batch);
        }
        if entry.expires_at.is_some_and(|at| at <= now) {
            self.expired.push(entry.seq);
            return self.leave_out(entry.seq, "expired", encoding, batch);
        }
        let redelivered = entry.seq <= self.seen;
        let stream = Arc::clone(&self.seat.stream().address);
        let Some(written) = entry.written(encoding, &stream, &self.epoch, redelivered) else {
            return self.leave_out(entry.seq, "dropped", encoding, batch);
        };
        self.cursor = entry.seq;
        credit.spend(written.chunk.bytes.len());
        batch.bytes += written.chunk.bytes.len();
        batch.messages += 1;
        batch.chunks.push(written.chunk);
        batch.rights.extend(written.reply_right.map(|right| *right));
    }

    /// What follows the cursor up to `to` fell out of the stream.
    fn skip(&mut self, to: u64, encoding: Encoding, batch: &mut Batch) {
        // An agent's stream lets go only of what has had its time, a topic's also of what is too much.
        let reason = if self.seat.stream().as_agent().is_some() { "expired" } else { "trimmed" };
        self.leave_out(to, reason, encoding, batch);
    }

    fn leave_out(&mut self, to: u64, reason: &'static str, encoding: Encoding, batch: &mut Batch) {
        let from = self.cursor + 1;
        let (stream, epoch) = (self.stream().into(), (&*self.epoch).into());
        let first = Position { stream, epoch, seq: from };
        batch.control(&ServerFrame::Skip { first, to, reason: reason.into() }, encoding);
        batch.skipped += to + 1 - from;
        self.cursor = to;
    }
}

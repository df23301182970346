//! From the queue to the socket: all that waits is gathered, written as few WebSocket messages, and flushed once. A
//! write costs ten times what everything else about a message does.

use std::task::{Context, Poll};

use relay_protocol::{Chunk, ErrorCode, ServerFrame};
use smallvec::SmallVec;
use tokio::time::Instant;

use crate::outbound::{GapNotice, Item, Job, Taken, Told};
use crate::session::Socket;
use crate::session::{Over, Session};
use crate::telemetry::metrics::Drop;
use crate::telemetry::outcome::Outcome;

/// Where a WebSocket message of several frames is closed: enough to spread the cost of a write, little enough for a
/// client to handle in one go.
pub(super) const GATHER_BYTES: usize = 16 * 1024;
/// Frames in one WebSocket message, below any client's bound.
pub(super) const GATHER_FRAMES: usize = 64;

impl<S: Socket> Session<S> {
    /// Writes what waits, as far as the socket takes it. Says whether anything was written.
    pub(super) fn poll_write(&mut self, cx: &mut Context<'_>) -> Result<bool, Over> {
        let mut wrote = false;
        loop {
            match self.transport.poll_ready(cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(_)) => return Err(Over::Left),
                Poll::Pending => {
                    self.note_blocked(true);
                    return Ok(wrote);
                }
            }
            let taken = self.outbound.take(GATHER_BYTES, GATHER_FRAMES);
            self.pulse.full(taken.full_since);
            let mut streams = SmallVec::new();
            let more = self.gather_streams(cx, &mut streams);
            if taken.is_empty() && self.answers.is_empty() && self.told.is_empty() && !more {
                break;
            }
            self.write_taken(cx, taken, streams)?;
            wrote = true;
        }
        if self.needs_flush {
            match self.transport.poll_flush(cx) {
                Poll::Ready(Ok(())) => {
                    self.needs_flush = false;
                    self.note_blocked(false);
                }
                Poll::Ready(Err(_)) => return Err(Over::Left),
                Poll::Pending => self.note_blocked(true),
            }
        }
        Ok(wrote)
    }

    fn note_blocked(&mut self, blocked: bool) {
        self.pulse.blocked(blocked, self.moment.at);
    }

    fn write_taken(
        &mut self,
        cx: &mut Context<'_>,
        taken: Taken,
        streams: SmallVec<[Chunk; 16]>,
    ) -> Result<(), Over> {
        let now = self.moment.at;
        for (id, pattern) in taken.unsubscribed {
            if pattern.contains('/') {
                self.not_joined(id, &pattern);
            } else {
                self.unsubscribed(id, &pattern);
            }
        }
        let mut chunks: SmallVec<[Chunk; 16]> = self.answers.drain(..).collect();
        chunks.extend(taken.control);
        let (conflated, conflated_bytes) = taken.conflated;
        if conflated > 0 {
            self.context.metrics.dequeue_bytes(conflated_bytes);
            self.context.metrics.drop_delivery(Drop::Conflated, conflated);
        }
        let mut told = taken.told;
        told.append(&mut self.told);
        let jobs = self.gather(taken.items, now, &mut chunks, &mut told);
        self.tell(told, &mut chunks);
        chunks.extend(streams);
        if let Some((state, messages, bytes)) = taken.flow {
            let (queued_messages, queued_bytes) = (messages as u64, bytes as u64);
            let flow = ServerFrame::Flow { state, queued_messages, queued_bytes };
            chunks.push(Chunk::of(&flow, self.transport.encoding()));
        }
        self.write_chunks(cx, &chunks)?;
        for job in jobs {
            job.settlement.settle(Outcome::Queued);
        }
        self.pulse.wrote(now);
        self.needs_flush = true;
        Ok(())
    }

    /// Adds the messages that are still worth something, and tells of those that are not. Gives the work among them.
    fn gather(
        &mut self,
        items: Vec<Item>,
        now: Instant,
        chunks: &mut SmallVec<[Chunk; 16]>,
        told: &mut Told,
    ) -> SmallVec<[Box<Job>; 4]> {
        let mut jobs = SmallVec::new();
        let (mut written, mut expired, mut bytes) = (0, 0, 0);
        let mut oldest = None;
        for item in items {
            let frames = u64::from(item.chunk.frames);
            bytes += item.chunk.bytes.len();
            if item.expires_at.is_some_and(|at| at <= now) {
                expired += frames;
                if let Some(job) = item.job {
                    job.settlement.settle(Outcome::failed(ErrorCode::Expired));
                    continue;
                }
                told.push_gap(GapNotice::expired(item.pattern, frames));
                continue;
            }
            written += frames;
            oldest = Some(oldest.map_or(item.taken_at, |oldest: Instant| oldest.min(item.taken_at)));
            if let Some(right) = item.reply_right {
                self.grant_reply(*right);
            }
            chunks.push(item.chunk);
            jobs.extend(item.job);
        }
        let metrics = &self.context.metrics;
        if bytes > 0 {
            metrics.dequeue_bytes(bytes);
        }
        if let Some(oldest) = oldest {
            metrics.deliveries_written.increment(written);
            metrics.delivery_seconds.record((now - oldest).as_secs_f64());
        }
        if expired > 0 {
            metrics.drop_delivery(Drop::Expired, expired);
        }
        jobs
    }

    fn tell(&self, told: Told, chunks: &mut SmallVec<[Chunk; 16]>) {
        let encoding = self.transport.encoding();
        told.frames(self.subscriptions.patterns(), |frame| chunks.push(Chunk::of(frame, encoding)));
    }

    /// Writes chunks as WebSocket messages of a bounded number of frames.
    fn write_chunks(&mut self, cx: &mut Context<'_>, chunks: &[Chunk]) -> Result<(), Over> {
        let encoding = self.transport.encoding();
        let (mut from, mut frames, mut bytes) = (0, 0, 0);
        for (at, chunk) in chunks.iter().enumerate() {
            frames += chunk.frames as usize;
            bytes += chunk.bytes.len();
            if at > from && (frames > GATHER_FRAMES || bytes > GATHER_BYTES) {
                self.write_one(cx, Chunk::join(encoding, &chunks[from..at]))?;
                (from, frames, bytes) = (at, chunk.frames as usize, chunk.bytes.len());
            }
        }
        if from < chunks.len() {
            self.write_one(cx, Chunk::join(encoding, &chunks[from..]))?;
        }
        Ok(())
    }

    fn write_one(&mut self, cx: &mut Context<'_>, chunk: Chunk) -> Result<(), Over> {
        let metrics = &self.context.metrics;
        metrics.socket_writes.increment(1);
        metrics.bytes_written.increment(chunk.bytes.len() as u64);
        self.transport.write(cx, chunk).map_err(|_| Over::Left)
    }
}

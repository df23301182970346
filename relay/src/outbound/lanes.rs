//! The two lanes of messages, their common bound, and the marks that are told.

use relay_protocol::client::Lane;
use relay_protocol::server::FlowState;
use relay_protocol::{Encoding, ServerFrame};
use thiserror::Error;
use tokio::time::Instant;

use crate::outbound::item::Item;
use crate::outbound::line::Line;

/// What may wait, the message being added included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Messages.
    pub messages: usize,
    /// Bytes.
    pub bytes: usize,
}

/// Why a message was not put in line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PushError {
    /// It does not fit.
    #[error("the queue is full")]
    Full,
    /// The session has ended.
    #[error("the session has ended")]
    Closed,
}

/// What a session leaves behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Abandoned {
    /// Messages that nobody will write.
    pub messages: u64,
    /// Messages that had given way to later ones and were not counted yet.
    pub conflated: u64,
    /// The bytes of both.
    pub bytes: usize,
}

#[derive(Debug, Default)]
pub(super) struct Lanes {
    high: Line,
    normal: Line,
    /// Frames of the high lane that went while the normal one waited.
    preferred: usize,
    /// Messages replaced by later ones under their key, and their bytes, not yet counted.
    conflated: (u64, usize),
    bounds: Option<Bounds>,
    messages: usize,
    bytes: usize,
    told: Mark,
    full_since: Option<Instant>,
}

/// The mark last told to the client.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Mark {
    #[default]
    Normal,
    High,
    Full,
}

/// Of so many frames of the high lane that go while the normal one waits, the next is a normal message.
const PREFERRED_MAX: usize = 16;

impl Lanes {
    pub(super) fn new(bounds: Bounds) -> Lanes {
        Lanes { bounds: Some(bounds), ..Lanes::default() }
    }

    pub(super) fn push(&mut self, item: Item) -> Result<(), PushError> {
        let Some(bounds) = self.bounds else {
            return Err(PushError::Closed);
        };
        let replaced = self.line(item.lane).same_key(&item);
        let (frames, weight, replaced_bytes) = replaced
            .map_or((0, 0, 0), |item| (item.chunk.frames as usize, item.weight(), item.chunk.bytes.len()));
        let messages = self.messages - frames + item.chunk.frames as usize;
        let bytes = self.bytes - weight + item.weight();
        // A message larger than the whole bound is taken by an empty queue: the bound of a message is another one.
        if self.messages > frames && (messages > bounds.messages || bytes > bounds.bytes) {
            self.full_since.get_or_insert_with(Instant::now);
            return Err(PushError::Full);
        }
        (self.messages, self.bytes) = (messages, bytes);
        self.conflated.0 += frames as u64;
        self.conflated.1 += replaced_bytes;
        self.line_mut(item.lane).push(item);
        Ok(())
    }

    /// Writes a message in line that has neither a key nor an end; says how many bytes it takes.
    pub(super) fn push_frame(
        &mut self,
        frame: &ServerFrame<'_>,
        lane: Lane,
        encoding: Encoding,
        taken_at: Instant,
    ) -> Result<usize, PushError> {
        let Some(bounds) = self.bounds else {
            return Err(PushError::Closed);
        };
        // Its size is known when it is written.
        let bytes = self.line_mut(lane).push_frame(frame, lane, encoding, taken_at);
        if self.messages > 0 && (self.messages + 1 > bounds.messages || self.bytes + bytes > bounds.bytes) {
            self.line_mut(lane).take_back(bytes);
            self.full_since.get_or_insert_with(Instant::now);
            return Err(PushError::Full);
        }
        self.messages += 1;
        self.bytes += bytes;
        Ok(bytes)
    }

    fn line(&self, lane: Lane) -> &Line {
        match lane {
            Lane::High => &self.high,
            Lane::Normal => &self.normal,
        }
    }

    fn line_mut(&mut self, lane: Lane) -> &mut Line {
        match lane {
            Lane::High => &mut self.high,
            Lane::Normal => &mut self.normal,
        }
    }

    /// The lane whose turn it is.
    fn next_lane(&self) -> Lane {
        let normal_waits = self.normal.front().is_some();
        if self.high.front().is_some() && !(normal_waits && self.preferred >= PREFERRED_MAX) {
            Lane::High
        } else {
            Lane::Normal
        }
    }

    fn pop(&mut self, lane: Lane) -> Option<Item> {
        let item = self.line_mut(lane).pop()?;
        let frames = item.chunk.frames as usize;
        let normal_waits = self.normal.front().is_some();
        self.preferred = if lane == Lane::High && normal_waits { self.preferred + frames } else { 0 };
        self.messages -= frames;
        self.bytes -= item.weight();
        Some(item)
    }

    pub(super) fn take(&mut self, bytes_max: usize, frames_max: usize, out: &mut Vec<Item>) {
        self.high.close_tail();
        self.normal.close_tail();
        let (mut bytes, mut frames) = (0, 0);
        loop {
            let lane = self.next_lane();
            let Some(next) = self.line(lane).front() else { break };
            bytes += next.chunk.bytes.len();
            frames += next.chunk.frames as usize;
            if !out.is_empty() && (bytes > bytes_max || frames > frames_max) {
                break;
            }
            out.extend(self.pop(lane));
        }
        if self.messages == 0 {
            self.high.shrink();
            self.normal.shrink();
        }
        if !self.is_over(1, 2) {
            self.full_since = None;
        }
    }

    /// The state to tell, if it is another than the one told last.
    pub(super) fn flow_change(&mut self) -> Option<(FlowState, usize, usize)> {
        let (mark, state) = if self.full_since.is_some() {
            (Mark::Full, FlowState::Full)
        } else if self.is_over(3, 4) {
            (Mark::High, FlowState::High)
        } else if self.told != Mark::Normal && self.is_over(1, 2) {
            return None;
        } else {
            (Mark::Normal, FlowState::Normal)
        };
        if mark == self.told {
            return None;
        }
        self.told = mark;
        Some((state, self.messages, self.bytes))
    }

    pub(super) fn full_since(&self) -> Option<Instant> {
        self.full_since
    }

    /// Messages replaced by later ones since it was last asked, and their bytes.
    pub(super) fn take_conflated(&mut self) -> (u64, usize) {
        std::mem::take(&mut self.conflated)
    }

    /// Takes nothing in any more, and forgets what is there.
    pub(super) fn abandon(&mut self) -> Abandoned {
        self.high.close_tail();
        self.normal.close_tail();
        let (conflated, conflated_bytes) = self.conflated;
        let bytes = self.high.bytes() + self.normal.bytes() + conflated_bytes;
        let left = Abandoned { messages: self.messages as u64, conflated, bytes };
        *self = Lanes::default();
        left
    }

    fn is_over(&self, numerator: usize, denominator: usize) -> bool {
        self.bounds.is_some_and(|bounds| {
            self.messages * denominator > bounds.messages * numerator
                || self.bytes * denominator > bounds.bytes * numerator
        })
    }
}

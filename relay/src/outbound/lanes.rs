//! The two lanes of messages, their common bound, and the marks that are told.

use std::collections::VecDeque;

use relay_protocol::client::Lane;
use relay_protocol::server::FlowState;
use thiserror::Error;
use tokio::time::Instant;

use crate::outbound::item::Item;

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

#[derive(Debug, Default)]
pub(super) struct Lanes {
    high: VecDeque<Item>,
    normal: VecDeque<Item>,
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

/// What an idle queue may keep allocated: a burst's buffer is given back.
const IDLE_CAPACITY_MAX: usize = 32;

impl Lanes {
    pub(super) fn new(bounds: Bounds) -> Lanes {
        Lanes { bounds: Some(bounds), ..Lanes::default() }
    }

    pub(super) fn push(&mut self, item: Item) -> Result<(), PushError> {
        let Some(bounds) = self.bounds else {
            return Err(PushError::Closed);
        };
        let messages = self.messages + item.chunk.frames as usize;
        let bytes = self.bytes + item.chunk.bytes.len();
        // A message larger than the whole bound is taken by an empty queue: the bound of a message is another one.
        if self.messages > 0 && (messages > bounds.messages || bytes > bounds.bytes) {
            self.full_since.get_or_insert_with(Instant::now);
            return Err(PushError::Full);
        }
        (self.messages, self.bytes) = (messages, bytes);
        match item.lane {
            Lane::High => self.high.push_back(item),
            Lane::Normal => self.normal.push_back(item),
        }
        Ok(())
    }

    pub(super) fn take(&mut self, bytes_max: usize, frames_max: usize, out: &mut Vec<Item>) {
        let (mut bytes, mut frames) = (0, 0);
        out.reserve(frames_max.min(self.high.len() + self.normal.len()));
        while let Some(next) = self.high.front().or_else(|| self.normal.front()) {
            bytes += next.chunk.bytes.len();
            frames += next.chunk.frames as usize;
            if !out.is_empty() && (bytes > bytes_max || frames > frames_max) {
                break;
            }
            let Some(item) = self.high.pop_front().or_else(|| self.normal.pop_front()) else { break };
            self.messages -= item.chunk.frames as usize;
            self.bytes -= item.chunk.bytes.len();
            out.push(item);
        }
        if self.messages == 0 {
            for lane in [&mut self.high, &mut self.normal] {
                if lane.capacity() > IDLE_CAPACITY_MAX {
                    *lane = VecDeque::new();
                }
            }
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

    /// Takes nothing in any more, and forgets what is there.
    pub(super) fn abandon(&mut self) -> (u64, usize) {
        let waited = (self.messages as u64, self.bytes);
        *self = Lanes::default();
        waited
    }

    fn is_over(&self, numerator: usize, denominator: usize) -> bool {
        self.bounds.is_some_and(|bounds| {
            self.messages * denominator > bounds.messages * numerator
                || self.bytes * denominator > bounds.bytes * numerator
        })
    }
}

//! One lane: messages in the order in which they came, of which one with a key takes the place of the one before it.

use std::collections::VecDeque;
use std::sync::Arc;

use ahash::HashMap;
use relay_protocol::client::Lane;
use relay_protocol::{ChunkWriter, Encoding, ServerFrame};
use tokio::time::Instant;

use crate::outbound::item::{Item, Job};

/// What an idle lane may keep allocated: a burst's buffer is given back.
const IDLE_CAPACITY_MAX: usize = 32;
/// Where frames that are written in line are closed as one item: what a session writes as one WebSocket message.
const TAIL_BYTES_MAX: usize = 8 * 1024;
const TAIL_FRAMES_MAX: u32 = 64;

/// Messages of one lane.
#[derive(Debug, Default)]
pub(super) struct Line {
    items: VecDeque<Item>,
    /// How many were taken out: the number of the first that waits.
    taken: u64,
    /// Where the message of each key waits, by its number. Made when a first key comes, as most sessions see none.
    keyed: Option<Box<HashMap<Arc<str>, u64>>>,
    /// Behind all items: messages with nothing special about them, written in line.
    tail: Option<Box<Tail>>,
    /// How many bytes the last tail had, which the next one gets at once: what came in bursts goes on to.
    tail_bytes: u16,
}

#[derive(Debug)]
struct Tail {
    frames: ChunkWriter,
    encoding: Encoding,
    lane: Lane,
    /// When the first of them was taken.
    taken_at: Instant,
}

impl Line {
    /// The message that waits under the key of `item`.
    pub(super) fn same_key(&self, item: &Item) -> Option<&Item> {
        self.position(item).and_then(|at| self.items.get(at))
    }

    fn position(&self, item: &Item) -> Option<usize> {
        let number = self.keyed.as_ref()?.get(item.key.as_ref()?)?;
        usize::try_from(number - self.taken).ok()
    }

    /// Puts it in the place of the one that waits under its key, else at the end. In place: at the end a value that changes
    /// faster than the queue drains would never be written.
    pub(super) fn push(&mut self, item: Item) {
        if let Some(at) = self.position(&item)
            && let Some(place) = self.items.get_mut(at)
        {
            *place = item;
            return;
        }
        self.close_tail();
        if let Some(key) = &item.key {
            let number = self.taken + self.items.len() as u64;
            self.keyed.get_or_insert_default().insert(Arc::clone(key), number);
        }
        self.items.push_back(item);
    }

    /// What was put in line last is this work.
    pub(super) fn give_job(&mut self, job: Job) {
        if let Some(item) = self.items.back_mut() {
            item.job = Some(Box::new(job));
        }
    }

    /// What waits and is work of a group.
    pub(super) fn into_jobs(self) -> impl Iterator<Item = Item> {
        self.items.into_iter().filter(|item| item.job.is_some())
    }

    /// Writes a message at the end of the line; says by how many bytes the line is longer.
    pub(super) fn push_frame(
        &mut self,
        frame: &ServerFrame<'_>,
        lane: Lane,
        encoding: Encoding,
        taken_at: Instant,
    ) -> usize {
        if let Some(tail) = &mut self.tail
            && tail.is_long()
        {
            // Nobody has come for it, and more may wait behind it: a queue takes the memory that it is said to take.
            tail.frames.fit();
            self.close_tail();
        }
        let room = usize::from(self.tail_bytes);
        let tail = self.tail.get_or_insert_with(|| {
            Box::new(Tail { frames: ChunkWriter::with_room(room), encoding, lane, taken_at })
        });
        tail.frames.push(frame, encoding)
    }

    /// Takes back what [`Line::push_frame`] wrote last.
    pub(super) fn take_back(&mut self, pushed: usize) {
        if let Some(tail) = &mut self.tail {
            tail.frames.take_back(pushed, tail.encoding);
        }
    }

    /// What was written in line becomes an item like others.
    pub(super) fn close_tail(&mut self) {
        if let Some(tail) = self.tail.take()
            && let Some(chunk) = tail.frames.finish(tail.encoding)
        {
            let bytes = chunk.bytes.len().min(TAIL_BYTES_MAX);
            self.tail_bytes = u16::try_from(bytes).unwrap_or(u16::MAX);
            self.items.push_back(Item { lane: tail.lane, ..Item::new(chunk, tail.taken_at) });
        }
    }

    pub(super) fn front(&self) -> Option<&Item> {
        self.items.front()
    }

    /// Bytes of frames that wait.
    pub(super) fn bytes(&self) -> usize {
        self.items.iter().map(|item| item.chunk.bytes.len()).sum()
    }

    pub(super) fn pop(&mut self) -> Option<Item> {
        let item = self.items.pop_front()?;
        self.taken += 1;
        if let (Some(keyed), Some(key)) = (&mut self.keyed, &item.key) {
            keyed.remove(key);
        }
        Some(item)
    }

    /// Gives back what a burst left behind. To be called when nothing waits.
    pub(super) fn shrink(&mut self) {
        if self.items.capacity() > IDLE_CAPACITY_MAX {
            self.items = VecDeque::new();
        }
        self.keyed = None;
    }
}

impl Tail {
    fn is_long(&self) -> bool {
        self.frames.frames() >= TAIL_FRAMES_MAX || self.frames.len(self.encoding) >= TAIL_BYTES_MAX
    }
}

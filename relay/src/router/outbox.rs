//! Natural batching: while one publish to a destination is under way, the next batch collects; on a busy link for a
//! millisecond (`publish`). Where nothing waits nothing is kept back, so a quiet relay adds no latency; no second publish at
//! once, so order is kept.

use std::collections::VecDeque;

use bytes::Bytes;
use parking_lot::Mutex;
use thiserror::Error;

use crate::bus::InstanceId;
use crate::outbound::Settlement;
use crate::router::envelope;

/// Where a batch is closed and the next begun: large enough to spread the cost of a publish (64 envelopes of 256 bytes
/// carry five times what one does), small beside Redis's output buffer of 8 MiB.
const BATCH_BYTES: usize = 128 * 1024;
/// The same in items, each of which may cost the receiver some microseconds.
const BATCH_ITEMS: usize = 512;
/// A batch of so many items is worth a publish at once.
const LONG_ITEMS: usize = 128;
/// What may wait for one destination: a second of traffic at the highest rates measured.
const WAITING_BYTES_MAX: usize = 16 * 1024 * 1024;

/// What waits for one destination.
#[derive(Debug, Default)]
pub(super) struct Outbox(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    batches: VecDeque<Batch>,
    bytes: usize,
    busy: bool,
}

/// What one publish carries.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) bytes: Vec<u8>,
    pub(super) items: usize,
    /// Sends that are settled by the publish itself.
    pub(super) settlements: Vec<Settlement>,
    /// First and last message of a link in it.
    pub(super) seqs: Option<(u64, u64)>,
}

impl Batch {
    pub(super) fn payload(&mut self) -> Bytes {
        std::mem::take(&mut self.bytes).into()
    }
}

/// Nothing more may wait for this destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("too much waits for this destination")]
pub(super) struct Full;

/// Whether somebody has to begin publishing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub(super) enum Pump {
    Start,
    Running,
}

impl Outbox {
    /// Puts an item in line; `seq` is its number on a link.
    pub(super) fn push(
        &self,
        sender: &InstanceId,
        seq: Option<u64>,
        settlement: Option<Settlement>,
        write: impl FnOnce(&mut Vec<u8>),
    ) -> Result<Pump, (Full, Option<Settlement>)> {
        let mut waiting = self.0.lock();
        if waiting.bytes > WAITING_BYTES_MAX {
            return Err((Full, settlement));
        }
        let fits = waiting
            .batches
            .back()
            .is_some_and(|batch| batch.bytes.len() < BATCH_BYTES && batch.items < BATCH_ITEMS);
        if !fits {
            waiting.batches.push_back(Batch { bytes: envelope::begin(sender), ..Batch::default() });
        }
        let Some(batch) = waiting.batches.back_mut() else { return Err((Full, settlement)) };
        let before = batch.bytes.len();
        write(&mut batch.bytes);
        batch.items += 1;
        batch.settlements.extend(settlement);
        if let Some(seq) = seq {
            batch.seqs = Some((batch.seqs.map_or(seq, |(first, _)| first), seq));
        }
        let grown = batch.bytes.len() - before;
        waiting.bytes += grown;
        let pump = if waiting.busy { Pump::Running } else { Pump::Start };
        waiting.busy = true;
        Ok(pump)
    }

    /// The next batch for the one who publishes; nothing ends that duty.
    pub(super) fn next(&self) -> Option<Batch> {
        let mut waiting = self.0.lock();
        let batch = waiting.batches.pop_front();
        match &batch {
            Some(batch) => waiting.bytes = waiting.bytes.saturating_sub(batch.bytes.len()),
            None => *waiting = Waiting::default(),
        }
        batch
    }

    /// Whether something waits that is worth waiting for more.
    pub(super) fn is_short(&self) -> bool {
        let waiting = self.0.lock();
        waiting.batches.front().is_some_and(|batch| batch.items < LONG_ITEMS)
    }

    /// Whether nothing waits and nobody publishes.
    pub(super) fn is_idle(&self) -> bool {
        let waiting = self.0.lock();
        !waiting.busy && waiting.batches.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push(outbox: &Outbox, own: &InstanceId) -> Pump {
        outbox.push(own, None, None, |batch| batch.push(0)).unwrap()
    }

    #[test]
    fn what_waits_is_worth_waiting_for_more_until_it_is_long() {
        let (outbox, own) = (Outbox::default(), InstanceId::parse("own").unwrap());
        assert!(!outbox.is_short(), "nobody waits for nothing");
        assert_eq!(push(&outbox, &own), Pump::Start);
        assert_eq!(outbox.next().map(|batch| batch.items), Some(1));
        assert!(!outbox.is_short());
        for items in 1..2 * LONG_ITEMS {
            assert_eq!(push(&outbox, &own), Pump::Running);
            assert_eq!(outbox.is_short(), items < LONG_ITEMS, "{items}");
        }
        assert_eq!(outbox.next().map(|batch| batch.items), Some(2 * LONG_ITEMS - 1));
        assert!(!outbox.is_short() && outbox.next().is_none() && outbox.is_idle());
    }
}

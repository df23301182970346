//! The way into a [`BusEvents`] queue, for every bus alike. Nothing here waits: what finds no room is lost, and the loss
//! is owed to the receiver as a [`Gap`] until there is room to say so.
//!
//! Bound: the capacity of the queue, in events. While a gap is owed no batch goes in, so none can come between a loss
//! and the word of it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::bus::{BusEvent, BusEvents, Channel, Gap};

/// Cheap to clone; all clones lead into one queue.
#[derive(Clone)]
pub(super) struct Outlet(Arc<Inner>);

struct Inner {
    events: mpsc::Sender<BusEvent>,
    debt: Mutex<Debt>,
    /// Whether `debt` is anything, to be read without the lock.
    owing: AtomicBool,
    lagged: AtomicU64,
    tracker: TaskTracker,
    token: CancellationToken,
}

/// What the receiver was not told yet.
#[derive(Default)]
struct Debt {
    interrupted: bool,
    lagged: u64,
    /// Whether a task waits for room to tell it.
    awaited: bool,
}

impl Outlet {
    /// A queue of `capacity` events, and the way into it.
    pub(super) fn new(
        capacity: usize,
        tracker: TaskTracker,
        token: CancellationToken,
    ) -> (Outlet, BusEvents) {
        let (events, receiver) = mpsc::channel(capacity.max(1));
        let (debt, owing, lagged) = (Mutex::default(), AtomicBool::new(false), AtomicU64::new(0));
        (Outlet(Arc::new(Inner { events, debt, owing, lagged, tracker, token })), receiver)
    }

    /// Puts a batch in. `false` when it was lost, which the receiver will hear.
    pub(super) fn batch(&self, channel: Channel, batch: Bytes) -> bool {
        if !self.0.owing.load(Ordering::Acquire) || self.settle(&mut self.0.debt.lock()) {
            match self.0.events.try_send(BusEvent::Batch { channel, batch }) {
                Ok(()) => return true,
                Err(mpsc::error::TrySendError::Closed(_)) => return false,
                Err(mpsc::error::TrySendError::Full(_)) => {}
            }
        }
        self.lagged(1);
        false
    }

    /// Puts a batch in as soon as there is room, or gives it up when there is none for `patience`.
    pub(super) async fn batch_within(&self, patience: Duration, channel: Channel, batch: Bytes) -> bool {
        let event = BusEvent::Batch { channel, batch };
        if !self.0.owing.load(Ordering::Acquire) && self.0.events.send_timeout(event, patience).await.is_ok()
        {
            return true;
        }
        self.lagged(1);
        false
    }

    /// Whether a batch put in at this moment would find room.
    pub(super) fn has_room(&self) -> bool {
        self.0.events.capacity() > 0 && !self.0.owing.load(Ordering::Acquire)
    }

    /// So many batches were lost on this side of the queue.
    pub(super) fn lagged(&self, batches: u64) {
        self.0.lagged.fetch_add(batches, Ordering::Relaxed);
        self.owe(|debt| debt.lagged += batches);
    }

    /// An unknown number of batches may have been lost, and they flow again.
    pub(super) fn interrupted(&self) {
        self.owe(|debt| debt.interrupted = true);
    }

    /// How many batches were lost on this side of the queue so far.
    pub(super) fn lagged_total(&self) -> u64 {
        self.0.lagged.load(Ordering::Relaxed)
    }

    fn owe(&self, add: impl FnOnce(&mut Debt)) {
        if self.0.events.is_closed() {
            // Nobody is left to be told.
            return;
        }
        let mut debt = self.0.debt.lock();
        add(&mut debt);
        self.0.owing.store(true, Ordering::Release);
        if !self.settle(&mut debt) && !std::mem::replace(&mut debt.awaited, true) {
            let outlet = self.clone();
            self.0.tracker.spawn(async move { outlet.settle_later().await });
        }
    }

    /// Says what is owed, if there is room. `false` when there is none.
    fn settle(&self, debt: &mut Debt) -> bool {
        if !self.0.owing.load(Ordering::Acquire) {
            return true;
        }
        self.0.events.try_reserve().map(|room| self.say(debt, room)).is_ok()
    }

    /// Says what is owed as soon as there is room.
    async fn settle_later(&self) {
        let room = tokio::select! {
            () = self.0.token.cancelled() => return,
            room = self.0.events.reserve() => room,
        };
        let mut debt = self.0.debt.lock();
        debt.awaited = false;
        if let (Ok(room), true) = (room, self.0.owing.load(Ordering::Acquire)) {
            self.say(&mut debt, room);
        }
    }

    fn say(&self, debt: &mut Debt, room: mpsc::Permit<'_, BusEvent>) {
        // An interruption says all that a number would.
        let gap = if debt.interrupted { Gap::Interrupted } else { Gap::Lagged(debt.lagged) };
        room.send(BusEvent::Gap(gap));
        (debt.interrupted, debt.lagged) = (false, 0);
        self.0.owing.store(false, Ordering::Release);
    }
}

impl fmt::Debug for Outlet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let room = self.0.events.capacity();
        f.debug_struct("Outlet").field("room", &room).field("lagged", &self.lagged_total()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outlet(capacity: usize) -> (Outlet, BusEvents) {
        Outlet::new(capacity, TaskTracker::new(), CancellationToken::new())
    }

    fn put(outlet: &Outlet, batch: &'static str) -> bool {
        outlet.batch(Channel::from_name("c"), batch.into())
    }

    fn batch(batch: &'static str) -> BusEvent {
        BusEvent::Batch { channel: Channel::from_name("c"), batch: batch.into() }
    }

    #[tokio::test]
    async fn no_batch_comes_between_a_loss_and_the_word_of_it() {
        let (outlet, mut events) = outlet(2);
        assert!(put(&outlet, "a") && put(&outlet, "b") && !put(&outlet, "lost"));
        // Room, of which no task has heard yet.
        assert_eq!((events.try_recv(), events.try_recv()), (Ok(batch("a")), Ok(batch("b"))));
        assert!(put(&outlet, "c"));
        assert_eq!(events.recv().await, Some(BusEvent::Gap(Gap::Lagged(1))));
        assert_eq!(events.recv().await, Some(batch("c")));
        // The task that waited has nothing left to tell.
        tokio::task::yield_now().await;
        assert!(events.try_recv().is_err());
        assert_eq!(outlet.lagged_total(), 1);
    }

    #[tokio::test]
    async fn a_gap_is_told_when_there_is_room_though_nothing_follows() {
        let (outlet, mut events) = outlet(1);
        assert!(put(&outlet, "a") && !put(&outlet, "lost") && !put(&outlet, "lost"));
        assert_eq!(events.recv().await, Some(batch("a")));
        assert_eq!(events.recv().await, Some(BusEvent::Gap(Gap::Lagged(2))));
        assert!(put(&outlet, "b") && !put(&outlet, "lost"));
        outlet.interrupted();
        assert_eq!(events.recv().await, Some(batch("b")));
        assert_eq!(events.recv().await, Some(BusEvent::Gap(Gap::Interrupted)));
    }

    #[tokio::test]
    async fn a_receiver_that_is_gone_is_owed_nothing() {
        let (tracker, token) = (TaskTracker::new(), CancellationToken::new());
        let (outlet, events) = Outlet::new(1, tracker.clone(), token);
        drop(events);
        assert!(!put(&outlet, "a"));
        outlet.interrupted();
        assert!(tracker.is_empty());
    }
}

//! What every [`Bus`](crate::bus::Bus) does: each sentence of its documentation, as a check that any bus can be put to.
//!
//! A check panics where a bus does not conform. It waits for what must come, at most [`PATIENCE`], and never for a time.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "a check is a test: it panics where a bus does not conform"
)]

mod delivery;
mod wishing;

use std::time::Duration;

use bytes::Bytes;

use crate::bus::{BusEvent, BusEvents, Channel, SharedBus};

/// How long a check waits for what must come: longer than the longest expiry that one waits for, ten seconds.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// The bus of one instance, and what comes out of it.
#[derive(Debug)]
pub struct Instance {
    /// Its bus.
    pub bus: SharedBus,
    /// What comes out.
    pub events: BusEvents,
}

impl Instance {
    /// The next event.
    pub async fn next(&mut self) -> BusEvent {
        let next = tokio::time::timeout(PATIENCE, self.events.recv()).await;
        next.expect("an event in time").expect("a bus that lives")
    }

    /// The next batch, on a bus that lost nothing.
    pub async fn batch(&mut self) -> (Channel, Bytes) {
        match self.next().await {
            BusEvent::Batch { channel, batch } => (channel, batch),
            BusEvent::Gap(gap) => panic!("{gap:?} where nothing was lost"),
        }
    }
}

/// Waits until a condition holds.
pub async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, waiting).await.is_ok(), "in time: {what}");
}

/// Puts a bus to every check. `join` adds an instance whose queue of events has room for so many.
pub async fn check(join: impl AsyncFn(usize) -> Instance) {
    delivery::every_subscriber_gets_a_batch_and_is_counted(&join).await;
    delivery::no_receiver_is_zero(&join).await;
    delivery::a_channel_is_not_another(&join).await;
    delivery::batches_keep_their_order_and_come_once(&join).await;
    delivery::a_batch_is_not_looked_into(&join).await;
    wishing::a_subscription_misses_nothing_once_it_resolved(&join).await;
    wishing::a_wish_holds_however_the_call_ends(&join).await;
    wishing::an_unsubscribed_channel_falls_silent(&join).await;
    wishing::the_last_wish_wins(&join).await;
    delivery::a_slow_receiver_holds_nobody_up_and_hears_of_its_gap(&join).await;
}

fn topic(name: &str) -> Channel {
    Channel::topic("conformance", name)
}

#[cfg(test)]
mod tests {
    use tokio_util::sync::CancellationToken;
    use tokio_util::task::TaskTracker;

    use super::*;
    use crate::bus::memory::MemoryHub;

    #[tokio::test]
    async fn memory_conforms() {
        let (tracker, token) = (TaskTracker::new(), CancellationToken::new());
        let hub = MemoryHub::new(tracker.clone(), token.clone());
        check(async |events_max| {
            let (bus, events) = hub.join(events_max);
            Instance { bus, events }
        })
        .await;
        token.cancel();
        tracker.close();
        tracker.wait().await;
    }
}

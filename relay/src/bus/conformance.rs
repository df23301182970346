//! What every [`Bus`](crate::bus::Bus) does: each sentence of its documentation, as a check that any bus can be put to.
//!
//! A check panics where a bus does not conform. It waits for what must come, at most [`PATIENCE`], and never for a time.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future;

use crate::bus::{BusEvent, BusEvents, BusHealth, Channel, Gap, SharedBus};

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
    every_subscriber_gets_a_batch_and_is_counted(&join).await;
    no_receiver_is_zero(&join).await;
    a_channel_is_not_another(&join).await;
    batches_keep_their_order_and_come_once(&join).await;
    a_batch_is_not_looked_into(&join).await;
    a_subscription_misses_nothing_once_it_resolved(&join).await;
    a_wish_holds_however_the_call_ends(&join).await;
    an_unsubscribed_channel_falls_silent(&join).await;
    the_last_wish_wins(&join).await;
    a_slow_receiver_holds_nobody_up_and_hears_of_its_gap(&join).await;
}

fn topic(name: &str) -> Channel {
    Channel::topic("conformance", name)
}

async fn every_subscriber_gets_a_batch_and_is_counted(join: &impl AsyncFn(usize) -> Instance) {
    let (mut a, mut b, c) = (join(64).await, join(64).await, join(64).await);
    let channel = topic("fan-out");
    assert_eq!(a.bus.health(), BusHealth::Up);
    // Twice is once: a wish is not counted.
    for instance in [&a, &b, &a] {
        instance.bus.subscribe(&channel).await.unwrap();
    }
    for publisher in [&c.bus, &a.bus] {
        assert_eq!(publisher.publish(&channel, Bytes::from_static(b"x")).await, Ok(2));
    }
    for instance in [&mut a, &mut b] {
        for _ in 0..2 {
            assert_eq!(instance.batch().await, (channel.clone(), Bytes::from_static(b"x")));
        }
        assert!(instance.events.try_recv().is_err());
    }
}

async fn no_receiver_is_zero(join: &impl AsyncFn(usize) -> Instance) {
    let a = join(64).await;
    assert_eq!(a.bus.publish(&topic("nobody"), Bytes::from_static(b"x")).await, Ok(0));
}

async fn a_channel_is_not_another(join: &impl AsyncFn(usize) -> Instance) {
    let mut a = join(64).await;
    let heard = [topic("a"), topic("a.b"), topic("a.*"), topic("[a]"), topic("é")];
    let unheard = [topic("a.b.c"), topic("b"), Channel::topic("other", "a"), topic("A")];
    for channel in &heard {
        a.bus.subscribe(channel).await.unwrap();
    }
    for channel in &unheard {
        assert_eq!(a.bus.publish(channel, Bytes::from_static(b"x")).await, Ok(0), "{channel:?}");
    }
    for channel in &heard {
        assert_eq!(a.bus.publish(channel, Bytes::from_static(b"y")).await, Ok(1), "{channel:?}");
        assert_eq!(a.batch().await, (channel.clone(), Bytes::from_static(b"y")));
    }
}

async fn batches_keep_their_order_and_come_once(join: &impl AsyncFn(usize) -> Instance) {
    const EACH: u32 = 200;
    let (mut a, b, c) = (join(4096).await, join(64).await, join(64).await);
    let channels: Vec<_> = (0..4).map(|n| topic(&format!("order.{n}"))).collect();
    for channel in &channels {
        a.bus.subscribe(channel).await.unwrap();
    }
    let publishers = [(0u8, &b.bus), (1, &c.bus)].into_iter().flat_map(|publisher| {
        channels.iter().map(move |channel| async move {
            for n in 0..EACH {
                let mut batch = vec![publisher.0];
                batch.extend(n.to_be_bytes());
                assert_eq!(publisher.1.publish(channel, batch.into()).await, Ok(1));
            }
        })
    });
    future::join_all(publishers).await;
    let mut next: HashMap<(Channel, u8), u32> = HashMap::new();
    for _ in 0..EACH * 8 {
        let (channel, batch) = a.batch().await;
        let n = u32::from_be_bytes(batch[1..].try_into().unwrap());
        let expected = next.entry((channel.clone(), batch[0])).or_default();
        assert_eq!(n, *expected, "of {channel:?}");
        *expected += 1;
    }
    assert!(a.events.try_recv().is_err());
}

async fn a_batch_is_not_looked_into(join: &impl AsyncFn(usize) -> Instance) {
    let (mut a, b) = (join(64).await, join(64).await);
    let channel = topic("opaque");
    a.bus.subscribe(&channel).await.unwrap();
    let every_byte: Vec<u8> = (0..=255).collect();
    let large = every_byte.repeat(8192);
    for batch in [vec![], b"\r\n+OK\r\n".to_vec(), "text é".into(), vec![0xff, 0xfe], every_byte, large] {
        let batch = Bytes::from(batch);
        assert_eq!(b.bus.publish(&channel, batch.clone()).await, Ok(1));
        assert_eq!(a.batch().await.1, batch);
    }
}

async fn a_subscription_misses_nothing_once_it_resolved(join: &impl AsyncFn(usize) -> Instance) {
    let (mut a, b) = (join(4096).await, join(64).await);
    let one = async |n: u32| {
        let channel = topic(&format!("at-once.{n}"));
        a.bus.subscribe(&channel).await.unwrap();
        assert_eq!(b.bus.publish(&channel, Bytes::new()).await, Ok(1), "{channel:?}");
    };
    // One after another, and then all at once.
    for n in 0..50 {
        one(n).await;
    }
    future::join_all((50..1500).map(one)).await;
    for _ in 0..1500 {
        a.batch().await;
    }
}

async fn a_wish_holds_however_the_call_ends(join: &impl AsyncFn(usize) -> Instance) {
    let a = join(64).await;
    let channel = topic("dropped");
    drop(a.bus.subscribe(&channel));
    eventually("the wish is carried out", async || {
        a.bus.publish(&channel, Bytes::new()).await == Ok(1)
    })
    .await;
}

async fn an_unsubscribed_channel_falls_silent(join: &impl AsyncFn(usize) -> Instance) {
    let mut a = join(64).await;
    let (left, kept) = (topic("left"), topic("kept"));
    a.bus.subscribe(&left).await.unwrap();
    a.bus.subscribe(&kept).await.unwrap();
    a.bus.unsubscribe(&left);
    a.bus.unsubscribe(&topic("never wished"));
    eventually("nobody is subscribed", async || a.bus.publish(&left, Bytes::new()).await == Ok(0)).await;
    assert_eq!(a.bus.publish(&kept, Bytes::from_static(b"x")).await, Ok(1));
    while a.batch().await != (kept.clone(), Bytes::from_static(b"x")) {}
}

async fn the_last_wish_wins(join: &impl AsyncFn(usize) -> Instance) {
    let a = join(1 << 16).await;
    let turns = (0..64u32).map(|n| {
        let channel = topic(&format!("turns.{n}"));
        let bus = &a.bus;
        async move {
            for turn in 0..n {
                let wish = bus.subscribe(&channel);
                // Some calls are waited for, some are given up; some turns let others go first.
                if turn % 3 == 0 {
                    assert_eq!(wish.await, Ok(()));
                    assert_eq!(bus.publish(&channel, Bytes::new()).await, Ok(1), "{channel:?}");
                }
                if turn % 2 == 0 {
                    tokio::task::yield_now().await;
                }
                bus.unsubscribe(&channel);
            }
            if n % 2 == 0 {
                bus.subscribe(&channel).await.unwrap();
                assert_eq!(bus.publish(&channel, Bytes::new()).await, Ok(1), "{channel:?}");
            }
        }
    });
    future::join_all(turns).await;
    for n in 0..64 {
        let channel = topic(&format!("turns.{n}"));
        let wished = u64::from(n % 2 == 0);
        eventually("the last wish", async || a.bus.publish(&channel, Bytes::new()).await == Ok(wished)).await;
    }
}

async fn a_slow_receiver_holds_nobody_up_and_hears_of_its_gap(join: &impl AsyncFn(usize) -> Instance) {
    const SENT: u64 = 100;
    let (mut slow, mut quick, c) = (join(10).await, join(1024).await, join(64).await);
    let channel = topic("slow");
    slow.bus.subscribe(&channel).await.unwrap();
    quick.bus.subscribe(&channel).await.unwrap();
    for n in 0..SENT {
        // How many received it depends on where the bus loses what is too much.
        assert!(c.bus.publish(&channel, n.to_be_bytes().to_vec().into()).await.unwrap() >= 1);
    }
    for n in 0..SENT {
        assert_eq!(quick.batch().await.1, n.to_be_bytes().to_vec());
    }
    let (mut received, mut lagged) = (0, 0);
    while received + lagged < SENT {
        match slow.next().await {
            BusEvent::Batch { batch, .. } => {
                let n = received + lagged;
                assert_eq!(batch, n.to_be_bytes().to_vec(), "a gap says how many are missing, and where");
                received += 1;
            }
            BusEvent::Gap(Gap::Lagged(batches)) => lagged += batches,
            BusEvent::Gap(Gap::Interrupted) => panic!("nothing was interrupted"),
        }
    }
    assert!(lagged > 0 && received >= 10, "received {received}, lagged {lagged}");
    assert_eq!(c.bus.publish(&channel, Bytes::from_static(b"again")).await, Ok(2));
    assert_eq!(slow.batch().await.1, b"again"[..]);
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

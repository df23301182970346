//! What is subscribed: from when on, until when, and however often it changes.

use bytes::Bytes;
use futures_util::future;

use crate::bus::conformance::{Instance, eventually, topic};

pub(super) async fn a_subscription_misses_nothing_once_it_resolved(join: &impl AsyncFn(usize) -> Instance) {
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

pub(super) async fn a_wish_holds_however_the_call_ends(join: &impl AsyncFn(usize) -> Instance) {
    let a = join(64).await;
    let channel = topic("dropped");
    drop(a.bus.subscribe(&channel));
    eventually("the wish is carried out", async || a.bus.publish(&channel, Bytes::new()).await == Ok(1))
        .await;
}

pub(super) async fn an_unsubscribed_channel_falls_silent(join: &impl AsyncFn(usize) -> Instance) {
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

pub(super) async fn the_last_wish_wins(join: &impl AsyncFn(usize) -> Instance) {
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

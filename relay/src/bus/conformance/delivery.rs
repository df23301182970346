//! What is published: to whom it comes, once, in order and unchanged, and what becomes of it when it is not taken in time.

use std::collections::HashMap;

use bytes::Bytes;
use futures_util::future;

use crate::bus::conformance::{Instance, topic};
use crate::bus::{BusEvent, BusHealth, Channel, Gap};

pub(super) async fn every_subscriber_gets_a_batch_and_is_counted(join: &impl AsyncFn(usize) -> Instance) {
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

pub(super) async fn no_receiver_is_zero(join: &impl AsyncFn(usize) -> Instance) {
    let a = join(64).await;
    assert_eq!(a.bus.publish(&topic("nobody"), Bytes::from_static(b"x")).await, Ok(0));
}

pub(super) async fn a_channel_is_not_another(join: &impl AsyncFn(usize) -> Instance) {
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

pub(super) async fn batches_keep_their_order_and_come_once(join: &impl AsyncFn(usize) -> Instance) {
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

pub(super) async fn a_batch_is_not_looked_into(join: &impl AsyncFn(usize) -> Instance) {
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

pub(super) async fn a_slow_receiver_holds_nobody_up_and_hears_of_its_gap(
    join: &impl AsyncFn(usize) -> Instance,
) {
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

//! Redis lives, but the subscribed connection is cut, refused or silent.

use std::time::Duration;

use bytes::Bytes;
use futures_util::future;
use tokio::time::Instant;

use super::{Numbers, Received, Tasks, topic};
use crate::bus::conformance::eventually;
use crate::bus::{BusHealth, Channel, Gap};
use crate::redis::swallowing_proxy::SwallowingProxy;
use crate::redis::test_server::TestServer;

#[tokio::test]
async fn a_killed_subscriber_is_a_gap_once_everything_is_subscribed_again() {
    const CHANNELS: usize = 5000;
    let (server, tasks) = (TestServer::start().await, Tasks::default());
    let (mut instance, counters) = tasks.join(&server.url(), 1 << 16).await;
    let channels: Vec<_> = (0..CHANNELS).map(|n| Channel::topic("tests", &format!("many.{n}"))).collect();
    instance.bus.subscribe(&topic()).await.unwrap();
    let wishes = channels.iter().map(|channel| instance.bus.subscribe(channel));
    future::try_join_all(wishes).await.unwrap();
    let (numbers, mut received) = (Numbers::start(&tasks, &instance), Received::default());
    received.more(&mut instance, 500).await;

    assert_eq!(server.say("CLIENT KILL TYPE pubsub").await, ":1\r\n");
    let killed = Instant::now();
    assert_eq!(received.gap(&mut instance).await, Gap::Interrupted);
    let restored = killed.elapsed();
    assert!(restored < Duration::from_secs(2), "{restored:?}");
    let again = channels.iter().map(|channel| instance.bus.publish(channel, Bytes::new()));
    assert!(future::join_all(again).await.iter().all(|end| *end == Ok(1)));
    assert_eq!((counters.reconnects(), counters.interruptions()), (1, 1));

    let (ends, _) = numbers.stop().await;
    received.rest(&mut instance).await;
    received.agree_with(&ends);
    let lost = ends.keys().filter(|number| !received.numbers.contains(number)).count();
    assert!(lost > 0 && received.gaps == [Gap::Interrupted], "lost {lost}, told {:?}", received.gaps);
    tasks.end().await;
}

#[tokio::test]
async fn a_subscriber_that_redis_drops_as_too_slow_is_a_gap() {
    let (server, tasks) = (TestServer::start().await, Tasks::default());
    let (mut instance, _) = tasks.join(&server.url(), 1 << 16).await;
    instance.bus.subscribe(&topic()).await.unwrap();
    server.say("CONFIG SET client-output-buffer-limit \"pubsub 65536 0 0\"").await;
    assert_eq!(instance.bus.publish(&topic(), vec![b'x'; 1 << 20].into()).await, Ok(1));
    let mut received = Received::default();
    assert_eq!(received.gap(&mut instance).await, Gap::Interrupted);
    assert!(received.numbers.is_empty());
    assert_eq!(instance.bus.publish(&topic(), Bytes::from_static(b"again")).await, Ok(1));
    assert_eq!(instance.batch().await.1, b"again"[..]);
    tasks.end().await;
}

#[tokio::test]
async fn a_subscriber_that_hears_nothing_is_deaf_and_is_connected_anew() {
    let (server, tasks) = (TestServer::start().await, Tasks::default());
    let proxy = SwallowingProxy::start(server.port(), &tasks.tracker, &tasks.token).await;
    let (mut instance, counters) = tasks.join(&proxy.url(), 64).await;
    instance.bus.subscribe(&topic()).await.unwrap();
    assert_eq!(proxy.accepted(), 2);

    proxy.swallow_subscribed();
    let swallowed = Instant::now();
    // Redis has it subscribed still: only that nothing comes shows it.
    assert_eq!(instance.bus.publish(&topic(), Bytes::from_static(b"lost")).await, Ok(1));
    eventually("it is deaf", async || instance.bus.health() == BusHealth::Deaf).await;
    assert_eq!(counters.probe_failures(), 1);
    let mut received = Received::default();
    assert_eq!(received.gap(&mut instance).await, Gap::Interrupted);
    let restored = swallowed.elapsed();
    assert!(restored < Duration::from_secs(7), "{restored:?}");
    eventually("it hears", async || instance.bus.health() == BusHealth::Up).await;
    assert_eq!(instance.bus.publish(&topic(), Bytes::from_static(b"again")).await, Ok(1));
    assert_eq!(instance.batch().await.1, b"again"[..]);
    assert_eq!(proxy.accepted(), 3);
    tasks.end().await;
}

#[tokio::test]
async fn a_subscription_that_redis_refuses_is_never_called_in_force() {
    let (server, tasks) = (TestServer::start().await, Tasks::default());
    let (mut instance, _) = tasks.join(&server.url(), 64).await;
    // Probes are allowed, topics are not. (Redis cuts who is subscribed to what is no longer allowed: nobody yet.)
    assert_eq!(server.say("ACL SETUSER default resetchannels &r1:p:*").await, "+OK\r\n");
    assert!(instance.bus.subscribe(&topic()).await.is_err());
    assert_eq!(server.say("ACL SETUSER default allchannels").await, "+OK\r\n");
    assert_eq!(Received::default().gap(&mut instance).await, Gap::Interrupted);
    assert_eq!(instance.bus.publish(&topic(), Bytes::from_static(b"heard")).await, Ok(1));
    assert_eq!(instance.batch().await.1, b"heard"[..]);
    tasks.end().await;
}

//! Redis is killed, stopped, or was never there.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::{Numbers, Received, Tasks, topic};
use crate::bus::conformance::eventually;
use crate::bus::{BusHealth, Channel, Gap, PublishError};
use crate::redis::swallowing_proxy::SwallowingProxy;
use crate::redis::test_server::TestServer;

/// Answers of a bus that is known to be down.
const AT_ONCE: Duration = Duration::from_millis(50);

#[tokio::test]
async fn killed_and_restarted_empty_it_flows_again_within_five_seconds() {
    let (mut server, tasks) = (TestServer::start().await, Tasks::default());
    let (mut instance, counters) = tasks.join(&server.url(), 1 << 16).await;
    instance.bus.subscribe(&topic()).await.unwrap();
    let (numbers, mut received) = (Numbers::start(&tasks, &instance), Received::default());
    received.more(&mut instance, 500).await;

    server.kill();
    eventually("the loss is noticed", async || instance.bus.health() == BusHealth::Down).await;
    let asked = Instant::now();
    assert_eq!(instance.bus.publish(&topic(), Bytes::new()).await, Err(PublishError::NotSent));
    let during = Channel::topic("tests", "during");
    assert!(instance.bus.subscribe(&during).await.is_err());
    assert!(asked.elapsed() < AT_ONCE, "while Redis is away answers come at once");

    server.restart().await;
    let restarted = Instant::now();
    assert_eq!(received.gap(&mut instance).await, Gap::Interrupted);
    received.more(&mut instance, 500).await;
    let flowing = restarted.elapsed();
    assert!(flowing < Duration::from_secs(5), "{flowing:?}");
    assert_eq!(instance.bus.publish(&during, Bytes::new()).await, Ok(1), "the wish was kept");
    assert_eq!(instance.bus.health(), BusHealth::Up);
    assert_eq!((counters.reconnects(), counters.interruptions()), (1, 1));

    let (ends, longest) = numbers.stop().await;
    assert!(longest < Duration::from_secs(2), "{longest:?}");
    received.rest(&mut instance).await;
    received.agree_with(&ends);
    tasks.end().await;
}

#[tokio::test]
async fn stopped_for_seconds_it_answers_every_publish_and_repeats_none() {
    let (server, tasks) = (TestServer::start().await, Tasks::default());
    let (mut instance, _) = tasks.join(&server.url(), 1 << 16).await;
    instance.bus.subscribe(&topic()).await.unwrap();
    let (numbers, mut received) = (Numbers::start(&tasks, &instance), Received::default());
    received.more(&mut instance, 500).await;

    server.pause();
    let paused = Instant::now();
    eventually("the silence is noticed", async || instance.bus.health() == BusHealth::Down).await;
    let noticed = paused.elapsed();
    assert!(noticed < Duration::from_millis(2500), "{noticed:?}");
    let asked = Instant::now();
    assert_eq!(instance.bus.publish(&topic(), Bytes::new()).await, Err(PublishError::NotSent));
    assert!(asked.elapsed() < AT_ONCE);

    server.resume();
    eventually("Redis answers again", async || instance.bus.health() == BusHealth::Up).await;
    received.more(&mut instance, 500).await;
    let (ends, longest) = numbers.stop().await;
    assert!(longest < Duration::from_secs(2), "{longest:?}");
    received.rest(&mut instance).await;
    received.agree_with(&ends);
    let unknown: Vec<_> = ends.iter().filter(|(_, end)| **end == Err(PublishError::Unknown)).collect();
    assert!(!unknown.is_empty(), "those under way cannot be known");
    let arrived = unknown.iter().filter(|(number, _)| received.numbers.contains(number)).count();
    assert!(arrived > 0, "that is why they are not called failed");
    tasks.end().await;
}

#[tokio::test]
async fn a_redis_that_was_never_there_is_waited_for() {
    let (mut server, tasks) = (TestServer::absent(), Tasks::default());
    let (mut instance, _) = tasks.join(&server.url(), 64).await;
    assert_eq!(instance.bus.health(), BusHealth::Down);
    assert_eq!(instance.bus.publish(&topic(), Bytes::new()).await, Err(PublishError::NotSent));
    assert!(instance.bus.subscribe(&topic()).await.is_err());
    server.restart().await;
    // The word that the wish is in force.
    assert_eq!(Received::default().gap(&mut instance).await, Gap::Interrupted);
    eventually("Redis answers", async || instance.bus.health() == BusHealth::Up).await;
    assert_eq!(instance.bus.publish(&topic(), Bytes::new()).await, Ok(1));
    tasks.end().await;
}

#[tokio::test]
async fn a_route_that_swallows_everything_is_given_up() {
    let (server, tasks) = (TestServer::start().await, Tasks::default());
    let proxy = SwallowingProxy::start(server.port(), &tasks.tracker, &tasks.token).await;
    let (mut instance, _) = tasks.join(&proxy.url(), 1 << 16).await;
    instance.bus.subscribe(&topic()).await.unwrap();
    // It publishes all the while: what is written does not count as a sign of life.
    let (numbers, mut received) = (Numbers::start(&tasks, &instance), Received::default());
    received.more(&mut instance, 100).await;

    proxy.swallow_all();
    let swallowed = Instant::now();
    assert_eq!(received.gap(&mut instance).await, Gap::Interrupted);
    received.more(&mut instance, 100).await;
    let flowing = swallowed.elapsed();
    assert!(flowing < Duration::from_secs(15), "{flowing:?}");
    let (ends, longest) = numbers.stop().await;
    assert!(longest < Duration::from_secs(2), "{longest:?}");
    received.rest(&mut instance).await;
    received.agree_with(&ends);
    tasks.end().await;
}

#[tokio::test]
async fn a_publish_whose_answer_is_cut_off_is_unknown_and_comes_once() {
    let (server, tasks) = (TestServer::start().await, Tasks::default());
    let proxy = SwallowingProxy::start(server.port(), &tasks.tracker, &tasks.token).await;
    let (mut instance, _) = tasks.join(&proxy.url(), 64).await;
    instance.bus.subscribe(&topic()).await.unwrap();

    proxy.swallow_answers();
    let publish = tasks.tracker.spawn(instance.bus.publish(&topic(), Bytes::from_static(b"once")));
    assert_eq!(instance.batch().await.1, b"once"[..]);
    proxy.cut_unanswered();
    assert_eq!(publish.await.unwrap(), Err(PublishError::Unknown));
    eventually("it is connected anew", async || {
        instance.bus.publish(&topic(), Bytes::from_static(b"next")).await == Ok(1)
    })
    .await;
    assert_eq!(instance.batch().await.1, b"next"[..], "not once more");
    tasks.end().await;
}

//! Real servers: what Redis forgets is never taken for what it knew, and no key stays for good.

use std::sync::Arc;

use super::*;
use crate::bus::conformance::eventually;
use crate::redis::test_server::TestServer;
use crate::streams::conformance::{self, SETTINGS};
use crate::streams::{Stored, StreamStore};

async fn join(server: &TestServer) -> Arc<RedisStreams> {
    let redis = server.open().await;
    RedisStreams::join(&redis, SETTINGS)
}

#[tokio::test]
async fn redis_conforms_and_keeps_no_key_for_good() {
    let server = TestServer::start().await;
    conformance::check(async || join(&server).await as Arc<dyn StreamStore>).await;
    assert_eq!(server.keys_for_good().await, 0, "no key without an expiry");
}

async fn append(store: &RedisStreams, mid: &str) -> Appended {
    store.append(StreamKey::topic(&"acme".into(), "a"), vec![conformance::message(mid, "x")]).await.unwrap()
}

#[tokio::test]
async fn a_redis_that_forgot_has_another_epoch() {
    let mut server = TestServer::start().await;
    let store = join(&server).await;
    let before = append(&store, "1").await.marks.unwrap();
    assert_eq!(append(&store, "2").await.marks.unwrap().epoch, before.epoch);
    server.say("FLUSHALL").await;
    let flushed = append(&store, "1").await;
    assert_eq!(flushed.stored, [Stored::At(1)]);
    let flushed = flushed.marks.unwrap();
    assert_ne!(flushed.epoch, before.epoch);
    assert_eq!(flushed.translate(&before.epoch, 2), None);
    server.kill();
    eventually("its absence is noticed", async || {
        store.append(StreamKey::topic(&"acme".into(), "a"), vec![conformance::message("3", "x")]).await
            == Err(StreamError::Away)
    })
    .await;
    server.restart().await;
    eventually("it is back", async || {
        store.read(StreamKey::topic(&"acme".into(), "a"), 0, 1_000).await == Ok(None)
    })
    .await;
    assert_ne!(append(&store, "1").await.marks.unwrap().epoch, flushed.epoch);
}

/// What a promoted replica is: it has the keys, and a history of its own.
#[tokio::test]
async fn a_redis_of_another_history_goes_on_in_another_epoch() {
    let (server, replica) = (TestServer::start().await, TestServer::start().await);
    let (store, promoted) = (join(&server).await, join(&replica).await);
    append(&store, "1").await;
    replica.say(&format!("REPLICAOF 127.0.0.1 {}", server.port())).await;
    let before = append(&store, "2").await.marks.unwrap();
    let stream = StreamKey::topic(&"acme".into(), "a");
    eventually("it has followed", async || {
        matches!(promoted.read(stream.clone(), 0, 1_000).await, Ok(Some(range)) if range.marks == before)
    })
    .await;
    replica.say("REPLICAOF NO ONE").await;
    // This one the replica never gets: its number will be given again.
    assert_eq!(append(&store, "3").await.stored, [Stored::At(3)]);
    let after = append(&promoted, "4").await;
    assert_eq!(after.stored, [Stored::At(3)]);
    let after = after.marks.unwrap();
    assert_ne!(after.epoch, before.epoch);
    assert_eq!(after.translate(&before.epoch, 3), Some(2), "the third is another message now");
    assert_eq!(append(&promoted, "1").await.stored, [Stored::Repeat { seq: 1, delivered: false }]);
}

/// The sender was told that its third was accepted and does not send it again.
#[tokio::test]
async fn a_session_whose_last_messages_were_lost_goes_on() {
    let (server, replica) = (TestServer::start().await, TestServer::start().await);
    let (store, promoted) = (join(&server).await, join(&replica).await);
    let counted = async |to: &RedisStreams, counter: u64| {
        let mid = format!("c{counter}");
        let append = Append { counter: Some(counter), ..conformance::message(&mid, "x") };
        to.append(StreamKey::topic(&"acme".into(), "a"), vec![append]).await.unwrap()
    };
    counted(&store, 1).await;
    replica.say(&format!("REPLICAOF 127.0.0.1 {}", server.port())).await;
    let before = counted(&store, 2).await.marks.unwrap();
    let stream = StreamKey::topic(&"acme".into(), "a");
    eventually("it has followed", async || {
        matches!(promoted.read(stream.clone(), 0, 1_000).await, Ok(Some(range)) if range.marks == before)
    })
    .await;
    replica.say("REPLICAOF NO ONE").await;
    assert_eq!(counted(&store, 3).await.stored, [Stored::At(3)]);
    assert_eq!(counted(&promoted, 4).await.stored, [Stored::At(3)]);
    assert_eq!(counted(&promoted, 6).await.stored, [Stored::OutOfOrder]);
    assert_eq!(counted(&promoted, 5).await.stored, [Stored::At(4)]);
}

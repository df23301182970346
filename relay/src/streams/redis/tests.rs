//! Real servers: what Redis forgets is never taken for what it knew, and no key stays for good.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::*;
use crate::auth::digest;
use crate::bus::InstanceId;
use crate::bus::conformance::eventually;
use crate::redis::test_cluster::TestCluster;
use crate::redis::test_server::TestServer;
use crate::redis::{RedisSettings, ReplicaSettings};
use crate::streams::conformance::{self, SETTINGS};
use crate::streams::{JobStore as _, Look, Opening, Stored, StreamStore};

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

#[tokio::test]
async fn a_cluster_conforms_and_keeps_no_key_for_good() {
    let cluster = TestCluster::start().await;
    conformance::check(async || RedisStreams::join(&cluster.open().await, SETTINGS) as Arc<dyn StreamStore>)
        .await;
    assert_eq!(cluster.keys_for_good().await, 0, "no key without an expiry");
}

#[tokio::test]
async fn what_nobody_returns_to_expires() {
    let (server, cluster) = (TestServer::start().await, TestCluster::start().await);
    for (a, b) in [(server.open().await, server.open().await), (cluster.open().await, cluster.open().await)] {
        let join = |redis: &Redis| RedisStreams::join(redis, conformance::unread::SHORT_LIVED);
        conformance::unread::expires(&*join(&a), &*join(&b)).await;
    }
    assert_eq!(
        (server.keys_for_good().await, cluster.keys_for_good().await),
        (0, 0),
        "no key without an expiry"
    );
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
    let waiting = StreamKey::topic(&"acme".into(), "waiting");
    let unmade = store.marks(waiting.clone()).await.unwrap();
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
    // A first life of a stream may have been lost with it.
    store.append(waiting.clone(), vec![conformance::message("1", "x")]).await.unwrap();
    assert_eq!(store.marks(waiting).await.unwrap().translate(&unmade.epoch, 0), None);
}

/// Makes it a replica of the other, and waits until it follows: the first that asks for what a Redis has begins a history.
async fn follow(replica: &TestServer, primary: &TestServer) {
    replica.say(&format!("REPLICAOF 127.0.0.1 {}", primary.port())).await;
    eventually("it follows", async || {
        replica.say("INFO replication").await.contains("master_link_status:up")
    })
    .await;
}

/// Waits until a replica has the topic up to a message. A relay would not ask it, as it could not begin an epoch there.
async fn has(replica: &TestServer, head: u64) {
    eventually("it has followed", async || {
        replica.say("HGET r1:s:{acme:topic/a}:m head").await.contains(&format!("\n{head}\r"))
    })
    .await;
}

/// What a promoted replica is: it has the keys, and a history of its own.
#[tokio::test]
async fn a_redis_of_another_history_goes_on_in_another_epoch() {
    let (server, replica) = (TestServer::start().await, TestServer::start().await);
    let (store, promoted) = (join(&server).await, join(&replica).await);
    append(&store, "1").await;
    follow(&replica, &server).await;
    let before = append(&store, "2").await.marks.unwrap();
    has(&replica, 2).await;
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

/// What it forgot is told by whatever asks it first, also where readers never lived in another epoch.
#[tokio::test]
async fn a_redis_that_was_set_back_goes_on_in_another_epoch() {
    let mut server = TestServer::start().await;
    let store = join(&server).await;
    let topic = |name: &str| StreamKey::topic(&"acme".into(), name);
    let (inbox, bob): (_, Arc<str>) = (StreamKey::agent(&"acme".into(), "bob"), "bob~1".into());
    let opening = Opening {
        inbox: inbox.clone(),
        session: Arc::clone(&bob),
        generation: 1,
        ticket: digest(&[b"ticket"]),
        resume: None,
        instance: InstanceId::random(),
    };
    store.open(opening).await.unwrap();
    let message = |mid| vec![conformance::message(mid, "x")];
    let (streams, mut before) = ([inbox.clone(), topic("read"), topic("marked")], Vec::new());
    for stream in &streams {
        before.push(store.append(stream.clone(), message("1")).await.unwrap().marks.unwrap());
    }
    server.say("SAVE").await;
    for stream in &streams {
        assert_eq!(store.append(stream.clone(), message("2")).await.unwrap().stored, [Stored::At(2)]);
    }
    server.kill();
    server.restart().await;
    eventually("it is back", async || store.read(topic("none"), 0, 1_000).await == Ok(None)).await;
    let after = [
        store.renew(inbox.clone(), vec![bob]).await.unwrap().unwrap(),
        store.read(topic("read"), 2, 1_000).await.unwrap().unwrap().marks,
        store.marks(topic("marked")).await.unwrap(),
    ];
    for ((before, after), stream) in before.iter().zip(after).zip(streams) {
        assert_ne!(after.epoch, before.epoch, "{stream:?}");
        assert_eq!(after.translate(&before.epoch, 2), Some(1), "{stream:?}");
        assert_eq!(store.read(stream, 0, 1_000).await.unwrap().unwrap().marks, after, "it stays");
    }
}

/// Half a minute is too long to wait for: the time until which a job is held is set back.
#[tokio::test]
async fn a_job_that_is_held_too_long_goes_to_another() {
    let server = TestServer::start().await;
    let store = join(&server).await;
    let group = StreamKey::group(&"acme".into(), &"group/work".into());
    let by = Some((InstanceId::random(), Duration::from_mins(1)));
    let look = async |takers: &[&str]| {
        let takers: Vec<Arc<str>> = takers.iter().map(|taker| Arc::from(*taker)).collect();
        let look = Look { by: by.clone(), told_of: takers.len(), takers };
        store.look(group.clone(), look).await.unwrap()
    };
    look(&[]).await;
    store.give(group.clone(), vec![conformance::message("1", "x")]).await.unwrap();
    assert_eq!(look(&["w~1"]).await.jobs.len(), 1);
    let found = look(&["w~2"]).await;
    assert_eq!((found.jobs.len(), found.in_hand, found.put_back), (0, 1, 0));
    server.say("ZADD r1:s:{acme:group/work}:h XX 1 1").await;
    let found = look(&["w~2"]).await;
    assert_eq!((found.jobs.len(), found.put_back), (1, 1));
    assert!(found.jobs[0].again);
}

/// A store that asks for a replica, once its connection is there.
async fn join_replicated(server: &TestServer) -> Arc<RedisStreams> {
    let replicas = ReplicaSettings { count: 1, timeout: Duration::from_secs(1) };
    let settings = RedisSettings { replicas: Some(replicas), ..RedisSettings::default() };
    let redis =
        Redis::open(&server.url(), settings, TaskTracker::new(), CancellationToken::new()).await.unwrap();
    RedisStreams::join(&redis, SETTINGS)
}

async fn try_append(store: &RedisStreams, mid: &str) -> Result<Appended, StreamError> {
    store.append(StreamKey::topic(&"acme".into(), "a"), vec![conformance::message(mid, "x")]).await
}

#[tokio::test]
async fn what_too_few_replicas_have_is_not_known_to_stay() {
    let (mut server, mut replica) = (TestServer::start().await, TestServer::start().await);
    replica.say(&format!("REPLICAOF 127.0.0.1 {}", server.port())).await;
    let store = join_replicated(&server).await;
    eventually("the replica has it", async || try_append(&store, "1").await.is_ok()).await;
    // Many at a time share a question.
    let many = (0..100).map(|number| format!("many{number}")).collect::<Vec<_>>();
    let stored = join_all(many.iter().map(|mid| try_append(&store, mid))).await;
    assert!(stored.iter().all(Result::is_ok));
    replica.pause();
    let asked = Instant::now();
    assert_eq!(try_append(&store, "2").await, Err(StreamError::Unanswered));
    assert!(asked.elapsed() < Duration::from_secs(3), "{:?}", asked.elapsed());
    replica.resume();
    let again = try_append(&store, "2").await.unwrap().stored;
    assert!(matches!(again[..], [Stored::Repeat { delivered: false, .. }]), "it was stored: {again:?}");
    // A connection that is made after the write knows nothing of it and would be sure at once.
    replica.pause();
    let (appended, _) = tokio::join!(try_append(&store, "3"), server.say("CLIENT KILL TYPE normal"));
    assert!(appended.is_err(), "{appended:?}");
    replica.kill();
    server.kill();
}

#[tokio::test]
async fn a_redis_that_wants_replicas_and_has_none_stores_nothing() {
    let server = TestServer::start().await;
    let store = join(&server).await;
    assert!(try_append(&store, "1").await.is_ok());
    server.say("CONFIG SET min-replicas-to-write 1").await;
    assert_eq!(try_append(&store, "2").await, Err(StreamError::Away));
    server.say("CONFIG SET min-replicas-to-write 0").await;
    let stored = try_append(&store, "2").await.unwrap().stored;
    assert_eq!(stored, [Stored::At(2)]);
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
    follow(&replica, &server).await;
    counted(&store, 2).await;
    has(&replica, 2).await;
    replica.say("REPLICAOF NO ONE").await;
    assert_eq!(counted(&store, 3).await.stored, [Stored::At(3)]);
    assert_eq!(counted(&promoted, 4).await.stored, [Stored::At(3)]);
    assert_eq!(counted(&promoted, 6).await.stored, [Stored::OutOfOrder]);
    assert_eq!(counted(&promoted, 5).await.stored, [Stored::At(4)]);
}

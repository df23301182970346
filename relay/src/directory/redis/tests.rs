//! The directory over a real Redis: that it conforms, and that what is wished outlives what Redis forgets.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::bus::InstanceId;
use crate::bus::conformance::eventually;
use crate::directory::Directory as _;
use crate::directory::DirectoryError;
use crate::directory::conformance::{self, Instance, own};
use crate::directory::redis::RedisDirectory;
use crate::redis::Redis;
use crate::redis::test_cluster::TestCluster;
use crate::redis::test_server::TestServer;
use crate::resilience::Failure;

async fn join(server: &TestServer) -> Instance {
    let token = CancellationToken::new();
    join_over(server.open_until(&token).await, token).await
}

async fn join_over(redis: Redis, token: CancellationToken) -> Instance {
    let id = InstanceId::random();
    let directory = RedisDirectory::join(&redis, &id).await;
    let crash = Box::new(move |_| token.cancel());
    Instance { directory, id, crash }
}

/// Every key with its time to live.
async fn keys(server: &TestServer) -> Vec<(String, i64)> {
    let script = "local all = redis.call('KEYS', '*') local told = '' \
        for _, key in ipairs(all) do told = told .. key .. ' ' .. redis.call('TTL', key) .. ' ' end return told";
    let told = server.say(&format!("EVAL \"{script}\" 0")).await;
    let words: Vec<_> = told.split_ascii_whitespace().skip(1).collect();
    words.chunks_exact(2).map(|key| (key[0].to_owned(), key[1].parse().unwrap())).collect()
}

#[tokio::test]
async fn redis_conforms() {
    let server = TestServer::start().await;
    conformance::check(async || join(&server).await).await;
    let keys = keys(&server).await;
    assert!(keys.iter().any(|(key, _)| key.starts_with("r1:d:t:")), "{keys:?}");
    assert!(keys.iter().any(|(key, _)| key == "r1:leases"), "{keys:?}");
    for (key, seconds) in &keys {
        assert!((0..=120).contains(seconds), "no key without an expiry: {key} {seconds}");
    }
}

#[tokio::test]
async fn a_cluster_conforms() {
    let cluster = TestCluster::start().await;
    conformance::check(async || {
        let token = CancellationToken::new();
        join_over(cluster.open_until(&token).await, token).await
    })
    .await;
    assert_eq!(cluster.keys_for_good().await, 0, "no key without an expiry");
}

#[tokio::test]
async fn the_entries_of_the_dead_are_deleted_when_somebody_looks() {
    let server = TestServer::start().await;
    let (a, b) = (join(&server).await, join(&server).await);
    a.directory.register(own("t", "x", "s1", 1)).await.unwrap();
    b.directory.register(own("t", "x", "s2", 1)).await.unwrap();
    eventually("both live", async || server.say("HLEN r1:leases").await == ":2\r\n").await;
    (b.crash)(b.directory);
    eventually("one is found", async || a.find("t", "x").await.len() == 1).await;
    assert_eq!(server.say("HLEN r1:d:t:x").await, ":1\r\n");
}

#[tokio::test]
async fn who_was_taken_for_dead_and_came_back_is_found_and_not_deleted() {
    let server = TestServer::start().await;
    let (token, b) = (CancellationToken::new(), join(&server).await);
    let a = RedisDirectory::join(&server.open_until(&token).await, &InstanceId::random()).await;
    b.directory.register(own("t", "x", "s", 1)).await.unwrap();
    eventually("both live", async || server.say("HLEN r1:leases").await == ":2\r\n").await;
    (b.crash)(b.directory);
    eventually("it is taken for dead", async || !a.0.leases.alive(&b.id)).await;
    // It is back, as far as Redis knows; until its next beat the other does not.
    server.say(&format!("HSET r1:leases {} 99999999999999", b.id)).await;
    assert_eq!(a.lookup("t", "x").await.unwrap().len(), 1);
    assert_eq!(server.say("HLEN r1:d:t:x").await, ":1\r\n");
    token.cancel();
}

#[tokio::test]
async fn what_redis_forgets_is_entered_again_and_nobody_is_taken_for_dead() {
    let server = TestServer::start().await;
    let (a, b) = (join(&server).await, join(&server).await);
    for n in 0..500 {
        let (first, second) = (own("t", &format!("a{n}"), "s1", 3), own("t", &format!("a{n}"), "s2", 5));
        a.directory.register(first).await.unwrap();
        b.directory.register(second).await.unwrap();
    }
    b.directory.hold_wildcards("t").await.unwrap();
    eventually("both live", async || server.say("HLEN r1:leases").await == ":2\r\n").await;
    eventually("nothing else is known", async || !a.directory.may_have_wildcards("tame")).await;

    // Just after a beat of the other: for most of a second Redis knows nothing, and then of one instance only.
    let lease = async || server.say(&format!("HGET r1:leases {}", b.id)).await;
    let before = lease().await;
    eventually("a beat", async || lease().await != before).await;
    server.say("FLUSHALL").await;
    let flushed = Instant::now();
    eventually("all are entered again", async || {
        assert!(a.directory.may_have_wildcards("t"), "none is believed while it is not known");
        let mut found = 0;
        for n in 0..500 {
            found += a.find("t", &format!("a{n}")).await.len();
        }
        found == 1000
    })
    .await;
    let restored = flushed.elapsed();
    assert!(restored < Duration::from_secs(3), "{restored:?}");
    eventually("none is believed again where there is none", async || {
        assert!(a.directory.may_have_wildcards("t"));
        assert_eq!(a.find("t", "a7").await.len(), 2, "nobody is taken for dead");
        !a.directory.may_have_wildcards("tame")
    })
    .await;
}

#[tokio::test]
async fn killed_and_restarted_empty_it_holds_everything_again() {
    let mut server = TestServer::start().await;
    let (a, b) = (join(&server).await, join(&server).await);
    a.directory.register(own("t", "x", "s1", 1)).await.unwrap();
    b.directory.register(own("t", "x", "s2", 1)).await.unwrap();
    eventually("both live", async || server.say("HLEN r1:leases").await == ":2\r\n").await;
    server.kill();
    eventually("the loss is noticed", async || a.directory.lookup("t", "x").await.is_err()).await;
    let asked = Instant::now();
    assert_eq!(a.directory.register(own("t", "x", "s3", 1)).await, Err(DirectoryError));
    assert_eq!(a.directory.unregister(own("t", "x", "s1", 1)).await, Err(DirectoryError));
    assert_eq!(a.directory.hold_wildcards("t").await, Err(DirectoryError));
    assert!(asked.elapsed() < Duration::from_millis(50), "while Redis is away answers come at once");

    server.restart().await;
    let restarted = Instant::now();
    eventually("wishes are carried out, and what was taken back is not", async || {
        let Ok(mut found) = b.directory.lookup("t", "x").await else { return false };
        found.sort_by(|a, b| a.session.cmp(&b.session));
        found.iter().map(|entry| &*entry.session).eq(["s2", "s3"])
    })
    .await;
    let restored = restarted.elapsed();
    assert!(restored < Duration::from_secs(5), "{restored:?}");
    eventually("the wildcard is held", async || server.say("EXISTS r1:w:t").await == ":1\r\n").await;
}

#[tokio::test]
async fn a_goodbye_that_redis_did_not_hear_is_said_again() {
    let server = TestServer::start().await;
    let (a, b) = (join(&server).await, join(&server).await);
    let leaves = own("t", "x", "s", 1);
    a.directory.register(leaves.clone()).await.unwrap();
    server.pause();
    eventually("the silence is noticed", async || a.directory.lookup("t", "x").await.is_err()).await;
    let asked = Instant::now();
    assert_eq!(a.directory.unregister(leaves).await, Err(DirectoryError));
    assert!(asked.elapsed() < Duration::from_secs(2));
    server.resume();
    eventually("it is gone", async || b.directory.lookup("t", "x").await == Ok(vec![])).await;
}

#[tokio::test]
async fn what_an_open_circuit_refused_is_entered_though_no_lease_and_no_connection_was_lost() {
    let server = TestServer::start().await;
    let token = CancellationToken::new();
    let redis = server.open_until(&token).await;
    let circuit = Arc::clone(redis.commands().link().storing());
    let a = join_over(redis, token).await;
    a.directory.register(own("t", "x", "left", 1)).await.unwrap();

    while let Ok(call) = circuit.call() {
        call.failed(Failure::Silence);
    }
    assert_eq!(a.directory.register(own("t", "x", "came", 1)).await, Err(DirectoryError));
    assert_eq!(a.directory.unregister(own("t", "x", "left", 1)).await, Err(DirectoryError));
    let refused = Instant::now();
    eventually("it is entered, and who left is not", async || {
        let Ok(found) = a.directory.lookup("t", "x").await else { return false };
        found.iter().map(|entry| &*entry.session).eq(["came"])
    })
    .await;
    let entered = refused.elapsed();
    assert!(entered < Duration::from_secs(10), "{entered:?}");
}

#[tokio::test]
async fn a_goodbye_during_a_restoration_is_not_undone() {
    let server = TestServer::start().await;
    let a = join(&server).await;
    let all: Vec<_> = (0..2000).map(|n| own("t", &format!("a{n}"), "s", 1)).collect();
    for entry in &all {
        a.directory.register(entry.clone()).await.unwrap();
    }
    server.say("FLUSHALL").await;
    eventually("some are entered again", async || server.say("DBSIZE").await.as_str() > ":1\r\n").await;
    let goodbyes = all.iter().map(|entry| a.directory.unregister(entry.clone()));
    futures_util::future::try_join_all(goodbyes).await.unwrap();
    eventually("all are gone", async || {
        let keys = keys(&server).await;
        !keys.iter().any(|(key, _)| key.starts_with("r1:d:"))
    })
    .await;
}

//! The circuit before a real Redis that answers, and cannot.

use std::time::Duration;

use fred::interfaces::PubsubInterface as _;
use futures_util::future::join_all;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::bus::conformance::eventually;
use crate::redis::test_server::TestServer;
use crate::redis::{Redis, RedisSettings, Script};
use crate::resilience::{BreakerSettings, Health};

static STORE: Script = Script::new("return redis.call('SET', KEYS[1], ARGV[1], 'EX', 60)");

async fn store(redis: &Redis) -> Option<bool> {
    let question = redis.commands().begin(0).ok()?;
    Some(STORE.run::<()>(&question, "r1:test", &["x"]).await.is_ok())
}

#[tokio::test]
async fn a_redis_without_memory_is_not_asked_to_store_and_still_publishes() {
    let server = TestServer::start().await;
    let breaker = BreakerSettings { open_for: Duration::from_millis(500), ..BreakerSettings::default() };
    let settings = RedisSettings { breaker, ..RedisSettings::default() };
    let redis =
        Redis::open(&server.url(), settings, TaskTracker::new(), CancellationToken::new()).await.unwrap();
    let health = redis.probe();
    assert_eq!((store(&redis).await, health()), (Some(true), Health::Well));
    server.say("CONFIG SET maxmemory 1").await;
    for failure in 1..=5 {
        assert_eq!(store(&redis).await, Some(false), "failure {failure}");
    }
    assert_eq!((store(&redis).await, health()), (None, Health::Down), "it is asked all the same");
    let question = redis.commands().begin_publish(1).unwrap();
    assert!(question.judge(question.publish::<u64, _, _>("r1:test", "x").await).is_ok());
    server.say("CONFIG SET maxmemory 0").await;
    eventually("it is tried", async || store(&redis).await == Some(true)).await;
    assert_eq!(health(), Health::Slow, "one success closes it");
    assert_eq!((store(&redis).await, store(&redis).await, health()), (Some(true), Some(true), Health::Well));
}

#[tokio::test]
async fn whether_redis_evicts_is_seen_at_each_connection() {
    let mut server = TestServer::start().await;
    server.say("CONFIG SET maxmemory-policy volatile-lru").await;
    let redis = server.open().await;
    let evicts = redis.evicts();
    eventually("it is seen", async || evicts()).await;
    assert_eq!(store(&redis).await, Some(true), "it is used all the same");
    // Started again it has the policy it has by itself, which is `noeviction`.
    server.kill();
    server.restart().await;
    eventually("it is seen to be put right", async || !evicts()).await;
}

#[tokio::test]
async fn the_goodbye_waits_for_the_answers_and_nothing_is_asked_after_it() {
    let (server, token) = (TestServer::start().await, CancellationToken::new());
    let redis = server.open_until(&token).await;
    // Not knowing the script it is asked twice, the second time when the end has begun.
    let asked = join_all((0..50).map(|_| store(&redis)));
    let (answers, ()) = tokio::join!(asked, async { token.cancel() });
    assert_eq!(answers, [Some(true); 50]);
    assert_eq!(store(&redis).await, None);
}

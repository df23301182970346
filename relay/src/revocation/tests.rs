//! Revocations of several instances, on both kinds of store, and through the loss of the store.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use crate::auth::{AuthError, Gate, Principal, Rights};
use crate::bus::conformance::eventually;
use crate::redis::test_cluster::TestCluster;
use crate::redis::test_server::TestServer;
use crate::revocation::memory::MemoryRevocationHub;
use crate::revocation::redis::RedisRevocations;
use crate::revocation::{
    Revocation, RevocationError, RevocationSettings, RevocationStore, Revocations, conformance,
};
use crate::telemetry::metrics::Metrics;

const LIFE: Duration = Duration::from_hours(1);

struct Instance {
    revocations: Arc<Revocations>,
    told: Arc<Mutex<Vec<Revocation>>>,
    _stop: DropGuard,
}

fn start(store: Arc<dyn RevocationStore>, stop: CancellationToken, life: Duration) -> Instance {
    let told = Arc::new(Mutex::new(Vec::new()));
    let hears = Arc::clone(&told);
    let settings = RevocationSettings { life, stale_for: Duration::from_secs(2) };
    let tell = move |revocation: &Revocation| hears.lock().push(revocation.clone());
    let revocations = Revocations::new(store, settings, tell, Metrics::new().unwrap());
    TaskTracker::new().spawn(Arc::clone(&revocations).run(stop.clone()));
    Instance { revocations, told, _stop: stop.drop_guard() }
}

async fn join(server: &TestServer) -> Instance {
    let stop = CancellationToken::new();
    let redis = server.open_until(&stop).await;
    start(RedisRevocations::join(&redis, LIFE), stop, LIFE)
}

/// Somebody whose token was made long ago.
fn bob() -> Principal {
    Principal::for_test("acme", "bob", Rights::default())
}

fn of_bob() -> Revocation {
    Revocation::of_agent("acme", "bob", SystemTime::now()).unwrap()
}

impl Instance {
    fn lets(&self, principal: &Principal) -> Result<(), AuthError> {
        self.revocations.admit(principal, SystemTime::now())
    }
}

#[tokio::test]
async fn a_cluster_conforms() {
    let cluster = TestCluster::start().await;
    conformance::check(async || {
        RedisRevocations::join(&cluster.open().await, LIFE) as Arc<dyn RevocationStore>
    })
    .await;
    assert_eq!(cluster.keys_for_good().await, 0, "no key without an expiry");
}

#[tokio::test]
async fn redis_conforms() {
    let server = TestServer::start().await;
    conformance::check(async || {
        let redis = server.open().await;
        RedisRevocations::join(&redis, LIFE) as Arc<dyn RevocationStore>
    })
    .await;
    let ttl = server.say("PTTL r1:revocations").await;
    let ttl: u64 = ttl.trim_start_matches(':').trim().parse().unwrap();
    assert!(ttl > 3_600_000 && ttl <= 3_660_000, "no key without an expiry: {ttl}");
}

#[tokio::test]
async fn stores_are_bounded() {
    let server = TestServer::start().await;
    let redis = server.open().await;
    conformance::check_bound(RedisRevocations::join(&redis, LIFE)).await;
}

#[tokio::test]
async fn each_target_concerns_whom_it_names_and_nobody_else() {
    let hub = MemoryRevocationHub::new(LIFE);
    let principal = |tenant, agent| Principal::for_test(tenant, agent, Rights::default());
    for (revocation, concerned) in [
        (of_bob(), [true, false, false]),
        (Revocation::of_tenant("acme", SystemTime::now()).unwrap(), [true, true, false]),
        (Revocation::of_token("acme", "jti").unwrap(), [false, false, false]),
        (Revocation::of_agent("acme", "bob", SystemTime::UNIX_EPOCH - LIFE).unwrap(), [true, false, false]),
    ] {
        let instance = start(MemoryRevocationHub::new(LIFE).join(), CancellationToken::new(), LIFE);
        instance.revocations.first_read().await;
        instance.revocations.revoke(revocation.clone()).await.unwrap();
        let who = [principal("acme", "bob"), principal("acme", "eve"), principal("other", "bob")];
        let refused = who.map(|who| instance.lets(&who) == Err(AuthError::Revoked));
        assert_eq!(refused, concerned, "{revocation:?}");
    }
    drop(hub);
    assert_eq!(Revocation::of_tenant("a|b", SystemTime::now()), Err(RevocationError::Name));
    assert_eq!(Revocation::of_agent("acme", "a|b", SystemTime::now()), Err(RevocationError::Name));
}

#[tokio::test]
async fn a_revocation_is_in_force_everywhere_within_a_second_and_told_once() {
    let server = TestServer::start().await;
    let instances = [join(&server).await, join(&server).await, join(&server).await];
    for instance in &instances {
        instance.revocations.first_read().await;
        assert_eq!(instance.lets(&bob()), Ok(()));
    }
    let called = Instant::now();
    instances[0].revocations.revoke(of_bob()).await.unwrap();
    for instance in &instances {
        eventually("it is in force", async || instance.lets(&bob()) == Err(AuthError::Revoked)).await;
        assert_eq!(instance.told.lock().len(), 1);
    }
    assert!(called.elapsed() < Duration::from_secs(1), "{:?}", called.elapsed());
    let late = join(&server).await;
    late.revocations.first_read().await;
    assert_eq!(late.lets(&bob()), Err(AuthError::Revoked), "it was read before anybody was let in");
}

#[tokio::test]
async fn what_redis_forgets_is_told_to_it_again() {
    let server = TestServer::start().await;
    let (a, b) = (join(&server).await, join(&server).await);
    a.revocations.revoke(of_bob()).await.unwrap();
    eventually("both know", async || b.lets(&bob()) == Err(AuthError::Revoked)).await;
    server.say("FLUSHALL").await;
    eventually("it is there again", async || server.say("ZCARD r1:revocations").await == ":1\r\n").await;
    let late = join(&server).await;
    late.revocations.first_read().await;
    assert_eq!(late.lets(&bob()), Err(AuthError::Revoked));
}

#[tokio::test]
async fn while_redis_is_away_it_holds_here_and_old_tokens_stay_out() {
    let mut server = TestServer::start().await;
    let (a, b) = (join(&server).await, join(&server).await);
    a.revocations.first_read().await;
    b.revocations.first_read().await;
    server.kill();
    eventually("the loss is noticed", async || {
        a.revocations.revoke(of_bob()).await == Err(RevocationError::Away)
    })
    .await;
    assert_eq!(a.lets(&bob()), Err(AuthError::Revoked));
    assert_eq!(b.revocations.check(&bob()), Ok(()), "who is in stays");
    let eve = Principal::for_test("acme", "eve", Rights::default());
    eventually("the list is out of date", async || b.lets(&eve) == Err(AuthError::RevocationsUnavailable))
        .await;
    server.restart().await;
    let restarted = Instant::now();
    eventually("it reached the other", async || b.lets(&bob()) == Err(AuthError::Revoked)).await;
    eventually("others are let in", async || b.lets(&eve) == Ok(())).await;
    assert!(restarted.elapsed() < Duration::from_secs(5), "{:?}", restarted.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_revocation_ends_when_no_token_can_live_any_more() {
    let hub = MemoryRevocationHub::new(LIFE);
    let instance = start(hub.join(), CancellationToken::new(), LIFE);
    instance.revocations.revoke(of_bob()).await.unwrap();
    tokio::time::advance(LIFE.saturating_sub(Duration::from_secs(2))).await;
    assert_eq!(instance.revocations.check(&bob()), Err(AuthError::Revoked));
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!(instance.revocations.check(&bob()), Ok(()));
    tokio::time::sleep(LIFE).await;
    assert_eq!(instance.told.lock().len(), 1, "what the store forgets is not added again");
}

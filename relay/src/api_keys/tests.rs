//! Keys from their making to their end, and the store on a real Redis.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::future::{self, BoxFuture, FutureExt as _};

use crate::api_keys::memory::MemoryApiKeys;
use crate::api_keys::redis::RedisApiKeys;
use crate::api_keys::{ApiKeyError, ApiKeyRequest, ApiKeyStore, ApiKeys, TokensAndApiKeys, conformance};
use crate::auth::{AuthError, Authenticator, Gated, InvalidRight, Principal, RightsClaim};
use crate::redis::test_cluster::TestCluster;
use crate::redis::test_server::TestServer;
use crate::revocation::memory::MemoryRevocationHub;
use crate::revocation::{Revocation, RevocationSettings, Revocations};
use crate::telemetry::metrics::Metrics;

const DAY: Duration = Duration::from_hours(24);

/// Believes no token.
#[derive(Debug)]
struct NoTokens;

impl Authenticator for NoTokens {
    fn authenticate<'a>(&'a self, _: &'a str, _: SystemTime) -> BoxFuture<'a, Result<Principal, AuthError>> {
        future::ready(Err(AuthError::Malformed)).boxed()
    }

    fn recheck(&self, _: &Principal) -> Result<(), AuthError> {
        Ok(())
    }
}

struct Rig {
    keys: ApiKeys,
    revocations: Arc<Revocations>,
    authenticator: Gated,
}

fn rig(store: Arc<dyn ApiKeyStore>) -> Rig {
    let settings = RevocationSettings { life: DAY, stale_for: DAY };
    let revocations =
        Revocations::new(MemoryRevocationHub::new(DAY).join(), settings, |_| {}, Metrics::new().unwrap());
    let inner = TokensAndApiKeys::new(Arc::new(NoTokens), Arc::clone(&store), DAY);
    let authenticator = Gated::new(Arc::new(inner), Arc::<Revocations>::clone(&revocations));
    Rig { keys: ApiKeys::new(store, Arc::clone(&revocations)), revocations, authenticator }
}

fn request() -> ApiKeyRequest {
    ApiKeyRequest {
        tenant: "acme".to_owned(),
        agent: "worker".to_owned(),
        label: "nightly".to_owned(),
        rights: RightsClaim { publish: vec!["jobs.*".to_owned()], ..RightsClaim::default() },
        life: 30 * DAY,
    }
}

#[tokio::test]
async fn a_cluster_conforms() {
    let cluster = TestCluster::start().await;
    let join = async || RedisApiKeys::join(&cluster.open().await);
    conformance::check(join().await, join().await).await;
    assert_eq!(cluster.keys_for_good().await, 0, "no key without an expiry");
}

#[tokio::test]
async fn redis_conforms() {
    let server = TestServer::start().await;
    let join = async || {
        let redis = server.open().await;
        RedisApiKeys::join(&redis)
    };
    conformance::check(join().await, join().await).await;
    let kept = server.say("KEYS r1:k*").await;
    let keys: Vec<&str> = kept.lines().filter(|line| line.starts_with("r1:")).collect();
    assert!(keys.len() > 1_000);
    for key in keys {
        let ttl = server.say(&format!("TTL {key}")).await;
        let ttl: i64 = ttl.trim_start_matches(':').trim().parse().unwrap();
        assert!((3_000..=3_600).contains(&ttl), "no key without an expiry: {key} {ttl}");
    }
}

#[tokio::test]
async fn a_key_opens_what_it_grants_until_it_is_revoked() {
    let rig = rig(MemoryApiKeys::new());
    let now = SystemTime::now();
    let (key, text) = rig.keys.create(request(), now).await.unwrap();
    let principal = rig.authenticator.authenticate(text.expose_text(), now).await.unwrap();
    assert_eq!((&**principal.tenant(), &**principal.agent()), ("acme", "worker"));
    assert!(principal.rights().may_publish("jobs.a") && !principal.rights().may_publish("other"));
    assert_eq!(principal.expires_at(), now + DAY, "it is to be shown again as often as a token");
    let listed = rig.keys.list("acme").await.unwrap();
    assert_eq!((listed.len(), &listed[0].label), (1, &key.label));
    assert!(listed[0].last_used_at_s.is_some());

    assert_eq!(rig.keys.revoke("other", &key.id).await, Ok(false), "another tenant's");
    assert_eq!(rig.authenticator.recheck(&principal), Ok(()));
    assert_eq!(rig.keys.revoke("acme", &key.id).await, Ok(true));
    assert_eq!(rig.authenticator.recheck(&principal), Err(AuthError::Revoked));
    let again = rig.authenticator.authenticate(text.expose_text(), now).await;
    assert_eq!(again.err(), Some(AuthError::UnknownApiKey));
    assert_eq!(rig.keys.revoke("acme", &key.id).await, Ok(false));
    assert_eq!(rig.keys.list("acme").await, Ok(vec![]));
}

#[tokio::test]
async fn a_wrong_secret_is_refused_as_an_unknown_id_is_and_is_no_use() {
    let rig = rig(MemoryApiKeys::new());
    let now = SystemTime::now();
    let (key, text) = rig.keys.create(request(), now).await.unwrap();
    let (_, other) = rig.keys.create(request(), now).await.unwrap();
    let swapped = format!("ark_{}_{}", key.id, &other.expose_text()[29..]);
    let unknown = format!("ark_{}_{}", "0".repeat(24), &text.expose_text()[29..]);
    for forged in [swapped, unknown, "ark_".to_owned(), "ark_a.b.c".to_owned()] {
        let refused = rig.authenticator.authenticate(&forged, now).await;
        assert_eq!(refused.err(), Some(AuthError::UnknownApiKey), "{forged}");
    }
    assert!(rig.keys.list("acme").await.unwrap().iter().all(|key| key.last_used_at_s.is_none()));
    let a_token = rig.authenticator.authenticate("a.b.c", now).await;
    assert_eq!(a_token.err(), Some(AuthError::Malformed), "a token goes to the other authenticator");
}

#[tokio::test]
async fn an_expired_key_is_unknown_and_a_revoked_agent_keeps_its_keys() {
    let rig = rig(MemoryApiKeys::new());
    let now = SystemTime::now();
    let (_, text) = rig.keys.create(request(), now).await.unwrap();
    let late = rig.authenticator.authenticate(text.expose_text(), now + 30 * DAY).await;
    assert_eq!(late.err(), Some(AuthError::UnknownApiKey));
    let live = rig.authenticator.authenticate(text.expose_text(), now).await.unwrap();
    let last = rig.authenticator.authenticate(text.expose_text(), now + 30 * DAY - Duration::from_secs(9));
    assert!(last.await.unwrap().expires_at() < now + 30 * DAY);
    rig.revocations.revoke(Revocation::of_agent("acme", "worker", now).unwrap()).await.unwrap();
    assert_eq!(rig.authenticator.recheck(&live), Err(AuthError::Revoked));
    let later = rig.authenticator.authenticate(text.expose_text(), now + Duration::from_secs(2)).await;
    assert!(later.is_ok());
}

#[tokio::test]
async fn what_cannot_be_a_key_is_not_made() {
    let rig = rig(MemoryApiKeys::new());
    let refusal = async |change: fn(&mut ApiKeyRequest)| {
        let mut request = request();
        change(&mut request);
        rig.keys.create(request, SystemTime::now()).await.err()
    };
    assert_eq!(refusal(|request| request.tenant = "a:b".to_owned()).await, Some(ApiKeyError::Tenant));
    assert_eq!(refusal(|request| request.agent = ".".to_owned()).await, Some(ApiKeyError::Agent));
    assert_eq!(refusal(|request| request.label = "x".repeat(65)).await, Some(ApiKeyError::Label));
    assert_eq!(refusal(|request| request.label = "\u{1b}[31m".to_owned()).await, Some(ApiKeyError::Label));
    for life in [Duration::ZERO, Duration::from_millis(999), 367 * DAY] {
        let refused = rig.keys.create(ApiKeyRequest { life, ..request() }, SystemTime::now()).await;
        assert_eq!(refused.err(), Some(ApiKeyError::Life), "{life:?}");
    }
    let pattern = InvalidRight::Pattern { list: "send" };
    let bad_right = refusal(|request| request.rights.send = vec!["topic/x".to_owned()]).await;
    assert_eq!(bad_right, Some(ApiKeyError::Rights(pattern)));
    let too_large = refusal(|request| {
        request.rights.publish = (0..256).map(|number| format!("{}{number}", "a".repeat(100))).collect();
    });
    assert_eq!(too_large.await, Some(ApiKeyError::TooLarge));
    assert_eq!(rig.keys.list("acme").await, Ok(vec![]));
}

#[tokio::test]
async fn while_redis_is_away_a_key_is_refused_for_the_time_being() {
    let mut server = TestServer::start().await;
    let redis = server.open().await;
    let rig = rig(RedisApiKeys::join(&redis));
    let (key, text) = rig.keys.create(request(), SystemTime::now()).await.unwrap();
    assert!(rig.authenticator.authenticate(text.expose_text(), SystemTime::now()).await.is_ok());
    let kept = server.say(&format!("HGET r1:k:{} record", key.id)).await;
    assert!(kept.contains("worker") && !kept.contains(&text.expose_text()[29..]), "{kept}");
    server.kill();
    let refused = rig.authenticator.authenticate(text.expose_text(), SystemTime::now()).await;
    assert_eq!(refused.err(), Some(AuthError::ApiKeysUnavailable));
    assert_eq!(rig.keys.list("acme").await.err(), Some(ApiKeyError::Away));
}

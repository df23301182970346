//! A real key server on this machine, kind and hostile.

mod stand_in;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::future::join_all;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{DecodingKey, EncodingKey, crypto};
use serde_json::{Value, json};
use tokio::time::{Instant, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use crate::auth::key_server::client::{FetchError, KeyClient};
use crate::auth::key_server::{KeyServer, KeyServerSettings, Sought};
use crate::auth::keyset::{JWKS_BYTES_MAX, JwksError};
use crate::auth::{
    AuthError, Authenticator as _, FirebaseRules, Issuer, JwtAuthenticator, JwtRules, RightsClaim,
};
use crate::bus::conformance::eventually;
use crate::telemetry::metrics::Metrics;
use stand_in::{Answer, StandIn};

const RSA_PRIVATE: &[u8] = include_bytes!("../../../../tests/keys/test-only-rsa-2048.private.pem");
const RSA_PUBLIC: &[u8] = include_bytes!("../../../../tests/keys/test-only-rsa-2048.public.pem");
const P256_PUBLIC: &[u8] = include_bytes!("../../../../tests/keys/test-only-p256.public.pem");

fn published(key: &DecodingKey, name: &str) -> Value {
    let mut jwk = serde_json::to_value(Jwk::from_decoding_key(key, None).unwrap()).unwrap();
    jwk["kid"] = json!(name);
    jwk["use"] = json!("sig");
    jwk
}

fn rsa(name: &str) -> Value {
    published(&DecodingKey::from_rsa_pem(RSA_PUBLIC).unwrap(), name)
}

fn p256(name: &str) -> Value {
    published(&DecodingKey::from_ec_pem(P256_PUBLIC).unwrap(), name)
}

struct Running {
    server: Arc<KeyServer>,
    _stop: DropGuard,
}

fn settings(url: String) -> KeyServerSettings {
    KeyServerSettings {
        url,
        authorities: None,
        age_min: Duration::from_millis(100),
        age_max: Duration::from_hours(1),
        stale_for: Duration::from_hours(1),
        ask_every: Duration::from_millis(100),
    }
}

fn run(settings: KeyServerSettings) -> Running {
    let server = KeyServer::new(settings, Metrics::new().unwrap()).unwrap();
    let stop = CancellationToken::new();
    TaskTracker::new().spawn(Arc::clone(&server).run(stop.clone()));
    Running { server, _stop: stop.drop_guard() }
}

async fn start(answer: Answer) -> (StandIn, Running) {
    let stand_in = StandIn::start(answer).await;
    let running = run(settings(stand_in.url()));
    (stand_in, running)
}

#[tokio::test]
async fn what_a_hostile_key_server_sends_is_bounded_and_refused() {
    let stand_in = StandIn::start(Answer::Silence).await;
    let hour = Duration::from_hours(1);
    let client = KeyClient::new(&stand_in.url(), None, Duration::ZERO, hour).unwrap();
    let json = |text: &str| Answer::Text("application/json", text.to_owned());
    let large = format!("{{\"keys\":[]{}}}", " ".repeat(JWKS_BYTES_MAX));
    let many = json!({"keys": vec![rsa("a"); 65]}).to_string();
    let cases = [
        (Answer::Status(500), FetchError::Status(hyper::StatusCode::INTERNAL_SERVER_ERROR)),
        (Answer::Status(204), FetchError::Status(hyper::StatusCode::NO_CONTENT)),
        (Answer::Redirect(vec![rsa("a")]), FetchError::Status(hyper::StatusCode::TEMPORARY_REDIRECT)),
        (Answer::Endless, FetchError::Body),
        (json(&large), FetchError::Body),
        (Answer::Text("text/html", json!({"keys": [rsa("a")]}).to_string()), FetchError::ContentType),
        (json("<html>"), FetchError::Document(JwksError::NotJson)),
        (json(r#"{"keys":[],"keys":[]}"#), FetchError::Document(JwksError::NotJson)),
        (
            json(&format!("{}1{}", "[".repeat(5_000), "]".repeat(5_000))),
            FetchError::Document(JwksError::NotJson),
        ),
        (json("{}"), FetchError::Document(JwksError::NoKeys)),
        (json(r#"{"keys":[{"kty":"oct","k":"AAAA"}]}"#), FetchError::Document(JwksError::NoKeys)),
    ];
    for (answer, expected) in cases {
        stand_in.answer(answer.clone());
        assert_eq!(client.fetch().await.err(), Some(expected), "{answer:?}");
    }
    stand_in.answer(json(&many));
    assert!(matches!(client.fetch().await, Err(FetchError::Document(JwksError::Key { .. }))));
    for answer in [Answer::Drip, Answer::Silence] {
        let begun = Instant::now();
        stand_in.answer(answer.clone());
        assert_eq!(client.fetch().await.err(), Some(FetchError::TimedOut), "{answer:?}");
        assert!((4..=6).contains(&begun.elapsed().as_secs()), "{answer:?}");
    }
}

#[tokio::test]
async fn secrets_and_keys_for_other_uses_are_passed_over() {
    let secret = json!({"kty": "oct", "kid": "secret", "k": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"});
    let mut encrypts = rsa("encrypts");
    encrypts["use"] = json!("enc");
    let mut wraps = rsa("wraps");
    wraps.as_object_mut().unwrap().remove("use");
    wraps["key_ops"] = json!(["wrapKey"]);
    let mut other = rsa("other");
    other["alg"] = json!("PS256");
    let keys = vec![secret, encrypts, wraps, other, json!(7), p256("good"), rsa("good")];
    let (_stand_in, running) = start(Answer::Keys(vec![keys])).await;
    assert!(running.server.first_answer().await);
    for name in ["secret", "encrypts", "wraps", "other"] {
        assert!(running.server.find(Some(name)).is_none(), "{name}");
    }
    let good = running.server.find(Some("good")).unwrap();
    assert_eq!(good.algorithm(), crate::auth::Algorithm::Es256, "the first of a name counts");
}

#[tokio::test]
async fn an_unknown_name_is_asked_for_once_however_many_wait() {
    let (stand_in, running) = start(Answer::Keys(vec![vec![rsa("a")], vec![rsa("a"), p256("b")]])).await;
    stand_in.cache_control("max-age=3600");
    assert!(running.server.first_answer().await);
    let sought = join_all((0..50).map(|_| running.server.seek(Some("b")))).await;
    assert!(sought.iter().all(|sought| matches!(sought, Sought::Found(_))), "{sought:?}");
    assert!(stand_in.asked() <= 3, "{}", stand_in.asked());
}

#[tokio::test]
async fn made_up_names_do_not_hammer_the_key_server() {
    let (stand_in, running) = start(Answer::Keys(vec![vec![rsa("a")]])).await;
    stand_in.cache_control("max-age=3600");
    assert!(running.server.first_answer().await);
    let begun = Instant::now();
    for round in 0..20 {
        let names: Vec<String> = (0..50).map(|number| format!("{round}-{number}")).collect();
        let sought = join_all(names.iter().map(|name| running.server.seek(Some(name)))).await;
        assert!(sought.iter().all(|sought| matches!(sought, Sought::Unknown)), "{sought:?}");
    }
    // As many as the time allows, and no more for a thousand names.
    let allowed = begun.elapsed().as_millis() / 100 + 2;
    assert!(u128::from(stand_in.asked()) <= allowed, "{} of {allowed}", stand_in.asked());
    let asked = stand_in.asked();
    assert!(matches!(running.server.seek(Some("0-0")).await, Sought::Unknown));
    assert_eq!(stand_in.asked(), asked, "what is known not to exist is not asked for");
}

#[tokio::test]
async fn keys_stay_good_while_their_server_fails_and_not_for_ever() {
    let stand_in = StandIn::start(Answer::Keys(vec![vec![rsa("a")]])).await;
    let stale_for = Duration::from_millis(1_500);
    let running = run(KeyServerSettings { stale_for, ..settings(stand_in.url()) });
    stand_in.cache_control("no-store");
    assert!(running.server.first_answer().await);
    stand_in.answer(Answer::Status(503));
    let failed = stand_in.asked() + 2;
    eventually("it failed twice", async || stand_in.asked() >= failed).await;
    assert!(running.server.find(Some("a")).is_some());
    eventually("they are out of date", async || running.server.find(Some("a")).is_none()).await;
    assert!(matches!(running.server.seek(Some("a")).await, Sought::Unavailable));
    stand_in.answer(Answer::Keys(vec![vec![rsa("a")]]));
    eventually("they are back", async || running.server.find(Some("a")).is_some()).await;
}

#[tokio::test]
async fn a_withdrawn_key_is_told_once_and_a_flapping_one_never() {
    let (both, one) = (vec![rsa("a"), p256("b")], vec![p256("b")]);
    let flapping = [both.clone(), one.clone(), both.clone(), one.clone(), one.clone(), both.clone()];
    let (stand_in, running) = start(Answer::Keys([&flapping[..], &flapping[..]].concat())).await;
    stand_in.cache_control("no-store");
    let mut withdrawals = running.server.withdrawals();
    eventually("it flapped", async || stand_in.asked() > 12).await;
    assert!(!withdrawals.has_changed().unwrap());
    stand_in.answer(Answer::Keys(vec![one]));
    withdrawals.changed().await.unwrap();
    assert!(running.server.find(Some("a")).is_none() && running.server.find(Some("b")).is_some());
    let asked = stand_in.asked();
    eventually("it is asked further", async || stand_in.asked() > asked + 3).await;
    assert!(!withdrawals.has_changed().unwrap());
}

fn now_s() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs()
}

fn sign(name: &str, claims: &Value) -> String {
    use base64::Engine as _;
    let encode = |value: &Value| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(value.to_string());
    let signed =
        format!("{}.{}", encode(&json!({"alg": "RS256", "typ": "JWT", "kid": name})), encode(claims));
    let key = EncodingKey::from_rsa_pem(RSA_PRIVATE).unwrap();
    let signature = crypto::sign(signed.as_bytes(), &key, jsonwebtoken::Algorithm::RS256).unwrap();
    format!("{signed}.{signature}")
}

fn google_claims() -> Value {
    json!({
        "iss": "https://securetoken.google.com/agents-prod", "aud": "agents-prod", "sub": "uid1",
        "iat": now_s() - 10, "exp": now_s() + 3_590, "auth_time": now_s() - 100, "user_id": "uid1",
        "firebase": {"identities": {}, "sign_in_provider": "anonymous"},
    })
}

async fn firebase(stand_in: &StandIn) -> (JwtAuthenticator, Running) {
    let running = run(settings(stand_in.url()));
    assert!(running.server.first_answer().await);
    let rules = FirebaseRules {
        project: "agents-prod".to_owned(),
        tenant: "consumers".to_owned(),
        rights: RightsClaim::everything(),
        leeway: Duration::from_secs(5),
        lifetime_max: Duration::from_hours(24),
    };
    let issuer = Issuer::firebase(Arc::clone(&running.server), rules);
    (JwtAuthenticator::new(vec![issuer]).unwrap(), running)
}

#[tokio::test]
async fn a_token_of_firebase_makes_a_principal() {
    let stand_in = StandIn::start(Answer::Keys(vec![vec![rsa("g1")]])).await;
    let (authenticator, _running) = firebase(&stand_in).await;
    let principal =
        authenticator.authenticate(&sign("g1", &google_claims()), SystemTime::now()).await.unwrap();
    assert_eq!((&**principal.tenant(), &**principal.agent()), ("consumers", "uid1"));
    assert!(principal.rights().may_publish("any") && !principal.rights().is_admin());
    let mut claims = google_claims();
    claims["firebase"]["tenant"] = json!("acme-x1y2z");
    claims["relay"] = json!({"subscribe": ["news.*"]});
    let principal = authenticator.authenticate(&sign("g1", &claims), SystemTime::now()).await.unwrap();
    assert_eq!(&**principal.tenant(), "acme-x1y2z");
    assert!(principal.rights().may_subscribe("news.a") && !principal.rights().may_publish("any"));
}

#[tokio::test]
async fn a_token_that_breaks_a_rule_of_firebase_is_refused() {
    let stand_in = StandIn::start(Answer::Keys(vec![vec![rsa("g1")]])).await;
    let (authenticator, _running) = firebase(&stand_in).await;
    let invalid = |claim| AuthError::InvalidClaim { claim };
    let long = "u".repeat(129);
    let cases = [
        ("iss", json!("https://securetoken.google.com/other"), AuthError::WrongIssuer),
        ("iss", json!("https://securetoken.google.com/agents-prod/"), AuthError::WrongIssuer),
        ("iss", json!("agents-prod"), AuthError::WrongIssuer),
        ("aud", json!("other"), AuthError::WrongAudience),
        ("aud", json!(["agents-prod"]), invalid("aud")),
        ("sub", json!(""), invalid("sub")),
        ("sub", json!(long), invalid("sub")),
        ("sub", json!("a/b"), invalid("sub")),
        ("exp", json!(now_s() - 6), AuthError::Expired),
        ("iat", json!(now_s() + 60), AuthError::NotYetValid),
        ("auth_time", json!(now_s() + 60), AuthError::NotYetValid),
        ("auth_time", json!("1"), invalid("auth_time")),
        ("auth_time", Value::Null, invalid("auth_time")),
        ("firebase", json!({"tenant": "a/b"}), invalid("firebase")),
        ("firebase", json!({"tenant": 1}), invalid("firebase")),
    ];
    for (claim, value, expected) in cases {
        let mut claims = google_claims();
        claims[claim] = value.clone();
        let refused = authenticator.authenticate(&sign("g1", &claims), SystemTime::now()).await;
        assert_eq!(refused.err(), Some(expected), "{claim}: {value}");
    }
    for claim in ["iss", "aud", "sub", "exp", "iat", "auth_time"] {
        let mut claims = google_claims();
        claims.as_object_mut().unwrap().remove(claim);
        let refused = authenticator.authenticate(&sign("g1", &claims), SystemTime::now()).await;
        assert_eq!(refused.err(), Some(AuthError::MissingClaim { claim }), "{claim}");
    }
}

#[tokio::test]
async fn each_issuer_judges_by_its_own_rules() {
    let stand_in = StandIn::start(Answer::Keys(vec![vec![rsa("g1")]])).await;
    let (_, running) = firebase(&stand_in).await;
    let rules = JwtRules::new("https://securetoken.google.com/agents-prod", "agents-prod");
    let mut fixed = crate::auth::KeySet::new();
    fixed.add_pem(None, crate::auth::Algorithm::Rs256, RSA_PUBLIC).unwrap();
    let firebase = FirebaseRules {
        project: "other-project".to_owned(),
        tenant: "t".to_owned(),
        rights: RightsClaim::default(),
        leeway: Duration::ZERO,
        lifetime_max: Duration::from_hours(1),
    };
    let issuers =
        vec![Issuer::firebase(Arc::clone(&running.server), firebase), Issuer::fixed(fixed, rules).unwrap()];
    let authenticator = JwtAuthenticator::new(issuers).unwrap();
    let mut claims = google_claims();
    claims["tid"] = json!("acme");
    let judged = authenticator.authenticate(&sign("g1", &claims), SystemTime::now()).await;
    assert_eq!(
        judged.err(),
        Some(AuthError::WrongIssuer),
        "Google's keys are judged by Firebase's rules alone"
    );
    let own = authenticator.authenticate(&sign("own", &claims), SystemTime::now()).await;
    assert!(own.is_ok(), "a key without a name is good for names that the key server does not have");
    stand_in.answer(Answer::Keys(vec![vec![rsa("g1"), rsa("fresh")]]));
    let judged = authenticator.authenticate(&sign("fresh", &claims), SystemTime::now()).await;
    assert_eq!(
        judged.err(),
        Some(AuthError::WrongIssuer),
        "and does not keep a new name from being looked for"
    );
}

#[tokio::test]
async fn without_an_answer_a_token_is_refused_for_the_time_being_and_soon() {
    let stand_in = StandIn::start(Answer::Silence).await;
    let running = run(settings(stand_in.url()));
    let issuer = Issuer::published(Arc::clone(&running.server), JwtRules::new("i", "a")).unwrap();
    let authenticator = JwtAuthenticator::new(vec![issuer]).unwrap();
    let token = sign("g1", &google_claims());
    let judged = timeout(Duration::from_secs(3), authenticator.authenticate(&token, SystemTime::now())).await;
    assert_eq!(judged.unwrap().err(), Some(AuthError::KeysUnavailable));
}

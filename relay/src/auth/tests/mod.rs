//! Tokens, genuine and forged, and what becomes of them.

mod claims;
mod header;
mod keyset;
mod mint;
mod mutation;
mod rights;
mod shape;
mod time;
mod valid;

use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::FutureExt as _;
use jsonwebtoken::{EncodingKey, crypto};
use serde_json::{Value, json};

use crate::auth::Algorithm;
use crate::auth::AuthError;
use crate::auth::Authenticator;
use crate::auth::Issuer;
use crate::auth::JwtAuthenticator;
use crate::auth::JwtRules;
use crate::auth::KeySet;
use crate::auth::Principal;
use crate::auth::jwt::JwtRulesError;
use crate::config::Secret;

const NOW_S: u64 = 1_800_000_000;
const SECRET: &[u8] = b"a secret of tests, 32 bytes long";
const RSA_PRIVATE: &[u8] = include_bytes!("../../../tests/keys/test-only-rsa-2048.private.pem");
const RSA_PUBLIC: &[u8] = include_bytes!("../../../tests/keys/test-only-rsa-2048.public.pem");
const P256_PRIVATE: &[u8] = include_bytes!("../../../tests/keys/test-only-p256.private.pem");
const P256_PUBLIC: &[u8] = include_bytes!("../../../tests/keys/test-only-p256.public.pem");
const ED25519_PRIVATE: &[u8] = include_bytes!("../../../tests/keys/test-only-ed25519.private.pem");
const ED25519_PUBLIC: &[u8] = include_bytes!("../../../tests/keys/test-only-ed25519.public.pem");

/// A token that is refused, and why.
type Forgery = (&'static str, String, AuthError);

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

fn secret() -> Secret {
    Secret::from(SECRET.to_vec())
}

/// Each algorithm, with the name of its key.
const KEY_IDS: [(Algorithm, &str); 4] =
    [(Algorithm::Hs256, "hs"), (Algorithm::Rs256, "rs"), (Algorithm::Es256, "es"), (Algorithm::EdDsa, "ed")];

fn signing_key(algorithm: Algorithm) -> EncodingKey {
    match algorithm {
        Algorithm::Hs256 => EncodingKey::from_secret(SECRET),
        Algorithm::Rs256 => EncodingKey::from_rsa_pem(RSA_PRIVATE).unwrap(),
        Algorithm::Es256 => EncodingKey::from_ec_pem(P256_PRIVATE).unwrap(),
        Algorithm::EdDsa => EncodingKey::from_ed_pem(ED25519_PRIVATE).unwrap(),
    }
}

fn keys() -> KeySet {
    let mut keys = KeySet::new();
    keys.add_secret(Some("hs"), &secret()).unwrap();
    keys.add_pem(Some("rs"), Algorithm::Rs256, RSA_PUBLIC).unwrap();
    keys.add_pem(Some("es"), Algorithm::Es256, P256_PUBLIC).unwrap();
    keys.add_pem(Some("ed"), Algorithm::EdDsa, ED25519_PUBLIC).unwrap();
    keys
}

fn rules() -> JwtRules {
    JwtRules::new("https://issuer.test", "relay")
}

fn trusting(keys: KeySet, rules: JwtRules) -> Result<JwtAuthenticator, JwtRulesError> {
    JwtAuthenticator::new(vec![Issuer::fixed(keys, rules)?])
}

/// What an authenticator says without waiting.
trait AtOnce {
    fn at_once(&self, token: &str, now: SystemTime) -> Result<Principal, AuthError>;
}

impl AtOnce for JwtAuthenticator {
    fn at_once(&self, token: &str, now: SystemTime) -> Result<Principal, AuthError> {
        self.authenticate(token, now).now_or_never().unwrap()
    }
}

fn authenticator() -> JwtAuthenticator {
    trusting(keys(), rules()).unwrap()
}

fn authenticate(token: &str) -> Result<Principal, AuthError> {
    authenticator().at_once(token, at(NOW_S))
}

fn check_refused(forgeries: &[Forgery]) {
    let authenticator = authenticator();
    for (name, token, expected) in forgeries {
        let answer = authenticator.at_once(token, at(NOW_S)).map(|_| "accepted");
        assert_eq!(answer, Err(*expected), "{name}");
    }
}

fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A token of any two parts, signed as its key would.
fn sign(algorithm: Algorithm, header: &[u8], payload: &[u8]) -> String {
    sign_encoded(algorithm, &format!("{}.{}", encode(header), encode(payload)))
}

fn sign_encoded(algorithm: Algorithm, signed: &str) -> String {
    let key = signing_key(algorithm);
    let signature = crypto::sign(signed.as_bytes(), &key, algorithm.in_library()).unwrap();
    format!("{signed}.{signature}")
}

fn header() -> Value {
    json!({"alg": "HS256", "typ": "JWT", "kid": "hs"})
}

fn claims() -> Value {
    json!({
        "iss": "https://issuer.test", "aud": "relay", "sub": "alice", "tid": "acme",
        "iat": NOW_S - 60, "exp": NOW_S + 540, "jti": "f81d4fae-7dec-11d0-a765-00a0c91e6bf6",
        "relay": {"publish": ["jobs.*"], "subscribe": ["jobs.*"], "send": ["agent/*"], "admin": false},
    })
}

/// A token signed by the right key, but for its header.
fn with_header(header: &Value) -> String {
    sign(Algorithm::Hs256, header.to_string().as_bytes(), claims().to_string().as_bytes())
}

/// A token signed by the right key, with one member of its header changed.
fn header_member(name: &str, value: Value) -> String {
    with_header(&changed(header(), name, value))
}

/// A token signed by the right key, but for its payload.
fn with_payload(payload: impl AsRef<[u8]>) -> String {
    sign(Algorithm::Hs256, header().to_string().as_bytes(), payload.as_ref())
}

/// A token signed by the right key, with one claim changed.
fn claim(name: &str, value: Value) -> String {
    with_payload(changed(claims(), name, value).to_string())
}

/// A token signed by the right key, without one claim.
fn without(name: &str) -> String {
    let mut claims = claims();
    claims.as_object_mut().unwrap().remove(name);
    with_payload(claims.to_string())
}

fn changed(mut object: Value, name: &str, value: Value) -> Value {
    object.as_object_mut().unwrap().insert(name.to_owned(), value);
    object
}

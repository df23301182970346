//! Tokens of our own making.

use super::*;
use crate::auth::Minter;
use crate::auth::RightsClaim;
use crate::auth::TokenRequest;
use crate::auth::keyset::KeyError;
use crate::auth::mint::{MintError, random_secret};
use crate::auth::rights::InvalidRight;

const ISSUER: &str = "https://issuer.test";
const P256_SEC1: &[u8] = include_bytes!("../../../tests/keys/test-only-p256.sec1.pem");
const P384_PRIVATE: &[u8] = include_bytes!("../../../tests/keys/test-only-p384.private.pem");

fn pem(bytes: &[u8]) -> Secret {
    Secret::from(bytes.to_vec())
}

fn request() -> TokenRequest {
    let send = vec!["agent/*".to_owned()];
    let rights = RightsClaim { send, admin: true, ..RightsClaim::default() };
    TokenRequest {
        tenant: "acme".to_owned(),
        agent: "alice".to_owned(),
        ttl: Duration::from_mins(10),
        rights,
    }
}

#[test]
fn each_kind_of_key_makes_tokens_that_are_accepted() {
    let minters = [
        Minter::hs256(&secret(), Some("hs"), ISSUER, "relay"),
        Minter::from_pem(&pem(RSA_PRIVATE), Some("rs"), ISSUER, "relay"),
        Minter::from_pem(&pem(P256_PRIVATE), Some("es"), ISSUER, "relay"),
        Minter::from_pem(&pem(ED25519_PRIVATE), Some("ed"), ISSUER, "relay"),
    ];
    for minter in minters {
        let minter = minter.unwrap();
        let principal = authenticate(&minter.mint(&request(), at(NOW_S)).unwrap()).unwrap();
        assert_eq!((&**principal.tenant(), &**principal.agent()), ("acme", "alice"));
        assert_eq!((principal.issued_at(), principal.expires_at()), (at(NOW_S), at(NOW_S + 600)));
        assert_eq!(**principal.rights(), crate::auth::Rights::new(&request().rights).unwrap());
        let again = authenticate(&minter.mint(&request(), at(NOW_S)).unwrap()).unwrap();
        assert_ne!(principal.token_id().unwrap(), again.token_id().unwrap());
    }
}

#[test]
fn a_development_key_is_good_for_itself_alone() {
    let (ours, theirs) = (random_secret(), random_secret());
    let mut keys = KeySet::new();
    keys.add_secret(None, &ours).unwrap();
    let authenticator = trusting(keys, rules()).unwrap();
    let token_of =
        |secret| Minter::hs256(secret, None, ISSUER, "relay").unwrap().mint(&request(), at(NOW_S)).unwrap();
    assert!(authenticator.at_once(&token_of(&ours), at(NOW_S)).is_ok());
    assert_eq!(authenticator.at_once(&token_of(&theirs), at(NOW_S)).err(), Some(AuthError::BadSignature));
}

#[test]
fn a_token_that_would_be_refused_is_not_made() {
    let minter = Minter::hs256(&secret(), None, ISSUER, "relay").unwrap();
    let refusal = |request: TokenRequest| minter.mint(&request, at(NOW_S)).unwrap_err();
    assert_eq!(refusal(TokenRequest { tenant: "a:b".to_owned(), ..request() }), MintError::Tenant);
    assert_eq!(refusal(TokenRequest { agent: String::new(), ..request() }), MintError::Agent);
    assert_eq!(refusal(TokenRequest { ttl: Duration::from_millis(999), ..request() }), MintError::Lifetime);
    assert_eq!(refusal(TokenRequest { ttl: Duration::MAX, ..request() }), MintError::Lifetime);
    let rights = RightsClaim { publish: vec!["a*".to_owned()], ..RightsClaim::default() };
    let error = MintError::Rights(InvalidRight::Pattern { list: "publish" });
    assert_eq!(refusal(TokenRequest { rights, ..request() }), error);
    let rights = RightsClaim { publish: vec!["a".repeat(128); 50], ..RightsClaim::default() };
    assert_eq!(refusal(TokenRequest { rights, ..request() }), MintError::TooLong);
}

#[test]
fn a_key_that_cannot_sign_is_refused() {
    let refusal = |key: &[u8]| Minter::from_pem(&pem(key), None, ISSUER, "relay").unwrap_err();
    for key in [b"" as &[u8], b"rubbish", RSA_PUBLIC, P256_PUBLIC, P256_SEC1, P384_PRIVATE] {
        assert_eq!(refusal(key), MintError::PrivateKey);
    }
    let short = Minter::hs256(&pem(&[7; 31]), None, ISSUER, "relay").unwrap_err();
    assert_eq!(short, MintError::Secret(KeyError::SecretTooShort { bytes: 31 }));
}

#[test]
fn a_minter_prints_no_key() {
    let printed = format!("{:?}", Minter::hs256(&secret(), None, ISSUER, "relay").unwrap());
    let bytes = format!("{SECRET:?}");
    assert!(
        !printed.contains(bytes.trim_matches(['[', ']'])) && !printed.contains("a secret of tests"),
        "{printed}"
    );
}

//! Tokens that are accepted, and what a principal is then.

use std::collections::HashSet;

use relay_protocol::CloseCode;
use serde_json::json;

use super::*;
use crate::auth::rights::InvalidRight;

#[test]
fn each_algorithm_authenticates() {
    for (algorithm, key_id) in KEY_IDS {
        let header = json!({"alg": algorithm.name(), "typ": "JWT", "kid": key_id}).to_string();
        let principal =
            authenticate(&sign(algorithm, header.as_bytes(), claims().to_string().as_bytes())).unwrap();
        assert_eq!((&**principal.tenant(), &**principal.agent()), ("acme", "alice"), "{algorithm}");
        assert_eq!(principal.token_id().map(|id| &**id), Some("f81d4fae-7dec-11d0-a765-00a0c91e6bf6"));
        assert_eq!((principal.issued_at(), principal.expires_at()), (at(NOW_S - 60), at(NOW_S + 540)));
        let rights = principal.rights();
        assert!(rights.may_publish("jobs.a") && rights.may_subscribe("jobs.*") && !rights.is_admin());
        assert!(!rights.may_publish("other") && !rights.may_subscribe("*"));
    }
}

#[test]
fn what_is_not_granted_is_refused() {
    for token in [without("relay"), claim("relay", json!({})), claim("relay", json!({"later": ["*"]}))] {
        let principal = authenticate(&token).unwrap();
        assert_eq!(**principal.rights(), crate::auth::Rights::default());
        assert!(!principal.rights().may_publish("a") && !principal.rights().may_subscribe("a"));
    }
    assert!(authenticate(&claim("relay", json!({"admin": true}))).unwrap().rights().is_admin());
}

#[test]
fn claims_may_be_more_or_fewer_than_ours() {
    for token in [
        claim("aud", json!(["billing", "relay"])),
        claim("nbf", json!(NOW_S)),
        claim("nbf", json!(0)),
        claim("scope", json!({"any": [1.5, -3, null, "é", true]})),
        with_payload(format!(" \n{}\t", claims())),
    ] {
        assert!(authenticate(&token).is_ok(), "{token}");
    }
}

#[test]
fn several_issuers_may_be_trusted() {
    let issuers = vec!["https://issuer.test".to_owned(), "https://second.test".to_owned()];
    let both = trusting(keys(), JwtRules { issuers, ..rules() }).unwrap();
    for (issuer, is_trusted) in
        [("https://issuer.test", true), ("https://second.test", true), ("https://third.test", false)]
    {
        assert_eq!(both.at_once(&claim("iss", json!(issuer)), at(NOW_S)).is_ok(), is_trusted, "{issuer}");
    }
}

#[test]
fn rules_that_could_accept_no_token_are_refused() {
    let error = |keys, rules| trusting(keys, rules).map(|_| ()).unwrap_err();
    assert_eq!(error(KeySet::new(), rules()), JwtRulesError::NoKey);
    assert_eq!(error(keys(), JwtRules { issuers: Vec::new(), ..rules() }), JwtRulesError::NoIssuer);
    assert_eq!(error(keys(), JwtRules::new("", "relay")), JwtRulesError::NoIssuer);
    assert_eq!(error(keys(), JwtRules::new("https://issuer.test", "")), JwtRulesError::NoAudience);
}

#[test]
fn each_refusal_has_its_label_and_close_code() {
    let rights = InvalidRight::TooMany { list: "send" };
    let errors = [
        (AuthError::TooLong, CloseCode::TokenInvalid),
        (AuthError::Malformed, CloseCode::TokenInvalid),
        (AuthError::Header { member: "typ" }, CloseCode::TokenInvalid),
        (AuthError::UnknownKey, CloseCode::TokenInvalid),
        (AuthError::WrongAlgorithm, CloseCode::TokenInvalid),
        (AuthError::BadSignature, CloseCode::TokenInvalid),
        (AuthError::MissingClaim { claim: "sub" }, CloseCode::TokenInvalid),
        (AuthError::InvalidClaim { claim: "sub" }, CloseCode::TokenInvalid),
        (AuthError::WrongIssuer, CloseCode::TokenInvalid),
        (AuthError::WrongAudience, CloseCode::Forbidden),
        (AuthError::Expired, CloseCode::TokenExpired),
        (AuthError::NotYetValid, CloseCode::TokenInvalid),
        (AuthError::LivesTooLong, CloseCode::TokenInvalid),
        (AuthError::KeyWithdrawn, CloseCode::TokenExpired),
        (AuthError::KeysUnavailable, CloseCode::Unavailable),
        (AuthError::Revoked, CloseCode::Revoked),
        (AuthError::RevocationsUnavailable, CloseCode::Unavailable),
        (AuthError::UnknownApiKey, CloseCode::TokenInvalid),
        (AuthError::ApiKeysUnavailable, CloseCode::Unavailable),
        (AuthError::Rights(rights), CloseCode::TokenInvalid),
    ];
    let labels: HashSet<&str> = errors.iter().map(|(error, _)| error.label()).collect();
    assert_eq!(labels.len(), errors.len());
    for (error, close_code) in errors {
        assert_eq!(error.close_code(), close_code, "{error}");
    }
}

#[test]
fn what_holds_keys_prints_none() {
    let printed = format!("{:?} {:?}", authenticator(), secret());
    let bytes = format!("{SECRET:?}");
    assert!(
        !printed.contains("a secret of tests") && !printed.contains(bytes.trim_matches(['[', ']'])),
        "{printed}"
    );
}

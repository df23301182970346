//! Claims that are genuine and still not acceptable.

use serde_json::json;

use super::*;
use crate::auth::rights::InvalidRight;

fn missing(claim: &'static str) -> AuthError {
    AuthError::MissingClaim { claim }
}

fn invalid(claim: &'static str) -> AuthError {
    AuthError::InvalidClaim { claim }
}

#[test]
fn a_token_of_another_issuer_or_for_another_audience_is_refused() {
    check_refused(&[
        ("no iss", without("iss"), missing("iss")),
        ("another iss", claim("iss", json!("https://eve.test")), AuthError::WrongIssuer),
        ("iss with a slash more", claim("iss", json!("https://issuer.test/")), AuthError::WrongIssuer),
        ("empty iss", claim("iss", json!("")), AuthError::WrongIssuer),
        ("iss is a list", claim("iss", json!(["https://issuer.test"])), invalid("iss")),
        ("iss is null", claim("iss", json!(null)), invalid("iss")),
        ("no aud", without("aud"), missing("aud")),
        ("another aud", claim("aud", json!("billing")), AuthError::WrongAudience),
        ("longer aud", claim("aud", json!("relay2")), AuthError::WrongAudience),
        ("empty aud", claim("aud", json!("")), AuthError::WrongAudience),
        ("an empty list", claim("aud", json!([])), AuthError::WrongAudience),
        ("a list of others", claim("aud", json!(["billing", "Relay"])), AuthError::WrongAudience),
        ("a list with a number", claim("aud", json!(["relay", 1])), invalid("aud")),
        ("a list in a list", claim("aud", json!([["relay"]])), invalid("aud")),
        ("aud is a map", claim("aud", json!({"relay": true})), invalid("aud")),
        ("aud is null", claim("aud", json!(null)), invalid("aud")),
    ]);
}

/// What would reach further than its own name, in a key, a pattern, a log or a comparison.
const DANGEROUS: [&str; 17] = [
    "",
    "*",
    "a*",
    "a:b",
    "a/b",
    "a b",
    " a",
    "a\r\nb",
    "a\n",
    "a\0",
    "a~b",
    "e\u{301}",
    "é",
    "a\u{202e}b",
    "{a}",
    "../a",
    "a,b",
];

#[test]
fn names_are_of_the_one_form() {
    let mut forgeries = vec![
        ("no sub", without("sub"), missing("sub")),
        ("sub is a number", claim("sub", json!(7)), invalid("sub")),
        ("sub is null", claim("sub", json!(null)), invalid("sub")),
        ("sub begins with a dot", claim("sub", json!(".a")), invalid("sub")),
        ("sub is too long", claim("sub", json!("a".repeat(129))), invalid("sub")),
        ("no tid", without("tid"), missing("tid")),
        ("tid is a list", claim("tid", json!(["acme"])), invalid("tid")),
        ("tid is null", claim("tid", json!(null)), invalid("tid")),
        ("tid has a dot", claim("tid", json!("a.b")), invalid("tid")),
        ("tid is too long", claim("tid", json!("a".repeat(65))), invalid("tid")),
    ];
    for name in DANGEROUS {
        forgeries.push((name, claim("sub", json!(name)), invalid("sub")));
        forgeries.push((name, claim("tid", json!(name)), invalid("tid")));
    }
    check_refused(&forgeries);
    assert!(authenticate(&claim("sub", json!("a".repeat(128)))).is_ok());
    assert!(authenticate(&claim("tid", json!("a".repeat(64)))).is_ok());
}

#[test]
fn times_are_integers() {
    for name in ["exp", "iat", "nbf"] {
        let raw = |value: &str| {
            let text = changed(claims(), name, json!("PLACE")).to_string().replace("\"PLACE\"", value);
            with_payload(text)
        };
        let second = NOW_S - 1;
        check_refused(&[
            ("text", raw(&format!("\"{second}\"")), invalid(name)),
            ("empty text", raw("\"\""), invalid(name)),
            ("a fraction", raw(&format!("{second}.5")), invalid(name)),
            ("a fraction of zero", raw(&format!("{second}.0")), invalid(name)),
            ("an exponent", raw("1.8e9"), invalid(name)),
            ("negative", raw("-1"), invalid(name)),
            ("minus zero", raw("-0"), invalid(name)),
            ("over 64 bits", raw("18446744073709551616"), invalid(name)),
            ("null", raw("null"), invalid(name)),
            ("a boolean", raw("true"), invalid(name)),
            ("a list", raw(&format!("[{second}]")), invalid(name)),
            ("a map", raw("{}"), invalid(name)),
        ]);
    }
    check_refused(&[("no exp", without("exp"), missing("exp")), ("no iat", without("iat"), missing("iat"))]);
}

#[test]
fn a_token_id_is_short_and_printable() {
    check_refused(&[
        ("empty", claim("jti", json!("")), invalid("jti")),
        ("a number", claim("jti", json!(7)), invalid("jti")),
        ("null", claim("jti", json!(null)), invalid("jti")),
        ("too long", claim("jti", json!("a".repeat(129))), invalid("jti")),
        ("a blank", claim("jti", json!("a b")), invalid("jti")),
        ("a line end", claim("jti", json!("a\r\n")), invalid("jti")),
        ("not ASCII", claim("jti", json!("é")), invalid("jti")),
    ]);
    assert!(authenticate(&without("jti")).unwrap().token_id().is_none());
    assert!(authenticate(&claim("jti", json!("a".repeat(128)))).is_ok());
}

#[test]
fn rights_that_cannot_be_granted_are_refused_and_not_passed_over() {
    let relay = |rights| claim("relay", rights);
    let wrong_type = |member| AuthError::Rights(InvalidRight::Type { member });
    let pattern = |list| AuthError::Rights(InvalidRight::Pattern { list });
    check_refused(&[
        ("null", relay(json!(null)), wrong_type("relay")),
        ("a list", relay(json!(["agent/*"])), wrong_type("relay")),
        ("text", relay(json!("admin")), wrong_type("relay")),
        ("text for a list", relay(json!({"publish": "*"})), wrong_type("publish")),
        ("null for a list", relay(json!({"subscribe": null})), wrong_type("subscribe")),
        ("true for a list", relay(json!({"send": true})), wrong_type("send")),
        ("admin as text", relay(json!({"admin": "true"})), wrong_type("admin")),
        ("admin as a number", relay(json!({"admin": 1})), wrong_type("admin")),
        ("a number in a list", relay(json!({"publish": ["a", 1]})), pattern("publish")),
        ("no topic", relay(json!({"publish": ["a..b"]})), pattern("publish")),
        ("a star inside", relay(json!({"subscribe": ["a.*.b"]})), pattern("subscribe")),
        ("a star in a word", relay(json!({"subscribe": ["a*"]})), pattern("subscribe")),
        ("one bad among good", relay(json!({"send": ["agent/*", "everyone"]})), pattern("send")),
        (
            "too many",
            relay(json!({"publish": vec!["a"; 257]})),
            AuthError::Rights(InvalidRight::TooMany { list: "publish" }),
        ),
    ]);
}

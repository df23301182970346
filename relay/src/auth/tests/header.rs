//! Headers that try to choose the algorithm, the key or the rules.

use serde_json::json;

use super::*;

fn wrong(member: &'static str) -> AuthError {
    AuthError::Header { member }
}

#[test]
fn the_algorithm_is_never_taken_from_the_token() {
    let unsigned = |alg: &str| {
        format!("{}.{}.", encode(json!({"alg": alg, "kid": "hs"}).to_string()), encode(claims().to_string()))
    };
    let labelled = |signed_by: Algorithm, alg: &str, kid: &str| {
        let header = json!({"alg": alg, "typ": "JWT", "kid": kid}).to_string();
        sign(signed_by, header.as_bytes(), claims().to_string().as_bytes())
    };
    // The old trick: the public key, which everyone has, as the secret of an HMAC.
    let confused = |kid: &str, public: &[u8]| {
        let header = json!({"alg": "HS256", "kid": kid}).to_string();
        let signed = format!("{}.{}", encode(header), encode(claims().to_string()));
        let key = EncodingKey::from_secret(public);
        format!("{signed}.{}", crypto::sign(signed.as_bytes(), &key, jsonwebtoken::Algorithm::HS256).unwrap())
    };
    check_refused(&[
        ("none", unsigned("none"), AuthError::WrongAlgorithm),
        ("None", unsigned("None"), AuthError::WrongAlgorithm),
        ("NONE", unsigned("NONE"), AuthError::WrongAlgorithm),
        ("nOnE", unsigned("nOnE"), AuthError::WrongAlgorithm),
        ("empty", unsigned(""), AuthError::WrongAlgorithm),
        ("HS256 without signature", unsigned("HS256"), AuthError::BadSignature),
        ("none over a good HMAC", labelled(Algorithm::Hs256, "none", "hs"), AuthError::WrongAlgorithm),
        ("hs256", labelled(Algorithm::Hs256, "hs256", "hs"), AuthError::WrongAlgorithm),
        ("HS384", labelled(Algorithm::Hs256, "HS384", "hs"), AuthError::WrongAlgorithm),
        ("HS256 with a blank", labelled(Algorithm::Hs256, "HS256 ", "hs"), AuthError::WrongAlgorithm),
        ("RS256 over an HMAC", labelled(Algorithm::Hs256, "RS256", "hs"), AuthError::WrongAlgorithm),
        ("HMAC under an RSA key's name", labelled(Algorithm::Hs256, "RS256", "rs"), AuthError::BadSignature),
        ("PS256 for an RS256 key", labelled(Algorithm::Rs256, "PS256", "rs"), AuthError::WrongAlgorithm),
        ("RS512 for an RS256 key", labelled(Algorithm::Rs256, "RS512", "rs"), AuthError::WrongAlgorithm),
        ("RSA under a P-256 key's name", labelled(Algorithm::Rs256, "ES256", "es"), AuthError::BadSignature),
        (
            "P-256 under an Ed25519 key's name",
            labelled(Algorithm::Es256, "EdDSA", "ed"),
            AuthError::BadSignature,
        ),
        ("the RSA public key as secret", confused("rs", RSA_PUBLIC), AuthError::WrongAlgorithm),
        ("the P-256 public key as secret", confused("es", P256_PUBLIC), AuthError::WrongAlgorithm),
        ("the Ed25519 public key as secret", confused("ed", ED25519_PUBLIC), AuthError::WrongAlgorithm),
        ("the RSA public key under the secret's name", confused("hs", RSA_PUBLIC), AuthError::BadSignature),
        ("alg is missing", with_header(&json!({"typ": "JWT", "kid": "hs"})), wrong("alg")),
        ("alg is a number", header_member("alg", json!(256)), wrong("alg")),
        ("alg is null", header_member("alg", json!(null)), wrong("alg")),
        ("alg is a list", header_member("alg", json!(["HS256"])), wrong("alg")),
    ]);
}

#[test]
fn a_token_cannot_bring_its_own_key_or_rules() {
    let own_key = json!({"kty": "oct", "k": encode(SECRET)});
    check_refused(&[
        ("crit", header_member("crit", json!(["exp"])), wrong("crit")),
        ("crit, empty", header_member("crit", json!([])), wrong("crit")),
        ("crit, null", header_member("crit", json!(null)), wrong("crit")),
        ("b64", header_member("b64", json!(false)), wrong("b64")),
        ("jwk", header_member("jwk", own_key), wrong("jwk")),
        ("jku", header_member("jku", json!("https://eve.test/keys")), wrong("jku")),
        ("x5u", header_member("x5u", json!("https://eve.test/chain")), wrong("x5u")),
        ("x5c", header_member("x5c", json!(["MIIB"])), wrong("x5c")),
    ]);
}

#[test]
fn only_tokens_of_the_right_kind_are_read() {
    check_refused(&[
        ("logout+jwt", header_member("typ", json!("logout+jwt")), wrong("typ")),
        ("dpop+jwt", header_member("typ", json!("dpop+jwt")), wrong("typ")),
        ("JOSE", header_member("typ", json!("JOSE")), wrong("typ")),
        ("empty typ", header_member("typ", json!("")), wrong("typ")),
        ("typ with a blank", header_member("typ", json!("JWT ")), wrong("typ")),
        ("typ is null", header_member("typ", json!(null)), wrong("typ")),
        ("typ is a list", header_member("typ", json!(["JWT"])), wrong("typ")),
    ]);
    for typ in ["JWT", "jwt", "at+jwt", "at+JWT"] {
        assert!(authenticate(&header_member("typ", json!(typ))).is_ok(), "{typ}");
    }
    assert!(authenticate(&with_header(&json!({"alg": "HS256", "kid": "hs"}))).is_ok());
    assert!(authenticate(&header_member("x5t", json!("anything else"))).is_ok());
}

#[test]
fn a_key_is_found_by_its_exact_name() {
    check_refused(&[
        ("unknown", header_member("kid", json!("other")), AuthError::UnknownKey),
        ("other case", header_member("kid", json!("HS")), AuthError::UnknownKey),
        ("empty", header_member("kid", json!("")), AuthError::UnknownKey),
        ("with NUL", header_member("kid", json!("hs\0")), AuthError::UnknownKey),
        ("a path", header_member("kid", json!("../../dev/null")), AuthError::UnknownKey),
        ("a query", header_member("kid", json!("x' UNION SELECT 'key")), AuthError::UnknownKey),
        ("missing", with_header(&json!({"alg": "HS256"})), AuthError::UnknownKey),
        ("a number", header_member("kid", json!(1)), wrong("kid")),
        ("null", header_member("kid", json!(null)), wrong("kid")),
        ("of another algorithm", header_member("kid", json!("rs")), AuthError::WrongAlgorithm),
    ]);
}

#[test]
fn one_key_may_be_without_a_name() {
    let mut keys = KeySet::new();
    keys.add_secret(None, &secret()).unwrap();
    let alone = trusting(keys, rules()).unwrap();
    let (named, unnamed) = (with_header(&header()), with_header(&json!({"alg": "HS256"})));
    assert!(alone.at_once(&named, at(NOW_S)).is_ok());
    assert!(alone.at_once(&unnamed, at(NOW_S)).is_ok());

    let mut keys = KeySet::new();
    keys.add_secret(None, &secret()).unwrap();
    keys.add_pem(Some("rs"), Algorithm::Rs256, RSA_PUBLIC).unwrap();
    let among_others = trusting(keys, rules()).unwrap();
    assert!(among_others.at_once(&unnamed, at(NOW_S)).is_ok());
    assert_eq!(among_others.at_once(&named, at(NOW_S)).err(), Some(AuthError::UnknownKey));
}

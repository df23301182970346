//! Keys that can be used, and keys that cannot.

use jsonwebtoken::DecodingKey;
use jsonwebtoken::jwk::Jwk;
use serde_json::json;

use super::*;
use crate::auth::keyset::{JWKS_BYTES_MAX, JwksError, KEY_ID_BYTES_MAX, KEYS_MAX, KeyError};

const RSA_1024: &[u8] = include_bytes!("../../../tests/keys/test-only-rsa-1024.public.pem");
const RSA_4608: &[u8] = include_bytes!("../../../tests/keys/test-only-rsa-4608.public.pem");
const RSA_E3: &[u8] = include_bytes!("../../../tests/keys/test-only-rsa-e3.public.pem");
const P384: &[u8] = include_bytes!("../../../tests/keys/test-only-p384.public.pem");
const SECP256K1: &[u8] = include_bytes!("../../../tests/keys/test-only-secp256k1.public.pem");

/// The public half of a test key as a JWK, without `alg`.
fn jwk(algorithm: Algorithm) -> Value {
    let key = match algorithm {
        Algorithm::Hs256 => DecodingKey::from_secret(SECRET),
        Algorithm::Rs256 => DecodingKey::from_rsa_pem(RSA_PUBLIC).unwrap(),
        Algorithm::Es256 => DecodingKey::from_ec_pem(P256_PUBLIC).unwrap(),
        Algorithm::EdDsa => DecodingKey::from_ed_pem(ED25519_PUBLIC).unwrap(),
    };
    serde_json::to_value(Jwk::from_decoding_key(&key, None).unwrap()).unwrap()
}

fn load(keys: &Value) -> Result<usize, JwksError> {
    KeySet::new().add_jwks(json!({"keys": keys}).to_string().as_bytes())
}

fn refusal_of(key: &Value) -> KeyError {
    match load(&json!([jwk(Algorithm::Es256), key])) {
        Err(JwksError::Key { index: 1, error }) => error,
        other => panic!("{other:?}"),
    }
}

#[test]
fn keys_of_a_jwks_verify_what_their_private_halves_sign() {
    for with_algorithm in [false, true] {
        let entries: Vec<Value> = KEY_IDS
            .iter()
            .map(|(algorithm, key_id)| {
                let named = changed(changed(jwk(*algorithm), "kid", json!(key_id)), "use", json!("sig"));
                if with_algorithm { changed(named, "alg", json!(algorithm.name())) } else { named }
            })
            .collect();
        let mut keys = KeySet::new();
        let document = json!({"keys": entries, "more": 1}).to_string();
        assert_eq!(keys.add_jwks(document.as_bytes()), Ok(4));
        let authenticator = trusting(keys, rules()).unwrap();
        for (algorithm, key_id) in KEY_IDS {
            let header = json!({"alg": algorithm.name(), "kid": key_id}).to_string();
            let token = sign(algorithm, header.as_bytes(), claims().to_string().as_bytes());
            assert!(authenticator.at_once(&token, at(NOW_S)).is_ok(), "{algorithm}");
        }
    }
}

#[test]
fn a_jwk_that_cannot_be_used_is_named_with_the_reason() {
    let (hs, rs, es, ed) =
        (jwk(Algorithm::Hs256), jwk(Algorithm::Rs256), jwk(Algorithm::Es256), jwk(Algorithm::EdDsa));
    let member = |member| KeyError::Member { member };
    let wants = |wanted| KeyError::UnsupportedAlgorithm { wanted };
    let cases = [
        (json!("key"), KeyError::UnsupportedType),
        (json!({}), KeyError::UnsupportedType),
        (changed(rs.clone(), "kty", json!("rsa")), KeyError::UnsupportedType),
        (changed(es.clone(), "crv", json!("P-384")), KeyError::UnsupportedType),
        (changed(es.clone(), "crv", json!("secp256k1")), KeyError::UnsupportedType),
        (changed(ed.clone(), "crv", json!("X25519")), KeyError::UnsupportedType),
        (changed(rs.clone(), "kty", json!(1)), member("kty")),
        (changed(hs.clone(), "k", json!(encode([7; 31]))), KeyError::SecretTooShort { bytes: 31 }),
        (changed(hs.clone(), "k", json!("")), KeyError::SecretTooShort { bytes: 0 }),
        (changed(hs.clone(), "k", json!(encode(RSA_PUBLIC))), KeyError::SecretIsPem),
        (changed(hs.clone(), "k", json!(7)), member("k")),
        (changed(es.clone(), "x", json!(encode([1; 31]))), member("x")),
        (changed(es.clone(), "y", json!(encode([1; 33]))), member("y")),
        (changed(ed.clone(), "x", json!("not base64url!")), member("x")),
        (changed(rs.clone(), "d", json!("AQAB")), KeyError::Private),
        (changed(es.clone(), "d", json!("AQAB")), KeyError::Private),
        (changed(ed.clone(), "d", json!("AQAB")), KeyError::Private),
        (changed(hs, "alg", json!("HS512")), wants(Algorithm::Hs256)),
        (changed(rs.clone(), "alg", json!("PS256")), wants(Algorithm::Rs256)),
        (changed(rs.clone(), "alg", json!("HS256")), wants(Algorithm::Rs256)),
        (changed(rs.clone(), "alg", json!("none")), wants(Algorithm::Rs256)),
        (changed(es.clone(), "alg", json!("EdDSA")), wants(Algorithm::Es256)),
        (changed(ed.clone(), "alg", json!("ES256")), wants(Algorithm::EdDsa)),
        (changed(es.clone(), "alg", json!(null)), member("alg")),
        (changed(es.clone(), "use", json!(1)), member("use")),
        (changed(es.clone(), "key_ops", json!("verify")), member("key_ops")),
        (changed(es.clone(), "kid", json!("")), member("kid")),
        (changed(es.clone(), "kid", json!("x".repeat(KEY_ID_BYTES_MAX + 1))), member("kid")),
        (es, KeyError::SecondWithoutName),
    ];
    for (key, expected) in cases {
        assert_eq!(refusal_of(&key), expected, "{key}");
    }
}

#[test]
fn rsa_numbers_are_of_a_safe_size() {
    let rsa = |n: &[u8], e: &[u8]| json!({"kty": "RSA", "n": encode(n), "e": encode(e)});
    let modulus = |bits: usize| {
        let mut bytes = vec![0xff; bits.div_ceil(8)];
        bytes[0] >>= bytes.len() * 8 - bits;
        bytes
    };
    let accepted = |key: Value| load(&json!([key]));
    for bits in [2048, 3072, 4096, 8192] {
        assert_eq!(accepted(rsa(&modulus(bits), &[1, 0, 1])), Ok(1), "{bits}");
    }
    assert_eq!(accepted(rsa(&[&[0; 9][..], &modulus(2048)].concat(), &[0, 0, 1, 0, 1])), Ok(1));
    for bits in [1, 1024, 2047, 8193, 16384] {
        assert_eq!(refusal_of(&rsa(&modulus(bits), &[1, 0, 1])), KeyError::RsaBits { bits });
    }
    assert_eq!(refusal_of(&rsa(&[0; 256], &[1, 0, 1])), KeyError::RsaBits { bits: 0 });
    let mut even = modulus(2048);
    even[255] = 0xfe;
    assert_eq!(refusal_of(&rsa(&even, &[1, 0, 1])), KeyError::Member { member: "n" });
    for exponent in
        [&[][..], &[0], &[1], &[3], &[0xff, 0xff], &[1, 0, 0], &[1, 0, 2], &[2, 0, 0, 0, 1], &[1; 9]]
    {
        assert_eq!(refusal_of(&rsa(&modulus(2048), exponent)), KeyError::RsaExponent, "{exponent:?}");
    }
    assert_eq!(accepted(rsa(&modulus(2048), &[1, 0xff, 0xff, 0xff, 0xff])), Ok(1));
}

#[test]
fn a_document_that_is_no_jwks_is_refused() {
    let refusal = |document: &[u8]| KeySet::new().add_jwks(document).unwrap_err();
    assert_eq!(refusal(b""), JwksError::NotJson);
    assert_eq!(refusal(b"[]"), JwksError::NotJson);
    assert_eq!(refusal(br#"{"keys":[],"keys":[]}"#), JwksError::NotJson);
    assert_eq!(refusal(b"{}"), JwksError::NoKeys);
    assert_eq!(refusal(br#"{"keys":{}}"#), JwksError::NoKeys);
    assert_eq!(refusal(br#"{"keys":[]}"#), JwksError::NoKeys);
    assert_eq!(refusal(&vec![b' '; JWKS_BYTES_MAX + 1]), JwksError::TooLarge);
}

#[test]
fn keys_for_other_uses_are_passed_over() {
    let es = jwk(Algorithm::Es256);
    for (member, value, is_used) in [
        ("use", json!("sig"), true),
        ("use", json!("enc"), false),
        ("key_ops", json!(["verify"]), true),
        ("key_ops", json!(["sign", "verify"]), true),
        ("key_ops", json!(["encrypt"]), false),
        ("key_ops", json!([]), false),
    ] {
        let expected = if is_used { Ok(1) } else { Err(JwksError::NoKeys) };
        assert_eq!(load(&json!([changed(es.clone(), member, value.clone())])), expected, "{member} {value}");
    }
    let encrypting = json!({"kty": "RSA", "use": "enc", "alg": "RSA-OAEP"});
    assert_eq!(load(&json!([encrypting, es])), Ok(1));
}

#[test]
fn names_are_taken_once_and_keys_are_bounded() {
    let named = |name: &str| changed(jwk(Algorithm::EdDsa), "kid", json!(name));
    let twice = load(&json!([named("a"), named("a")]));
    assert_eq!(twice, Err(JwksError::Key { index: 1, error: KeyError::NameTaken }));
    let many = |count: usize| load(&(0..count).map(|index| named(&index.to_string())).collect());
    assert_eq!(many(KEYS_MAX), Ok(KEYS_MAX));
    assert_eq!(many(KEYS_MAX + 1), Err(JwksError::Key { index: KEYS_MAX, error: KeyError::TooMany }));
    let mut keys = KeySet::new();
    keys.add_secret(None, &secret()).unwrap();
    assert_eq!(keys.add_pem(None, Algorithm::Rs256, RSA_PUBLIC), Err(KeyError::SecondWithoutName));
    assert_eq!(keys.add_pem(Some(""), Algorithm::Rs256, RSA_PUBLIC), Err(KeyError::Member { member: "kid" }));
    assert_eq!(keys.len(), 1);
}

#[test]
fn a_pem_holds_one_public_key_of_the_algorithm() {
    let add = |algorithm, pem: &[u8]| KeySet::new().add_pem(Some("a"), algorithm, pem);
    let wrong = |wanted| Err(KeyError::Pem { wanted });
    let (rs, es, ed) = (Algorithm::Rs256, Algorithm::Es256, Algorithm::EdDsa);
    assert_eq!(add(rs, RSA_PUBLIC), Ok(()));
    assert_eq!(add(es, &[b"\n\r\n ", P256_PUBLIC, b"\n"].concat()), Ok(()));
    assert_eq!(add(ed, ED25519_PUBLIC), Ok(()));
    for (algorithm, pem) in [(rs, RSA_PRIVATE), (es, P256_PRIVATE), (ed, ED25519_PRIVATE), (rs, P256_PRIVATE)]
    {
        assert_eq!(add(algorithm, pem), Err(KeyError::Private));
    }
    for (algorithm, pem) in
        [(rs, P256_PUBLIC), (rs, ED25519_PUBLIC), (es, RSA_PUBLIC), (es, ED25519_PUBLIC), (ed, P256_PUBLIC)]
    {
        assert_eq!(add(algorithm, pem), wrong(algorithm));
    }
    assert_eq!(add(es, P384), wrong(es));
    assert_eq!(add(es, SECP256K1), wrong(es));
    assert_eq!(add(rs, RSA_1024), Err(KeyError::RsaBits { bits: 1024 }));
    assert_eq!(add(rs, RSA_4608), Ok(()));
    assert_eq!(add(rs, RSA_E3), Err(KeyError::RsaExponent));
    assert_eq!(add(Algorithm::Hs256, RSA_PUBLIC), Err(KeyError::SecretIsPem));
    let as_certificate = String::from_utf8_lossy(RSA_PUBLIC).replace("PUBLIC KEY", "CERTIFICATE");
    for bad in [&[RSA_PUBLIC, RSA_PUBLIC].concat(), as_certificate.as_bytes()] {
        assert_eq!(add(rs, bad), wrong(rs));
    }
    for bad in
        [&b""[..], b"rubbish", b"\xff\xfe", &[ED25519_PUBLIC, ED25519_PUBLIC].concat(), &ED25519_PUBLIC[..60]]
    {
        assert_eq!(add(ed, bad), wrong(ed));
        assert_eq!(add(rs, bad), wrong(rs));
    }
}

#[test]
fn a_secret_is_long_and_no_public_key() {
    let add = |secret: &[u8]| KeySet::new().add_secret(None, &Secret::from(secret.to_vec()));
    assert_eq!(add(&[7; 32]), Ok(()));
    assert_eq!(add(&[7; 31]), Err(KeyError::SecretTooShort { bytes: 31 }));
    assert_eq!(add(b""), Err(KeyError::SecretTooShort { bytes: 0 }));
    assert_eq!(add(RSA_PUBLIC), Err(KeyError::SecretIsPem));
    assert_eq!(add(&[b"\n", RSA_PRIVATE].concat()), Err(KeyError::SecretIsPem));
}

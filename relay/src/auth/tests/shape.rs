//! Tokens that are no JWT, or whose JSON is not what it seems, or whose signature is none.

use serde_json::json;

use super::*;

fn good() -> String {
    with_payload(claims().to_string())
}

/// A good token with its parts rearranged.
fn parts(arrange: impl Fn(&str, &str, &str) -> String) -> String {
    let good = good();
    let [header, payload, signature] = good.split('.').collect::<Vec<_>>()[..] else { panic!("three parts") };
    arrange(header, payload, signature)
}

#[test]
fn what_is_not_three_parts_of_base64url_is_refused() {
    let standard_alphabet =
        sign_encoded(Algorithm::Hs256, &format!("{}.{}", encode(header().to_string()), "e/8+"));
    check_refused(&[
        ("empty", String::new(), AuthError::Malformed),
        ("one part", encode("{}"), AuthError::Malformed),
        ("two parts", parts(|header, payload, _| format!("{header}.{payload}")), AuthError::Malformed),
        ("four parts", format!("{}.x", good()), AuthError::Malformed),
        (
            "four parts, signed",
            sign_encoded(Algorithm::Hs256, &parts(|h, p, _| format!("{h}.{p}.e30"))),
            AuthError::Malformed,
        ),
        ("only dots", "..".to_owned(), AuthError::Malformed),
        ("many dots", ".".repeat(8192), AuthError::Malformed),
        ("no header", parts(|_, payload, signature| format!(".{payload}.{signature}")), AuthError::Malformed),
        ("the scheme before it", format!("Bearer {}", good()), AuthError::Malformed),
        ("a space before it", format!(" {}", good()), AuthError::Malformed),
        ("a line end after it", format!("{}\n", good()), AuthError::BadSignature),
        ("rubbish after it", format!("{}AAAA", good()), AuthError::BadSignature),
        ("a NUL after it", format!("{}\0", good()), AuthError::BadSignature),
        ("padded header", parts(|h, p, s| format!("{h}=.{p}.{s}")), AuthError::Malformed),
        (
            "padded payload",
            sign_encoded(Algorithm::Hs256, &parts(|h, p, _| format!("{h}.{p}="))),
            AuthError::Malformed,
        ),
        ("padded signature", format!("{}=", good()), AuthError::BadSignature),
        ("the other alphabet", standard_alphabet, AuthError::Malformed),
        ("one byte too long", "a".repeat(8193), AuthError::TooLong),
        ("huge", format!("{}{}", good(), "A".repeat(1 << 20)), AuthError::TooLong),
        ("genuine but too long", claim("padding", json!("x".repeat(8192))), AuthError::TooLong),
    ]);
}

#[test]
fn json_that_can_be_read_in_two_ways_is_refused() {
    let text = claims().to_string();
    let body = text.strip_suffix('}').unwrap();
    let header_text = header().to_string();
    let with_raw_header = |raw: &str| sign(Algorithm::Hs256, raw.as_bytes(), text.as_bytes());
    let deep = format!("{}{}", "[".repeat(2500), "]".repeat(2500));
    check_refused(&[
        ("header is an array", with_raw_header("[]"), AuthError::Malformed),
        ("header is text", with_raw_header("\"HS256\""), AuthError::Malformed),
        ("header with BOM", with_raw_header(&format!("\u{feff}{header_text}")), AuthError::Malformed),
        (
            "header with two alg",
            with_raw_header(r#"{"alg":"HS256","kid":"hs","alg":"HS256"}"#),
            AuthError::Malformed,
        ),
        (
            "header with two kid",
            with_raw_header(r#"{"alg":"HS256","kid":"x","kid":"hs"}"#),
            AuthError::Malformed,
        ),
        ("header nested deeply", with_raw_header(&format!("{{\"a\":{deep}}}")), AuthError::Malformed),
        ("header and more", with_raw_header(&format!("{header_text}{{}}")), AuthError::Malformed),
        ("payload is an array", with_payload(format!("[{text}]")), AuthError::Malformed),
        ("payload is empty", with_payload(""), AuthError::Malformed),
        ("payload with BOM", with_payload(format!("\u{feff}{text}")), AuthError::Malformed),
        ("payload and more", with_payload(format!("{text}x")), AuthError::Malformed),
        ("payload and NUL", with_payload(format!("{text}\0")), AuthError::Malformed),
        ("two sub", with_payload(format!("{body},\"sub\":\"eve\"}}")), AuthError::Malformed),
        (
            "two sub, one escaped",
            with_payload(format!("{body},\"s\\u0075b\":\"eve\"}}")),
            AuthError::Malformed,
        ),
        ("two of an unknown claim", with_payload(format!("{body},\"x\":1,\"x\":1}}")), AuthError::Malformed),
        (
            "two deep inside",
            with_payload(format!("{body},\"x\":[{{\"y\":1,\"y\":2}}]}}")),
            AuthError::Malformed,
        ),
        ("nested deeply", with_payload(format!("{body},\"x\":{deep}}}")), AuthError::Malformed),
        ("not UTF-8", with_payload([body.as_bytes(), b",\"x\":\"\xff\"}"].concat()), AuthError::Malformed),
        ("a lone surrogate", with_payload(format!("{body},\"x\":\"\\ud800\"}}")), AuthError::Malformed),
        ("NaN", with_payload(format!("{body},\"x\":NaN}}")), AuthError::Malformed),
        ("a comment", with_payload(format!("{text}/**/")), AuthError::Malformed),
    ]);
}

#[test]
fn a_signature_that_is_not_that_of_the_key_is_refused() {
    let eve = parts(|header, _, signature| {
        format!("{header}.{}.{signature}", encode(changed(claims(), "sub", json!("eve")).to_string()))
    });
    let other_secret = parts(|header, payload, _| {
        let signed = format!("{header}.{payload}");
        let key = EncodingKey::from_secret(b"another secret, also of 32 bytes");
        let signature = crypto::sign(signed.as_bytes(), &key, jsonwebtoken::Algorithm::HS256).unwrap();
        format!("{signed}.{signature}")
    });
    let mut forgeries = vec![
        ("the payload of another", eve, AuthError::BadSignature),
        ("another secret", other_secret, AuthError::BadSignature),
        ("truncated", good()[..good().len() - 2].to_owned(), AuthError::BadSignature),
    ];
    for (algorithm, key_id) in KEY_IDS {
        let header = json!({"alg": algorithm.name(), "kid": key_id}).to_string();
        let signed = format!("{}.{}", encode(header), encode(claims().to_string()));
        // Zeros were once a signature of everything (CVE-2022-21449).
        for bytes in [0, 1, 32, 64, 256] {
            let forged = format!("{signed}.{}", encode(vec![0; bytes]));
            forgeries.push(("a signature of zeros", forged, AuthError::BadSignature));
        }
    }
    check_refused(&forgeries);
}

#[test]
fn a_signature_has_one_spelling() {
    // The last character of 43 carries 4 bits; the 2 below them must be zero.
    let good = good();
    let last = good.chars().last().unwrap();
    let alphabet: Vec<char> = ('A'..='Z').chain('a'..='z').chain('0'..='9').chain(['-', '_']).collect();
    let place = alphabet.iter().position(|letter| *letter == last).unwrap();
    let respelled = format!("{}{}", &good[..good.len() - 1], alphabet[place | 1]);
    assert_ne!(respelled, good);
    check_refused(&[("spare bits set", respelled, AuthError::BadSignature)]);
}

//! Random damage: never accepted, never a panic.

use std::sync::LazyLock;

use proptest::prelude::*;
use relay_protocol::address::{is_agent, is_tenant};
use serde_json::json;

use super::*;

static AUTHENTICATOR: LazyLock<JwtAuthenticator> = LazyLock::new(authenticator);
static GOOD: LazyLock<Vec<String>> = LazyLock::new(|| {
    let token = |(algorithm, key_id): (Algorithm, &str)| {
        let header = json!({"alg": algorithm.name(), "typ": "JWT", "kid": key_id}).to_string();
        sign(algorithm, header.as_bytes(), claims().to_string().as_bytes())
    };
    KEY_IDS.into_iter().map(token).collect()
});

#[derive(Debug, Clone)]
enum Damage {
    Replace(usize, char),
    Insert(usize, char),
    Remove(usize),
    Swap(usize, usize),
    Repeat(usize, usize),
    Truncate(usize),
}

fn damage() -> impl Strategy<Value = Damage> {
    let letter = || prop_oneof![8 => "[A-Za-z0-9_.=+/-]".prop_map(|text| text.chars().next().unwrap()), 1 => any::<char>()];
    let place = || any::<usize>();
    prop_oneof![
        4 => (place(), letter()).prop_map(|(place, letter)| Damage::Replace(place, letter)),
        1 => (place(), letter()).prop_map(|(place, letter)| Damage::Insert(place, letter)),
        1 => place().prop_map(Damage::Remove),
        1 => (place(), place()).prop_map(|(one, other)| Damage::Swap(one, other)),
        1 => (place(), place()).prop_map(|(one, other)| Damage::Repeat(one, other)),
        1 => place().prop_map(Damage::Truncate),
    ]
}

fn apply(letters: &mut Vec<char>, damage: &Damage) {
    let length = letters.len();
    if length == 0 {
        return;
    }
    match *damage {
        Damage::Replace(place, letter) => letters[place % length] = letter,
        Damage::Insert(place, letter) => letters.insert(place % (length + 1), letter),
        Damage::Remove(place) => drop(letters.remove(place % length)),
        Damage::Swap(one, other) => letters.swap(one % length, other % length),
        Damage::Repeat(one, other) => {
            let (from, to) = ((one % length).min(other % length), (one % length).max(other % length));
            letters.extend_from_within(from..to);
        }
        Damage::Truncate(place) => letters.truncate(place % length),
    }
}

/// Values that claims should not have, and some that they should.
fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(|value| json!(value)),
        any::<u64>().prop_map(|value| json!(value)),
        (NOW_S - 100_000..NOW_S + 100_000).prop_map(|value| json!(value)),
        any::<f64>().prop_map(|value| json!(value)),
        ".{0,12}".prop_map(|value| json!(value)),
        "[a-z.*~/]{0,6}".prop_map(|value| json!(value)),
        Just(json!(["relay", "agent/*", "a.*"])),
        Just(json!({"publish": ["*"], "send": ["agent/*"], "admin": true})),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn a_damaged_token_is_never_accepted(which in 0..4_usize, damages in prop::collection::vec(damage(), 1..4)) {
        let mut letters: Vec<char> = GOOD[which].chars().collect();
        for damage in &damages {
            apply(&mut letters, damage);
        }
        let damaged: String = letters.into_iter().collect();
        prop_assume!(damaged != GOOD[which]);
        prop_assert!(AUTHENTICATOR.at_once(&damaged, at(NOW_S)).is_err(), "{}", damaged);
    }

    #[test]
    fn rubbish_is_never_accepted(token in "\\PC{0,64}|[A-Za-z0-9_-]{0,40}(\\.[A-Za-z0-9_-]{0,40}){0,4}") {
        prop_assert!(AUTHENTICATOR.at_once(&token, at(NOW_S)).is_err());
    }

    #[test]
    fn rubbish_json_of_a_genuine_issuer_breaks_nothing(header in any::<Vec<u8>>(), payload in any::<Vec<u8>>()) {
        let token = sign(Algorithm::Hs256, &header, claims().to_string().as_bytes());
        prop_assert!(AUTHENTICATOR.at_once(&token, at(NOW_S)).is_err());
        prop_assert!(AUTHENTICATOR.at_once(&with_payload(payload), at(NOW_S)).is_err());
    }

    #[test]
    fn whatever_is_accepted_is_sound(changes in prop::collection::vec(
        (prop::sample::select(vec!["iss", "aud", "sub", "tid", "iat", "exp", "nbf", "jti", "relay", "other"]), value()), 1..4
    )) {
        let claims = changes.into_iter().fold(claims(), |claims, (name, value)| changed(claims, name, value));
        if let Ok(principal) = AUTHENTICATOR.at_once(&with_payload(claims.to_string()), at(NOW_S)) {
            prop_assert!(is_tenant(principal.tenant()) && is_agent(principal.agent()), "{}", claims);
            prop_assert!(principal.expires_at() > at(NOW_S - 5), "{}", claims);
            prop_assert!(principal.expires_at() <= principal.issued_at() + JwtRules::LIFETIME_MAX_DEFAULT, "{}", claims);
            prop_assert!(principal.issued_at() <= at(NOW_S + 5), "{}", claims);
        }
    }
}

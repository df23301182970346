//! The moments at which a token begins and ends to be good.

use serde_json::json;

use super::*;

/// What the token says of itself at some second, leeway being 5.
fn at_second(now_s: u64, iat: u64, exp: u64, nbf: Option<u64>) -> Result<(), AuthError> {
    let mut claims = changed(changed(claims(), "iat", json!(iat)), "exp", json!(exp));
    if let Some(nbf) = nbf {
        claims = changed(claims, "nbf", json!(nbf));
    }
    authenticator().at_once(&with_payload(claims.to_string()), at(now_s)).map(|_| ())
}

#[test]
fn a_token_ends_with_its_expiry_and_the_leeway() {
    let (iat, exp) = (NOW_S, NOW_S + 600);
    for now_s in [exp - 1, exp, exp + 4] {
        assert_eq!(at_second(now_s, iat, exp, None), Ok(()), "{now_s}");
    }
    for now_s in [exp + 5, exp + 6, exp + 1_000_000] {
        assert_eq!(at_second(now_s, iat, exp, None), Err(AuthError::Expired), "{now_s}");
    }
    let token = with_payload(changed(claims(), "exp", json!(exp)).to_string());
    let last_moment = at(exp + 5) - Duration::from_nanos(1);
    assert!(authenticator().at_once(&token, last_moment).is_ok());
}

#[test]
fn a_token_of_the_future_is_not_good_yet() {
    let exp = NOW_S + 600;
    assert_eq!(at_second(NOW_S, NOW_S + 5, exp, None), Ok(()));
    assert_eq!(at_second(NOW_S, NOW_S + 6, exp, None), Err(AuthError::NotYetValid));
    assert_eq!(at_second(NOW_S, NOW_S, exp, Some(NOW_S + 5)), Ok(()));
    assert_eq!(at_second(NOW_S, NOW_S, exp, Some(NOW_S + 6)), Err(AuthError::NotYetValid));
    assert_eq!(at_second(NOW_S, NOW_S, exp, Some(u64::MAX)), Err(AuthError::NotYetValid));
    assert_eq!(at_second(NOW_S, u64::MAX, u64::MAX, None), Err(AuthError::NotYetValid));
    let token = with_payload(claims().to_string());
    let before_the_epoch = SystemTime::UNIX_EPOCH - Duration::from_secs(1);
    assert_eq!(authenticator().at_once(&token, before_the_epoch).err(), Some(AuthError::NotYetValid));
}

#[test]
fn a_token_lives_no_longer_than_allowed() {
    let day = 24 * 60 * 60;
    assert_eq!(at_second(NOW_S, NOW_S, NOW_S + day, None), Ok(()));
    assert_eq!(at_second(NOW_S, NOW_S, NOW_S + day + 1, None), Err(AuthError::LivesTooLong));
    assert_eq!(at_second(NOW_S, NOW_S, u64::MAX, None), Err(AuthError::LivesTooLong));
    assert_eq!(at_second(NOW_S, 0, NOW_S + 600, None), Err(AuthError::LivesTooLong));
    assert_eq!(at_second(NOW_S, NOW_S, NOW_S, None), Err(AuthError::InvalidClaim { claim: "exp" }));
    assert_eq!(at_second(NOW_S, NOW_S, NOW_S - 1, None), Err(AuthError::InvalidClaim { claim: "exp" }));
}

#[test]
fn no_configuration_makes_time_overflow() {
    let rules = JwtRules { leeway: Duration::MAX, lifetime_max: Duration::MAX, ..rules() };
    let lax = trusting(keys(), rules).unwrap();
    let at_end = claim("exp", json!(u64::MAX));
    assert_eq!(lax.at_once(&at_end, at(NOW_S)).err(), Some(AuthError::InvalidClaim { claim: "exp" }));
}

//! The claims of a genuine token.

use std::time::{Duration, SystemTime};

use relay_protocol::address::{is_agent, is_tenant};

use crate::auth::error::AuthError;
use crate::auth::json::{self, Json, Members};
use crate::auth::jwt::JwtRules;
use crate::auth::principal::{Principal, Validity};
use crate::auth::rights::{InvalidRight, Rights, RightsClaim};

/// The longest `jti`: it is held for each connection and looked up for each revocation.
const TOKEN_ID_BYTES_MAX: usize = 128;

/// The principal that `payload` describes, if `rules` accept it at the time `now`.
pub(super) fn principal(payload: &[u8], rules: &JwtRules, now: SystemTime) -> Result<Principal, AuthError> {
    let claims = &json::object(payload).ok_or(AuthError::Malformed)?;
    let issuer = text(claims, "iss")?;
    if !rules.issuers.iter().any(|trusted| trusted == issuer) {
        return Err(AuthError::WrongIssuer);
    }
    check_audience(claims, &rules.audience)?;
    let validity = validity(claims, rules.leeway, rules.lifetime_max, now)?;
    let agent = text(claims, "sub")?;
    if !is_agent(agent) {
        return Err(AuthError::InvalidClaim { claim: "sub" });
    }
    let tenant = text(claims, "tid")?;
    if !is_tenant(tenant) {
        return Err(AuthError::InvalidClaim { claim: "tid" });
    }
    let rights = Rights::new(&rights_claim(claims)?)?;
    Ok(Principal::new(tenant, agent, token_id(claims)?, validity, rights))
}

pub(super) fn text<'c>(claims: &'c Members<'_>, claim: &'static str) -> Result<&'c str, AuthError> {
    let value = claims.get(claim).ok_or(AuthError::MissingClaim { claim })?;
    value.as_text().ok_or(AuthError::InvalidClaim { claim })
}

fn check_audience(claims: &Members<'_>, ours: &str) -> Result<(), AuthError> {
    let is_for_us = match claims.get("aud").ok_or(AuthError::MissingClaim { claim: "aud" })? {
        Json::Text(audience) => audience == ours,
        list => list.as_texts().ok_or(AuthError::InvalidClaim { claim: "aud" })?.contains(&ours),
    };
    if is_for_us { Ok(()) } else { Err(AuthError::WrongAudience) }
}

/// A time as a duration since the epoch, if the claim is there. Anything but an integer is refused: a library once
/// took a string for absent, and accepted tokens for ever (CVE-2026-25537).
pub(super) fn time(claims: &Members<'_>, claim: &'static str) -> Result<Option<Duration>, AuthError> {
    match claims.get(claim) {
        None => Ok(None),
        Some(Json::Integer(seconds)) => Ok(Some(Duration::from_secs(*seconds))),
        Some(_) => Err(AuthError::InvalidClaim { claim }),
    }
}

/// When the token is good, if that is now.
pub(super) fn validity(
    claims: &Members<'_>,
    leeway: Duration,
    lifetime_max: Duration,
    now: SystemTime,
) -> Result<Validity, AuthError> {
    let required = |claim| time(claims, claim)?.ok_or(AuthError::MissingClaim { claim });
    let (issued, expires, not_before) = (required("iat")?, required("exp")?, time(claims, "nbf")?);
    // A clock before the epoch reads as the epoch: every token is then of the future.
    let now = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    if issued.max(not_before.unwrap_or_default()) > now.saturating_add(leeway) {
        return Err(AuthError::NotYetValid);
    }
    let lifetime = expires.checked_sub(issued).filter(|lifetime| !lifetime.is_zero());
    if lifetime.ok_or(AuthError::InvalidClaim { claim: "exp" })? > lifetime_max {
        return Err(AuthError::LivesTooLong);
    }
    if now >= expires.saturating_add(leeway) {
        return Err(AuthError::Expired);
    }
    Ok(Validity { issued_at: point(issued, "iat")?, expires_at: point(expires, "exp")? })
}

/// The point in time so long after the epoch; there is none past the range of the system's clock.
fn point(since_epoch: Duration, claim: &'static str) -> Result<SystemTime, AuthError> {
    SystemTime::UNIX_EPOCH.checked_add(since_epoch).ok_or(AuthError::InvalidClaim { claim })
}

pub(super) fn token_id<'c>(claims: &'c Members<'_>) -> Result<Option<&'c str>, AuthError> {
    if !claims.contains_key("jti") {
        return Ok(None);
    }
    let id = text(claims, "jti")?;
    let valid =
        (1..=TOKEN_ID_BYTES_MAX).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic());
    if valid { Ok(Some(id)) } else { Err(AuthError::InvalidClaim { claim: "jti" }) }
}

/// Members that are not known grant nothing, so that tokens of a later release are good here.
pub(super) fn rights_claim(claims: &Members<'_>) -> Result<RightsClaim, InvalidRight> {
    match claims.get("relay") {
        None => Ok(RightsClaim::default()),
        Some(Json::Object(granted)) => RightsClaim::read(granted),
        Some(_) => Err(InvalidRight::Type { member: "relay" }),
    }
}

//! The rules of Firebase ID tokens, as Firebase states them for verifiers that do not use its own library: RS256 by a key
//! of Google's, `aud` the project, `iss` made of it, `exp` to come, `iat` and `auth_time` past, `sub` the user.

use std::time::{Duration, SystemTime};

use relay_protocol::address::{is_agent, is_tenant};

use crate::auth::error::AuthError;
use crate::auth::json::{self, Json, Members};
use crate::auth::jwt::claims;
use crate::auth::principal::Principal;
use crate::auth::rights::{Rights, RightsClaim};

/// Where Google publishes the keys of Firebase's tokens, as JWKS.
pub const FIREBASE_KEYS_URL: &str =
    "https://www.googleapis.com/service_accounts/v1/jwk/securetoken@system.gserviceaccount.com";

/// What a Firebase ID token must say, and what follows for the relay.
#[derive(Debug, Clone)]
pub struct FirebaseRules {
    /// The project's id.
    pub project: String,
    /// The tenant of users who belong to no tenant of Firebase's.
    pub tenant: String,
    /// What users may do whose token has no claim `relay`.
    pub rights: RightsClaim,
    /// How far the clocks of Google and relay may be apart.
    pub leeway: Duration,
    /// The longest that a token may live. Google's live an hour.
    pub lifetime_max: Duration,
}

/// The principal that `payload` describes, if `rules` accept it at the time `now`.
pub(super) fn principal(
    payload: &[u8],
    rules: &FirebaseRules,
    now: SystemTime,
) -> Result<Principal, AuthError> {
    let claims = &json::object(payload).ok_or(AuthError::Malformed)?;
    if claims::text(claims, "iss")?.strip_prefix("https://securetoken.google.com/") != Some(&*rules.project) {
        return Err(AuthError::WrongIssuer);
    }
    // One project, and never a list of some.
    if claims::text(claims, "aud")? != rules.project {
        return Err(AuthError::WrongAudience);
    }
    let validity = claims::validity(claims, rules.leeway, rules.lifetime_max, now)?;
    let signed_in = claims::time(claims, "auth_time")?;
    let now = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    if signed_in.ok_or(AuthError::MissingClaim { claim: "auth_time" })? > now + rules.leeway {
        return Err(AuthError::NotYetValid);
    }
    let agent = claims::text(claims, "sub")?;
    if !is_agent(agent) {
        return Err(AuthError::InvalidClaim { claim: "sub" });
    }
    let tenant = tenant(claims)?.unwrap_or(&rules.tenant);
    let rights = if claims.contains_key("relay") {
        Rights::new(&claims::rights_claim(claims)?)?
    } else {
        Rights::new(&rules.rights)?
    };
    Ok(Principal::new(tenant, agent, claims::token_id(claims)?, validity, rights))
}

/// The tenant of Firebase's (Identity Platform) that the user belongs to.
fn tenant<'c>(claims: &'c Members<'_>) -> Result<Option<&'c str>, AuthError> {
    const WRONG: AuthError = AuthError::InvalidClaim { claim: "firebase" };
    let firebase = match claims.get("firebase") {
        None => return Ok(None),
        Some(Json::Object(firebase)) => firebase,
        Some(_) => return Err(WRONG),
    };
    match firebase.get("tenant") {
        None => Ok(None),
        Some(tenant) => tenant.as_text().filter(|tenant| is_tenant(tenant)).map(Some).ok_or(WRONG),
    }
}

//! The header of a token: read before anything is known to be genuine, so that as little as possible follows from it.

use crate::auth::error::AuthError;
use crate::auth::json::{self, Json, Members};

/// Members that would have the token choose its own key, or change what is signed.
const REFUSED: [&str; 6] = ["crit", "jwk", "jku", "x5u", "x5c", "b64"];

/// What the header says that is looked at.
#[derive(Debug)]
pub(super) struct Header<'a> {
    members: Members<'a>,
}

impl<'a> Header<'a> {
    /// Reads a header, refusing what is never accepted.
    pub(super) fn read(bytes: &'a [u8]) -> Result<Header<'a>, AuthError> {
        let members = json::object(bytes).ok_or(AuthError::Malformed)?;
        if let Some(member) = REFUSED.into_iter().find(|member| members.contains_key(*member)) {
            return Err(AuthError::Header { member });
        }
        // A token made for another purpose, a logout token for example, must not be good here.
        match members.get("typ").map(Json::as_text) {
            None => {}
            Some(Some(kind)) if kind.eq_ignore_ascii_case("JWT") || kind.eq_ignore_ascii_case("at+jwt") => {}
            Some(_) => return Err(AuthError::Header { member: "typ" }),
        }
        Ok(Header { members })
    }

    /// The algorithm it claims.
    pub(super) fn algorithm(&self) -> Result<&str, AuthError> {
        self.members.get("alg").and_then(Json::as_text).ok_or(AuthError::Header { member: "alg" })
    }

    /// The key it names, if it names one.
    pub(super) fn key_id(&self) -> Result<Option<&str>, AuthError> {
        match self.members.get("kid") {
            None => Ok(None),
            Some(kid) => kid.as_text().map(Some).ok_or(AuthError::Header { member: "kid" }),
        }
    }
}

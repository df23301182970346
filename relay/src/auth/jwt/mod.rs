//! Tokens that are signed JWTs.
//!
//! The library verifies signatures; every other decision is made here, since its defaults accept much that a relay must
//! not. First the bounds, then the header, then the signature by the key's own algorithm, then the claims: nothing of a
//! claim is read before the signature is known to be good.

mod claims;
mod header;

use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use relay_protocol::limit;
use thiserror::Error;

use crate::auth::Authenticator;
use crate::auth::error::AuthError;
use crate::auth::jwt::header::Header;
use crate::auth::keyset::KeySet;
use crate::auth::principal::Principal;

/// What a genuine token must say to be accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JwtRules {
    /// The issuers that are trusted; at least one. Each of them with each of the keys.
    pub issuers: Vec<String>,
    /// What `aud` must name.
    pub audience: String,
    /// How far the clocks of issuer and relay may be apart.
    pub leeway: Duration,
    /// The longest that a token may live, from `iat` to `exp`.
    pub lifetime_max: Duration,
}

impl JwtRules {
    /// Clocks kept by NTP are within 1 s; more leeway only makes expired tokens live longer.
    pub const LEEWAY_DEFAULT: Duration = Duration::from_secs(5);
    /// A day: a token that leaked is of use for no longer.
    pub const LIFETIME_MAX_DEFAULT: Duration = Duration::from_hours(24);

    /// The rules for one issuer and audience, all else by default.
    pub fn new(issuer: impl Into<String>, audience: impl Into<String>) -> JwtRules {
        JwtRules {
            issuers: vec![issuer.into()],
            audience: audience.into(),
            leeway: JwtRules::LEEWAY_DEFAULT,
            lifetime_max: JwtRules::LIFETIME_MAX_DEFAULT,
        }
    }
}

/// Rules or keys by which no token could be judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum JwtRulesError {
    /// There is no key.
    #[error("there is no key to verify tokens with")]
    NoKey,
    /// There is no issuer, or an empty one.
    #[error("an issuer is missing or empty")]
    NoIssuer,
    /// The audience is empty.
    #[error("the audience is empty")]
    NoAudience,
}

/// Authenticates by signed JWTs.
#[derive(Debug)]
pub struct JwtAuthenticator {
    keys: KeySet,
    rules: JwtRules,
}

impl JwtAuthenticator {
    /// An authenticator that trusts tokens signed by `keys`, if `rules` could ever accept one.
    pub fn new(keys: KeySet, rules: JwtRules) -> Result<JwtAuthenticator, JwtRulesError> {
        if keys.is_empty() {
            return Err(JwtRulesError::NoKey);
        }
        if rules.issuers.is_empty() || rules.issuers.iter().any(String::is_empty) {
            return Err(JwtRulesError::NoIssuer);
        }
        if rules.audience.is_empty() {
            return Err(JwtRulesError::NoAudience);
        }
        Ok(JwtAuthenticator { keys, rules })
    }
}

impl Authenticator for JwtAuthenticator {
    fn authenticate(&self, token: &str, now: SystemTime) -> Result<Principal, AuthError> {
        if token.len() > limit::TOKEN_BYTES_MAX {
            return Err(AuthError::TooLong);
        }
        let mut parts = token.split('.');
        let (Some(header), Some(payload), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(AuthError::Malformed);
        };
        let signed = &token[..token.len() - signature.len() - 1];
        let header = decode(header)?;
        let header = Header::read(&header)?;
        let key = self.keys.find(header.key_id()?).ok_or(AuthError::UnknownKey)?;
        if header.algorithm()? != key.algorithm().name() {
            return Err(AuthError::WrongAlgorithm);
        }
        if !key.verifies(signed.as_bytes(), signature) {
            return Err(AuthError::BadSignature);
        }
        claims::principal(&decode(payload)?, &self.rules, now)
    }
}

fn decode(part: &str) -> Result<Vec<u8>, AuthError> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| AuthError::Malformed)
}

//! Tokens that are signed JWTs.
//!
//! The library verifies signatures; every other decision is made here, since its defaults accept much that a relay must
//! not. First the bounds, then the header, then the signature by the key's own algorithm, then the claims: nothing of a
//! claim is read before the signature is known to be good.

mod claims;
mod firebase;
mod header;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::future::{BoxFuture, FutureExt as _, join_all};
use relay_protocol::limit;
use thiserror::Error;

use crate::auth::Authenticator;
use crate::auth::error::AuthError;
use crate::auth::jwt::header::Header;
use crate::auth::key_server::{KeyServer, Sought};
use crate::auth::keyset::{Fingerprint, KeySet, VerifyingKey};
use crate::auth::principal::Principal;

pub use firebase::{FIREBASE_KEYS_URL, FirebaseRules};

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

    fn check(&self) -> Result<(), JwtRulesError> {
        if self.issuers.is_empty() || self.issuers.iter().any(String::is_empty) {
            return Err(JwtRulesError::NoIssuer);
        }
        if self.audience.is_empty() {
            return Err(JwtRulesError::NoAudience);
        }
        Ok(())
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

/// Whose tokens are believed: keys, and what the tokens they sign must say.
#[derive(Debug)]
pub struct Issuer {
    keys: Keys,
    rules: Rules,
}

#[derive(Debug)]
enum Keys {
    Fixed(KeySet),
    Server(Arc<KeyServer>),
}

#[derive(Debug)]
enum Rules {
    Jwt(JwtRules),
    Firebase(FirebaseRules),
}

impl Issuer {
    /// The issuer of tokens signed by `keys`, if `rules` could ever accept one.
    pub fn fixed(keys: KeySet, rules: JwtRules) -> Result<Issuer, JwtRulesError> {
        if keys.is_empty() {
            return Err(JwtRulesError::NoKey);
        }
        rules.check()?;
        Ok(Issuer { keys: Keys::Fixed(keys), rules: Rules::Jwt(rules) })
    }

    /// The issuer whose keys a server publishes.
    pub fn published(keys: Arc<KeyServer>, rules: JwtRules) -> Result<Issuer, JwtRulesError> {
        rules.check()?;
        Ok(Issuer { keys: Keys::Server(keys), rules: Rules::Jwt(rules) })
    }

    /// Firebase Authentication, whose keys Google publishes.
    pub fn firebase(keys: Arc<KeyServer>, rules: FirebaseRules) -> Issuer {
        Issuer { keys: Keys::Server(keys), rules: Rules::Firebase(rules) }
    }

    /// The key that goes by just that name, or has none as the token has none.
    fn find(&self, key_id: Option<&str>) -> Option<Arc<VerifyingKey>> {
        match &self.keys {
            Keys::Fixed(keys) => keys.find_exactly(key_id).cloned(),
            Keys::Server(server) => server.find(key_id),
        }
    }

    /// The only key, if it has no name: it is good for every name that no other key has.
    fn find_nameless(&self, key_id: Option<&str>) -> Option<Arc<VerifyingKey>> {
        match &self.keys {
            Keys::Fixed(keys) => keys.find(key_id).cloned(),
            Keys::Server(_) => None,
        }
    }

    async fn seek(&self, key_id: Option<&str>) -> Sought {
        match &self.keys {
            Keys::Fixed(_) => Sought::Unknown,
            Keys::Server(server) => server.seek(key_id).await,
        }
    }

    fn contains(&self, key: &Fingerprint) -> bool {
        match &self.keys {
            Keys::Fixed(keys) => keys.contains(key),
            Keys::Server(server) => server.contains(key),
        }
    }

    fn judge(&self, token: &Parts<'_>, key: &VerifyingKey, now: SystemTime) -> Result<Principal, AuthError> {
        if token.header.algorithm()? != key.algorithm().name() {
            return Err(AuthError::WrongAlgorithm);
        }
        if !key.verifies(token.signed.as_bytes(), token.signature) {
            return Err(AuthError::BadSignature);
        }
        let payload = decode(token.payload)?;
        let principal = match &self.rules {
            Rules::Jwt(rules) => claims::principal(&payload, rules, now)?,
            Rules::Firebase(rules) => firebase::principal(&payload, rules, now)?,
        };
        Ok(principal.signed_by_key(key.fingerprint()))
    }
}

/// Authenticates by signed JWTs, of any of some issuers. The one that has the token's key judges it, by its own rules
/// alone.
#[derive(Debug)]
pub struct JwtAuthenticator {
    issuers: Vec<Issuer>,
}

impl JwtAuthenticator {
    /// An authenticator that trusts these issuers; earlier ones first, if two have a key of one name.
    pub fn new(issuers: Vec<Issuer>) -> Result<JwtAuthenticator, JwtRulesError> {
        if issuers.is_empty() { Err(JwtRulesError::NoKey) } else { Ok(JwtAuthenticator { issuers }) }
    }

    async fn judge(&self, token: &str, now: SystemTime) -> Result<Principal, AuthError> {
        if token.len() > limit::TOKEN_BYTES_MAX {
            return Err(AuthError::TooLong);
        }
        let (header, rest) = token.split_once('.').ok_or(AuthError::Malformed)?;
        let header = decode(header)?;
        let token = Parts::read(token, rest, &header)?;
        let key_id = token.header.key_id()?;
        let held = self.issuers.iter().find_map(|issuer| Some((issuer, issuer.find(key_id)?)));
        if let Some((issuer, key)) = held {
            return issuer.judge(&token, &key, now);
        }
        let sought = join_all(self.issuers.iter().map(|issuer| issuer.seek(key_id))).await;
        let mut refusal = None;
        for (issuer, sought) in self.issuers.iter().zip(sought) {
            match sought {
                Sought::Found(key) => return issuer.judge(&token, &key, now),
                Sought::Unknown => {}
                Sought::Unavailable => refusal = Some(AuthError::KeysUnavailable),
            }
        }
        let nameless = self.issuers.iter().find_map(|issuer| Some((issuer, issuer.find_nameless(key_id)?)));
        let judged = nameless.map(|(issuer, key)| issuer.judge(&token, &key, now));
        match judged.unwrap_or(Err(AuthError::UnknownKey)) {
            // It may be good by a key that cannot be had.
            Err(judged) => Err(refusal.unwrap_or(judged)),
            good => good,
        }
    }
}

impl Authenticator for JwtAuthenticator {
    fn authenticate<'a>(
        &'a self,
        token: &'a str,
        now: SystemTime,
    ) -> BoxFuture<'a, Result<Principal, AuthError>> {
        self.judge(token, now).boxed()
    }

    fn recheck(&self, principal: &Principal) -> Result<(), AuthError> {
        let is_held = |key| self.issuers.iter().any(|issuer| issuer.contains(key));
        if principal.signed_by().is_none_or(is_held) { Ok(()) } else { Err(AuthError::KeyWithdrawn) }
    }
}

/// A token taken apart.
struct Parts<'a> {
    header: Header<'a>,
    payload: &'a str,
    signature: &'a str,
    signed: &'a str,
}

impl<'a> Parts<'a> {
    /// `rest` is what follows the first dot of `token`, and `header` what stands before it, decoded.
    fn read(token: &'a str, rest: &'a str, header: &'a [u8]) -> Result<Parts<'a>, AuthError> {
        let (payload, signature) = rest.split_once('.').ok_or(AuthError::Malformed)?;
        if signature.contains('.') {
            return Err(AuthError::Malformed);
        }
        let signed = &token[..token.len() - signature.len() - 1];
        Ok(Parts { header: Header::read(header)?, payload, signature, signed })
    }
}

fn decode(part: &str) -> Result<Vec<u8>, AuthError> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| AuthError::Malformed)
}

//! Makes tokens: for `agent-relay token`, for development mode, for tests. A relay in service makes none.

use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{EncodingKey, Header, crypto};
use relay_protocol::address::{is_agent, is_tenant};
use relay_protocol::limit;
use serde::Serialize;
use thiserror::Error;

use crate::auth::algorithm::Algorithm;
use crate::auth::keyset::{KeyError, VerifyingKey};
use crate::auth::rights::{InvalidRight, Rights, RightsClaim};
use crate::config::Secret;

/// For whom a token is made.
#[derive(Debug, Clone)]
pub struct TokenRequest {
    /// The tenant.
    pub tenant: String,
    /// The agent.
    pub agent: String,
    /// How long it lives, in whole seconds.
    pub ttl: Duration,
    /// What it grants.
    pub rights: RightsClaim,
}

/// Why no token can be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum MintError {
    /// The secret cannot be used.
    #[error(transparent)]
    Secret(#[from] KeyError),
    /// The private key cannot be used.
    #[error("not a private key for RS256, ES256 or EdDSA in PKCS #8 (see `openssl pkcs8 -topk8 -nocrypt`)")]
    PrivateKey,
    /// Not the name of a tenant.
    #[error("not a tenant: 1 to 64 of A-Z a-z 0-9 _ -")]
    Tenant,
    /// Not the name of an agent.
    #[error("not an agent: 1 to 128 of A-Z a-z 0-9 _ - . not beginning with a dot")]
    Agent,
    /// A lifetime of less than a second, or past the end of time.
    #[error("the lifetime is shorter than a second or far too long")]
    Lifetime,
    /// The rights cannot be granted.
    #[error("the rights: {0}")]
    Rights(#[from] InvalidRight),
    /// The token would be longer than any that is read.
    #[error("the token would be longer than {max} bytes; grant less", max = limit::TOKEN_BYTES_MAX)]
    TooLong,
    /// The library could not sign.
    #[error("the token could not be signed")]
    Signing,
}

/// Makes tokens with one key.
#[derive(Debug)]
pub struct Minter {
    key: EncodingKey,
    algorithm: Algorithm,
    key_id: Option<String>,
    issuer: String,
    audience: String,
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    aud: &'a str,
    sub: &'a str,
    tid: &'a str,
    iat: u64,
    exp: u64,
    jti: String,
    relay: &'a RightsClaim,
}

impl Minter {
    /// A minter of HS256 tokens.
    pub fn hs256(
        secret: &Secret,
        key_id: Option<&str>,
        issuer: &str,
        audience: &str,
    ) -> Result<Minter, MintError> {
        VerifyingKey::hmac(secret.expose())?;
        let key = EncodingKey::from_secret(secret.expose());
        Ok(Minter::new(key, Algorithm::Hs256, key_id, issuer, audience))
    }

    /// A minter with a private key in PEM; its type decides between RS256, ES256 and `EdDSA`.
    pub fn from_pem(
        pem: &Secret,
        key_id: Option<&str>,
        issuer: &str,
        audience: &str,
    ) -> Result<Minter, MintError> {
        if !pem.expose().trim_ascii_start().starts_with(b"-----BEGIN PRIVATE KEY-----") {
            return Err(MintError::PrivateKey);
        }
        let candidates = [
            (Algorithm::Rs256, EncodingKey::from_rsa_pem(pem.expose())),
            (Algorithm::Es256, EncodingKey::from_ec_pem(pem.expose())),
            (Algorithm::EdDsa, EncodingKey::from_ed_pem(pem.expose())),
        ];
        let usable = candidates.into_iter().find_map(|(algorithm, key)| {
            let key = key.ok()?;
            // Reading looks at no curve and no length; signing does.
            crypto::sign(b"", &key, algorithm.in_library()).ok()?;
            Some(Minter::new(key, algorithm, key_id, issuer, audience))
        });
        usable.ok_or(MintError::PrivateKey)
    }

    fn new(
        key: EncodingKey,
        algorithm: Algorithm,
        key_id: Option<&str>,
        issuer: &str,
        audience: &str,
    ) -> Minter {
        let (key_id, issuer, audience) = (key_id.map(str::to_owned), issuer.to_owned(), audience.to_owned());
        Minter { key, algorithm, key_id, issuer, audience }
    }

    /// A token as requested, made at the time `now`, with a random `jti` by which it can be revoked. Whether its
    /// lifetime is accepted is for the rules of the relay to say.
    pub fn mint(&self, request: &TokenRequest, now: SystemTime) -> Result<String, MintError> {
        if !is_tenant(&request.tenant) {
            return Err(MintError::Tenant);
        }
        if !is_agent(&request.agent) {
            return Err(MintError::Agent);
        }
        Rights::new(&request.rights)?;
        let iat = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        let ttl = Some(request.ttl.as_secs()).filter(|seconds| *seconds > 0).ok_or(MintError::Lifetime)?;
        let claims = Claims {
            iss: &self.issuer,
            aud: &self.audience,
            sub: &request.agent,
            tid: &request.tenant,
            iat,
            exp: iat.checked_add(ttl).ok_or(MintError::Lifetime)?,
            jti: URL_SAFE_NO_PAD.encode(rand::random::<[u8; 16]>()),
            relay: &request.rights,
        };
        let header = Header { kid: self.key_id.clone(), ..Header::new(self.algorithm.in_library()) };
        let token = jsonwebtoken::encode(&header, &claims, &self.key).map_err(|_| MintError::Signing)?;
        if token.len() > limit::TOKEN_BYTES_MAX { Err(MintError::TooLong) } else { Ok(token) }
    }
}

/// A fresh key for HS256, as long as its hash, for development mode.
pub fn random_secret() -> Secret {
    Secret::from(rand::random::<[u8; 32]>().to_vec())
}

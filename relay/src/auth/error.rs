//! Why a token is refused. No part of the token is in it, so that it can be logged and answered with.

use relay_protocol::CloseCode;
use thiserror::Error;

use crate::auth::rights::InvalidRight;

/// Why a token is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AuthError {
    /// It is longer than any that is read.
    #[error("the token is too long")]
    TooLong,
    /// It is not three parts, each base64url without padding; or the first or second is no JSON object, or has a
    /// member twice.
    #[error("the token is not a well-formed JWT")]
    Malformed,
    /// A member of its header is missing, of the wrong form, or one that is never accepted.
    #[error("the token's header has no acceptable `{member}`")]
    Header {
        /// Which.
        member: &'static str,
    },
    /// No key goes by its `kid`; or it has none, and each key has one.
    #[error("no key is known for the token's `kid`")]
    UnknownKey,
    /// Its `alg` is not the algorithm of its key.
    #[error("the token's `alg` is not the algorithm of its key")]
    WrongAlgorithm,
    /// The signature is not that of its key.
    #[error("the token's signature does not verify")]
    BadSignature,
    /// A claim that every token must have is missing.
    #[error("the token has no claim `{claim}`")]
    MissingClaim {
        /// Which.
        claim: &'static str,
    },
    /// A claim has the wrong type or form.
    #[error("the token's claim `{claim}` is not of the right form")]
    InvalidClaim {
        /// Which.
        claim: &'static str,
    },
    /// Its issuer is not one of those configured.
    #[error("the token's issuer is not trusted")]
    WrongIssuer,
    /// It was made for another service.
    #[error("the token is for another audience")]
    WrongAudience,
    /// Its time is over.
    #[error("the token has expired")]
    Expired,
    /// Its `nbf` or `iat` is in the future.
    #[error("the token is not valid yet")]
    NotYetValid,
    /// It was made to live longer than any token may.
    #[error("the token's lifetime is longer than allowed")]
    LivesTooLong,
    /// Its key was withdrawn by the key server.
    #[error("the key of the token was withdrawn")]
    KeyWithdrawn,
    /// The keys it could be checked with cannot be had at present.
    #[error("the keys to check the token with cannot be had at present")]
    KeysUnavailable,
    /// It was revoked.
    #[error("the token was revoked")]
    Revoked,
    /// Its tenant is suspended.
    #[error("the tenant is suspended")]
    TenantSuspended,
    /// Whether it was revoked cannot be known at present.
    #[error("whether the token was revoked cannot be known at present")]
    RevocationsUnavailable,
    /// No API key has this id and secret, or none any more.
    #[error("no such API key")]
    UnknownApiKey,
    /// The API keys cannot be asked for at present.
    #[error("API keys cannot be looked up at present")]
    ApiKeysUnavailable,
    /// It grants something that cannot be granted.
    #[error("the token's rights: {0}")]
    Rights(#[from] InvalidRight),
}

impl AuthError {
    /// How a connection ends that presented such a token.
    pub const fn close_code(self) -> CloseCode {
        match self {
            // Another token may be had, signed by a key that is still there.
            AuthError::Expired | AuthError::KeyWithdrawn => CloseCode::TokenExpired,
            AuthError::Revoked => CloseCode::Revoked,
            AuthError::TenantSuspended => CloseCode::TenantSuspended,
            AuthError::KeysUnavailable
            | AuthError::RevocationsUnavailable
            | AuthError::ApiKeysUnavailable => CloseCode::Unavailable,
            // Genuine, and meant for someone else.
            AuthError::WrongAudience => CloseCode::Forbidden,
            AuthError::TooLong
            | AuthError::Malformed
            | AuthError::Header { .. }
            | AuthError::UnknownKey
            | AuthError::WrongAlgorithm
            | AuthError::BadSignature
            | AuthError::MissingClaim { .. }
            | AuthError::InvalidClaim { .. }
            | AuthError::WrongIssuer
            | AuthError::NotYetValid
            | AuthError::LivesTooLong
            | AuthError::UnknownApiKey
            | AuthError::Rights(_) => CloseCode::TokenInvalid,
        }
    }

    /// Its name in metrics.
    pub const fn label(self) -> &'static str {
        match self {
            AuthError::TooLong => "too_long",
            AuthError::Malformed => "malformed",
            AuthError::Header { .. } => "header",
            AuthError::UnknownKey => "unknown_key",
            AuthError::WrongAlgorithm => "wrong_algorithm",
            AuthError::BadSignature => "bad_signature",
            AuthError::MissingClaim { .. } => "missing_claim",
            AuthError::InvalidClaim { .. } => "invalid_claim",
            AuthError::WrongIssuer => "wrong_issuer",
            AuthError::WrongAudience => "wrong_audience",
            AuthError::Expired => "expired",
            AuthError::NotYetValid => "not_yet_valid",
            AuthError::LivesTooLong => "lives_too_long",
            AuthError::KeyWithdrawn => "key_withdrawn",
            AuthError::KeysUnavailable => "keys_unavailable",
            AuthError::Revoked => "revoked",
            AuthError::TenantSuspended => "tenant_suspended",
            AuthError::RevocationsUnavailable => "revocations_unavailable",
            AuthError::UnknownApiKey => "unknown_api_key",
            AuthError::ApiKeysUnavailable => "api_keys_unavailable",
            AuthError::Rights(_) => "rights",
        }
    }
}

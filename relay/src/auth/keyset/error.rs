//! Why a key cannot be used. Nothing of a key is in it.

use thiserror::Error;

use crate::auth::algorithm::Algorithm;
use crate::auth::keyset::key::{
    HMAC_BYTES_MIN, RSA_BITS_MAX, RSA_BITS_MIN, RSA_EXPONENT_MAX, RSA_EXPONENT_MIN,
};
use crate::auth::keyset::{JWKS_BYTES_MAX, KEYS_MAX};

/// Why a key cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum KeyError {
    /// A member of a JWK is missing or of the wrong form.
    #[error("`{member}` is missing or not of the right form")]
    Member {
        /// Which.
        member: &'static str,
    },
    /// A type or curve that no algorithm of ours goes with.
    #[error("not a key of type oct, RSA, EC with P-256 or OKP with Ed25519")]
    UnsupportedType,
    /// The `alg` of a JWK is not the one that keys of its type are used with.
    #[error("`alg` must be {wanted} or absent for a key of this type")]
    UnsupportedAlgorithm {
        /// The algorithm for keys of its type.
        wanted: Algorithm,
    },
    /// A private key, where a public one belongs: whoever can read it can make tokens.
    #[error("this is a private key; keep it with the issuer and give the public one")]
    Private,
    /// PEM that is not one public key for the algorithm it was given for.
    #[error("not one PEM block `PUBLIC KEY` with a key for {wanted}")]
    Pem {
        /// The algorithm it was given for.
        wanted: Algorithm,
    },
    /// A modulus too short to be safe, or too long to be quick.
    #[error("an RSA key of {bits} bits; from {RSA_BITS_MIN} to {RSA_BITS_MAX} are accepted")]
    RsaBits {
        /// Its length.
        bits: usize,
    },
    /// An exponent that is even or out of range.
    #[error("the RSA exponent must be odd and from {RSA_EXPONENT_MIN} to {RSA_EXPONENT_MAX}")]
    RsaExponent,
    /// A secret that could be guessed.
    #[error("a secret of {bytes} bytes; at least {HMAC_BYTES_MIN} are needed")]
    SecretTooShort {
        /// Its length.
        bytes: usize,
    },
    /// PEM as an HMAC secret: were it a public key, anyone could make tokens.
    #[error("a PEM file cannot be the secret of HS256")]
    SecretIsPem,
    /// Another key has this `kid`.
    #[error("another key has this `kid`")]
    NameTaken,
    /// A second key without `kid`: nothing would tell which is meant.
    #[error("only one key may be without `kid`")]
    SecondWithoutName,
    /// More keys than a set may have.
    #[error("more than {KEYS_MAX} keys")]
    TooMany,
}

/// Why a JWKS document cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum JwksError {
    /// It is larger than any that is read.
    #[error("the document is larger than {JWKS_BYTES_MAX} bytes")]
    TooLarge,
    /// It is no JSON object, or has a member twice.
    #[error("the document is not a JSON object, or repeats a member")]
    NotJson,
    /// It has no list `keys`, or none in it verifies signatures.
    #[error("the document has no `keys` that verify signatures")]
    NoKeys,
    /// One of its keys cannot be used.
    #[error("keys[{index}]: {error}")]
    Key {
        /// Its place in the list, from 0.
        index: usize,
        /// What is wrong with it.
        error: KeyError,
    },
}

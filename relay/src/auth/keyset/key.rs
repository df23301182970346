//! One key, bound to its algorithm.

use jsonwebtoken::{DecodingKey, crypto};

use crate::auth::algorithm::Algorithm;
use crate::auth::digest::digest;
use crate::auth::keyset::error::KeyError;

/// Shorter moduli are not to be used after 2013 (NIST SP 800-131A).
pub(super) const RSA_BITS_MIN: usize = 2048;
/// The cost of a verification grows with the square of the length.
pub(super) const RSA_BITS_MAX: usize = 8192;
/// Smaller exponents have a history of attacks on sloppy padding checks.
pub(super) const RSA_EXPONENT_MIN: u64 = 65_537;
/// The cryptographic library takes no exponent of more than 33 bits.
pub(super) const RSA_EXPONENT_MAX: u64 = (1 << 33) - 1;
/// As long as the output of SHA-256 (RFC 7518 §3.2).
pub(super) const HMAC_BYTES_MIN: usize = 32;

/// A key that verifies signatures of one algorithm.
#[derive(Debug)]
pub struct VerifyingKey {
    algorithm: Algorithm,
    key: DecodingKey,
    fingerprint: Fingerprint,
}

/// Tells keys apart by what they are, not by what they are called: 128 bits of a SHA-256.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::auth) struct Fingerprint([u8; 16]);

impl VerifyingKey {
    /// The key of a shared secret.
    pub(in crate::auth) fn hmac(secret: &[u8]) -> Result<VerifyingKey, KeyError> {
        if secret.trim_ascii_start().starts_with(b"-----BEGIN") {
            return Err(KeyError::SecretIsPem);
        }
        if secret.len() < HMAC_BYTES_MIN {
            return Err(KeyError::SecretTooShort { bytes: secret.len() });
        }
        Ok(VerifyingKey::new(Algorithm::Hs256, DecodingKey::from_secret(secret), &[secret]))
    }

    /// The key of a modulus and an exponent, big-endian.
    pub(super) fn rsa(modulus: &[u8], exponent: &[u8]) -> Result<VerifyingKey, KeyError> {
        let (modulus, exponent) = (without_zeros(modulus), without_zeros(exponent));
        let bits = modulus.first().map_or(0, |first| modulus.len() * 8 - first.leading_zeros() as usize);
        if !(RSA_BITS_MIN..=RSA_BITS_MAX).contains(&bits) {
            return Err(KeyError::RsaBits { bits });
        }
        if modulus.last().is_some_and(|last| last % 2 == 0) {
            return Err(KeyError::Member { member: "n" });
        }
        if exponent.len() > size_of::<u64>() {
            return Err(KeyError::RsaExponent);
        }
        let value = exponent.iter().fold(0, |value: u64, byte| (value << 8) | u64::from(*byte));
        if value % 2 == 0 || !(RSA_EXPONENT_MIN..=RSA_EXPONENT_MAX).contains(&value) {
            return Err(KeyError::RsaExponent);
        }
        let key = DecodingKey::from_rsa_raw_components(modulus, exponent);
        Ok(VerifyingKey::new(Algorithm::Rs256, key, &[modulus, exponent]))
    }

    /// The key of a point on P-256. A point that is not on the curve verifies nothing.
    pub(super) fn p256(x: &[u8; 32], y: &[u8; 32]) -> VerifyingKey {
        let uncompressed = [&[4], &x[..], &y[..]].concat();
        VerifyingKey::new(Algorithm::Es256, DecodingKey::from_ec_der(&uncompressed), &[&uncompressed])
    }

    /// The key of an encoded point on edwards25519.
    pub(super) fn ed25519(point: &[u8; 32]) -> VerifyingKey {
        VerifyingKey::new(Algorithm::EdDsa, DecodingKey::from_ed_der(point), &[point])
    }

    fn new(algorithm: Algorithm, key: DecodingKey, material: &[&[u8]]) -> VerifyingKey {
        let parts = [&[algorithm.name().as_bytes()], material].concat();
        let digest = digest(&parts);
        let (fingerprint, _) = digest.split_at(16);
        let fingerprint = Fingerprint(fingerprint.try_into().unwrap_or_default());
        VerifyingKey { algorithm, key, fingerprint }
    }

    /// What tells it apart.
    pub(in crate::auth) fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// The algorithm it is for.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Whether `signature`, in base64url, is this key's of `message`.
    pub(in crate::auth) fn verifies(&self, message: &[u8], signature: &str) -> bool {
        crypto::verify(signature, message, &self.key, self.algorithm.in_library()).unwrap_or(false)
    }
}

/// A number without the zeros before it, which some encoders write.
fn without_zeros(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    &number[zeros..]
}

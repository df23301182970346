//! One public key in PEM (`SubjectPublicKeyInfo`, RFC 5280).
//!
//! The library takes certificates, private keys and any curve for a public key too; so the frame is read here.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::DecodingKey;
use jsonwebtoken::jwk::{AlgorithmParameters, Jwk};

use crate::auth::algorithm::Algorithm;
use crate::auth::keyset::error::KeyError;
use crate::auth::keyset::key::VerifyingKey;

/// What stands before the two coordinates of every P-256 key (RFC 5480), the mark of an uncompressed point last.
const P256_FRAME: &[u8] =
    b"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\
                            \x03\x42\x00\x04";
/// What stands before every Ed25519 key (RFC 8410).
const ED25519_FRAME: &[u8] = b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00";

/// The public key that `pem` holds, for `algorithm`.
pub(super) fn read(algorithm: Algorithm, pem: &[u8]) -> Result<VerifyingKey, KeyError> {
    let wrong = KeyError::Pem { wanted: algorithm };
    let text = str::from_utf8(pem).map_err(|_| wrong)?;
    if text.contains("PRIVATE KEY-----") {
        return Err(KeyError::Private);
    }
    match algorithm {
        Algorithm::Hs256 => Err(KeyError::SecretIsPem),
        Algorithm::Rs256 => rsa(text).ok_or(wrong)?,
        Algorithm::Es256 => p256(text).ok_or(wrong),
        Algorithm::EdDsa => ed25519(text).ok_or(wrong),
    }
}

fn rsa(text: &str) -> Option<Result<VerifyingKey, KeyError>> {
    body(text)?;
    let key = DecodingKey::from_rsa_pem(text.trim().as_bytes()).ok()?;
    let AlgorithmParameters::RSA(numbers) = Jwk::from_decoding_key(&key, None).ok()?.algorithm else {
        return None;
    };
    let number = |text| URL_SAFE_NO_PAD.decode(text).ok();
    Some(VerifyingKey::rsa(&number(numbers.n)?, &number(numbers.e)?))
}

fn p256(text: &str) -> Option<VerifyingKey> {
    let der = body(text)?;
    let (x, y) = der.strip_prefix(P256_FRAME)?.split_first_chunk()?;
    Some(VerifyingKey::p256(x, y.try_into().ok()?))
}

fn ed25519(text: &str) -> Option<VerifyingKey> {
    let der = body(text)?;
    Some(VerifyingKey::ed25519(der.strip_prefix(ED25519_FRAME)?.try_into().ok()?))
}

/// The DER of the one block `PUBLIC KEY` that `text` is.
fn body(text: &str) -> Option<Vec<u8>> {
    let inner =
        text.trim().strip_prefix("-----BEGIN PUBLIC KEY-----")?.strip_suffix("-----END PUBLIC KEY-----")?;
    STANDARD.decode(inner.split_ascii_whitespace().collect::<String>()).ok()
}

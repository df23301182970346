//! The keys that tokens are verified with. Each is bound to one algorithm when it is loaded.

mod error;
mod jwk;
mod key;
mod pem;

use std::collections::HashMap;

use crate::auth::algorithm::Algorithm;
use crate::auth::json::{self, Json};
use crate::auth::keyset::jwk::NamedKey;
use crate::config::Secret;

pub use error::{JwksError, KeyError};
pub use key::VerifyingKey;

/// The most keys of a set: providers publish two to ten.
pub const KEYS_MAX: usize = 64;
/// The largest JWKS document: [`KEYS_MAX`] RSA keys, each with a chain of certificates.
pub const JWKS_BYTES_MAX: usize = 512 * 1024;
/// The longest `kid`: a SHA-512 in hexadecimal has 128 characters.
pub const KEY_ID_BYTES_MAX: usize = 256;

/// Keys by their `kid`, and at most one without.
#[derive(Debug, Default)]
pub struct KeySet {
    named: HashMap<Box<str>, VerifyingKey>,
    unnamed: Option<VerifyingKey>,
}

impl KeySet {
    /// A set without keys.
    pub fn new() -> KeySet {
        KeySet::default()
    }

    /// Adds the keys of a JWKS document and says how many they were. Keys that are not for verifying signatures, by
    /// their `use` or `key_ops`, are passed over; any other that cannot be used is an error, so that none is missing
    /// unnoticed.
    pub fn add_jwks(&mut self, document: &[u8]) -> Result<usize, JwksError> {
        if document.len() > JWKS_BYTES_MAX {
            return Err(JwksError::TooLarge);
        }
        let members = json::object(document).ok_or(JwksError::NotJson)?;
        let entries = members.get("keys").and_then(Json::as_list).ok_or(JwksError::NoKeys)?;
        let before = self.len();
        for (index, entry) in entries.iter().enumerate() {
            let key = jwk::read(entry).map_err(|error| JwksError::Key { index, error })?;
            if let Some(NamedKey { key_id, key }) = key {
                self.add(key_id, key).map_err(|error| JwksError::Key { index, error })?;
            }
        }
        match self.len() - before {
            0 => Err(JwksError::NoKeys),
            added => Ok(added),
        }
    }

    /// Adds the public key of a PEM file, for tokens with this `kid`, or for those without.
    pub fn add_pem(
        &mut self,
        key_id: Option<&str>,
        algorithm: Algorithm,
        pem: &[u8],
    ) -> Result<(), KeyError> {
        self.add(key_id, pem::read(algorithm, pem)?)
    }

    /// Adds a secret shared with the issuer, for HS256.
    pub fn add_secret(&mut self, key_id: Option<&str>, secret: &Secret) -> Result<(), KeyError> {
        self.add(key_id, VerifyingKey::hmac(secret.expose())?)
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.named.len() + usize::from(self.unnamed.is_some())
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The key for a token that names `key_id`. Where no key has a name, naming one means nothing.
    pub(in crate::auth) fn find(&self, key_id: Option<&str>) -> Option<&VerifyingKey> {
        match key_id {
            Some(name) if !self.named.is_empty() => self.named.get(name),
            Some(_) | None => self.unnamed.as_ref(),
        }
    }

    fn add(&mut self, key_id: Option<&str>, key: VerifyingKey) -> Result<(), KeyError> {
        if self.len() >= KEYS_MAX {
            return Err(KeyError::TooMany);
        }
        match key_id {
            None if self.unnamed.is_some() => Err(KeyError::SecondWithoutName),
            None => {
                self.unnamed = Some(key);
                Ok(())
            }
            Some(name) if name.is_empty() || name.len() > KEY_ID_BYTES_MAX => {
                Err(KeyError::Member { member: "kid" })
            }
            Some(name) if self.named.contains_key(name) => Err(KeyError::NameTaken),
            Some(name) => {
                self.named.insert(name.into(), key);
                Ok(())
            }
        }
    }
}

//! The keys that tokens are verified with. Each is bound to one algorithm when it is loaded.

mod error;
mod jwk;
mod key;
mod pem;

use std::collections::HashMap;
use std::sync::Arc;

use crate::auth::algorithm::Algorithm;
use crate::auth::json::{self, Json};
use crate::auth::keyset::jwk::NamedKey;
use crate::config::Secret;

pub use error::{JwksError, KeyError};
pub(in crate::auth) use key::Fingerprint;
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
    named: HashMap<Box<str>, Arc<VerifyingKey>>,
    unnamed: Option<Arc<VerifyingKey>>,
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

    /// The keys that a key server publishes, and how many of its entries are passed over: secrets, private keys, and
    /// what else is not for us to use, as a server may serve others too. At least one must be left.
    pub(in crate::auth) fn published(document: &[u8]) -> Result<(KeySet, usize), JwksError> {
        if document.len() > JWKS_BYTES_MAX {
            return Err(JwksError::TooLarge);
        }
        let members = json::object(document).ok_or(JwksError::NotJson)?;
        let entries = members.get("keys").and_then(Json::as_list).ok_or(JwksError::NoKeys)?;
        if entries.len() > KEYS_MAX {
            return Err(JwksError::Key { index: KEYS_MAX, error: KeyError::TooMany });
        }
        let mut keys = KeySet::new();
        for entry in entries {
            if let Ok(Some(NamedKey { key_id, key })) = jwk::read(entry)
                && key.algorithm() != Algorithm::Hs256
            {
                // Of two keys of one name the first counts.
                let _ = keys.add(key_id, key);
            }
        }
        if keys.is_empty() {
            return Err(JwksError::NoKeys);
        }
        let passed_over = entries.len() - keys.len();
        Ok((keys, passed_over))
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
    pub(in crate::auth) fn find(&self, key_id: Option<&str>) -> Option<&Arc<VerifyingKey>> {
        match key_id {
            Some(name) if !self.named.is_empty() => self.named.get(name),
            Some(_) | None => self.unnamed.as_ref(),
        }
    }

    /// The key that goes by just that name, or the one without for a token without.
    pub(in crate::auth) fn find_exactly(&self, key_id: Option<&str>) -> Option<&Arc<VerifyingKey>> {
        match key_id {
            Some(name) => self.named.get(name),
            None => self.unnamed.as_ref(),
        }
    }

    /// Whether this very key is one of them.
    pub(in crate::auth) fn contains(&self, key: &Fingerprint) -> bool {
        self.iter().any(|(_, own)| own.fingerprint() == *key)
    }

    /// Every key with its name.
    pub(in crate::auth) fn iter(&self) -> impl Iterator<Item = (Option<&str>, &Arc<VerifyingKey>)> {
        let named = self.named.iter().map(|(name, key)| (Some(&**name), key));
        named.chain(self.unnamed.iter().map(|key| (None, key)))
    }

    /// Adds a key, unless its name is taken or there are too many.
    pub(in crate::auth) fn add(
        &mut self,
        key_id: Option<&str>,
        key: impl Into<Arc<VerifyingKey>>,
    ) -> Result<(), KeyError> {
        let key = key.into();
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

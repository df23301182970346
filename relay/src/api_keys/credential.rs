//! `ark_<id>_<secret>`: 24 hexadecimal digits that say which key, and 256 random bits in base64url that prove it.

use std::fmt;
use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::auth::{Digest, digest};
use crate::config::Secret;

/// What every API key begins with, and no token: a token's first letters are those of a JSON object in base64.
const PREFIX: &str = "ark_";
const ID_BYTES: usize = 12;
const SECRET_BYTES: usize = 32;

/// What a key is called by: 24 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct KeyId(String);

impl KeyId {
    /// The id that `text` is, if it is one.
    pub fn parse(text: &str) -> Option<KeyId> {
        let is_id = text.len() == 2 * ID_BYTES
            && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
        is_id.then(|| KeyId(text.to_owned()))
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What stands where a token has its `jti`.
    pub(super) fn token_id(&self) -> String {
        format!("{PREFIX}{}", self.0)
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A key that somebody shows, or is given.
pub(super) struct Credential {
    pub(super) id: KeyId,
    secret: [u8; SECRET_BYTES],
}

impl Credential {
    /// A key that nobody has.
    pub(super) fn random() -> Credential {
        let id: [u8; ID_BYTES] = rand::random();
        let mut digits = String::with_capacity(2 * ID_BYTES);
        for byte in id {
            // Writing into a string meets no error.
            let _ = write!(digits, "{byte:02x}");
        }
        Credential { id: KeyId(digits), secret: rand::random() }
    }

    /// Whether `text` means to be a key, and not a token.
    pub(super) fn is_meant(text: &str) -> bool {
        text.starts_with(PREFIX)
    }

    /// The key that `text` is, if it is one.
    pub(super) fn parse(text: &str) -> Option<Credential> {
        let (id, secret) = text.strip_prefix(PREFIX)?.split_once('_')?;
        // Checked first, so that no more is decoded than a secret can be.
        let secret = (secret.len() == 43).then(|| URL_SAFE_NO_PAD.decode(secret).ok())??;
        Some(Credential { id: KeyId::parse(id)?, secret: secret.try_into().ok()? })
    }

    /// What is shown to its owner, once.
    pub(super) fn text(&self) -> Secret {
        Secret::from(format!("{PREFIX}{}_{}", self.id, URL_SAFE_NO_PAD.encode(self.secret)))
    }

    /// What is kept of the secret. It has 256 random bits, so nothing slower is needed to keep it from being guessed.
    pub(super) fn hash(&self) -> Digest {
        digest(&[b"api key", self.id.0.as_bytes(), &self.secret])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_as_it_is_shown() {
        for _ in 0..100 {
            let made = Credential::random();
            let text = made.text();
            let read = Credential::parse(text.expose_text()).unwrap();
            assert_eq!((&read.id, read.hash()), (&made.id, made.hash()));
            assert_eq!(text.expose_text().len(), 4 + 24 + 1 + 43);
        }
    }

    #[test]
    fn what_is_no_key_is_not_read() {
        let good = Credential::random().text().expose_text().to_owned();
        let upper = good.to_uppercase();
        let longer = format!("{good}A");
        let padded = format!("{good}=");
        for bad in
            ["", "ark_", "ark__", "ark_x_y", &good[..good.len() - 1], &good[1..], &upper, &longer, &padded]
        {
            assert!(Credential::parse(bad).is_none(), "{bad}");
        }
    }
}

//! Believes API keys, and leaves tokens to another authenticator.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::future::{BoxFuture, FutureExt as _};

use crate::api_keys::credential::Credential;
use crate::api_keys::{ApiKeyStore, StoredKey};
use crate::auth::{AuthError, Authenticator, Principal, Rights, Validity};

/// How closely the last use of a key is known, in seconds: a busy key is written once a minute.
const USE_NOTED_EVERY_S: u64 = 60;

/// Authenticates by tokens and by API keys.
#[derive(Debug)]
pub struct TokensAndApiKeys {
    tokens: Arc<dyn Authenticator>,
    api_keys: Arc<dyn ApiKeyStore>,
    life_max: Duration,
}

impl TokensAndApiKeys {
    /// What `tokens` believes, and the keys in `api_keys`. A key is to be shown again after `life_max`.
    pub fn new(
        tokens: Arc<dyn Authenticator>,
        api_keys: Arc<dyn ApiKeyStore>,
        life_max: Duration,
    ) -> TokensAndApiKeys {
        TokensAndApiKeys { tokens, api_keys, life_max }
    }

    async fn judge(&self, text: &str, now: SystemTime) -> Result<Principal, AuthError> {
        let credential = Credential::parse(text).ok_or(AuthError::UnknownApiKey)?;
        let found = self.api_keys.find(&credential.id).await.map_err(|_| AuthError::ApiKeysUnavailable)?;
        // An id without a key and a key without its secret are told as one.
        let found = found.filter(|found| found.is_proved_by(&credential.hash()));
        let StoredKey { key, .. } = found.ok_or(AuthError::UnknownApiKey)?;
        let expires_at = SystemTime::UNIX_EPOCH + Duration::from_secs(key.expires_at_s);
        if expires_at <= now {
            return Err(AuthError::UnknownApiKey);
        }
        let now_s = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        if key.last_used_at_s.is_none_or(|used| now_s >= used.saturating_add(USE_NOTED_EVERY_S)) {
            // Good to know, and not worth a refusal.
            let _ = self.api_keys.note_use(&key.id, now_s).await;
        }
        let rights = Rights::new(&key.rights)?;
        // Each showing counts as a token made just now: revoking an agent ends its connections and leaves its keys.
        let validity = Validity { issued_at: now, expires_at: expires_at.min(now + self.life_max) };
        Ok(Principal::new(&key.tenant, &key.agent, Some(&key.id.token_id()), validity, rights))
    }
}

impl Authenticator for TokensAndApiKeys {
    fn authenticate<'a>(
        &'a self,
        token: &'a str,
        now: SystemTime,
    ) -> BoxFuture<'a, Result<Principal, AuthError>> {
        if Credential::is_meant(token) {
            self.judge(token, now).boxed()
        } else {
            self.tokens.authenticate(token, now)
        }
    }

    fn recheck(&self, principal: &Principal) -> Result<(), AuthError> {
        self.tokens.recheck(principal)
    }
}

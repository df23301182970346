//! The power to make, list and revoke keys. Handed to those who administrate; whether they may is for them to check.

use std::sync::Arc;
use std::time::SystemTime;

use relay_protocol::address::{is_agent, is_tenant};

use crate::api_keys::credential::Credential;
use crate::api_keys::{
    ApiKey, ApiKeyError, ApiKeyRequest, ApiKeyStore, KEY_BYTES_MAX, KeyId, LABEL_BYTES_MAX, LIFE_S_MAX,
    StoredKey,
};
use crate::auth::Rights;
use crate::config::Secret;
use crate::revocation::{Revocation, RevocationError, Revocations};

/// Makes, lists and revokes keys.
#[derive(Debug)]
pub struct ApiKeys {
    pub(super) store: Arc<dyn ApiKeyStore>,
    revocations: Arc<Revocations>,
}

impl ApiKeys {
    /// Keys in `store`; what lives by a revoked one is ended through `revocations`.
    pub fn new(store: Arc<dyn ApiKeyStore>, revocations: Arc<Revocations>) -> ApiKeys {
        ApiKeys { store, revocations }
    }

    /// Makes a key. Its text is told here and never again.
    pub async fn create(
        &self,
        request: ApiKeyRequest,
        now: SystemTime,
    ) -> Result<(ApiKey, Secret), ApiKeyError> {
        let credential = Credential::random();
        let stored = StoredKey { key: key(request, credential.id.clone(), now)?, hash: credential.hash() };
        if stored.write().len() > KEY_BYTES_MAX {
            return Err(ApiKeyError::TooLarge);
        }
        let key = stored.key.clone();
        self.store.put(stored).await?;
        Ok((key, credential.text()))
    }

    /// The keys of a tenant, the latest first.
    pub async fn list(&self, tenant: &str) -> Result<Vec<ApiKey>, ApiKeyError> {
        let mut keys = self.store.list(tenant).await?;
        keys.sort_by(|a, b| {
            b.created_at_s.cmp(&a.created_at_s).then_with(|| a.id.as_str().cmp(b.id.as_str()))
        });
        Ok(keys)
    }

    /// Ends a key of a tenant and every connection that lives by it, within a second; says whether there was one.
    pub async fn revoke(&self, tenant: &str, id: &KeyId) -> Result<bool, ApiKeyError> {
        let found = self.store.find(id).await?;
        if found.is_none_or(|found| found.key.tenant != tenant) {
            return Ok(false);
        }
        let revocation = Revocation::of_token(tenant, &id.token_id()).map_err(|_| ApiKeyError::Tenant)?;
        // First what ends connections: a failure after it leaves a key that can be revoked again.
        let revoked = self.revocations.revoke(revocation).await;
        if revoked == Err(RevocationError::Away) {
            return Err(ApiKeyError::Away);
        }
        // Should there be no room, the key itself goes, and its connections with the life of a token.
        self.store.remove(tenant, id).await?;
        Ok(true)
    }
}

fn key(request: ApiKeyRequest, id: KeyId, now: SystemTime) -> Result<ApiKey, ApiKeyError> {
    let ApiKeyRequest { tenant, agent, label, rights, life } = request;
    if !is_tenant(&tenant) {
        return Err(ApiKeyError::Tenant);
    }
    if !is_agent(&agent) {
        return Err(ApiKeyError::Agent);
    }
    if label.len() > LABEL_BYTES_MAX || label.chars().any(char::is_control) {
        return Err(ApiKeyError::Label);
    }
    Rights::new(&rights)?;
    let life_s = Some(life.as_secs()).filter(|life_s| (1..=LIFE_S_MAX).contains(life_s));
    let created_at_s = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    let expires_at_s = created_at_s.saturating_add(life_s.ok_or(ApiKeyError::Life)?);
    Ok(ApiKey { id, tenant, agent, label, rights, created_at_s, expires_at_s, last_used_at_s: None })
}

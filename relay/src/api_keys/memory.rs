//! API keys inside one process: all there are of a relay without Redis, where they end with it.

use std::sync::Arc;

use ahash::HashMap;
use futures_util::future::{self, BoxFuture, FutureExt as _};
use parking_lot::Mutex;

use crate::api_keys::{ApiKey, ApiKeyError, ApiKeyStore, KEYS_PER_TENANT_MAX, KeyId, StoredKey};

/// Keys in memory.
#[derive(Debug, Default)]
pub struct MemoryApiKeys(Mutex<HashMap<KeyId, StoredKey>>);

impl MemoryApiKeys {
    /// A store without keys.
    pub fn new() -> Arc<MemoryApiKeys> {
        Arc::default()
    }
}

impl ApiKeyStore for MemoryApiKeys {
    fn put(&self, key: StoredKey) -> BoxFuture<'static, Result<(), ApiKeyError>> {
        let mut keys = self.0.lock();
        let now_s = key.key.created_at_s;
        keys.retain(|_, other| other.key.expires_at_s > now_s);
        let of_tenant = keys.values().filter(|other| other.key.tenant == key.key.tenant).count();
        let put = if of_tenant >= KEYS_PER_TENANT_MAX {
            Err(ApiKeyError::Full)
        } else {
            keys.insert(key.key.id.clone(), key);
            Ok(())
        };
        future::ready(put).boxed()
    }

    fn find(&self, id: &KeyId) -> BoxFuture<'static, Result<Option<StoredKey>, ApiKeyError>> {
        future::ready(Ok(self.0.lock().get(id).cloned())).boxed()
    }

    fn note_use(&self, id: &KeyId, at_s: u64) -> BoxFuture<'static, Result<(), ApiKeyError>> {
        if let Some(stored) = self.0.lock().get_mut(id) {
            stored.key.last_used_at_s = Some(at_s);
        }
        future::ready(Ok(())).boxed()
    }

    fn remove(&self, tenant: &str, id: &KeyId) -> BoxFuture<'static, Result<(), ApiKeyError>> {
        let mut keys = self.0.lock();
        if keys.get(id).is_some_and(|stored| stored.key.tenant == tenant) {
            keys.remove(id);
        }
        future::ready(Ok(())).boxed()
    }

    fn list(&self, tenant: &str) -> BoxFuture<'static, Result<Vec<ApiKey>, ApiKeyError>> {
        let keys = self.0.lock();
        let of_tenant = keys.values().filter(|stored| stored.key.tenant == tenant);
        let of_tenant = of_tenant.map(|stored| stored.key.clone()).collect();
        future::ready(Ok(of_tenant)).boxed()
    }
}

//! What every [`ApiKeyStore`] does: each sentence of its documentation, as a check that any
//! store can be put to. A check panics where a store does not conform.

#![expect(clippy::unwrap_used, reason = "a check is a test: it panics where a store does not conform")]

use std::sync::Arc;
use std::time::SystemTime;

use crate::api_keys::credential::Credential;
use crate::api_keys::{ApiKey, ApiKeyError, ApiKeyStore, KEYS_PER_TENANT_MAX, StoredKey};
use crate::auth::RightsClaim;

/// A store that any instance may hold.
pub type SharedStore = Arc<dyn ApiKeyStore>;

/// Puts a store to every check; the two are of two instances.
pub async fn check(a: SharedStore, b: SharedStore) {
    a_key_is_found_by_its_id(&a, &b).await;
    a_use_is_noted_and_wakes_no_dead(&a, &b).await;
    only_its_tenant_removes_a_key(&a, &b).await;
    a_tenant_lists_its_own(&a, &b).await;
    a_tenant_has_so_many_and_no_more(&a).await;
}

fn stored(tenant: &str) -> StoredKey {
    let credential = Credential::random();
    let now_s = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    let key = ApiKey {
        id: credential.id.clone(),
        tenant: tenant.to_owned(),
        agent: "worker.1".to_owned(),
        label: "the \"nightly\" é job".to_owned(),
        rights: RightsClaim::everything(),
        created_at_s: now_s,
        expires_at_s: now_s + 3_600,
        last_used_at_s: None,
    };
    StoredKey { hash: credential.hash(), key }
}

async fn a_key_is_found_by_its_id(a: &SharedStore, b: &SharedStore) {
    let key = stored("found");
    assert_eq!(a.find(&key.key.id).await, Ok(None));
    a.put(key.clone()).await.unwrap();
    for store in [a, b] {
        assert_eq!(store.find(&key.key.id).await, Ok(Some(key.clone())));
    }
}

async fn a_use_is_noted_and_wakes_no_dead(a: &SharedStore, b: &SharedStore) {
    let key = stored("used");
    a.note_use(&key.key.id, 7).await.unwrap();
    assert_eq!(a.find(&key.key.id).await, Ok(None));
    a.put(key.clone()).await.unwrap();
    a.note_use(&key.key.id, 1_800_000_000).await.unwrap();
    let found = b.find(&key.key.id).await.unwrap().unwrap();
    assert_eq!(found.key.last_used_at_s, Some(1_800_000_000));
    assert_eq!(found.hash, key.hash);
}

async fn only_its_tenant_removes_a_key(a: &SharedStore, b: &SharedStore) {
    let key = stored("mine");
    a.put(key.clone()).await.unwrap();
    b.remove("yours", &key.key.id).await.unwrap();
    assert!(a.find(&key.key.id).await.unwrap().is_some());
    for _ in 0..2 {
        b.remove("mine", &key.key.id).await.unwrap();
        assert_eq!(a.find(&key.key.id).await, Ok(None));
    }
    assert_eq!(a.list("mine").await, Ok(vec![]));
}

async fn a_tenant_lists_its_own(a: &SharedStore, b: &SharedStore) {
    let (first, second, other) = (stored("lists"), stored("lists"), stored("listed"));
    for key in [&first, &second, &other] {
        a.put(key.clone()).await.unwrap();
    }
    let mut listed = b.list("lists").await.unwrap();
    listed.sort_by(|a, b| a.id.as_str().cmp(b.id.as_str()));
    let mut expected = vec![first.key, second.key];
    expected.sort_by(|a, b| a.id.as_str().cmp(b.id.as_str()));
    assert_eq!(listed, expected);
    assert_eq!(b.list("nobody").await, Ok(vec![]));
}

async fn a_tenant_has_so_many_and_no_more(a: &SharedStore) {
    for _ in 0..KEYS_PER_TENANT_MAX {
        a.put(stored("many")).await.unwrap();
    }
    let one_more = stored("many");
    assert_eq!(a.put(one_more.clone()).await, Err(ApiKeyError::Full));
    assert_eq!(a.find(&one_more.key.id).await, Ok(None));
    assert_eq!(a.put(stored("few")).await, Ok(()));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api_keys::memory::MemoryApiKeys;

    #[tokio::test]
    async fn memory_conforms() {
        let store: SharedStore = MemoryApiKeys::new();
        check(Arc::clone(&store), store).await;
    }
}

//! What every [`TenantStore`] does: each sentence of its documentation, as a check that any store can be put to. A check
//! panics where a store does not conform.

#![expect(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "a check is a test: it panics where a store does not conform"
)]

use std::sync::Arc;
use std::time::SystemTime;

use crate::config::tenant_limits::TenantLimits;
use crate::tenants::{Said, Standing, TENANTS_MAX, TenantError, TenantStore};

fn now_us() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_micros()).unwrap()
}

fn said(what: bool, at_us: u64) -> Standing {
    Standing { suspended: Said { what, at_us }, ..Standing::default() }
}

fn limited(connections: Option<u32>, at_us: u64) -> Standing {
    let what = TenantLimits { connections, ..TenantLimits::default() };
    Standing { limits: Said { what, at_us }, ..Standing::default() }
}

/// Puts a store to every check. `join` adds an instance to an empty one.
pub async fn check(join: impl AsyncFn() -> Arc<dyn TenantStore>) {
    let (a, b) = (join().await, join().await);
    let now_us = now_us();
    let said = |what, later| said(what, now_us + later);
    let limited = |connections, later| limited(connections, now_us + later);
    let acme: Arc<str> = Arc::from("acme");

    assert_eq!(a.read(0).await.unwrap(), None, "nothing was said");
    a.put(&acme, said(true, 5)).await.unwrap();
    let first = b.read(0).await.unwrap().unwrap();
    assert_eq!(first.tenants, [(Arc::clone(&acme), said(true, 5))]);
    assert_eq!(b.read(first.version).await.unwrap(), None);
    b.put(&acme, said(false, 4)).await.unwrap();
    b.put(&acme, said(true, 5)).await.unwrap();
    assert_eq!(a.read(first.version).await.unwrap(), None, "what is not later changes nothing");
    b.put(&acme, said(false, 6)).await.unwrap();
    let second = a.read(first.version).await.unwrap().unwrap();
    assert_ne!(second.version, first.version);
    assert_eq!(second.tenants, [(Arc::clone(&acme), said(false, 6))]);

    a.put(&acme, limited(Some(3), 1)).await.unwrap();
    let both = Standing { suspended: said(false, 6).suspended, ..limited(Some(3), 1) };
    let third = b.read(second.version).await.unwrap().unwrap();
    assert_eq!(third.tenants, [(Arc::clone(&acme), both)], "each thing by itself, whichever is later");
    b.put(&acme, limited(None, 2)).await.unwrap();
    let fourth = a.read(third.version).await.unwrap().unwrap();
    let cleared = Standing { suspended: both.suspended, ..limited(None, 2) };
    assert_eq!(fourth.tenants, [(acme, cleared)]);
}

/// Fills an empty store.
pub async fn check_bound(store: Arc<dyn TenantStore>) {
    let now_us = now_us();
    let said = |what, later| said(what, now_us + later);
    let limited = |connections, later| limited(connections, now_us + later);
    for number in 0..TENANTS_MAX {
        store.put(&Arc::from(format!("t{number}")), said(true, 1)).await.unwrap();
    }
    assert_eq!(store.put(&Arc::from("more"), said(true, 1)).await, Err(TenantError::Full));
    assert_eq!(store.put(&Arc::from("more"), limited(Some(1), 1)).await, Err(TenantError::Full));
    let one = store.put(&Arc::from("t1"), limited(Some(1), 2)).await;
    assert_eq!(one, Ok(()), "one tenant, said two things of");
    assert_eq!(store.put(&Arc::from("t1"), said(false, 2)).await, Ok(()), "what is there has room");
    assert_eq!(store.read(0).await.unwrap().unwrap().tenants.len(), TENANTS_MAX);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tenants::memory::MemoryTenants;

    #[tokio::test]
    async fn memory_conforms() {
        let store = Arc::new(MemoryTenants::default());
        check(async || Arc::clone(&store) as Arc<dyn TenantStore>).await;
        check_bound(Arc::new(MemoryTenants::default())).await;
    }
}

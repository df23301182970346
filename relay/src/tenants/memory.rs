//! Standings inside one process: all there are of a relay without Redis, and what tests put several instances on.

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::future::{self, BoxFuture, FutureExt as _};
use parking_lot::Mutex;

use crate::tenants::{Snapshot, Standing, TENANTS_MAX, TenantError, TenantStore};

/// Standings in memory.
#[derive(Debug, Default)]
pub struct MemoryTenants(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    version: u64,
    tenants: HashMap<Arc<str>, Standing>,
}

impl TenantStore for MemoryTenants {
    fn put(&self, tenant: &Arc<str>, standing: Standing) -> BoxFuture<'static, Result<(), TenantError>> {
        let mut kept = self.0.lock();
        let kept = &mut *kept;
        if !kept.tenants.contains_key(tenant) && kept.tenants.len() >= TENANTS_MAX {
            return future::ready(Err(TenantError::Full)).boxed();
        }
        if kept.tenants.entry(Arc::clone(tenant)).or_default().take(&standing) {
            kept.version += 1;
        }
        future::ready(Ok(())).boxed()
    }

    fn read(&self, version: u64) -> BoxFuture<'static, Result<Option<Snapshot>, TenantError>> {
        let kept = self.0.lock();
        let snapshot = (kept.version != version).then(|| Snapshot {
            version: kept.version,
            tenants: kept.tenants.iter().map(|(tenant, standing)| (Arc::clone(tenant), *standing)).collect(),
        });
        future::ready(Ok(snapshot)).boxed()
    }
}

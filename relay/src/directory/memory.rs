//! temporary
use crate::bus::InstanceId;
use crate::directory::{Directory, DirectoryError, Entry, OwnEntry};
use dashmap::DashMap;
use futures_util::future::{self, BoxFuture, FutureExt as _};
use std::sync::Arc;
/// Hub
#[derive(Debug, Default)]
pub struct DirectoryHub {
    map: DashMap<(String, String), Vec<Entry>>,
    wild: DashMap<String, usize>,
}
/// Dir
#[derive(Debug)]
pub struct MemoryDirectory {
    hub: Arc<DirectoryHub>,
    instance: InstanceId,
}
impl DirectoryHub {
    /// join
    pub fn join(self: &Arc<Self>, instance: &InstanceId) -> Arc<MemoryDirectory> {
        Arc::new(MemoryDirectory { hub: self.clone(), instance: instance.clone() })
    }
}
impl Directory for MemoryDirectory {
    fn register(&self, e: OwnEntry) -> BoxFuture<'static, Result<Vec<InstanceId>, DirectoryError>> {
        let mut v = self.hub.map.entry((e.tenant.to_string(), e.agent.to_string())).or_default();
        let others = v.iter().filter(|x| x.instance != self.instance).map(|x| x.instance.clone()).collect();
        v.push(Entry { session: e.session, instance: self.instance.clone(), generation: e.generation });
        future::ready(Ok(others)).boxed()
    }
    fn unregister(&self, e: OwnEntry) -> BoxFuture<'static, Result<(), DirectoryError>> {
        let k = (e.tenant.to_string(), e.agent.to_string());
        if let Some(mut v) = self.hub.map.get_mut(&k) {
            v.retain(|x| x.session != e.session);
        }
        self.hub.map.remove_if(&k, |_, v| v.is_empty());
        future::ready(Ok(())).boxed()
    }
    fn lookup(&self, tenant: &str, agent: &str) -> BoxFuture<'static, Result<Vec<Entry>, DirectoryError>> {
        future::ready(Ok(self
            .hub
            .map
            .get(&(tenant.to_owned(), agent.to_owned()))
            .map(|v| v.clone())
            .unwrap_or_default()))
        .boxed()
    }
    fn may_have_wildcards(&self, tenant: &str) -> bool {
        self.hub.wild.contains_key(tenant)
    }
    fn hold_wildcards(&self, tenant: &str) -> BoxFuture<'static, Result<(), DirectoryError>> {
        self.hub.wild.insert(tenant.to_owned(), 1);
        future::ready(Ok(())).boxed()
    }
    fn release_wildcards(&self, tenant: &str) {
        self.hub.wild.remove(tenant);
    }
}

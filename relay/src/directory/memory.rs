//! A directory inside one process: the whole directory of a relay without Redis, and what tests put several instances
//! on. An instance lives as long as its handle; dropping that is its death, and takes its entries along.

use std::sync::Arc;

use ahash::{HashMap, HashSet};
use futures_util::future::{self, BoxFuture, FutureExt as _};
use parking_lot::RwLock;

use crate::bus::InstanceId;
use crate::directory::{AgentPage, Directory, DirectoryError, Entry, OwnEntry, is_listed};

/// What the directories of one process share.
#[derive(Debug, Default)]
pub struct MemoryDirectoryHub {
    tenants: RwLock<HashMap<Arc<str>, Tenant>>,
}

#[derive(Debug, Default)]
struct Tenant {
    agents: HashMap<Arc<str>, Vec<Entry>>,
    wildcards: HashSet<InstanceId>,
}

impl MemoryDirectoryHub {
    /// A hub without entries.
    pub fn new() -> Arc<MemoryDirectoryHub> {
        Arc::default()
    }

    /// The directory of an instance that begins to live.
    pub fn join(self: &Arc<Self>, instance: InstanceId) -> Arc<MemoryDirectory> {
        Arc::new(MemoryDirectory { hub: self.clone(), instance })
    }

    /// Changes the entries of an agent, and forgets it when none is left.
    fn change_agent<T>(&self, tenant: &str, agent: &str, change: impl FnOnce(&mut Vec<Entry>) -> T) -> T {
        self.change_tenant(tenant, |tenant| {
            let mut entries = tenant.agents.remove(agent).unwrap_or_default();
            let changed = change(&mut entries);
            if !entries.is_empty() {
                tenant.agents.insert(agent.into(), entries);
            }
            changed
        })
    }

    /// Changes a tenant, and forgets it when nothing is left of it.
    fn change_tenant<T>(&self, name: &str, change: impl FnOnce(&mut Tenant) -> T) -> T {
        let mut tenants = self.tenants.write();
        let tenant = tenants.entry(name.into()).or_default();
        let changed = change(tenant);
        if tenant.agents.is_empty() && tenant.wildcards.is_empty() {
            tenants.remove(name);
        }
        changed
    }
}

/// The directory of one instance on a [`MemoryDirectoryHub`].
#[derive(Debug)]
pub struct MemoryDirectory {
    hub: Arc<MemoryDirectoryHub>,
    instance: InstanceId,
}

impl Directory for MemoryDirectory {
    fn register(&self, own: OwnEntry) -> BoxFuture<'static, Result<Vec<Entry>, DirectoryError>> {
        let before = self.hub.change_agent(&own.tenant, &own.agent, |entries| {
            let before = entries.clone();
            let instance = self.instance.clone();
            let entry = Entry { session: own.session, instance, generation: own.generation };
            match entries.iter_mut().find(|other| other.session == entry.session) {
                Some(other) if other.generation > entry.generation => {}
                Some(other) => *other = entry,
                None => entries.push(entry),
            }
            before
        });
        future::ready(Ok(before)).boxed()
    }

    fn unregister(&self, own: OwnEntry) -> BoxFuture<'static, Result<(), DirectoryError>> {
        let instance = self.instance.clone();
        let entry = Entry { session: own.session, instance, generation: own.generation };
        self.hub.change_agent(&own.tenant, &own.agent, |entries| entries.retain(|other| *other != entry));
        future::ready(Ok(())).boxed()
    }

    fn lookup(&self, tenant: &str, agent: &str) -> BoxFuture<'static, Result<Vec<Entry>, DirectoryError>> {
        let tenants = self.hub.tenants.read();
        let entries = tenants.get(tenant).and_then(|tenant| tenant.agents.get(agent));
        future::ready(Ok(entries.cloned().unwrap_or_default())).boxed()
    }

    fn agents(
        &self,
        tenant: &str,
        after: Option<&str>,
        max: usize,
    ) -> BoxFuture<'static, Result<AgentPage, DirectoryError>> {
        let tenants = self.hub.tenants.read();
        let mut page = AgentPage::default();
        if let Some(tenant) = tenants.get(tenant) {
            let later = tenant
                .agents
                .iter()
                .filter(|(name, _)| is_listed(name) && after.is_none_or(|after| &***name > after));
            page.agents = later.map(|(name, entries)| (name.clone(), entries.clone())).collect();
        }
        page.agents.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        if page.agents.len() > max {
            page.agents.truncate(max);
            page.next = page.agents.last().map(|(name, _)| name.clone());
        }
        future::ready(Ok(page)).boxed()
    }

    fn may_have_wildcards(&self, tenant: &str) -> bool {
        self.hub.tenants.read().get(tenant).is_some_and(|tenant| !tenant.wildcards.is_empty())
    }

    fn hold_wildcards(&self, tenant: &str) -> BoxFuture<'static, Result<(), DirectoryError>> {
        self.hub.change_tenant(tenant, |tenant| tenant.wildcards.insert(self.instance.clone()));
        future::ready(Ok(())).boxed()
    }

    fn release_wildcards(&self, tenant: &str) {
        self.hub.change_tenant(tenant, |tenant| tenant.wildcards.remove(&self.instance));
    }
}

impl Drop for MemoryDirectory {
    fn drop(&mut self) {
        let mut tenants = self.hub.tenants.write();
        tenants.retain(|_, tenant| {
            tenant.wildcards.remove(&self.instance);
            tenant.agents.retain(|_, entries| {
                entries.retain(|entry| entry.instance != self.instance);
                !entries.is_empty()
            });
            !(tenant.agents.is_empty() && tenant.wildcards.is_empty())
        });
    }
}

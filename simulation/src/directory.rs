//! The directory of an instance that may end: from then on it changes nothing, and a while later its entries are gone.

use std::sync::Arc;

use futures_util::future::{self, BoxFuture, FutureExt as _};
use parking_lot::Mutex;
use relay::directory::memory::MemoryDirectory;
use relay::directory::{AgentPage, Directory, DirectoryError, Entry, OwnEntry};

/// The directory of one instance.
#[derive(Debug)]
pub(crate) struct Mortal(Mutex<Option<Arc<MemoryDirectory>>>);

type Asked<T> = BoxFuture<'static, Result<T, DirectoryError>>;

impl Mortal {
    pub(crate) fn new(living: Arc<MemoryDirectory>) -> Arc<Mortal> {
        Arc::new(Mortal(Mutex::new(Some(living))))
    }

    /// Ends it. What it entered stays until what is returned is dropped: that is its lease.
    pub(crate) fn end(&self) -> Option<Arc<MemoryDirectory>> {
        self.0.lock().take()
    }

    fn ask<T: Send + 'static>(&self, question: impl FnOnce(&MemoryDirectory) -> Asked<T>) -> Asked<T> {
        match &*self.0.lock() {
            Some(living) => question(living),
            None => future::ready(Err(DirectoryError)).boxed(),
        }
    }
}

impl Directory for Mortal {
    fn register(&self, entry: OwnEntry) -> Asked<Vec<Entry>> {
        self.ask(|living| living.register(entry))
    }

    fn unregister(&self, entry: OwnEntry) -> Asked<()> {
        self.ask(|living| living.unregister(entry))
    }

    fn lookup(&self, tenant: &str, agent: &str) -> Asked<Vec<Entry>> {
        self.ask(|living| living.lookup(tenant, agent))
    }

    fn agents(&self, tenant: &str, after: Option<&str>, max: usize) -> Asked<AgentPage> {
        self.ask(|living| living.agents(tenant, after, max))
    }

    fn may_have_wildcards(&self, tenant: &str) -> bool {
        self.0.lock().as_ref().is_none_or(|living| living.may_have_wildcards(tenant))
    }

    fn hold_wildcards(&self, tenant: &str) -> Asked<()> {
        self.ask(|living| living.hold_wildcards(tenant))
    }

    fn release_wildcards(&self, tenant: &str) {
        if let Some(living) = &*self.0.lock() {
            living.release_wildcards(tenant);
        }
    }
}

//! Revocations inside one process: all there are of a relay without Redis, and what tests put several instances on.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{self, BoxFuture, FutureExt as _};
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::revocation::{MARGIN, Page, Position, REVOCATIONS_MAX, Revocation, RevocationStore, StoreError};

/// Revocations read at a time.
const PAGE: usize = 1_000;

/// What the stores of one process share.
#[derive(Debug)]
pub struct MemoryRevocationHub {
    life: Duration,
    kept: Mutex<Kept>,
    added: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Kept {
    entries: Vec<(u64, Instant, Revocation)>,
    number: u64,
}

impl MemoryRevocationHub {
    /// A hub that keeps revocations for at least so long.
    pub fn new(life: Duration) -> Arc<MemoryRevocationHub> {
        Arc::new(MemoryRevocationHub {
            life: life + MARGIN,
            kept: Mutex::default(),
            added: watch::Sender::new(0),
        })
    }

    /// The store of one instance.
    pub fn join(self: &Arc<Self>) -> Arc<MemoryRevocations> {
        let news = tokio::sync::Mutex::new(self.added.subscribe());
        Arc::new(MemoryRevocations { hub: Arc::clone(self), news: Arc::new(news) })
    }
}

/// The store of one instance on a [`MemoryRevocationHub`].
#[derive(Debug)]
pub struct MemoryRevocations {
    hub: Arc<MemoryRevocationHub>,
    news: Arc<tokio::sync::Mutex<watch::Receiver<u64>>>,
}

impl RevocationStore for MemoryRevocations {
    fn add(&self, revocations: Vec<Revocation>) -> BoxFuture<'static, Result<(), StoreError>> {
        let (mut kept, now) = (self.hub.kept.lock(), Instant::now());
        kept.entries.retain(|(_, at, _)| now.duration_since(*at) < self.hub.life);
        let mut added = Ok(());
        for revocation in revocations {
            if kept.entries.iter().any(|(_, _, other)| *other == revocation) {
                continue;
            }
            if kept.entries.len() >= REVOCATIONS_MAX {
                added = Err(StoreError::Full);
                break;
            }
            kept.number += 1;
            let number = kept.number;
            kept.entries.push((number, now, revocation));
        }
        self.hub.added.send_replace(kept.number);
        future::ready(added).boxed()
    }

    fn read(&self, after: Position) -> BoxFuture<'static, Result<Page, StoreError>> {
        let kept = self.hub.kept.lock();
        let known = after == Position::default() || kept.entries.iter().any(|(at, ..)| *at == after.0);
        let mut later = kept.entries.iter().filter(|(at, ..)| *at > after.0);
        let read: Vec<_> = later.by_ref().take(PAGE).collect();
        let page = Page {
            position: read.last().map_or(after, |(at, ..)| Position(*at)),
            revocations: read.into_iter().map(|(_, _, revocation)| revocation.clone()).collect(),
            more: later.next().is_some(),
            lost: !known,
        };
        future::ready(Ok(page)).boxed()
    }

    fn news(&self) -> BoxFuture<'static, ()> {
        let news = Arc::clone(&self.news);
        async move { drop(news.lock().await.changed().await) }.boxed()
    }
}

//! Watchers of one place, each with what it was told last.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use relay_protocol::{Address, Chunk, ErrorCode, ServerFrame};

use crate::directory::DirectoryError;
use crate::outbound::Outbound;
use crate::presence::members::Members;
use crate::presence::{Place, Presence};

/// A watcher with so many bytes of control frames that wait hears later, of all that changed by then together.
const BACKLOG_MAX: usize = 64 * 1024;
/// When to try again while the directory is away, in milliseconds.
const RETRY_MS: u64 = 1_000;

/// A session that watches.
#[derive(Debug)]
pub(super) struct Watcher {
    number: u64,
    outbound: Arc<Outbound>,
    /// The command, until it is answered.
    command: Option<u64>,
    told: Option<Arc<Members>>,
    version: u64,
}

/// A session's watching of a place. Dropped, it hears no more of it.
#[derive(Debug)]
pub struct Watch {
    presence: Arc<Presence>,
    place: Place,
    number: u64,
}

impl Watch {
    /// Where.
    pub fn address(&self) -> &Address<'static> {
        &self.place.address
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if let Some(mut watchers) = self.presence.watched.get_mut(&self.place) {
            watchers.retain(|watcher| watcher.number != self.number);
        }
        self.presence.watched.remove_if(&self.place, |_, watchers| watchers.is_empty());
        self.presence.metrics.presence_watches.decrement(1.0);
    }
}

impl Presence {
    /// Tells a session who is present at an address of its tenant, as the answer to `command`, and then what changes. While
    /// the directory is away the answer is an error, and nothing comes after it.
    pub fn watch(
        self: &Arc<Self>,
        tenant: &Arc<str>,
        address: &Address<'_>,
        outbound: &Arc<Outbound>,
        command: u64,
    ) -> Watch {
        let place = Place { tenant: Arc::clone(tenant), address: address.clone().into_owned() };
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let outbound = Arc::clone(outbound);
        let watcher = Watcher { number, outbound, command: Some(command), told: None, version: 0 };
        self.watched.entry(place.clone()).or_default().push(watcher);
        self.metrics.presence_watches.increment(1.0);
        let (presence, first) = (Arc::clone(self), place.clone());
        self.tracker.spawn(async move { presence.look(first).await });
        Watch { presence: Arc::clone(self), place, number }
    }

    /// Looks who is present at a place, and tells its watchers.
    pub(super) async fn look(&self, place: Place) {
        let found = self.find(&place.tenant, &place.address).await.map(Arc::new);
        let Some(mut watchers) = self.watched.get_mut(&place) else { return };
        watchers.retain_mut(|watcher| match &found {
            Ok(members) => {
                if watcher.tell(members, &place.address) {
                    self.metrics.presence_news.increment(1);
                }
                true
            }
            Err(DirectoryError) => watcher.is_known_to_watch(),
        });
    }
}

impl Watcher {
    /// Says whether there was something to tell.
    fn tell(&mut self, members: &Arc<Members>, to: &Address<'_>) -> bool {
        if self.command.is_none() && self.outbound.control_backlog() > BACKLOG_MAX {
            return false;
        }
        let before = self.told.replace(Arc::clone(members));
        let Some(mut news) = members.news(before.as_deref(), to) else { return false };
        self.version += 1;
        (news.id, news.version) = (self.command.take(), self.version);
        self.push(&ServerFrame::Presence(news));
        true
    }

    /// The directory is away: who was told before hears when it is back, who was not hears that now.
    fn is_known_to_watch(&mut self) -> bool {
        let Some(id) = self.command.take() else { return true };
        self.push(&ServerFrame::Error {
            id: Some(id),
            code: ErrorCode::Unavailable,
            message: "the directory is away".into(),
            retry_after_ms: Some(RETRY_MS),
            limit: None,
        });
        false
    }

    fn push(&self, frame: &ServerFrame<'_>) {
        self.outbound.push_control(Chunk::of(frame, self.outbound.encoding()));
    }
}

//! What a session watches, and where it is seen.

use relay_protocol::{Address, AddressKind, ErrorCode, Reconnect, ServerFrame};

use crate::directory::OwnEntry;
use crate::outbound::CloseSignal;
use crate::presence::{Present, Watch};
use crate::session::Socket;
use crate::session::{Over, Session};

/// What a session watches, and where it is seen.
#[derive(Debug, Default)]
pub(super) struct Seen {
    watches: Vec<Watch>,
    topics: Vec<Present>,
}

impl<S: Socket> Session<S> {
    /// Answers with who is present, and goes on with what changes.
    pub(super) fn watch(&mut self, id: u64, to: &Address<'_>) {
        if !self.principal.rights().may_watch(to) {
            return self.refuse(Some(id), ErrorCode::Forbidden, "to");
        }
        // Watched anew it is told from the beginning.
        if !self.forget_watch(to)
            && let Err(limit) = self.count_subscription()
        {
            return self.refuse_number(id, limit);
        }
        let watch = self.context.presence.watch(self.principal.tenant(), to, &self.outbound, id);
        self.seen.watches.push(watch);
    }

    /// Ends a watch.
    pub(super) fn unwatch(&mut self, id: u64, to: &Address<'_>) {
        if self.forget_watch(to) {
            self.limits.unsubscribe();
        }
        self.answer(&ServerFrame::Ok { id });
    }

    /// How many places it watches.
    pub(super) fn watched(&self) -> usize {
        self.seen.watches.len()
    }

    /// Says whether there was one.
    fn forget_watch(&mut self, to: &Address<'_>) -> bool {
        let at = self.seen.watches.iter().position(|watch| watch.address().as_str() == to.as_str());
        at.map(|at| self.seen.watches.swap_remove(at)).is_some()
    }

    /// Ends the watches that the token no longer allows.
    pub(super) fn end_forbidden_watches(&mut self) {
        let rights = self.principal.rights();
        let watches = self.seen.watches.iter().map(|watch| watch.address().clone());
        let lost: Vec<Address<'static>> = watches.filter(|to| !rights.may_watch(to)).collect();
        for to in lost {
            self.forget_watch(&to);
            self.limits.unsubscribe();
            self.refuse(None, ErrorCode::Forbidden, format!("no longer watching {}", to.as_str()));
        }
    }

    /// Is seen in a topic from now on.
    pub(super) fn be_seen(&mut self, topic: &str) {
        let address = format!("{}{topic}", AddressKind::Topic.prefix());
        if !self.seen.topics.iter().any(|present| present.address() == address) {
            let present = self.context.presence.enter(self.entry(&address));
            self.seen.topics.push(present);
        }
    }

    /// Is seen in a topic no longer.
    pub(super) fn be_unseen(&mut self, topic: &str) {
        let prefix = AddressKind::Topic.prefix();
        self.seen.topics.retain(|present| present.address().strip_prefix(prefix) != Some(topic));
    }

    /// The session ends. One that may come back stays present for a while.
    pub(super) fn part(&mut self, over: &Over) {
        let seen = std::mem::take(&mut self.seen);
        let comes_back = match over {
            Over::Left => true,
            Over::Close(CloseSignal { code, .. }) => code.reconnect() != Reconnect::Never,
        };
        if comes_back {
            let agent = self.context.presence.enter(self.entry(self.agent.as_str()));
            seen.topics.into_iter().chain([agent]).for_each(Present::linger);
        }
    }

    /// This session as it stands in the directory at a place.
    fn entry(&self, address: &str) -> OwnEntry {
        OwnEntry {
            tenant: self.principal.tenant().clone(),
            agent: address.into(),
            session: self.address.name().into(),
            generation: self.registration.generation(),
            about: None,
        }
    }
}

//! Groups a session is a member of.

use std::sync::Arc;

use futures_util::FutureExt as _;
use relay_protocol::{AddressKind, Chunk, ErrorCode, ServerFrame};

use crate::router::NotJoined;
use crate::session::Session;
use crate::session::Socket;

/// The address of a group.
pub(super) fn group_address(group: &str) -> Arc<str> {
    format!("{}{group}", AddressKind::Group.prefix()).into()
}

impl<S: Socket> Session<S> {
    /// Becomes a member of a group.
    pub(super) fn join_group(&mut self, id: u64, group: &str) {
        if !self.principal.rights().may_join(group) {
            return self.refuse(Some(id), ErrorCode::Forbidden, "group");
        }
        let address = group_address(group);
        if self.registration.groups().contains(&address) {
            return self.answer(&ServerFrame::Ok { id });
        }
        if let Err(limit) = self.count_subscription() {
            return self.refuse_number(id, limit);
        }
        let mut joined = self.registration.join_group(&address);
        match (&mut joined).now_or_never() {
            Some(Ok(())) => return self.answer(&ServerFrame::Ok { id }),
            Some(Err(NotJoined::Full)) => {
                self.limits.unsubscribe();
                return self.refuse_number(id, "group_members");
            }
            Some(Err(NotJoined::Unavailable)) => return self.not_joined(id, &address),
            None => {}
        }
        let (queue, encoding) = (self.queue(), self.transport.encoding());
        self.context.tracker.spawn(async move {
            match joined.await {
                Ok(()) => queue.push_control(Chunk::of(&ServerFrame::Ok { id }, encoding)),
                Err(_) => queue.push_unsubscribed(id, address),
            }
        });
    }

    /// Others could not find the member, so it is none: the client knows.
    pub(super) fn not_joined(&mut self, id: u64, address: &str) {
        self.leave_group(address);
        self.refuse_for_now(id, "the directory is away");
    }

    /// Is a member of a group no longer.
    pub(super) fn leave_group(&mut self, address: &str) {
        if self.registration.groups().iter().any(|own| **own == *address) {
            self.limits.unsubscribe();
            self.registration.leave_group(address);
        }
    }

    /// Leaves the groups that the token no longer allows.
    pub(super) fn leave_forbidden_groups(&mut self) {
        let rights = self.principal.rights();
        let lost: Vec<Arc<str>> = self
            .registration
            .groups()
            .iter()
            .filter(|own| {
                own.strip_prefix(AddressKind::Group.prefix()).is_none_or(|name| !rights.may_join(name))
            })
            .cloned()
            .collect();
        for group in lost {
            self.leave_group(&group);
            self.refuse(None, ErrorCode::Forbidden, format!("no longer a member of {group}"));
        }
    }
}

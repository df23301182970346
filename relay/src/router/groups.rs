//! Who is a member of a group. A group stands in the directory among the agents by its address, which no agent's name can
//! be.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt as _};
use relay_protocol::AddressKind;
use smallvec::SmallVec;
use thiserror::Error;

use crate::directory::OwnEntry;
use crate::router::Router;
use crate::router::registration::Registration;
use crate::router::tenant::{Member, Tenant};

/// How long the members of a group elsewhere are used without asking again: no longer than a dead instance's lease.
pub(super) const MEMBERS_TTL: Duration = Duration::from_secs(1);
/// Members of a group on this instance.
const MEMBERS_MAX: usize = 1_024;

/// Why a session is no member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NotJoined {
    /// The group has as many members on this instance as it may have.
    #[error("the group is full")]
    Full,
    /// Others could not find it.
    #[error("the directory is away")]
    Unavailable,
}

/// The members of a group on this instance.
#[derive(Debug, Default)]
pub(super) struct Group {
    pub(super) members: SmallVec<[Member; 4]>,
}

impl Group {
    pub(super) fn member(&self, session: &str) -> Option<&Member> {
        self.members.iter().find(|member| *member.session == *session)
    }
}

/// Whether a recipient is a group's address and no agent's name.
pub(super) fn is_group(recipient: &str) -> bool {
    recipient.starts_with(AddressKind::Group.prefix())
}

impl Registration {
    /// The addresses of the groups it is a member of.
    pub fn groups(&self) -> &[Arc<str>] {
        &self.groups
    }

    /// Makes the session a member of the group of this address; the future ends when others can find it. Who fails has to
    /// leave again.
    pub fn join_group(&mut self, group: &Arc<str>) -> BoxFuture<'static, Result<(), NotJoined>> {
        let (session, outbound) = (Arc::clone(&self.entry.session), Arc::clone(&self.outbound));
        let member = Member {
            session,
            connection: self.connection,
            outbound,
            token: None,
            generation: self.entry.generation,
        };
        {
            let mut local = self.tenant.groups.entry(Arc::clone(group)).or_default();
            if local.members.len() >= MEMBERS_MAX {
                return futures_util::future::ready(Err(NotJoined::Full)).boxed();
            }
            local.members.push(member);
        }
        self.groups.push(Arc::clone(group));
        self.router.metrics.group_members.increment(1.0);
        self.tenant.forget_route(group);
        let entry = OwnEntry { agent: Arc::clone(group), about: None, ..self.entry.clone() };
        let tenant = Arc::clone(&self.tenant);
        let (router, registered) = (Arc::clone(&self.router), self.router.directory.register(entry.clone()));
        async move {
            registered.await.map_err(|_| NotJoined::Unavailable)?;
            router.announce_moved(&entry.tenant, &entry.agent);
            // Behind the directory, which a message at `qos` 0 needs: at `qos` 1 nothing is taken before.
            router.speak_for(tenant, entry.agent).await.map_err(|_| NotJoined::Unavailable)
        }
        .boxed()
    }

    /// The session is a member no longer; nothing comes from the group afterwards.
    pub fn leave_group(&mut self, group: &str) {
        let Some(at) = self.groups.iter().position(|own| **own == *group) else { return };
        let group = self.groups.swap_remove(at);
        self.router.take_out(&self.tenant, &group, self.connection);
        self.keep_hands(&group);
        self.router.unlist(OwnEntry { agent: group, about: None, ..self.entry.clone() });
    }
}

impl Router {
    /// Nothing more is given to a member.
    pub(super) fn take_out(&self, tenant: &Tenant, group: &str, connection: u64) {
        let mut gone = 0.0;
        if let Some(mut local) = tenant.groups.get_mut(group) {
            let before = local.members.len();
            local.members.retain(|member| member.connection != connection);
            gone = if local.members.len() < before { 1.0 } else { 0.0 };
        }
        tenant.groups.remove_if(group, |_, local| local.members.is_empty());
        self.metrics.group_members.decrement(gone);
        tenant.forget_route(group);
    }

    /// Deletes an entry of the directory. One that stays because the store is away ends with this instance's wish for it.
    pub(super) fn unlist(&self, entry: OwnEntry) {
        let unregistered = self.directory.unregister(entry);
        self.tracker.spawn(async move {
            let _ = unregistered.await;
        });
    }
}

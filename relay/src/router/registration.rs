//! A session's place in the router. A guard: when it goes, so do its entries, whatever ended the session.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::future::BoxFuture;
use relay_protocol::{Chunk, Encoding};

use crate::auth::TokenKey;
use crate::bus::InstanceId;
use crate::directory::Entry;
use crate::directory::OwnEntry;
use crate::outbound::{CloseSignal, Outbound, Settlement};
use crate::router::Router;
use crate::router::direct::{Outgoing, Routed};
use crate::router::feed::Seat;
use crate::router::readers::Acks;
use crate::router::tenant::{Member, Tenant};
use crate::router::topics::NotSubscribed;
use crate::router::turn::Turn;
use crate::streams::{Ack, Append, Marks, StreamKey};

/// How long a `welcome` waits for the directory: others may then not find the session yet, but it can work.
const REGISTER_PATIENCE: Duration = Duration::from_secs(2);

/// A session's place in the router.
#[derive(Debug)]
pub struct Registration {
    pub(super) router: Arc<Router>,
    pub(super) tenant: Arc<Tenant>,
    pub(super) entry: OwnEntry,
    pub(super) connection: u64,
    pub(super) outbound: Arc<Outbound>,
    /// The addresses of the groups it is a member of.
    pub(super) groups: Vec<Arc<str>>,
}

impl Registration {
    /// Enters a session; when this ends others can find it, unless the directory is away. Tells what was there of the
    /// agent before, as far as that could be asked.
    pub async fn enter(
        router: &Arc<Router>,
        entry: OwnEntry,
        token: Option<TokenKey>,
        outbound: Arc<Outbound>,
    ) -> (Registration, Vec<Entry>) {
        let tenant = router.tenant(&entry.tenant);
        let connection = router.connections.fetch_add(1, Ordering::Relaxed);
        let (session, queue) = (Arc::clone(&entry.session), Arc::clone(&outbound));
        let generation = entry.generation;
        let member = Member { session, connection, generation, outbound: queue, token };
        {
            let mut local = tenant.agents.entry(Arc::clone(&entry.agent)).or_default();
            // Until it is known better: what was sent to where the agent was before comes first.
            local.elsewhere |= local.members.is_empty();
            // In one step: what comes for the session goes to one connection of it.
            local.members.retain(|former| {
                let stays = former.session != member.session || former.generation >= generation;
                if !stays {
                    former.outbound.close(CloseSignal::REPLACED);
                }
                stays
            });
            local.members.push(member);
        }
        if !tenant.may_be_under_way(&entry.agent, &router.instance)
            && let Some(mut local) = tenant.agents.get_mut(&entry.agent)
            && local.members.len() == 1
        {
            local.elsewhere = false;
        }
        // Made before the wait, so that a client that leaves meanwhile leaves nothing behind.
        let (router_held, groups) = (Arc::clone(router), Vec::new());
        let registration = Registration { router: router_held, tenant, entry, connection, outbound, groups };
        let registered = router.directory.register(registration.entry.clone());
        let registered = tokio::time::timeout(REGISTER_PATIENCE, registered).await;
        let before = registered.ok().and_then(Result::ok).unwrap_or_default();
        // The routes of other instances to it are out of date.
        if before.iter().any(|entry| entry.instance != router.instance) {
            let (tenant, agent) = (&registration.entry.tenant, &registration.entry.agent);
            if let Some(mut local) = registration.tenant.agents.get_mut(agent) {
                local.elsewhere = true;
            }
            router.announce_moved(tenant, agent);
        }
        (registration, before)
    }

    /// Which connection of the session it is.
    pub fn generation(&self) -> u64 {
        self.entry.generation
    }

    /// The client has shown another token.
    pub fn renew(&self, token: Option<TokenKey>) {
        if let Some(mut local) = self.tenant.agents.get_mut(&self.entry.agent) {
            let own = local.members.iter_mut().find(|member| member.connection == self.connection);
            if let Some(own) = own {
                own.token = token;
            }
        }
    }

    /// Routes a message of this session.
    pub fn route(
        &self,
        outgoing: &Outgoing<'_>,
        turn: &mut Turn,
        settlement: impl FnOnce() -> Settlement,
    ) -> Routed {
        self.router.route(&self.tenant, outgoing, turn, settlement)
    }

    /// Stores a message of this session.
    pub fn store(
        &self,
        outgoing: &Outgoing<'_>,
        keeping: Append,
        settlement: impl FnOnce() -> Settlement,
    ) -> Routed {
        self.router.store(&self.tenant, outgoing, keeping, settlement)
    }

    /// The stream of the session's agent.
    pub fn inbox(&self) -> StreamKey {
        StreamKey::agent(&self.entry.tenant, &self.entry.agent)
    }

    /// Which connection of which session.
    pub fn entry(&self) -> &OwnEntry {
        &self.entry
    }

    /// Takes a place among the readers of a stream.
    pub fn seat(&self, stream: &StreamKey, marks: &Marks) -> Seat {
        self.router.seat(&self.tenant, stream, marks, self.connection, &self.outbound)
    }

    /// Listens for the hints of a topic's stream, as long as somebody here reads it.
    pub fn hold_channel(&self, topic: &Arc<str>) -> BoxFuture<'static, Result<(), NotSubscribed>> {
        self.router.hold_channel(&self.tenant, topic)
    }

    /// Stores that the session has presented so much of its agent's stream.
    pub fn acknowledge(&self, acks: &Arc<Acks>, ack: Ack) {
        self.router.acknowledge(&self.tenant, &self.inbox(), acks, ack);
    }

    /// The session does not come back.
    pub fn end_session(&self, acks: &Arc<Acks>, generation: u64) {
        let session = (Arc::clone(&self.entry.session), generation);
        self.router.end_session(&self.tenant, &self.inbox(), acks, session);
    }

    /// The session had another connection on that instance before.
    pub fn replace(&self, peer: &InstanceId) {
        let OwnEntry { tenant, session, generation, .. } = &self.entry;
        self.router.tell_replaced(peer, tenant, session, *generation);
    }

    /// Another session of the agent gives way to this one.
    pub fn take_over(&self, other: &Entry) {
        let Entry { session, instance, generation } = other;
        self.router.tell_replaced(instance, &self.entry.tenant, session, generation.saturating_add(1));
    }

    /// Enters the session as subscriber; the future ends when no later message can be missed.
    pub fn subscribe(&self, pattern: &Arc<str>) -> BoxFuture<'static, Result<(), NotSubscribed>> {
        self.router.join(&self.tenant, pattern, self.connection, &self.outbound)
    }

    /// Takes the session out of the subscribers.
    pub fn unsubscribe(&self, pattern: &Arc<str>) {
        self.router.leave(&self.tenant, pattern, self.connection);
    }
}

impl Registration {
    /// Nothing more is put on the session's queue for its agent or its groups: whoever sends to it hears so.
    pub fn withdraw(&self) {
        for group in &self.groups {
            self.router.take_out(&self.tenant, group, self.connection);
        }
        let agent = &self.entry.agent;
        if let Some(mut local) = self.tenant.agents.get_mut(agent) {
            local.members.retain(|member| member.connection != self.connection);
        }
        self.tenant.agents.remove_if(agent, |_, local| local.members.is_empty());
        // A route to here is out of date, and no other instance would send back what went by it.
        self.tenant.forget_route(agent);
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.withdraw();
        self.router.unlist(self.entry.clone());
        for agent in self.groups.drain(..) {
            self.router.unlist(OwnEntry { agent, ..self.entry.clone() });
        }
        self.router.leave_tenant(&self.tenant);
    }
}

impl Router {
    /// Asks every session here to end its connection.
    pub fn close_all(&self, signal: impl Fn() -> CloseSignal) {
        for tenant in &self.tenants {
            for agent in &tenant.agents {
                for member in &agent.members {
                    member.outbound.close(signal());
                }
            }
        }
    }

    /// Puts a control frame in line for every session here.
    pub fn tell_all(&self, chunk: impl Fn(Encoding) -> Chunk) {
        for tenant in &self.tenants {
            for agent in &tenant.agents {
                for member in &agent.members {
                    member.outbound.push_control(chunk(member.outbound.encoding()));
                }
            }
        }
    }

    /// The tenant of a session that comes in.
    pub(super) fn tenant(&self, name: &Arc<str>) -> Arc<Tenant> {
        let tenant =
            self.tenants.entry(Arc::clone(name)).or_insert_with(|| Arc::new(Tenant::new(Arc::clone(name))));
        // Counted under the entry's lock, so that it is not forgotten between being found and being used.
        tenant.members.fetch_add(1, Ordering::AcqRel);
        Arc::clone(&tenant)
    }

    pub(super) fn leave_tenant(&self, tenant: &Arc<Tenant>) {
        tenant.members.fetch_sub(1, Ordering::AcqRel);
        self.tenants.remove_if(&tenant.name, |_, tenant| tenant.is_empty());
    }
}

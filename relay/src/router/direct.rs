//! A message to an agent, a session or a topic, from a session of this instance.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use relay_protocol::address::agent_of_session;
use relay_protocol::{AddressKind, Chunk, Encoding, ErrorCode, Message, ServerFrame};
use tokio::time::Instant;

use crate::outbound::Settlement;
use crate::router::Router;
use crate::router::delivery::{Delivery, Frames};
use crate::router::envelope::{Direct, Topic};
use crate::router::link::Tried;
use crate::router::parcel::Parcel;
use crate::router::tenant::Tenant;
use crate::router::turn::Turn;
use crate::telemetry::outcome::Outcome;

/// A message as its session hands it over.
#[derive(Debug)]
pub struct Outgoing<'m> {
    /// The frame, a [`ServerFrame::Message`].
    pub frame: &'m ServerFrame<'m>,
    /// What the sender speaks; recipients elsewhere most likely do too.
    pub encoding: Encoding,
    /// When it was read.
    pub taken_at: Instant,
    /// Life left to it.
    pub expires_in_ms: Option<u64>,
}

/// What became of a message at once.
#[derive(Debug)]
pub enum Routed {
    /// It has its outcome.
    Settled(Outcome),
    /// The settlement will tell.
    Pending,
}

impl Outgoing<'_> {
    fn message(&self) -> Option<&Message<'_>> {
        match self.frame {
            ServerFrame::Message(message) => Some(message),
            _ => None,
        }
    }

    fn expires_at(&self) -> Option<Instant> {
        self.expires_in_ms.map(|ms| self.taken_at + Duration::from_millis(ms))
    }

    fn expires_in_ms(&self) -> u32 {
        // 0 means no end, so a life of less than a millisecond is one.
        self.expires_in_ms.map_or(0, |ms| u32::try_from(ms).unwrap_or(u32::MAX).max(1))
    }
}

impl Router {
    /// Routes a message within `tenant`. `settlement` makes the duty to settle it, if it cannot be settled at once.
    pub fn route(
        self: &Arc<Self>,
        tenant: &Arc<Tenant>,
        outgoing: &Outgoing<'_>,
        turn: &mut Turn,
        settlement: impl FnOnce() -> Settlement,
    ) -> Routed {
        let Some(message) = outgoing.message() else {
            return Routed::Settled(Outcome::failed(ErrorCode::Internal));
        };
        if outgoing.expires_in_ms == Some(0) {
            return Routed::Settled(Outcome::failed(ErrorCode::Expired));
        }
        let name = message.to.name();
        match message.to.kind() {
            AddressKind::Agent => self.to_agent(tenant, name, None, message, outgoing, turn, settlement),
            AddressKind::Session => match agent_of_session(name) {
                Some(agent) => self.to_agent(tenant, agent, Some(name), message, outgoing, turn, settlement),
                None => Routed::Settled(Outcome::failed(ErrorCode::NoRecipient)),
            },
            AddressKind::Topic => {
                self.to_topic(tenant, message, outgoing, settlement);
                Routed::Pending
            }
            AddressKind::Group => {
                // Work has no key: each message is done.
                self.dispatch(tenant, (message.to.as_str(), None), None, message, outgoing, settlement);
                Routed::Pending
            }
        }
    }

    #[expect(clippy::too_many_arguments, reason = "what a message is, and where it stands")]
    fn to_agent(
        self: &Arc<Self>,
        tenant: &Arc<Tenant>,
        agent: &str,
        session: Option<&str>,
        message: &Message<'_>,
        outgoing: &Outgoing<'_>,
        turn: &mut Turn,
        settlement: impl FnOnce() -> Settlement,
    ) -> Routed {
        let key = conflation_key(message, message.from.as_str());
        let reply_to = message.reply_to.as_ref().map(relay_protocol::Address::as_str);
        // While a route is being resolved, messages that came before may wait for it.
        let settled = tenant.resolving.load(Ordering::Acquire) == 0;
        if settled && let Some(local) = tenant.agents.get(agent).filter(|local| local.is_whole(session)) {
            let delivery = Delivery {
                frames: Frames::Unwritten(outgoing.frame),
                lane: message.lane,
                key,
                taken_at: outgoing.taken_at,
                expires_at: outgoing.expires_at(),
                reply_to,
            };
            return Routed::Settled(local.deliver(session, &delivery, turn));
        }
        self.dispatch(tenant, (agent, session), key, message, outgoing, settlement);
        Routed::Pending
    }

    /// Sends a message where its recipient is, as soon as that is known.
    fn dispatch(
        self: &Arc<Self>,
        tenant: &Arc<Tenant>,
        (agent, session): (&str, Option<&str>),
        key: Option<Arc<str>>,
        message: &Message<'_>,
        outgoing: &Outgoing<'_>,
        settlement: impl FnOnce() -> Settlement,
    ) {
        let reply_to = message.reply_to.as_ref().map(relay_protocol::Address::as_str);
        let frame = Chunk::of(outgoing.frame, outgoing.encoding).bytes;
        let direct = Direct {
            tenant: Arc::clone(&tenant.name),
            agent: agent.into(),
            session: session.map(Into::into),
            lane: message.lane,
            key,
            expires_in_ms: outgoing.expires_in_ms(),
            reply_to: reply_to.map(Into::into),
            encoding: outgoing.encoding,
            frame,
        };
        let parcel = Parcel {
            direct: Arc::new(direct),
            settlement: settlement(),
            taken_at: outgoing.taken_at,
            expires_at: outgoing.expires_at(),
            returned: None,
            seq: 0,
            tried: Tried::Nowhere,
        };
        self.dispatch_parcel(tenant, parcel);
    }

    fn to_topic(
        self: &Arc<Self>,
        tenant: &Arc<Tenant>,
        message: &Message<'_>,
        outgoing: &Outgoing<'_>,
        settlement: impl FnOnce() -> Settlement,
    ) {
        let frame = Chunk::of(outgoing.frame, outgoing.encoding).bytes;
        let key = conflation_key(message, message.to.as_str());
        let topic = Topic {
            tenant: &*tenant.name,
            name: message.to.name(),
            lane: message.lane,
            key: key.as_deref(),
            expires_in_ms: outgoing.expires_in_ms(),
            encoding: outgoing.encoding,
            frame,
        };
        self.publish(tenant, &topic, settlement());
    }
}

/// The key of a message, if it has one, together with whose it is: among messages to an agent or session its sender's, so that
/// nobody replaces what another sent; of a topic's all publishers'. At most 199 bytes.
fn conflation_key(message: &Message<'_>, owner: &str) -> Option<Arc<str>> {
    message.key.as_ref().map(|key| format!("{owner} {key}").into())
}

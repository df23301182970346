//! A client's `send`: refused here for the first reason that holds, or handed to the router. One outcome either way.

use std::sync::Arc;

use relay_protocol::client::{Lane, Qos};
use relay_protocol::{Address, AddressKind, ErrorCode, Message, Send, ServerFrame, Text};
use tokio::time::Instant;

use crate::limits::Limited;
use crate::outbound::Settlement;
use crate::router::{Outgoing, Routed};
use crate::session::Session;
use crate::session::Socket;
use crate::session::answer::{refusal, retry_after_ms};
use crate::telemetry::limit::Limit;
use crate::telemetry::outcome::Outcome;

/// When a sender with too many sends in flight may try again, in milliseconds.
const IN_FLIGHT_RETRY_MS: u64 = 100;
/// Of a send that is refused for the processor's sake. After so many milliseconds the share is another.
pub(super) const SHED: Outcome = Outcome::saturated(Limit::Processor, 1_000);

/// What all frames of one WebSocket message have in common.
#[derive(Debug, Clone, Copy)]
pub(super) struct Arrival {
    /// When the turn began in which it was read.
    pub(super) at: Instant,
    /// The same in Unix time.
    pub(super) unix_ms: u64,
    /// The rate of bytes was met, so nothing in it is carried out.
    pub(super) limited: Option<Limited>,
}

impl<S: Socket> Session<S> {
    /// Carries out a `send`.
    pub(super) fn send(&mut self, send: &mut Send<'_>, limited: Option<Limited>, arrival: &Arrival) {
        self.tally.sends += 1;
        let (id, mode) = (send.id, send.receipt);
        if let Some((code, what)) = self.unsound(send) {
            return self.refuse_send(Some(id), code, what);
        }
        let outcome = match self.unwelcome(send, limited, arrival.at) {
            Some(outcome) => outcome,
            None => match self.route(send, arrival) {
                Routed::Settled(outcome) => outcome,
                Routed::Pending => return,
            },
        };
        match outcome {
            Outcome::Queued => self.tally.queued += 1,
            SHED => self.tally.shed += 1,
            outcome => self.context.metrics.outcome(outcome),
        }
        if outcome.is_told(mode) {
            self.told.outcome(id, outcome);
        }
    }

    /// Refuses a `send` that is itself wrong: the error is its outcome.
    pub(super) fn refuse_send<'a>(&mut self, id: Option<u64>, code: ErrorCode, what: impl Into<Text<'a>>) {
        self.context.metrics.outcome(Outcome::failed(code));
        self.answer(&refusal(id, code, what));
    }

    /// Why the command cannot be understood or is not offered.
    fn unsound(&mut self, send: &Send<'_>) -> Option<(ErrorCode, &'static str)> {
        if send.id <= self.last_id {
            return Some((ErrorCode::OutOfOrder, "id"));
        }
        self.last_id = send.id;
        match send.to.kind() {
            AddressKind::Session if send.qos == Qos::AtLeastOnce => {
                Some((ErrorCode::Unsupported, "qos 1 to a session"))
            }
            _ => None,
        }
    }

    /// Why the message is not taken.
    fn unwelcome(&mut self, send: &Send<'_>, limited: Option<Limited>, now: Instant) -> Option<Outcome> {
        if let Some(limited) = limited {
            return Some(Outcome::limited(limited.limit, retry_after_ms(&limited)));
        }
        // Before anything that costs: rights are looked up, and a message that is taken is written.
        if self.shed.refuses(send.lane == Lane::High) {
            return Some(SHED);
        }
        if send.payload.len() > self.context.settings.limits.payload_bytes {
            return Some(Outcome::failed(ErrorCode::TooLarge));
        }
        if !self.may_send(&send.to) && !self.replies.allow(send.to.as_str(), now) {
            return Some(Outcome::failed(ErrorCode::Forbidden));
        }
        let strange = send.reply_to.as_ref().is_some_and(|reply_to| {
            *reply_to != self.agent && *reply_to != self.address && !self.may_send(reply_to)
        });
        if strange {
            return Some(Outcome::failed(ErrorCode::Forbidden));
        }
        if self.outbound.in_flight() >= self.context.settings.limits.in_flight {
            return Some(Outcome::failed_for(ErrorCode::Saturated, IN_FLIGHT_RETRY_MS));
        }
        None
    }

    fn may_send(&self, to: &Address<'_>) -> bool {
        match to.kind() {
            AddressKind::Topic => self.principal.rights().may_publish(to.name()),
            AddressKind::Agent | AddressKind::Session | AddressKind::Group => {
                self.principal.rights().may_send(to)
            }
        }
    }

    fn route(&mut self, send: &mut Send<'_>, arrival: &Arrival) -> Routed {
        let (id, mode) = (send.id, send.receipt);
        let expires_in_ms = send.expires_in_ms();
        let keeping = (send.qos == Qos::AtLeastOnce).then(|| self.keeping(send));
        let frame = ServerFrame::Message(Message {
            from: self.agent.borrowed(),
            session: self.address.borrowed(),
            to: send.to.borrowed(),
            ts: arrival.unix_ms,
            payload: send.payload.borrowed(),
            mid: send.mid.as_ref().map(Text::borrowed),
            reply_to: send.reply_to.as_ref().map(Address::borrowed),
            correlation_id: send.correlation_id.as_ref().map(Text::borrowed),
            deadline_ms: send.deadline_ms,
            lane: send.lane,
            key: send.key.as_ref().map(Text::borrowed),
            headers: std::mem::take(&mut send.headers),
            position: None,
            redelivered: false,
        });
        let outgoing = Outgoing {
            frame: &frame,
            encoding: self.transport.encoding(),
            taken_at: arrival.at,
            expires_in_ms,
        };
        let (outbound, metrics) = (&self.outbound, &self.context.metrics);
        let settlement = || Settlement::new(outbound, metrics, id, mode);
        match keeping {
            None => self.registration.route(&outgoing, &mut self.turn, settlement),
            Some(keeping) => self.registration.store(&outgoing, keeping, settlement),
        }
    }

    /// Gives the right to reply to a request that goes to the client now, unless its token gives it anyway.
    pub(super) fn grant_reply(&mut self, right: crate::outbound::ReplyRight) {
        let needless =
            Address::parse(right.reply_to.as_str().into()).is_none_or(|address| self.may_send(&address));
        if !needless {
            self.replies.grant(right);
        }
    }

    /// The session's queue, for those who answer later.
    pub(super) fn queue(&self) -> Arc<crate::outbound::Outbound> {
        Arc::clone(&self.outbound)
    }
}

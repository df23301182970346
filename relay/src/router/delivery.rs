//! Onto the queues of local sessions.

use std::sync::Arc;
use std::time::Duration;

use relay_protocol::client::Lane;
use relay_protocol::{Chunk, ErrorCode, ServerFrame, SharedFrame};
use tokio::time::Instant;

use crate::outbound::{Item, Outbound, PushError, ReplyRight};
use crate::router::tenant::{Agent, Member, Tenant};
use crate::router::turn::Turn;
use crate::telemetry::outcome::Outcome;

/// How long a reply right without a deadline lasts.
pub(super) const REPLY_RIGHT: Duration = Duration::from_mins(1);

/// When a full queue is worth another try, in milliseconds: about as long as a burst takes to drain.
pub(super) const SATURATED_RETRY_MS: u64 = 250;

/// A message on the way to local sessions.
#[derive(Debug)]
pub(super) struct Delivery<'m> {
    pub(super) frames: Frames<'m>,
    pub(super) lane: Lane,
    pub(super) key: Option<Arc<str>>,
    pub(super) taken_at: Instant,
    pub(super) expires_at: Option<Instant>,
    /// Where the answer to a request goes, and until when it may.
    pub(super) reply_to: Option<&'m str>,
}

/// The message, written already or not.
#[derive(Debug)]
pub(super) enum Frames<'m> {
    /// Not written yet: a message for one session is written once, in its encoding.
    Unwritten(&'m ServerFrame<'m>),
    /// Written in one encoding.
    Written(&'m SharedFrame),
}

impl Delivery<'_> {
    pub(super) fn item(&self, chunk: Chunk) -> Item {
        let reply_right = self.reply_to.map(|reply_to| {
            let until = self.expires_at.unwrap_or(self.taken_at + REPLY_RIGHT);
            Box::new(ReplyRight { reply_to: reply_to.to_owned(), until })
        });
        Item {
            chunk,
            lane: self.lane,
            key: self.key.clone(),
            taken_at: self.taken_at,
            expires_at: self.expires_at,
            pattern: None,
            reply_right,
            job: None,
        }
    }

    fn push(&self, outbound: &Arc<Outbound>, chunk: Chunk, turn: &mut Turn) -> Result<(), PushError> {
        let (frames, bytes) = (u64::from(chunk.frames), chunk.bytes.len());
        let result = outbound.push(self.item(chunk));
        let (frames, bytes) = if result.is_ok() { (frames, bytes) } else { (0, 0) };
        turn.touch(outbound, frames, bytes);
        result
    }

    /// Puts it in line for the only recipient: most have nothing about them that outlives their being written.
    fn push_only(
        &self,
        frame: &ServerFrame<'_>,
        outbound: &Arc<Outbound>,
        turn: &mut Turn,
    ) -> Result<(), PushError> {
        if self.key.is_some() || self.expires_at.is_some() || self.reply_to.is_some() {
            return self.push(outbound, Chunk::of(frame, outbound.encoding()), turn);
        }
        let pushed = outbound.push_frame(frame, self.lane, self.taken_at);
        turn.touch(outbound, u64::from(pushed.is_ok()), pushed.unwrap_or(0));
        pushed.map(drop)
    }

    /// Puts it in line for all of `members`; one that took it is enough.
    fn to_members(&self, members: &[Member], turn: &mut Turn) -> Outcome {
        let shared;
        let frames = match (&self.frames, members) {
            (Frames::Unwritten(frame), [only]) => {
                return outcome(self.push_only(frame, &only.outbound, turn));
            }
            (Frames::Unwritten(frame), [first, ..]) => {
                let encoding = first.outbound.encoding();
                shared = SharedFrame::new(encoding, Chunk::of(frame, encoding));
                &shared
            }
            (Frames::Written(written), [_, ..]) => written,
            (_, []) => return Outcome::failed(ErrorCode::NoRecipient),
        };
        members
            .iter()
            .map(|member| {
                let chunk = frames.get(member.outbound.encoding()).clone();
                outcome(self.push(&member.outbound, chunk, turn))
            })
            .reduce(Outcome::better)
            .unwrap_or(Outcome::failed(ErrorCode::NoRecipient))
    }
}

/// What a pushed message means to its sender.
fn outcome(pushed: Result<(), PushError>) -> Outcome {
    match pushed {
        Ok(()) => Outcome::Queued,
        Err(PushError::Full) => Outcome::failed_for(ErrorCode::Saturated, SATURATED_RETRY_MS),
        Err(PushError::Closed) => Outcome::failed(ErrorCode::NoRecipient),
    }
}

impl Agent {
    /// Puts a message in line for its sessions here, or for one of them.
    pub(super) fn deliver(&self, session: Option<&str>, delivery: &Delivery<'_>, turn: &mut Turn) -> Outcome {
        match session {
            None => delivery.to_members(&self.members, turn),
            Some(session) => {
                let at = self.members.iter().position(|member| *member.session == *session);
                at.map_or(Outcome::failed(ErrorCode::NoRecipient), |at| {
                    delivery.to_members(&self.members[at..=at], turn)
                })
            }
        }
    }
}

impl Tenant {
    /// Puts a message in line for an agent's sessions here, or for one of them.
    pub(super) fn deliver(
        &self,
        agent: &str,
        session: Option<&str>,
        delivery: &Delivery<'_>,
        turn: &mut Turn,
    ) -> Outcome {
        match self.agents.get(agent) {
            Some(agent) => agent.deliver(session, delivery, turn),
            None => Outcome::failed(ErrorCode::NoRecipient),
        }
    }

    /// Puts frames in line for every local subscriber of `pattern`; says how many were put in line, how many
    /// bytes that is, and how many did not fit.
    pub(super) fn deliver_topic(
        &self,
        pattern: &str,
        frames: &SharedFrame,
        item: &Item,
    ) -> (u64, usize, u64) {
        let Some((pattern, subscribers)) =
            self.topics.get(pattern).map(|entry| (Arc::clone(entry.key()), Arc::clone(entry.value())))
        else {
            return (0, 0, 0);
        };
        let (mut queued, mut bytes, mut shed) = (0, 0, 0);
        for outbound in subscribers.0.read().values() {
            let item = item.for_subscriber(frames.get(outbound.encoding()).clone());
            let (count, size) = (u64::from(item.chunk.frames), item.chunk.bytes.len());
            match outbound.push_topic(item, &pattern) {
                Ok(()) => {
                    queued += count;
                    bytes += size;
                }
                Err(_) => shed += count,
            }
        }
        (queued, bytes, shed)
    }
}

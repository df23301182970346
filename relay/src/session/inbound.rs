//! What a client says, frame by frame.

use std::sync::Arc;

use futures_util::FutureExt as _;
use relay_protocol::client::Qos;
use relay_protocol::server::GapReason;
use relay_protocol::{Chunk, ClientFrame, CloseCode, ErrorCode, FrameError, ServerFrame, decode_client};
use smallvec::SmallVec;

use crate::outbound::{CloseSignal, GapNotice};
use crate::session::Socket;
use crate::session::answer::{exceeded, limited, refusal};
use crate::session::groups::group_address;
use crate::session::moment::Moment;
use crate::session::send::Arrival;
use crate::session::transport::Frames;
use crate::session::{Over, Session};

impl<S: Socket> Session<S> {
    /// Carries out the frames of a WebSocket message, but for the first `skip`.
    pub(super) fn take_frames(&mut self, frames: &Frames, skip: usize) -> Result<(), Over> {
        self.tally.reads += 1;
        self.tally.bytes += frames.len() as u64;
        let Moment { at, unix_ms } = self.moment;
        let arrival = Arrival { at, unix_ms, limited: self.limits.bytes(frames.len()).err() };
        self.pulse.heard(arrival.at);
        let frames_max = self.context.settings.limits.frames_per_message;
        let (mut seen, mut left) = (0, false);
        let decoded = decode_client(frames.data(), frames_max, |frame| {
            seen += 1;
            if seen > skip && !left {
                match frame {
                    Ok(ClientFrame::Bye) => left = true,
                    Ok(frame) => self.take_frame(frame, &arrival),
                    Err(error) => self.take_error(error, &arrival),
                }
            }
        });
        self.tally.frames += seen as u64;
        if left {
            return Err(close(CloseCode::Normal, "bye"));
        }
        if decoded.is_err() {
            return Err(close(CloseCode::BadFrame, "not a frame or a batch of frames, or too many"));
        }
        if self.strikes >= self.context.settings.limits.rate_strikes {
            return Err(close(CloseCode::RateLimited, "went on after refusals"));
        }
        Ok(())
    }

    fn take_frame(&mut self, frame: &mut ClientFrame<'_>, arrival: &Arrival) {
        match frame {
            // Never limited: they only make room.
            ClientFrame::Pong | ClientFrame::Bye => {}
            ClientFrame::Ack(position) => self.acknowledge(position),
            &mut ClientFrame::Credit { messages, bytes } => {
                self.reliable.credit.grant(messages, bytes);
                self.outbound.grant(messages, bytes);
                self.registration.hear_grant();
            }
            ClientFrame::Send(send) => {
                let limited = self.rate(arrival);
                self.send(send, limited, arrival);
            }
            &mut ClientFrame::Hello { id, .. } => {
                self.command(id, arrival, |session| {
                    session.refuse(Some(id), ErrorCode::InvalidFrame, "a second hello");
                });
            }
            &mut ClientFrame::Ping { id } => {
                self.command(id, arrival, |session| session.answer(&ServerFrame::Pong { id }));
            }
            &mut ClientFrame::Subscribe { id, ref topic, qos, rewind, ref from, present } => {
                self.command(id, arrival, |session| match qos {
                    Qos::AtLeastOnce if present => {
                        session.refuse(Some(id), ErrorCode::Unsupported, "present at qos 1");
                    }
                    Qos::AtLeastOnce => session.subscribe_stream(id, topic, rewind, from.as_ref()),
                    Qos::AtMostOnce if rewind.is_some() || from.is_some() => {
                        session.refuse(Some(id), ErrorCode::Unsupported, "rewind or from at qos 0");
                    }
                    Qos::AtMostOnce => session.subscribe(id, topic, present),
                });
            }
            &mut ClientFrame::Unsubscribe { id, ref topic } => self.command(id, arrival, |session| {
                session.unsubscribe(topic);
                session.leave_topic(topic);
                session.answer(&ServerFrame::Ok { id });
            }),
            &mut ClientFrame::Join { id, ref group } => {
                self.command(id, arrival, |session| session.join_group(id, group));
            }
            &mut ClientFrame::Leave { id, ref group } => self.command(id, arrival, |session| {
                session.leave_group(&group_address(group));
                session.answer(&ServerFrame::Ok { id });
            }),
            &mut ClientFrame::Watch { id, ref to } => {
                self.command(id, arrival, |session| session.watch(id, to));
            }
            &mut ClientFrame::Unwatch { id, ref to } => {
                self.command(id, arrival, |session| session.unwatch(id, to));
            }
            &mut ClientFrame::Auth { id, ref token } => {
                self.command(id, arrival, |session| session.renew(id, token.borrowed()));
            }
        }
    }

    fn take_error(&mut self, error: FrameError<'_>, arrival: &Arrival) {
        // Frames that cannot be used cost as much to read as others.
        let limited = self.rate(arrival);
        if let Some(id) = error.id {
            self.last_id = self.last_id.max(id);
        }
        if error.is_send {
            self.tally.sends += 1;
            return self.refuse_send(error.id, error.code, error.what);
        }
        if limited.is_none() {
            self.refuse(error.id, error.code, error.what);
        }
    }

    /// Carries out a command other than a send, if its `id` and the rate allow.
    fn command(&mut self, id: u64, arrival: &Arrival, carry_out: impl FnOnce(&mut Self)) {
        if id <= self.last_id {
            return self.refuse(Some(id), ErrorCode::OutOfOrder, "id");
        }
        self.last_id = id;
        match self.rate(arrival) {
            None => carry_out(self),
            Some(met) => {
                self.context.metrics.command_error(ErrorCode::RateLimited);
                self.answer(&limited(Some(id), &met));
            }
        }
    }

    /// The rate that one more frame meets, if it meets one.
    fn rate(&mut self, arrival: &Arrival) -> Option<crate::limits::Limited> {
        let met = arrival.limited.or_else(|| self.limits.frame().err());
        self.strikes = if met.is_some() { self.strikes.saturating_add(1) } else { 0 };
        met
    }

    /// Whether one more subscription may be; the client is told if not.
    pub(super) fn may_subscribe(&mut self, id: u64, topic: &str, known: bool) -> bool {
        if !self.principal.rights().may_subscribe(topic) {
            self.refuse(Some(id), ErrorCode::Forbidden, "topic");
            return false;
        }
        if !known && let Err(limit) = self.count_subscription() {
            self.refuse_number(id, limit);
            return false;
        }
        true
    }

    fn subscribe(&mut self, id: u64, topic: &str, present: bool) {
        if present && topic.ends_with('*') {
            return self.refuse(Some(id), ErrorCode::Unsupported, "present by a wildcard");
        }
        if !self.may_subscribe(id, topic, self.subscriptions.contains(topic)) {
            return;
        }
        self.leave_topic(topic);
        if present {
            self.be_seen(topic);
        }
        let pattern: Arc<str> = topic.into();
        let change = self.subscriptions.wish(&pattern);
        let carrier = self.subscriptions.carrier(topic).cloned().unwrap_or_else(|| Arc::clone(&pattern));
        // In force before the narrower ones end: what comes at just this moment may come twice rather than not.
        let mut confirmed = self.registration.subscribe(&carrier);
        self.end(&change.end);
        if let Some(result) = (&mut confirmed).now_or_never() {
            return match result {
                Ok(()) => self.answer(&ServerFrame::Ok { id }),
                Err(_) => self.unsubscribed(id, &pattern),
            };
        }
        let (queue, encoding) = (self.queue(), self.transport.encoding());
        self.context.tracker.spawn(async move {
            match confirmed.await {
                Ok(()) => queue.push_control(Chunk::of(&ServerFrame::Ok { id }, encoding)),
                Err(_) => queue.push_unsubscribed(id, pattern),
            }
        });
    }

    /// A subscription could not be put in force: the wish is gone, and the client knows.
    pub(super) fn unsubscribed(&mut self, id: u64, pattern: &Arc<str>) {
        self.unsubscribe(pattern);
        self.refuse_for_now(id, "the bus is away");
    }

    /// Refuses a command as a part of the path is away.
    pub(super) fn refuse_for_now(&mut self, id: u64, what: &'static str) {
        let mut frame = refusal(Some(id), ErrorCode::Unavailable, what);
        if let ServerFrame::Error { retry_after_ms, .. } = &mut frame {
            *retry_after_ms = Some(SUBSCRIBE_RETRY_MS);
        }
        self.context.metrics.command_error(ErrorCode::Unavailable);
        self.answer(&frame);
    }

    pub(super) fn unsubscribe(&mut self, topic: &str) {
        if !self.subscriptions.contains(topic) {
            return;
        }
        self.limits.unsubscribe();
        self.be_unseen(topic);
        let change = self.subscriptions.forget(topic);
        for pattern in &change.begin {
            // Already wished for and answered; a loss while the bus is away is told by its gap.
            drop(self.registration.subscribe(pattern));
        }
        self.end(&change.end);
        if !change.begin.is_empty() {
            self.changed_over(&change.begin);
        }
    }

    /// One more subscription, group or watch, or the limit that is in its way.
    pub(super) fn count_subscription(&mut self) -> Result<(), &'static str> {
        let held = self.subscriptions.len()
            + self.reliable.topics()
            + self.registration.groups().len()
            + self.watched();
        if held >= self.context.settings.limits.subscriptions {
            return Err("subscriptions");
        }
        self.limits.subscribe().map_err(crate::telemetry::limit::Limit::name)
    }

    /// Refuses a command by a limit of number.
    pub(super) fn refuse_number(&mut self, id: u64, limit: &'static str) {
        self.context.metrics.command_error(ErrorCode::LimitExceeded);
        self.answer(&exceeded(id, limit));
    }

    fn end(&mut self, patterns: &[Arc<str>]) {
        for pattern in patterns {
            self.registration.unsubscribe(pattern);
        }
    }

    /// Narrower subscriptions took over from a wider one: what came at just this moment may be missing.
    fn changed_over(&mut self, patterns: &[Arc<str>]) {
        self.outbound.push_gap(GapNotice {
            reason: GapReason::BusInterrupted,
            direct: false,
            topics: patterns.iter().cloned().collect::<SmallVec<_>>(),
            all_topics: false,
            dropped: None,
        });
    }
}

/// When a subscription may be tried again while the bus is away, in milliseconds.
pub(super) const SUBSCRIBE_RETRY_MS: u64 = 1_000;

fn close(code: CloseCode, message: &'static str) -> Over {
    Over::Close(CloseSignal { code, message, reconnect_after_ms: None })
}

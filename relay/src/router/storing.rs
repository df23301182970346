//! Messages at `qos` 1 into their streams. While one question to the store is under way the next collects, as for the
//! bus; the order of a stream is that of its line here.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;
use relay_protocol::ErrorCode;
use relay_protocol::{Encoding, ServerFrame};

use crate::outbound::{Place, Settlement};
use crate::router::Router;
use crate::router::delivery::SATURATED_RETRY_MS;
use crate::router::direct::{Outgoing, Routed};
use crate::router::envelope::{self, Topic, Wake};
use crate::router::feed::stored_body;
use crate::router::outbox::Pump;
use crate::router::route::UNAVAILABLE_RETRY_MS;
use crate::router::tenant::Tenant;
use crate::streams::{Append, Appended, Marks, Stored, StreamError, StreamKey};
use crate::telemetry::limit::Limit;
use crate::telemetry::outcome::Outcome;

/// Messages of one question.
const BATCH_MESSAGES: usize = 64;
/// Bytes of one question, but for a larger message.
const BATCH_BYTES: usize = 256 * 1024;
/// Messages that may wait for one stream, and their bytes.
const WAITING_MESSAGES_MAX: usize = 4_096;
const WAITING_BYTES_MAX: usize = 16 * 1024 * 1024;
/// When to try again where a tenant has too many topic streams: they end by age, so not soon.
const TOPICS_RETRY_MS: u64 = 60_000;

/// What waits to be stored in one stream.
#[derive(Debug, Default)]
pub(super) struct Line(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    messages: VecDeque<(Append, Settlement)>,
    bytes: usize,
    busy: bool,
}

impl Line {
    fn push(&self, message: Append, settlement: Settlement) -> Result<Pump, Settlement> {
        let mut waiting = self.0.lock();
        if waiting.messages.len() >= WAITING_MESSAGES_MAX || waiting.bytes > WAITING_BYTES_MAX {
            return Err(settlement);
        }
        waiting.bytes += message.body.len();
        waiting.messages.push_back((message, settlement));
        let pump = if waiting.busy { Pump::Running } else { Pump::Start };
        waiting.busy = true;
        Ok(pump)
    }

    /// The next ones for the one who asks; none ends that duty.
    fn next(&self) -> Option<(Vec<Append>, Vec<Settlement>)> {
        let mut waiting = self.0.lock();
        let (mut batch, mut settlements, mut bytes) = (Vec::new(), Vec::new(), 0);
        while let Some((message, _)) = waiting.messages.front()
            && (batch.is_empty()
                || (batch.len() < BATCH_MESSAGES && bytes + message.body.len() <= BATCH_BYTES))
        {
            bytes += message.body.len();
            if let Some((message, settlement)) = waiting.messages.pop_front() {
                batch.push(message);
                settlements.push(settlement);
            }
        }
        waiting.bytes -= bytes;
        if batch.is_empty() {
            *waiting = Waiting::default();
            return None;
        }
        Some((batch, settlements))
    }

    fn is_idle(&self) -> bool {
        !self.0.lock().busy
    }
}

impl Router {
    /// Puts a message in line for its stream; the body of `keeping` is made here.
    pub(super) fn store(
        self: &Arc<Self>,
        tenant: &Arc<Tenant>,
        outgoing: &Outgoing<'_>,
        mut keeping: Append,
        settlement: impl FnOnce() -> Settlement,
    ) -> Routed {
        let ServerFrame::Message(message) = outgoing.frame else {
            return Routed::Settled(Outcome::failed(ErrorCode::Internal));
        };
        if outgoing.expires_in_ms == Some(0) {
            return Routed::Settled(Outcome::failed(ErrorCode::Expired));
        }
        keeping.body = stored_body(outgoing.frame, outgoing.encoding);
        let stream = StreamKey { tenant: Arc::clone(&tenant.name), address: message.to.as_str().into() };
        let line = match tenant.lines.get(&stream.address) {
            Some(line) => line,
            None => tenant.lines.entry(Arc::clone(&stream.address)).or_default().downgrade(),
        };
        let settlement = settlement();
        if keeping.return_to.is_some() {
            settlement.stores();
        }
        // Pushed under the entry's lock, so that the line cannot be forgotten between being found and being filled.
        match line.push(keeping, settlement) {
            Ok(Pump::Running) => {}
            Ok(Pump::Start) => {
                let waiting = Arc::clone(line.value());
                drop(line);
                self.tracker.spawn(Arc::clone(self).run_line(Arc::clone(tenant), stream, waiting));
            }
            Err(full) => full.settle(Outcome::failed_for(ErrorCode::Saturated, SATURATED_RETRY_MS)),
        }
        Routed::Pending
    }

    async fn run_line(self: Arc<Self>, tenant: Arc<Tenant>, stream: StreamKey, line: Arc<Line>) {
        while let Some((messages, settlements)) = line.next() {
            // Shared, not copied: those who subscribed at `qos` 0 get them too.
            let bodies: Vec<_> = match stream.as_topic() {
                Some(_) => {
                    messages.iter().map(|message| (message.body.clone(), message.expires_in_ms)).collect()
                }
                None => Vec::new(),
            };
            match self.streams.append(stream.clone(), messages).await {
                Ok(Appended { stored, marks, readers }) => {
                    let too_many = stored.iter().filter(|stored| **stored == Stored::TooManyTopics);
                    for _ in too_many {
                        self.metrics.limited(Limit::TenantTopicStreams, false);
                    }
                    for (settlement, stored) in settlements.into_iter().zip(&stored) {
                        settle(settlement, *stored, &stream, marks.as_ref());
                    }
                    if let Some(marks) = &marks {
                        for (stored, (body, expires_in_ms)) in stored.iter().zip(&bodies) {
                            if matches!(stored, Stored::At(_)) {
                                self.copy(&tenant, &stream, body, *expires_in_ms);
                            }
                        }
                        if stored.iter().any(|stored| matches!(stored, Stored::At(_))) {
                            self.wake_readers(&tenant, &stream, marks, &readers);
                        }
                    }
                }
                Err(StreamError::Away) => {
                    let away = Outcome::failed_for(ErrorCode::Unavailable, UNAVAILABLE_RETRY_MS);
                    settle_all(settlements, away);
                }
                // Dropped, they are `unknown`; sent again under their mid they are stored once.
                Err(StreamError::Unanswered) => drop(settlements),
            }
        }
        tenant.lines.remove_if(&stream.address, |_, line| line.is_idle());
    }

    /// A topic's message for those who subscribed at `qos` 0.
    fn copy(
        self: &Arc<Self>,
        tenant: &Arc<Tenant>,
        stream: &StreamKey,
        body: &bytes::Bytes,
        expires_in_ms: Option<u64>,
    ) {
        let (Some(name), Some(encoding)) = (stream.as_topic(), body.first()) else { return };
        let encoding = if *encoding == 0 { Encoding::Json } else { Encoding::Msgpack };
        let topic = Topic {
            tenant: &*tenant.name,
            name,
            lane: relay_protocol::client::Lane::Normal,
            key: None,
            expires_in_ms: expires_in_ms.map_or(0, |ms| u32::try_from(ms).unwrap_or(u32::MAX).max(1)),
            encoding,
            frame: body.slice(1..),
        };
        self.post(tenant, name, None, |batch| envelope::append_topic(batch, &topic));
    }

    /// Tells everybody who reads a stream that there is more: by its channel, or by the instances of an agent's sessions.
    fn wake_readers(
        self: &Arc<Self>,
        tenant: &Arc<Tenant>,
        stream: &StreamKey,
        marks: &Marks,
        readers: &[crate::bus::InstanceId],
    ) {
        let wake =
            Wake { tenant: &*tenant.name, stream: &*stream.address, epoch: &*marks.epoch, head: marks.head };
        self.take_wake(&wake);
        if let Some(topic) = stream.as_topic() {
            return self.post(tenant, topic, None, |batch| envelope::append_wake(batch, &wake));
        }
        for peer in readers.iter().filter(|peer| **peer != self.instance) {
            let link = self.link(peer);
            let pushed = link.outbox.push(&self.instance, None, None, |b| envelope::append_wake(b, &wake));
            // A hint that does not fit is found by the next look.
            if let Ok(pump) = pushed {
                self.pump_link(pump, &link);
            }
        }
    }
}

fn settle_all(settlements: Vec<Settlement>, outcome: Outcome) {
    for settlement in settlements {
        settlement.settle(outcome);
    }
}

fn settle(settlement: Settlement, stored: Stored, stream: &StreamKey, marks: Option<&Marks>) {
    match stored {
        Stored::At(seq) | Stored::Repeat { seq, delivered: false }
            if stream.as_topic().is_some()
                && let Some(marks) = marks =>
        {
            let (stream, epoch) = (Arc::clone(&stream.address), Arc::clone(&marks.epoch));
            settlement.settle_at(Place { stream, epoch, seq });
        }
        Stored::At(_) | Stored::Repeat { delivered: false, .. } => settlement.settle(Outcome::Accepted),
        Stored::Repeat { delivered: true, .. } => settlement.settle(Outcome::Delivered),
        Stored::NoRecipient => settlement.settle(Outcome::failed(ErrorCode::NoRecipient)),
        Stored::Saturated => {
            settlement.settle(Outcome::failed_for(ErrorCode::Saturated, SATURATED_RETRY_MS));
        }
        Stored::TooManyTopics => {
            settlement.settle(Outcome::saturated(Limit::TenantTopicStreams, TOPICS_RETRY_MS));
        }
        Stored::OutOfOrder => settlement.settle(Outcome::failed(ErrorCode::OutOfOrder)),
    }
}

//! Messages at `qos` 1 into their streams. While one question to the store is under way the next collects, as for the
//! bus; the order of a stream is that of its line here.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;
use relay_protocol::ErrorCode;
use relay_protocol::{Encoding, ServerFrame};
use tokio::time::Instant;

use crate::bus::InstanceId;
use crate::outbound::{Place, Settlement};
use crate::router::Router;
use crate::router::delivery::SATURATED_RETRY_MS;
use crate::router::direct::{Outgoing, Routed};
use crate::router::envelope::{self, Latest, Topic, Wake};
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
/// What goes along with a hint to another instance, in bytes: as much as the largest of usual messages. Larger ones do better
/// to be read when their session is ready for them.
const ALONG_BYTES: usize = 64 * 1024;
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
            if stream.is_group() {
                match self.give_jobs(&tenant, &stream, messages).await {
                    Ok(stored) => {
                        for (settlement, stored) in settlements.into_iter().zip(stored) {
                            settle(settlement, stored, &stream, None);
                        }
                    }
                    Err(error) => unstored(settlements, error),
                }
                continue;
            }
            let asked_at = Instant::now();
            // Shared, not copied: those who read the stream here get them, and who subscribed to a topic at `qos` 0.
            let bodies: Vec<_> =
                messages.iter().map(|message| (message.body.clone(), message.expires_in_ms)).collect();
            match self.streams.append(stream.clone(), messages).await {
                Ok(Appended { stored, marks, readers }) => {
                    let too_many = stored.iter().filter(|stored| **stored == Stored::TooManyTopics);
                    for _ in too_many {
                        self.metrics.limited(Limit::TenantTopicStreams, false, 1);
                    }
                    for (settlement, stored) in settlements.into_iter().zip(&stored) {
                        settle(settlement, *stored, &stream, marks.as_ref());
                    }
                    let mut latest = Vec::new();
                    for (stored, (body, expires_in_ms)) in stored.iter().zip(bodies) {
                        if matches!(stored, Stored::At(_)) {
                            self.copy(&tenant, &stream, &body, expires_in_ms);
                            latest.push(Latest { expires_in_ms: left(expires_in_ms, asked_at), body });
                        }
                    }
                    if let Some(marks) = &marks
                        && !latest.is_empty()
                    {
                        self.wake_readers(&tenant, &stream, marks, latest, &readers);
                    }
                }
                Err(error) => unstored(settlements, error),
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
        latest: Vec<Latest>,
        readers: &[InstanceId],
    ) {
        let (epoch, head) = (&*marks.epoch, marks.head);
        let mut wake = Wake { tenant: &*tenant.name, stream: &*stream.address, epoch, head, latest };
        self.take_wake(&wake);
        let bytes: usize = wake.latest.iter().map(|latest| latest.body.len()).sum();
        // To a topic's channel they go once already, for those at `qos` 0.
        if stream.as_topic().is_some() || bytes > ALONG_BYTES {
            wake.latest.clear();
        }
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

/// The life left to a message that was stored after `asked_at`. At least a millisecond: 0 stands for no end.
fn left(expires_in_ms: Option<u64>, asked_at: Instant) -> u32 {
    let passed = u64::try_from(asked_at.elapsed().as_millis()).unwrap_or(u64::MAX);
    let left = |ms: u64| u32::try_from(ms.saturating_sub(passed).max(1)).unwrap_or(u32::MAX);
    expires_in_ms.map_or(0, left)
}

/// The store did not answer.
fn unstored(settlements: Vec<Settlement>, error: StreamError) {
    match error {
        StreamError::Away => {
            let away = Outcome::failed_for(ErrorCode::Unavailable, UNAVAILABLE_RETRY_MS);
            for settlement in settlements {
                settlement.settle(away);
            }
        }
        // Dropped, they are `unknown`; sent again under their mid they are stored once.
        StreamError::Unanswered => drop(settlements),
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
        Stored::Expired => settlement.settle(Outcome::failed(ErrorCode::Expired)),
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

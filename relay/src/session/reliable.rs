//! Reliable delivery on one connection: the streams that it reads, what the client has presented, and the ticket.

use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use relay_protocol::client::{Position, ReceiptMode};
use relay_protocol::{AddressKind, Chunk, Send, ServerFrame};
use smallvec::SmallVec;

use crate::outbound::InboxNews;
use crate::router::Acks;
use crate::session::Session;
use crate::session::Socket;
use crate::session::credit::Credit;
use crate::session::reading::{Batch, Reading};
use crate::session::subscribing::Beginning;
use crate::session::write::{GATHER_BYTES, GATHER_FRAMES};
use crate::streams::{Ack, Append, Marks, Opened, Opening, ReturnAddress, StreamError};

/// What a connection keeps for reliable delivery. Most of it is made when it is needed.
#[derive(Default)]
pub(super) struct Reliable {
    /// What the store knows of the session; nothing while it was away.
    pub(super) inbox: Option<Inbox>,
    /// The session is opened once more, as the store knows nothing of it.
    opening: Option<BoxFuture<'static, Result<Opened, StreamError>>>,
    readings: Vec<Reading>,
    /// Topics whose beginning is looked up.
    pub(super) beginnings: Vec<Beginning>,
    pub(super) credit: Credit,
}

/// The stream of the session's agent.
pub(super) struct Inbox {
    /// Which connection of the session, as the store counts.
    generation: u64,
    epoch: Arc<str>,
    /// Presented up to here.
    seq: u64,
    /// The client said so when it came back, and the store does not know it.
    is_news: bool,
    /// Made with the first acknowledgement.
    acks: Option<Arc<Acks>>,
}

impl Reliable {
    /// What the store said when the session was opened.
    pub(super) fn opened(opened: &Opened, position: u64) -> Reliable {
        let inbox = Inbox {
            generation: opened.generation,
            epoch: Arc::clone(&opened.marks.epoch),
            seq: position,
            is_news: opened.position.is_some_and(|stored| stored < position),
            acks: None,
        };
        Reliable { inbox: Some(inbox), ..Reliable::default() }
    }

    /// Topics that are read, or will be.
    pub(super) fn topic_names(&self) -> impl Iterator<Item = Arc<str>> {
        let read = self.readings.iter().filter_map(|reading| reading.stream().strip_prefix("topic/"));
        read.map(Arc::from).chain(self.beginnings.iter().map(|beginning| Arc::clone(&beginning.topic)))
    }

    /// How many.
    pub(super) fn topics(&self) -> usize {
        let inbox = self.readings.iter().filter(|reading| reading.stream().starts_with("agent/")).count();
        self.readings.len() - inbox + self.beginnings.len()
    }
}

impl<S: Socket> Session<S> {
    /// What is to be stored of a `send`, but for its body.
    pub(super) fn keeping(&self, send: &Send<'_>) -> Append {
        let entry = self.registration.entry();
        let has_receipt = matches!(send.to.kind(), AddressKind::Agent | AddressKind::Group);
        let asked = send.receipt != ReceiptMode::None && has_receipt;
        let return_to = asked.then(|| ReturnAddress {
            instance: self.context.router.instance().clone(),
            session: Arc::clone(&entry.session),
            generation: entry.generation,
            id: send.id,
            failure_only: send.receipt == ReceiptMode::Failure,
            mid: send.mid.as_ref().map(|mid| mid.0.as_ref().into()).unwrap_or_default(),
        });
        Append {
            from: Arc::clone(&entry.agent),
            mid: send.mid.as_ref().map(|mid| mid.0.as_ref().into()).unwrap_or_default(),
            session: Arc::clone(&entry.session),
            generation: entry.generation,
            counter: send.counter,
            settled: send.settled,
            expires_in_ms: send.expires_in_ms(),
            return_to,
            body: bytes::Bytes::new(),
        }
    }

    /// Begins to read the stream of the agent; all up to `seen` may have been presented before.
    pub(super) fn read_inbox(&mut self, marks: &Marks, seen: u64) {
        let stream = self.registration.inbox();
        let Some(inbox) = &self.reliable.inbox else { return };
        if self.reliable.readings.iter().any(|reading| *reading.stream() == *stream.address) {
            return;
        }
        let (epoch, cursor) = (Arc::clone(&inbox.epoch), inbox.seq);
        let seat = self.registration.seat(&stream, marks);
        self.reliable.readings.push(Reading::new(seat, epoch, cursor, seen));
    }

    /// Begins with what waits in the stream of the agent, which may have been presented before. `goes_on` says that more
    /// may have come while it was nowhere.
    pub(super) fn begin_inbox(&mut self, marks: &Marks, goes_on: bool) {
        if goes_on {
            self.registration.hear_kept();
        }
        let Some(inbox) = &mut self.reliable.inbox else { return };
        if std::mem::take(&mut inbox.is_news) {
            let ack = Ack {
                session: Arc::clone(&self.registration.entry().session),
                generation: inbox.generation,
                epoch: Arc::clone(&inbox.epoch),
                seq: inbox.seq,
                expired: Vec::new(),
            };
            self.registration.acknowledge(inbox.acks.get_or_insert_default(), ack);
        }
        self.outbound.see(&inbox.epoch, inbox.seq);
        if goes_on || marks.head > inbox.seq {
            self.read_inbox(marks, marks.head);
        }
    }

    /// Begins to read a topic.
    pub(super) fn read_topic(&mut self, reading: Reading) {
        self.reliable.readings.push(reading);
    }

    /// Reads a topic no more.
    pub(super) fn leave_topic(&mut self, topic: &str) {
        let is_it = |reading: &Reading| reading.stream().strip_prefix("topic/") == Some(topic);
        let Reliable { readings, beginnings, .. } = &mut *self.reliable;
        let before = readings.len() + beginnings.len();
        readings.retain(|reading| !is_it(reading));
        beginnings.retain(|beginning| *beginning.topic != *topic);
        if readings.len() + beginnings.len() < before {
            self.limits.unsubscribe();
        }
    }

    /// Reads no more.
    pub(super) fn stop_reading(&mut self) {
        self.reliable.readings.clear();
        self.reliable.beginnings.clear();
    }

    /// The ticket as the client is told it; nothing while the store does not know it.
    pub(super) fn ticket_text(&self) -> Option<String> {
        self.reliable.inbox.as_ref().map(|_| self.ticket.text(&self.registration.entry().session))
    }

    /// Goes on with what the store was asked.
    pub(super) fn poll_reliable(&mut self, cx: &mut Context<'_>) {
        self.poll_reopening(cx);
        self.poll_beginnings(cx);
    }

    /// Something came up that concerns the stream of the agent.
    pub(super) fn hear_news(&mut self, news: InboxNews) {
        match (news, &self.reliable.inbox) {
            (InboxNews::Look, Some(inbox)) => {
                let (epoch, seq) = (Arc::clone(&inbox.epoch), inbox.seq);
                self.read_inbox(&Marks { epoch, former: None, first: seq + 1, head: seq }, seq);
            }
            (InboxNews::Look, None) | (InboxNews::Forgotten, _) => self.reopen(),
        }
    }

    /// Enters the session into a store that knows nothing of it.
    fn reopen(&mut self) {
        if self.reliable.opening.is_some() {
            return;
        }
        let entry = self.registration.entry();
        let opening = Opening {
            inbox: self.registration.inbox(),
            session: Arc::clone(&entry.session),
            generation: entry.generation,
            ticket: self.ticket.hash(),
            resume: None,
            instance: self.context.router.instance().clone(),
        };
        self.reliable.opening = Some(self.context.router.streams().open(opening));
    }

    fn poll_reopening(&mut self, cx: &mut Context<'_>) {
        let Some(opening) = &mut self.reliable.opening else { return };
        let Poll::Ready(opened) = opening.poll_unpin(cx) else { return };
        self.reliable.opening = None;
        let Ok(Opened { generation, position: Some(position), marks, .. }) = opened else { return };
        let before = self.reliable.inbox.take();
        let reason = match &before {
            None => Some("unavailable"),
            Some(inbox) => (inbox.epoch != marks.epoch).then_some("epoch"),
        };
        let acks = before.and_then(|inbox| inbox.acks);
        let epoch = Arc::clone(&marks.epoch);
        self.outbound.see(&epoch, position);
        let address = self.registration.inbox().address;
        let known = self.reliable.readings.iter().any(|reading| *reading.stream() == *address);
        if let Some(reason) = reason
            && !known
        {
            // Whatever the client thinks it has read or was told when it came, from here on it reads this.
            let (stream, epoch) = ((&*address).into(), (&*epoch).into());
            let position = Position { stream, epoch, seq: position };
            self.answer(&ServerFrame::Resume { position, recovered: false, reason: Some(reason.into()) });
        }
        self.reliable.inbox = Some(Inbox { generation, epoch, seq: position, is_news: false, acks });
        self.read_inbox(&marks, marks.head);
    }

    /// The client has presented all up to a position.
    pub(super) fn acknowledge(&mut self, position: &Position<'_>) {
        if position.stream.0.starts_with(AddressKind::Group.prefix()) {
            return self.registration.finish_job(&position.stream.0, &position.epoch.0, position.seq);
        }
        let stream = self.registration.inbox();
        let Some(inbox) = &mut self.reliable.inbox else { return };
        if *position.stream.0 != *stream.address {
            // Nothing is stored for each reader of a topic.
            return;
        }
        let of = |reading: &&mut Reading| *reading.stream() == *stream.address;
        let Some(reading) = self.reliable.readings.iter_mut().find(of) else { return };
        let (epoch, written) = reading.position();
        // What was not written cannot have been presented.
        let seq = position.seq.min(written);
        if *position.epoch.0 != **epoch || (inbox.epoch == *epoch && seq <= inbox.seq) {
            return;
        }
        inbox.epoch = Arc::clone(epoch);
        inbox.seq = seq;
        let ack = Ack {
            session: Arc::clone(&self.registration.entry().session),
            generation: inbox.generation,
            epoch: Arc::clone(epoch),
            seq,
            expired: reading.take_expired(seq),
        };
        self.registration.acknowledge(inbox.acks.get_or_insert_default(), ack);
    }

    /// The session does not come back.
    pub(super) fn end_for_good(&mut self) {
        if let Some(inbox) = &mut self.reliable.inbox {
            self.registration.end_session(inbox.acks.get_or_insert_default(), inbox.generation);
        }
    }

    /// Adds what comes next of the streams. Says whether there was something.
    pub(super) fn gather_streams(
        &mut self,
        cx: &mut Context<'_>,
        chunks: &mut SmallVec<[Chunk; 16]>,
    ) -> bool {
        if self.reliable.readings.is_empty() {
            return false;
        }
        let (mut batch, encoding) = (Batch::default(), self.transport.encoding());
        let inbox = self.registration.inbox().address;
        let Reliable { readings, credit, .. } = &mut *self.reliable;
        // Each in turn is the first, so that none is starved by those before it.
        readings.rotate_left(1);
        for reading in &mut *readings {
            reading.poll(cx, encoding, credit, (GATHER_BYTES, GATHER_FRAMES), &mut batch);
            if *reading.stream() == *inbox {
                let (epoch, cursor) = reading.position();
                self.outbound.see(epoch, cursor);
            }
        }
        if batch.is_forgotten {
            // At once: until it is entered again the stream lets go of what it has not read.
            self.outbound.push_news(InboxNews::Forgotten);
        }
        if batch.chunks.is_empty() {
            return false;
        }
        self.context.metrics.stream_writes.increment(batch.messages);
        self.context.metrics.stream_skips.increment(batch.skipped);
        batch.rights.into_iter().for_each(|right| self.grant_reply(right));
        chunks.extend(batch.chunks);
        true
    }
}

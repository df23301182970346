//! A store that breaks its promise with one message.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::FutureExt as _;
use relay::bus::InstanceId;
use relay::streams::{
    Ack, Answer, Append, Appended, Delivered, Found, Given, JobStore, LateOutcome, Look, Marks, Opened,
    Opening, Range, Settled, SharedStreams, Stored, StreamKey, StreamStore,
};

use crate::plan::Spoil;
use crate::tenants;

/// A store that is right but for one message.
#[derive(Debug)]
pub(crate) struct SpoiledStore {
    inner: SharedStreams,
    spoil: Spoil,
    nth: u64,
    seen: AtomicU64,
}

impl SpoiledStore {
    /// Breaks the promise with the `nth` message, or the next that it can break it with.
    pub(crate) fn new(inner: SharedStreams, spoil: Spoil, nth: u64) -> Arc<SpoiledStore> {
        Arc::new(SpoiledStore { inner, spoil, nth, seen: AtomicU64::new(0) })
    }

    /// Which message of a batch is spoiled, if any is.
    fn chosen(&self, messages: &[Append]) -> Option<usize> {
        let count = messages.len() as u64;
        let before = self.seen.fetch_add(count, Ordering::Relaxed);
        // A swap takes two of one sender.
        let fits = |at: usize| {
            let neighbour = messages.get(at + 1);
            let of_one = |next: &Append| {
                let this = &messages[at];
                next.session == this.session && next.counter.is_some() == this.counter.is_some()
            };
            self.spoil != Spoil::Swap || neighbour.is_some_and(of_one)
        };
        let at = (0..messages.len()).find(|at| before + *at as u64 >= self.nth && fits(*at))?;
        // Once only.
        self.seen.store(u64::MAX / 2, Ordering::Relaxed);
        Some(at).filter(|_| before < u64::MAX / 2)
    }
}

impl StreamStore for SpoiledStore {
    fn open(&self, opening: Opening) -> Answer<Opened> {
        self.inner.open(opening)
    }

    fn renew(&self, inbox: StreamKey, sessions: Vec<Arc<str>>) -> Answer<Option<Marks>> {
        self.inner.renew(inbox, sessions)
    }

    fn close(&self, inbox: StreamKey, session: Arc<str>, generation: u64) -> Answer<()> {
        self.inner.close(inbox, session, generation)
    }

    fn append(&self, stream: StreamKey, mut messages: Vec<Append>) -> Answer<Appended> {
        let Some(at) = self.chosen(&messages) else { return self.inner.append(stream, messages) };
        match self.spoil {
            Spoil::Drop => {
                messages.remove(at);
                let appended = self.inner.append(stream, messages);
                // It says that it is there.
                let said = move |mut done: Appended| {
                    let head = done.marks.as_ref().map_or(0, |marks| marks.head);
                    done.stored.insert(at, Stored::At(head));
                    done
                };
                appended.map(move |done| done.map(said)).boxed()
            }
            Spoil::Swap => {
                // Their counters stay where they were, or the store would see it.
                let (body, mid) = (messages[at].body.clone(), messages[at].mid.clone());
                messages[at].body = std::mem::replace(&mut messages[at + 1].body, body);
                messages[at].mid = std::mem::replace(&mut messages[at + 1].mid, mid);
                self.inner.append(stream, messages)
            }
            Spoil::Duplicate => {
                let again = Append { mid: "again".into(), counter: None, ..messages[at].clone() };
                let appended = self.inner.append(stream.clone(), messages);
                drop(self.inner.append(stream, vec![again]));
                appended
            }
            Spoil::Leak => {
                let elsewhere = StreamKey { tenant: tenants::other(&stream.tenant).into(), ..stream.clone() };
                drop(self.inner.append(elsewhere, vec![messages[at].clone()]));
                self.inner.append(stream, messages)
            }
        }
    }

    fn read(&self, stream: StreamKey, after: u64, bytes_max: usize) -> Answer<Option<Range>> {
        self.inner.read(stream, after, bytes_max)
    }

    fn acknowledge(&self, inbox: StreamKey, ack: Ack) -> Answer<Option<Vec<Delivered>>> {
        self.inner.acknowledge(inbox, ack)
    }

    fn expire_unread(&self, tenant: Arc<str>) -> Answer<Vec<Delivered>> {
        self.inner.expire_unread(tenant)
    }

    fn keep(
        &self,
        inbox: StreamKey,
        session: Arc<str>,
        outcomes: Vec<LateOutcome>,
    ) -> Answer<Option<InstanceId>> {
        self.inner.keep(inbox, session, outcomes)
    }

    fn kept(&self, inbox: StreamKey, session: Arc<str>) -> Answer<Vec<LateOutcome>> {
        self.inner.kept(inbox, session)
    }

    fn marks(&self, topic: StreamKey) -> Answer<Marks> {
        self.inner.marks(topic)
    }

    fn before(&self, topic: StreamKey, unix_ms: u64) -> Answer<u64> {
        self.inner.before(topic, unix_ms)
    }
}

impl JobStore for SpoiledStore {
    fn give(&self, group: StreamKey, jobs: Vec<Append>) -> Answer<Given> {
        self.inner.give(group, jobs)
    }

    fn look(&self, group: StreamKey, look: Look) -> Answer<Found> {
        self.inner.look(group, look)
    }

    fn settle(&self, group: StreamKey, settled: Vec<Settled>) -> Answer<Vec<Delivered>> {
        self.inner.settle(group, settled)
    }

    fn leave(&self, group: StreamKey, instance: InstanceId) -> Answer<()> {
        self.inner.leave(group, instance)
    }
}

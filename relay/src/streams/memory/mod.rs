//! Streams in this process: of a relay without Redis.

mod jobs;
mod log;
mod mids;

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::future::{self, FutureExt as _};
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::bus::InstanceId;
use crate::clock;
use crate::entropy;
use crate::streams::{
    Ack, Answer, Append, Appended, Delivered, LateOutcome, Marks, Opened, Opening, Range, Stored, StreamKey,
    StreamSettings, StreamStore,
};

use jobs::Pending;
use log::Log;

/// What all streams together may hold. Without Redis it is this process's own memory.
const BYTES_MAX: usize = 512 * 1024 * 1024;
/// Senders that are remembered who are to hear of what was in inboxes that ended, some 250 bytes each. They are asked for as
/// long as their tenant has a session; of one that has none the earliest are forgotten.
const ENDED_MAX: usize = 65_536;
/// How often streams that ended are looked for: each time so many calls were made.
const SWEEP_EVERY: u32 = 4_096;
/// How often at most because a tenant has too many: it goes over the streams of all.
const SWEEP_PAUSE: Duration = Duration::from_secs(1);

/// Streams in memory.
#[derive(Debug)]
pub struct MemoryStreams {
    kept: Mutex<Kept>,
    settings: StreamSettings,
    /// Those of every topic that has no stream yet.
    unmade: Marks,
}

#[derive(Debug, Default)]
struct Kept {
    logs: HashMap<StreamKey, Log, ahash::RandomState>,
    lists: HashMap<StreamKey, Pending, ahash::RandomState>,
    /// How many of them are of topics, for each tenant.
    topics: HashMap<Arc<str>, usize, ahash::RandomState>,
    /// Inboxes in which something may wait whose sender is to hear if nobody presents it, by their tenants: of those there are.
    unread: HashMap<Arc<str>, HashSet<StreamKey, ahash::RandomState>, ahash::RandomState>,
    /// Of inboxes that ended, who is to hear, with the tenant. Bound: [`ENDED_MAX`].
    ended: VecDeque<(Arc<str>, Delivered)>,
    bytes: usize,
    calls: u32,
    swept: Option<Instant>,
}

impl Kept {
    /// Removes a stream that ended.
    fn remove(&mut self, stream: &StreamKey, now: Instant, age: Duration) {
        let Some(mut log) = self.logs.remove(stream) else { return };
        self.bytes -= log.bytes();
        if stream.as_topic().is_none() {
            if let Some(inboxes) = self.unread.get_mut(&stream.tenant) {
                inboxes.remove(stream);
                if inboxes.is_empty() {
                    self.unread.remove(&stream.tenant);
                }
            }
            let told = log.expire_unread(now, age).into_iter();
            self.ended.extend(told.map(|told| (Arc::clone(&stream.tenant), told)));
            let over = self.ended.len().saturating_sub(ENDED_MAX);
            self.ended.drain(..over);
            return;
        }
        if let Some(count) = self.topics.get_mut(&stream.tenant) {
            *count -= 1;
            if *count == 0 {
                self.topics.remove(&stream.tenant);
            }
        }
    }

    /// Forgets the streams that ended.
    fn sweep(&mut self, now: Instant, age: Duration) {
        (self.calls, self.swept) = (0, Some(now));
        let over = self.logs.iter().filter(|(_, log)| log.is_over(now, age));
        let over: Vec<StreamKey> = over.map(|(stream, _)| stream.clone()).collect();
        for stream in &over {
            self.remove(stream, now, age);
        }
        let bytes = &mut self.bytes;
        self.lists.retain(|_, list| {
            let is_over = list.is_over(now, age);
            *bytes -= if is_over { list.bytes() } else { 0 };
            !is_over
        });
    }

    /// Makes a stream if there is room for it.
    fn make(&mut self, stream: &StreamKey, now: Instant, settings: &StreamSettings, unmade: &Marks) {
        if stream.as_topic().is_some() {
            let is_full =
                |kept: &Kept| kept.topics.get(&stream.tenant).is_some_and(|n| *n >= settings.topics);
            if is_full(self) && self.swept.is_none_or(|swept| now - swept >= SWEEP_PAUSE) {
                self.sweep(now, settings.age);
            }
            if is_full(self) {
                return;
            }
            *self.topics.entry(Arc::clone(&stream.tenant)).or_default() += 1;
        }
        let unmade = stream.as_topic().map(|_| Arc::clone(&unmade.epoch));
        self.logs.insert(stream.clone(), Log::new(now, unmade));
    }
}

/// The time of a call.
#[derive(Debug, Clone, Copy)]
struct Now {
    at: Instant,
    unix_ms: u64,
}

impl Now {
    fn read() -> Now {
        Now { at: Instant::now(), unix_ms: clock::unix_ms() }
    }
}

impl MemoryStreams {
    /// No streams yet.
    pub fn new(settings: StreamSettings) -> Arc<MemoryStreams> {
        let history: [u8; 8] = entropy::random();
        let unmade = Marks::unmade(&URL_SAFE_NO_PAD.encode(history));
        Arc::new(MemoryStreams { kept: Mutex::default(), settings, unmade })
    }

    /// Asks a stream, made if `make` says so and there is room for it.
    fn ask<T>(
        &self,
        stream: &StreamKey,
        make: bool,
        ask: impl FnOnce(Option<&mut Log>, Now, bool) -> T,
    ) -> T {
        let now = Now::read();
        let mut kept = self.kept.lock();
        let kept = &mut *kept;
        kept.calls += 1;
        if kept.calls >= SWEEP_EVERY {
            kept.sweep(now.at, self.settings.age);
        }
        if kept.logs.get(stream).is_some_and(|log| log.is_over(now.at, self.settings.age)) {
            kept.remove(stream, now.at, self.settings.age);
        }
        if make && !kept.logs.contains_key(stream) {
            kept.make(stream, now.at, &self.settings, &self.unmade);
        }
        let has_room = kept.bytes < BYTES_MAX;
        let Some(log) = kept.logs.get_mut(stream) else { return ask(None, now, has_room) };
        let before = log.bytes();
        log.forget(now.at, &self.settings);
        let answer = ask(Some(log), now, has_room);
        kept.bytes = kept.bytes + log.bytes() - before;
        answer
    }
}

fn answer<T: Send + 'static>(value: T) -> Answer<T> {
    future::ready(Ok(value)).boxed()
}

impl StreamStore for MemoryStreams {
    fn open(&self, opening: Opening) -> Answer<Opened> {
        let inbox = opening.inbox.clone();
        let mut opening = Some(opening);
        let opened = self.ask(&inbox, true, |log, now, _| {
            let (log, opening) = (log?, opening.take()?);
            Some(log.open(opening, now.at, &self.settings))
        });
        future::ready(opened.ok_or(crate::streams::StreamError::Unanswered)).boxed()
    }

    fn renew(&self, inbox: StreamKey, sessions: Vec<Arc<str>>) -> Answer<Option<Marks>> {
        answer(self.ask(&inbox, false, |log, now, _| {
            let log = log?;
            log.renew(&sessions, now.at + self.settings.grace, now.at).then(|| log.marks())
        }))
    }

    fn close(&self, inbox: StreamKey, session: Arc<str>, generation: u64) -> Answer<()> {
        self.ask(&inbox, false, |log, _, _| {
            if let Some(log) = log {
                log.close(&session, generation);
            }
        });
        answer(())
    }

    fn append(&self, stream: StreamKey, messages: Vec<Append>) -> Answer<Appended> {
        let is_topic = stream.as_topic().is_some();
        let is_awaited = messages.iter().any(|message| message.return_to.is_some());
        let appended = self.ask(&stream, is_topic, |log, now, has_room| {
            let Some(log) = log else {
                let why = if is_topic { Stored::TooManyTopics } else { Stored::NoRecipient };
                let stored = vec![why; messages.len()];
                return Appended { stored, marks: None, readers: Vec::new() };
            };
            if is_topic {
                log.touch(now.at);
            }
            let stored = messages.into_iter().map(|message| {
                if has_room { log.append(message, is_topic, now, &self.settings) } else { Stored::Saturated }
            });
            let stored = stored.collect();
            Appended { stored, marks: Some(log.marks()), readers: log.instances() }
        });
        // Not of an inbox that is not there: whoever sends to made-up names would fill it.
        if is_awaited && appended.stored.iter().any(|stored| matches!(stored, Stored::At(_))) {
            let mut kept = self.kept.lock();
            if kept.logs.contains_key(&stream) {
                kept.unread.entry(Arc::clone(&stream.tenant)).or_default().insert(stream);
            }
        }
        answer(appended)
    }

    fn read(&self, stream: StreamKey, after: u64, bytes_max: usize) -> Answer<Option<Range>> {
        answer(self.ask(&stream, false, |log, now, _| {
            let log = log?;
            Some(Range { marks: log.marks(), now_ms: now.unix_ms, messages: log.read(after, bytes_max) })
        }))
    }

    fn acknowledge(&self, inbox: StreamKey, ack: Ack) -> Answer<Option<Vec<Delivered>>> {
        answer(self.ask(&inbox, false, |log, now, _| {
            let Some(log) = log else { return Some(Vec::new()) };
            log.touch(now.at);
            log.acknowledge(&ack)
        }))
    }

    fn expire_unread(&self, tenant: Arc<str>) -> Answer<Vec<Delivered>> {
        let (now, age) = (Instant::now(), self.settings.age);
        let mut kept = self.kept.lock();
        let Kept { logs, unread, ended, bytes, .. } = &mut *kept;
        let mut told = Vec::new();
        ended.retain(|(of, some)| {
            let is_ours = *of == tenant;
            told.extend(is_ours.then(|| some.clone()));
            !is_ours
        });
        let Some(inboxes) = unread.get_mut(&tenant) else { return answer(told) };
        inboxes.retain(|inbox| {
            let Some(log) = logs.get_mut(inbox) else { return false };
            let before = log.bytes();
            told.extend(log.expire_unread(now, age));
            *bytes -= before - log.bytes();
            log.is_awaited()
        });
        if inboxes.is_empty() {
            unread.remove(&tenant);
        }
        answer(told)
    }

    fn keep(
        &self,
        inbox: StreamKey,
        session: Arc<str>,
        outcomes: Vec<LateOutcome>,
    ) -> Answer<Option<InstanceId>> {
        answer(self.ask(&inbox, false, |log, _, _| log?.keep(&session, outcomes)))
    }

    fn kept(&self, inbox: StreamKey, session: Arc<str>) -> Answer<Vec<LateOutcome>> {
        answer(self.ask(&inbox, false, |log, _, _| log.map_or(Vec::new(), |log| log.kept(&session))))
    }

    fn marks(&self, topic: StreamKey) -> Answer<Marks> {
        answer(
            self.ask(&topic, false, |log, _, _| log.map_or_else(|| self.unmade.clone(), |log| log.marks())),
        )
    }

    fn before(&self, topic: StreamKey, unix_ms: u64) -> Answer<u64> {
        answer(self.ask(&topic, false, |log, _, _| log.map_or(0, |log| log.before(unix_ms))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::streams::conformance;

    #[tokio::test(start_paused = true)]
    async fn memory_conforms() {
        let store = MemoryStreams::new(conformance::SETTINGS);
        conformance::check(async || Arc::clone(&store) as Arc<dyn StreamStore>).await;
    }

    #[tokio::test(start_paused = true)]
    async fn what_nobody_returns_to_expires() {
        let store = MemoryStreams::new(conformance::unread::SHORT_LIVED);
        conformance::unread::expires(&*store, &*store).await;
        assert!(store.kept.lock().unread.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn made_up_names_are_not_kept() {
        let store = MemoryStreams::new(conformance::SETTINGS);
        let to_hear = conformance::to_hear(&crate::bus::InstanceId::random(), 1);
        let asked = Append { return_to: Some(to_hear), ..conformance::message("m", "x") };
        let nobody = StreamKey::agent(&"acme".into(), "nobody");
        let appended = store.append(nobody, vec![asked]).await.unwrap();
        assert_eq!(appended.stored, [Stored::NoRecipient]);
        assert!(store.kept.lock().unread.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_topic_that_ended_makes_room_for_another() {
        let store = MemoryStreams::new(conformance::SETTINGS);
        let tenant: Arc<str> = "acme".into();
        let store_in = async |name: String| {
            let message = conformance::message("1", "x");
            store.append(StreamKey::topic(&tenant, &name), vec![message]).await.unwrap().stored
        };
        for number in 0..conformance::SETTINGS.topics {
            assert_eq!(store_in(format!("former{number}")).await, [Stored::At(1)]);
        }
        assert_eq!(store_in("further".to_owned()).await, [Stored::TooManyTopics]);
        tokio::time::advance(conformance::SETTINGS.age).await;
        for number in 0..conformance::SETTINGS.topics {
            assert_eq!(store_in(format!("later{number}")).await, [Stored::At(1)]);
        }
        assert_eq!(store_in("further".to_owned()).await, [Stored::TooManyTopics]);
        assert_eq!(store.kept.lock().logs.len(), conformance::SETTINGS.topics);
    }
}

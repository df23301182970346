//! Streams in this process: of a relay without Redis.

mod log;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use futures_util::future::{self, FutureExt as _};
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::streams::{
    Ack, Answer, Append, Appended, Delivered, Marks, Opened, Opening, Range, Stored, StreamKey,
    StreamSettings, StreamStore,
};

use log::Log;

/// What all streams together may hold. Without Redis it is this process's own memory.
const BYTES_MAX: usize = 512 * 1024 * 1024;
/// How often streams that ended are looked for: each time so many calls were made.
const SWEEP_EVERY: u32 = 4_096;

/// Streams in memory.
#[derive(Debug)]
pub struct MemoryStreams {
    kept: Mutex<Kept>,
    settings: StreamSettings,
}

#[derive(Debug, Default)]
struct Kept {
    logs: HashMap<StreamKey, Log, ahash::RandomState>,
    bytes: usize,
    calls: u32,
}

/// The time of a call.
#[derive(Debug, Clone, Copy)]
struct Now {
    at: Instant,
    unix_ms: u64,
}

impl MemoryStreams {
    /// No streams yet.
    pub fn new(settings: StreamSettings) -> Arc<MemoryStreams> {
        Arc::new(MemoryStreams { kept: Mutex::default(), settings })
    }

    /// Asks a stream, made if `make` says so.
    fn ask<T>(
        &self,
        stream: &StreamKey,
        make: bool,
        ask: impl FnOnce(Option<&mut Log>, Now, bool) -> T,
    ) -> T {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = Now { at: Instant::now(), unix_ms: u64::try_from(unix.as_millis()).unwrap_or(u64::MAX) };
        let mut kept = self.kept.lock();
        let kept = &mut *kept;
        kept.calls += 1;
        if kept.calls >= SWEEP_EVERY {
            kept.calls = 0;
            kept.logs.retain(|_, log| {
                let ended = log.is_over(now.at, self.settings.age);
                kept.bytes -= if ended { log.bytes() } else { 0 };
                !ended
            });
        }
        if kept.logs.get(stream).is_some_and(|log| log.is_over(now.at, self.settings.age))
            && let Some(over) = kept.logs.remove(stream)
        {
            kept.bytes -= over.bytes();
        }
        if make && !kept.logs.contains_key(stream) {
            kept.logs.insert(stream.clone(), Log::new(now.at));
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
        answer(self.ask(&stream, is_topic, |log, now, has_room| {
            let Some(log) = log else {
                let stored = vec![Stored::NoRecipient; messages.len()];
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
        }))
    }

    fn read(&self, stream: StreamKey, after: u64, bytes_max: usize) -> Answer<Option<Range>> {
        answer(self.ask(&stream, false, |log, now, _| {
            let log = log?;
            Some(Range { marks: log.marks(), now_ms: now.unix_ms, messages: log.read(after, bytes_max) })
        }))
    }

    fn acknowledge(&self, inbox: StreamKey, acks: Vec<Ack>) -> Answer<Vec<Delivered>> {
        answer(self.ask(&inbox, false, |log, now, _| {
            let Some(log) = log else { return Vec::new() };
            log.touch(now.at);
            log.acknowledge(&acks)
        }))
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
}

//! One stream: its messages, its readers, and what is remembered of its senders.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use ahash::HashMap;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tokio::time::Instant;

use crate::auth::Digest;
use crate::bus::InstanceId;
use crate::entropy;
use crate::streams::memory::Now;
use crate::streams::memory::mids::Mids;
use crate::streams::{
    Ack, Append, COUNTER_MEMORY, Delivered, LateOutcome, Marks, OUTCOMES_MAX, Opened, Opening, READ_MAX,
    READERS_MAX, ReturnAddress, Stored, StoredMessage, StreamSettings,
};

/// How often what is remembered of senders is gone through.
const FORGET_EVERY: Duration = Duration::from_secs(1);
/// What a message takes beside its body, roughly; as Redis counts.
const ENTRY_BYTES: usize = 128;

#[derive(Debug)]
pub(super) struct Log {
    epoch: Arc<str>,
    /// The epoch that a topic had before it had a stream.
    unmade: Option<Arc<str>>,
    first: u64,
    messages: VecDeque<Entry>,
    bytes: usize,
    /// The last that any reader presented.
    done: u64,
    touched: Instant,
    forgotten_at: Instant,
    /// Few, so that an agent to whom nothing is sent takes little.
    sessions: Vec<Known>,
    senders: Option<Box<Senders>>,
}

/// What is remembered of those who send here; made when a first one does.
#[derive(Debug, Default)]
struct Senders {
    mids: HashMap<Arc<str>, Mids>,
    counters: HashMap<Arc<str>, Counter>,
}

#[derive(Debug)]
struct Entry {
    at: Instant,
    message: StoredMessage,
    return_to: Option<ReturnAddress>,
}

impl Entry {
    /// Whether it was not presented, and somebody is to hear of that.
    fn is_awaited(&self, done: u64) -> bool {
        self.return_to.is_some() && self.message.seq > done
    }
}

/// A session of the agent that lives or may come back.
#[derive(Debug)]
struct Known {
    session: Arc<str>,
    /// Presented up to here; nothing if it does not read.
    seq: Option<u64>,
    ticket: Digest,
    former: Option<Digest>,
    /// Given to who showed the former before: which of the two answers was heard is not known.
    other: Option<Digest>,
    generation: u64,
    instance: InstanceId,
    till: Instant,
    /// What became of what it sent, while it was away.
    outcomes: Vec<LateOutcome>,
}

impl Known {
    fn is_shown(&self, shown: &Digest) -> bool {
        [Some(self.ticket), self.former, self.other].contains(&Some(*shown))
    }
}

#[derive(Debug)]
struct Counter {
    generation: u64,
    last: u64,
    at: Instant,
}

impl Counter {
    /// Whether a message is the next of the newest connection of its session, of which that is known.
    fn takes(known: Option<&Counter>, generation: u64, counter: u64, settled: Option<u64>) -> bool {
        if known.is_some_and(|known| generation < known.generation) {
            return false;
        }
        // What its sender has the outcome of is not sent again, whatever is remembered of it.
        let last = match (known.map(|known| known.last), settled) {
            (last, Some(settled)) => last.unwrap_or_default().max(settled),
            (Some(last), None) => last,
            (None, None) => return true,
        };
        last.checked_add(1) == Some(counter)
    }
}

impl Log {
    pub(super) fn new(now: Instant, unmade: Option<Arc<str>>) -> Log {
        let bits: [u8; 8] = entropy::random();
        Log {
            epoch: URL_SAFE_NO_PAD.encode(bits).into(),
            unmade,
            first: 1,
            messages: VecDeque::new(),
            bytes: 0,
            done: 0,
            touched: now,
            forgotten_at: now,
            sessions: Vec::new(),
            senders: None,
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn touch(&mut self, now: Instant) {
        self.touched = now;
    }

    /// Whether it has not been used for longer than anything in it is kept.
    pub(super) fn is_over(&self, now: Instant, age: Duration) -> bool {
        now - self.touched >= age
    }

    fn head(&self) -> u64 {
        self.first + self.messages.len() as u64 - 1
    }

    pub(super) fn marks(&self) -> Marks {
        let former = self.unmade.clone().map(|unmade| (unmade, 0));
        Marks { epoch: Arc::clone(&self.epoch), former, first: self.first, head: self.head() }
    }

    fn drop_first(&mut self) {
        if let Some(entry) = self.messages.pop_front() {
            self.bytes -= entry.message.body.len() + ENTRY_BYTES;
            self.first += 1;
        }
    }

    fn trim(&mut self, seq: u64) {
        while self.first <= seq && !self.messages.is_empty() {
            self.drop_first();
        }
    }

    /// Lets go of everything that has had its time.
    pub(super) fn forget(&mut self, now: Instant, settings: &StreamSettings) {
        let done = self.done;
        // What is awaited is let go of by `expire_unread`.
        let is_stale = |entry: &Entry| now - entry.at >= settings.age && !entry.is_awaited(done);
        while self.messages.front().is_some_and(is_stale) {
            self.drop_first();
        }
        self.sessions.retain(|known| known.till > now);
        // There may be many senders.
        if now - self.forgotten_at < FORGET_EVERY {
            return;
        }
        self.forgotten_at = now;
        if let Some(senders) = &mut self.senders {
            senders.mids.retain(|_, mids| !mids.is_over(now));
            senders.counters.retain(|_, counter| now - counter.at < COUNTER_MEMORY);
        }
    }

    /// Lets go of what has had its time, all of it if its agent did not come back in its own. Answers who is to hear of it.
    pub(super) fn expire_unread(&mut self, now: Instant, age: Duration) -> Vec<Delivered> {
        let (is_over, done, mut told) = (self.is_over(now, age), self.done, Vec::new());
        while let Some(entry) = self.messages.front_mut()
            && (is_over || now - entry.at >= age)
        {
            let awaited = entry.is_awaited(done);
            let to = entry.return_to.take().filter(|_| awaited);
            told.extend(to.map(|to| Delivered { to, expired: true }));
            self.drop_first();
        }
        told
    }

    /// Whether somebody is to hear of a message that nobody presented yet.
    pub(super) fn is_awaited(&self) -> bool {
        self.after(self.done).any(|entry| entry.return_to.is_some())
    }

    pub(super) fn open(&mut self, opening: Opening, now: Instant, settings: &StreamSettings) -> Opened {
        self.touch(now);
        let Opening { session, generation, ticket, resume, instance, .. } = opening;
        let till = now + settings.grace;
        let goes_on = resume.filter(|(session, shown)| {
            let known = self.known(session);
            known.is_some_and(|known| known.is_shown(shown))
        });
        let resumed = goes_on.is_some();
        let (session, former) = goes_on.map_or((session, None), |(session, shown)| (session, Some(shown)));
        let readers = self.sessions.iter().filter(|known| known.seq.is_some()).count();
        // What nobody has presented is presented to it: the session that would have may never come back.
        let begin = (readers < READERS_MAX).then_some(self.done.max(self.first - 1));
        let at = self.sessions.iter().position(|known| known.session == session);
        let mut earlier = at.map(|at| self.sessions.swap_remove(at));
        let outcomes = earlier.as_mut().map(|known| std::mem::take(&mut known.outcomes)).unwrap_or_default();
        let position = earlier.as_ref().and_then(|known| known.seq).or(begin);
        let earlier = earlier.filter(|_| resumed);
        let again = earlier.as_ref().filter(|known| former.is_some() && known.former == former);
        let other = again.map(|known| known.ticket);
        let generation = earlier.as_ref().map_or(generation, |known| known.generation + 1);
        let before = earlier.map(|known| known.instance);
        // One for most agents.
        self.sessions.reserve_exact(1);
        self.sessions.push(Known {
            session,
            seq: position,
            ticket,
            former,
            other,
            generation,
            instance,
            till,
            outcomes,
        });
        self.trim_presented();
        Opened { resumed, generation, before, position, marks: self.marks() }
    }

    fn known(&self, session: &str) -> Option<&Known> {
        self.sessions.iter().find(|known| *known.session == *session)
    }

    pub(super) fn keep(&mut self, session: &str, outcomes: Vec<LateOutcome>) -> Option<InstanceId> {
        let known = self.sessions.iter_mut().find(|known| *known.session == *session)?;
        known.outcomes.extend(outcomes);
        known.outcomes.drain(..known.outcomes.len().saturating_sub(OUTCOMES_MAX));
        Some(known.instance.clone())
    }

    pub(super) fn kept(&mut self, session: &str) -> Vec<LateOutcome> {
        let known = self.sessions.iter_mut().find(|known| *known.session == *session);
        known.map(|known| std::mem::take(&mut known.outcomes)).unwrap_or_default()
    }

    fn trim_presented(&mut self) {
        // Without readers, what no later one begins with.
        let least = self.sessions.iter().filter_map(|known| known.seq).min();
        self.trim(least.unwrap_or(self.done));
    }

    /// Says whether all of them are known.
    pub(super) fn renew(&mut self, sessions: &[Arc<str>], till: Instant, now: Instant) -> bool {
        self.touch(now);
        let mut all = true;
        for session in sessions {
            match self.sessions.iter_mut().find(|known| known.session == *session) {
                Some(known) => {
                    known.till = till;
                    all &= known.seq.is_some();
                }
                None => all = false,
            }
        }
        all
    }

    pub(super) fn close(&mut self, session: &str, generation: u64) {
        self.sessions.retain(|known| *known.session != *session || known.generation != generation);
    }

    pub(super) fn instances(&self) -> Vec<InstanceId> {
        let readers = self.sessions.iter().filter(|known| known.seq.is_some());
        let mut instances: Vec<_> = readers.map(|known| known.instance.clone()).collect();
        instances.sort_unstable();
        instances.dedup();
        instances
    }

    pub(super) fn append(
        &mut self,
        message: Append,
        is_topic: bool,
        now: Now,
        settings: &StreamSettings,
    ) -> Stored {
        let bytes = message.body.len() + ENTRY_BYTES;
        let is_full =
            |log: &Log| log.messages.len() >= settings.messages || log.bytes + bytes > settings.bytes;
        if !is_topic && is_full(self) {
            // What only sessions had not presented that have ended is in nobody's way.
            self.trim_presented();
        }
        let is_full = is_full(self);
        let Append { from, mid, session, generation, counter, settled, expires_in_ms, return_to, body } =
            message;
        let Senders { mids, counters } = &mut **self.senders.get_or_insert_default();
        let mids = mids.entry(from).or_insert_with(|| Mids::new(now.at));
        let is_taken = counter
            .is_none_or(|counter| Counter::takes(counters.get(&session), generation, counter, settled));
        let counted = counter.filter(|_| is_taken).map(|last| Counter { generation, last, at: now.at });
        if let Some(seq) = mids.find(&mid) {
            // It may have come by another session, or while nothing was remembered of this one: what follows it is the next.
            if let Some(counted) = counted {
                counters.insert(session, counted);
            }
            return Stored::Repeat { seq, delivered: seq <= self.done };
        }
        if !is_taken {
            return Stored::OutOfOrder;
        }
        if !is_topic && !self.messages.is_empty() && is_full {
            // What follows it may not overtake it, also where nothing is remembered of the session.
            if let Some(counter) = counter {
                let last = Counter { generation, last: counter.saturating_sub(1), at: now.at };
                counters.entry(session).or_insert(last);
            }
            return Stored::Saturated;
        }
        let seq = self.first + self.messages.len() as u64;
        mids.remember(mid, seq, now.at);
        if let Some(counted) = counted {
            counters.insert(session, counted);
        }
        let expires_at_ms = expires_in_ms.map_or(0, |life| now.unix_ms.saturating_add(life));
        let message = StoredMessage { seq, at_ms: now.unix_ms, expires_at_ms, body };
        self.messages.push_back(Entry { at: now.at, message, return_to });
        self.bytes += bytes;
        while self.messages.len() > 1
            && is_topic
            && (self.messages.len() > settings.messages || self.bytes > settings.bytes)
        {
            self.drop_first();
        }
        Stored::At(seq)
    }

    fn after(&self, seq: u64) -> impl Iterator<Item = &Entry> {
        let skip = usize::try_from((seq + 1).saturating_sub(self.first)).unwrap_or(usize::MAX);
        self.messages.range(skip.min(self.messages.len())..)
    }

    pub(super) fn read(&self, after: u64, bytes_max: usize) -> Vec<StoredMessage> {
        let mut bytes = 0;
        let mut messages = Vec::new();
        for entry in self.after(after).take(READ_MAX) {
            bytes += entry.message.body.len() + ENTRY_BYTES;
            if !messages.is_empty() && bytes > bytes_max {
                break;
            }
            messages.push(entry.message.clone());
        }
        messages
    }

    pub(super) fn acknowledge(&mut self, ack: &Ack) -> Option<Vec<Delivered>> {
        let (upto, mut told) = (ack.seq.min(self.head()), Vec::new());
        let Some(known) = self.sessions.iter_mut().find(|known| known.session == ack.session) else {
            return Some(told);
        };
        if ack.generation != known.generation {
            return None;
        }
        if ack.epoch != self.epoch || known.seq.is_none_or(|seq| upto <= seq) {
            return Some(told);
        }
        known.seq = Some(upto);
        for entry in self.after(self.done).take_while(|entry| entry.message.seq <= upto) {
            let expired = ack.expired.contains(&entry.message.seq);
            let to = entry.return_to.as_ref().filter(|to| expired || !to.failure_only);
            told.extend(to.cloned().map(|to| Delivered { to, expired }));
        }
        self.done = self.done.max(upto);
        self.trim_presented();
        Some(told)
    }

    pub(super) fn before(&self, unix_ms: u64) -> u64 {
        let before = self.messages.partition_point(|entry| entry.message.at_ms < unix_ms);
        self.first - 1 + before as u64
    }
}

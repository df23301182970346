//! The pending list of a group in this process.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ahash::HashMap;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::future::FutureExt as _;
use tokio::time::Instant;

use crate::bus::InstanceId;
use crate::entropy;
use crate::streams::memory::mids::Mids;
use crate::streams::memory::{BYTES_MAX, MemoryStreams, Now, SWEEP_EVERY, answer};
use crate::streams::{
    Answer, Append, Delivered, Found, GIVEN_MAX, Given, HOLD, JobFate, JobStore, Look, MID_MEMORY, MIDS_MAX,
    RIPE, ReturnAddress, Settled, Stored, StoredMessage, StreamKey, StreamSettings, TAKE_BYTES, Taken,
};

/// What a job takes beside its body, roughly; as Redis counts.
const JOB_BYTES: usize = 256;

#[derive(Debug)]
pub(super) struct Pending {
    epoch: Arc<str>,
    head: u64,
    jobs: BTreeMap<u64, Job>,
    bytes: usize,
    /// Until when each instance with members counts as living.
    living: BTreeMap<InstanceId, Instant>,
    /// Before this none counts as dead, as all may have been unable to speak.
    calm_until: Instant,
    mids: HashMap<Arc<str>, Mids>,
    /// Those that failed lately: when.
    failed: BTreeMap<u64, Instant>,
    touched: Instant,
}

#[derive(Debug)]
struct Job {
    at: Instant,
    message: StoredMessage,
    /// When it fails, if it waits.
    end: Instant,
    return_to: Option<ReturnAddress>,
    given: u64,
    /// Who was given it last.
    session: Option<Arc<str>>,
    /// In whose hand it is: of which instance, and until when.
    held: Option<(InstanceId, Instant)>,
}

impl Pending {
    fn new(now: Instant) -> Pending {
        let bits: [u8; 8] = entropy::random();
        Pending {
            epoch: URL_SAFE_NO_PAD.encode(bits).into(),
            head: 0,
            jobs: BTreeMap::new(),
            bytes: 0,
            living: BTreeMap::new(),
            calm_until: now,
            mids: HashMap::default(),
            failed: BTreeMap::new(),
            touched: now,
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether it has not been used for longer than anything in it is kept.
    pub(super) fn is_over(&self, now: Instant, age: Duration) -> bool {
        now - self.touched > age
    }

    fn let_go(&mut self, seq: u64) -> Option<Job> {
        let job = self.jobs.remove(&seq)?;
        self.bytes -= job.message.body.len() + JOB_BYTES;
        Some(job)
    }

    fn fail(&mut self, seq: u64, now: Instant, told: &mut Vec<Delivered>) {
        let Some(job) = self.let_go(seq) else { return };
        self.failed.insert(seq, now);
        if self.failed.len() > MIDS_MAX {
            self.failed.pop_first();
        }
        told.extend(job.return_to.map(|to| Delivered { to, expired: true }));
    }

    fn put_back(&mut self, seq: u64, now: Instant, told: &mut Vec<Delivered>) {
        match self.jobs.get_mut(&seq) {
            Some(job) if job.given < GIVEN_MAX => job.held = None,
            _ => self.fail(seq, now, told),
        }
    }

    /// Lets go of what has waited too long, and of what is remembered too long.
    fn expire(&mut self, now: Instant) -> Vec<Delivered> {
        let over = self.jobs.iter().filter(|(_, job)| job.held.is_none() && job.end <= now);
        let (over, mut told): (Vec<u64>, _) = (over.map(|(seq, _)| *seq).collect(), Vec::new());
        for seq in over {
            self.fail(seq, now, &mut told);
        }
        self.failed.retain(|_, at| now - *at < 2 * MID_MEMORY);
        self.mids.retain(|_, mids| !mids.is_over(now));
        told
    }

    fn give(&mut self, job: Append, now: Now, has_room: bool, settings: &StreamSettings) -> Stored {
        let Append { from, mid, expires_in_ms, return_to, body, .. } = job;
        let mids = self.mids.entry(from).or_insert_with(|| Mids::new(now.at));
        if let Some(seq) = mids.find(&mid) {
            return match () {
                () if self.failed.contains_key(&seq) => Stored::Expired,
                () => Stored::Repeat { seq, delivered: !self.jobs.contains_key(&seq) },
            };
        }
        if self.living.values().all(|until| *until <= now.at) {
            return Stored::NoRecipient;
        }
        let bytes = body.len() + JOB_BYTES;
        let is_full = self.jobs.len() >= settings.messages || self.bytes + bytes > settings.bytes;
        if !has_room || (!self.jobs.is_empty() && is_full) {
            return Stored::Saturated;
        }
        self.head += 1;
        let seq = self.head;
        mids.remember(mid, seq, now.at);
        let life = expires_in_ms.map_or(settings.age, Duration::from_millis).min(settings.age);
        let expires_at_ms = expires_in_ms.map_or(0, |life| now.unix_ms.saturating_add(life));
        let message = StoredMessage { seq, at_ms: now.unix_ms, expires_at_ms, body };
        let (at, end) = (now.at, now.at + life);
        self.jobs.insert(seq, Job { at, message, end, return_to, given: 0, session: None, held: None });
        self.bytes += bytes;
        Stored::At(seq)
    }

    fn look(&mut self, look: Look, now: Now) -> Found {
        let mut told = self.expire(now.at);
        let mut put_back = 0;
        if let Some((instance, life)) = &look.by {
            let before = self.living.insert(instance.clone(), now.at + *life);
            if before.is_some_and(|until| until <= now.at) {
                self.calm_until = now.at + *life;
            }
        }
        if now.at >= self.calm_until {
            self.living.retain(|_, until| *until > now.at);
        }
        let is_lost = |job: &Job| {
            let (instance, until) = job.held.as_ref()?;
            (*until <= now.at || !self.living.contains_key(instance)).then_some(())
        };
        let lost: Vec<u64> =
            self.jobs.iter().filter(|(_, job)| is_lost(job).is_some()).map(|(seq, _)| *seq).collect();
        for seq in lost {
            put_back += 1;
            self.put_back(seq, now.at, &mut told);
        }
        let jobs = match look.by {
            Some((instance, _)) => self.take(look.told_of, &look.takers, &instance, now.at),
            None => Vec::new(),
        };
        let waiting = self.jobs.values().filter(|job| job.held.is_none()).count() as u64;
        let in_hand = self.jobs.len() as u64 - waiting;
        Found { epoch: Arc::clone(&self.epoch), now_ms: now.unix_ms, waiting, in_hand, put_back, told, jobs }
    }

    fn take(
        &mut self,
        told_of: usize,
        takers: &[Arc<str>],
        instance: &InstanceId,
        now: Instant,
    ) -> Vec<Taken> {
        let (mut taken, mut bytes): (Vec<Taken>, usize) = (Vec::new(), 0);
        let waiting = self.jobs.values_mut().filter(|job| job.held.is_none());
        for (at, (job, session)) in waiting.zip(takers).enumerate() {
            bytes += job.message.body.len();
            let is_ripe = job.given > 0 || now - job.at >= RIPE;
            if (at >= told_of && !is_ripe) || (!taken.is_empty() && bytes > TAKE_BYTES) {
                break;
            }
            let again = job.given > 0;
            taken.push(Taken { session: Arc::clone(session), again, message: job.message.clone() });
            job.given += 1;
            job.session = Some(Arc::clone(session));
            job.held = Some((instance.clone(), now + HOLD));
        }
        taken
    }

    fn settle(&mut self, settled: Settled, now: Instant, told: &mut Vec<Delivered>) {
        let Settled { session, epoch, seq, fate } = settled;
        let Some(job) = self.jobs.get_mut(&seq) else { return };
        if epoch != self.epoch || job.session.as_ref() != Some(&session) {
            return;
        }
        match fate {
            JobFate::Done => {
                let done = self.let_go(seq).and_then(|job| job.return_to);
                told.extend(done.map(|to| Delivered { to, expired: false }));
            }
            JobFate::Left | JobFate::Unwritten if job.held.is_some() => {
                job.given -= u64::from(fate == JobFate::Unwritten);
                self.put_back(seq, now, told);
            }
            JobFate::Left | JobFate::Unwritten => {}
        }
    }
}

impl MemoryStreams {
    /// Asks a list, made if `make` says so.
    fn ask_list<T>(
        &self,
        group: &StreamKey,
        make: bool,
        ask: impl FnOnce(Option<&mut Pending>, Now, bool) -> T,
    ) -> T {
        let now = Now::read();
        let mut kept = self.kept.lock();
        let kept = &mut *kept;
        kept.calls += 1;
        if kept.calls >= SWEEP_EVERY {
            kept.sweep(now.at, self.settings.age);
        }
        if make && !kept.lists.contains_key(group) {
            kept.lists.insert(group.clone(), Pending::new(now.at));
        }
        let has_room = kept.bytes < BYTES_MAX;
        let Some(list) = kept.lists.get_mut(group) else { return ask(None, now, has_room) };
        list.touched = now.at;
        let before = list.bytes();
        let answer = ask(Some(list), now, has_room);
        kept.bytes = kept.bytes + list.bytes() - before;
        answer
    }
}

impl JobStore for MemoryStreams {
    fn give(&self, group: StreamKey, jobs: Vec<Append>) -> Answer<Given> {
        answer(self.ask_list(&group, false, |list, now, has_room| {
            let Some(list) = list else {
                let stored = vec![Stored::NoRecipient; jobs.len()];
                return Given { stored, instances: Vec::new(), told: Vec::new() };
            };
            let told = list.expire(now.at);
            let stored = jobs.into_iter().map(|job| list.give(job, now, has_room, &self.settings)).collect();
            let living = list.living.iter().filter(|(_, until)| **until > now.at);
            Given { stored, instances: living.map(|(instance, _)| instance.clone()).collect(), told }
        }))
    }

    fn look(&self, group: StreamKey, look: Look) -> Answer<Found> {
        answer(self.ask_list(&group, look.by.is_some(), |list, now, _| match list {
            Some(list) => list.look(look, now),
            None => Found::nothing(now.unix_ms),
        }))
    }

    fn settle(&self, group: StreamKey, settled: Vec<Settled>) -> Answer<Vec<Delivered>> {
        answer(self.ask_list(&group, false, |list, now, _| {
            let mut told = Vec::new();
            if let Some(list) = list {
                for settled in settled {
                    list.settle(settled, now.at, &mut told);
                }
            }
            told
        }))
    }

    fn leave(&self, group: StreamKey, instance: InstanceId) -> Answer<()> {
        self.ask_list(&group, false, |list, _, _| list.map(|list| list.living.remove(&instance)));
        futures_util::future::ready(Ok(())).boxed()
    }
}

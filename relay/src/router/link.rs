//! The messages from this instance to one other, numbered, so that each gets exactly one outcome over a bus that may
//! lose them: the receiver reports which it queued, which not, and which it never saw.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use smallvec::SmallVec;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::bus::InstanceId;
use crate::clock;
use crate::entropy::Keys;
use crate::outbound::Settlement;
use crate::router::barrier::Looks;
use crate::router::envelope::{self, Ack, Direct, Nack};
use crate::router::held::SILENCE;
use crate::router::outbox::{Outbox, Pump};

/// Messages without a report yet: a second at a hundred thousand a second and room.
const PENDING_MAX: usize = 131_072;

/// The way to one other instance.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) peer: InstanceId,
    pub(super) outbox: Outbox,
    pub(super) looks: Looks,
    state: Mutex<State>,
    reported: Notify,
    /// Messages that came by the peer's link to here, and of which it is still to hear.
    owed: Mutex<BTreeSet<u64>>,
}

#[derive(Debug)]
struct State {
    /// The number of the first message of `pending`.
    first: u64,
    pending: VecDeque<Option<Pending>>,
    /// What the peer has and will say more of.
    held: HashMap<u64, Held, Keys>,
    /// Reports that are being carried out: what they send again is not in line yet.
    carried_out: usize,
    /// The last report, so that a link no longer used can be forgotten.
    used_at: Instant,
}

impl State {
    /// What was withdrawn holds up nobody who waits for what stands before him.
    fn pass_withdrawn(&mut self) {
        while let Some(None) = self.pending.front() {
            self.pending.pop_front();
            self.first += 1;
        }
    }
}

/// A message on its way.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) settlement: Settlement,
    /// What to send again if the agent moved.
    pub(super) direct: Arc<Direct<Arc<str>>>,
    /// Where it was sent besides.
    pub(super) tried: Tried,
    /// Its number.
    pub(super) seq: u64,
    sent_at: Instant,
}

/// Where a message was sent besides: it decides where it may still go if its agent moved.
#[derive(Debug, Clone)]
pub(super) enum Tried {
    /// Nowhere.
    Nowhere,
    /// To these too, whose sessions have it. Shared by what was sent to them: where one goes on to no other goes.
    Beside(Arc<Mutex<SmallVec<[InstanceId; 2]>>>),
    /// It was sent again already.
    Again,
}

/// Work that waits at the peer.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) settlement: Settlement,
    pub(super) tenant: Arc<str>,
    /// Of the member it was given to.
    pub(super) session: Option<Arc<str>>,
    /// When the peer last said that it has it.
    heard_at: Instant,
}

/// Work whose fate is known now.
#[derive(Debug)]
pub(super) enum Given {
    /// The peer had not said yet that it has it.
    Pending(Pending),
    Held(Held),
}

impl Pending {
    /// When the message is worth nothing any more.
    pub(super) fn expires_at(&self) -> Option<Instant> {
        let life = Duration::from_millis(u64::from(self.direct.expires_in_ms));
        (!life.is_zero()).then(|| self.sent_at + life)
    }
}

impl Held {
    fn of(pending: Pending, heard_at: Instant) -> Held {
        let Pending { settlement, direct, .. } = pending;
        Held { settlement, tenant: Arc::clone(&direct.tenant), session: direct.session.clone(), heard_at }
    }
}

impl Tried {
    /// Takes on an instance as one that it goes to; not if it went there already.
    pub(super) fn begin(&self, instance: &InstanceId) -> bool {
        let Tried::Beside(others) = self else { return true };
        let mut others = others.lock();
        let begins = !others.contains(instance);
        if begins {
            others.push(instance.clone());
        }
        begins
    }
}

/// What nothing was heard of for too long.
#[derive(Debug, Default)]
pub(super) struct Expired {
    pending: Vec<Pending>,
    held: Vec<Held>,
}

/// A message whose fate is known now.
#[derive(Debug)]
pub(super) struct Reported {
    pub(super) pending: Pending,
    /// Nothing: queued.
    pub(super) nack: Option<Nack>,
}

/// What a report is about, to be carried out. Until this goes, nobody who waits for these messages overtakes them.
#[derive(Debug)]
pub(super) struct Report<'l> {
    link: &'l Link,
    messages: std::vec::IntoIter<Reported>,
}

impl Iterator for Report<'_> {
    type Item = Reported;
    fn next(&mut self) -> Option<Reported> {
        self.messages.next()
    }
}

impl Drop for Report<'_> {
    fn drop(&mut self) {
        self.link.state.lock().carried_out -= 1;
        self.link.reported.notify_waiters();
    }
}

impl Link {
    /// A link to `peer` whose numbers begin at `first`, which must be above those of any former link to it.
    pub(super) fn new(peer: InstanceId, first: u64) -> Link {
        let (pending, held, used_at) = (VecDeque::new(), HashMap::default(), Instant::now());
        let state = Mutex::new(State { first, pending, held, carried_out: 0, used_at });
        let (outbox, looks) = (Outbox::default(), Looks::default());
        Link { peer, outbox, looks, state, reported: Notify::new(), owed: Mutex::default() }
    }

    /// Puts a message in line. Numbers follow the order in line, as both are given under one lock.
    pub(super) fn push(
        &self,
        own: &InstanceId,
        direct: Arc<Direct<Arc<str>>>,
        settlement: Settlement,
        tried: Tried,
        now: Instant,
    ) -> Result<Pump, Settlement> {
        let mut state = self.state.lock();
        if state.pending.len() + state.held.len() >= PENDING_MAX {
            return Err(settlement);
        }
        let seq = state.first + state.pending.len() as u64;
        let pushed =
            self.outbox.push(own, Some(seq), None, |batch| envelope::append_direct(batch, seq, &direct));
        match pushed {
            Ok(pump) => {
                state.used_at = now;
                state.pending.push_back(Some(Pending { settlement, direct, tried, seq, sent_at: now }));
                Ok(pump)
            }
            Err(_) => Err(settlement),
        }
    }

    /// The number that the next message will have.
    pub(super) fn next_seq(&self) -> u64 {
        let state = self.state.lock();
        state.first + state.pending.len() as u64
    }

    /// Takes out what a report is about. What stands before it was in a report that got lost: nobody can know.
    pub(super) fn report(&self, ack: &Ack) -> Report<'_> {
        let mut reported = Vec::new();
        let mut forgotten = Vec::new();
        {
            let mut state = self.state.lock();
            state.used_at = Instant::now();
            state.carried_out += 1;
            let mut failed = ack.failed.iter().peekable();
            while state.first <= ack.upto && !state.pending.is_empty() {
                let seq = state.first;
                state.first += 1;
                let Some(pending) = state.pending.pop_front().flatten() else { continue };
                if seq < ack.from {
                    forgotten.push(pending);
                    continue;
                }
                while failed.peek().is_some_and(|(failed, _)| *failed < seq) {
                    failed.next();
                }
                let nack = failed.peek().filter(|(failed, _)| *failed == seq).map(|(_, nack)| *nack);
                if nack == Some(Nack::Held) {
                    let held = Held::of(pending, state.used_at);
                    state.held.insert(seq, held);
                    continue;
                }
                reported.push(Reported { pending, nack });
            }
            state.pass_withdrawn();
        }
        drop(forgotten);
        Report { link: self, messages: reported.into_iter() }
    }

    /// Takes out messages that certainly did not leave.
    pub(super) fn withdraw(&self, (from, to): (u64, u64)) -> Report<'_> {
        let withdrawn: Vec<Reported> = {
            let mut state = self.state.lock();
            state.carried_out += 1;
            let first = state.first;
            let withdrawn = (from.max(first)..=to)
                .filter_map(|seq| {
                    let slot =
                        usize::try_from(seq - first).ok().and_then(|index| state.pending.get_mut(index))?;
                    slot.take().map(|pending| Reported { pending, nack: Some(Nack::Lost) })
                })
                .collect();
            state.pass_withdrawn();
            withdrawn
        };
        Report { link: self, messages: withdrawn.into_iter() }
    }

    /// Takes out work of which the peer says what became of it, which may be before it says that it has it.
    pub(super) fn settled(&self, seq: u64) -> Option<Given> {
        let given = {
            let mut state = self.state.lock();
            state.used_at = Instant::now();
            let at = seq.checked_sub(state.first).and_then(|at| usize::try_from(at).ok());
            let pending = at.and_then(|at| state.pending.get_mut(at)?.take());
            state.pass_withdrawn();
            pending.map(Given::Pending).or_else(|| state.held.remove(&seq).map(Given::Held))
        };
        self.reported.notify_waiters();
        given
    }

    /// The peer says that it has these still; the ranges are in order.
    pub(super) fn still_held(&self, ranges: &[(u64, u64)]) {
        let now = Instant::now();
        let mut state = self.state.lock();
        state.used_at = now;
        for (seq, held) in &mut state.held {
            let at = ranges.partition_point(|(_, last)| last < seq);
            if ranges.get(at).is_some_and(|(first, _)| first <= seq) {
                held.heard_at = now;
            }
        }
    }

    /// The peer is to hear what becomes of its message.
    pub(super) fn owe(&self, seq: u64) {
        self.owed.lock().insert(seq);
    }

    /// It is about to hear.
    pub(super) fn owe_no_longer(&self, seq: u64) {
        self.owed.lock().remove(&seq);
    }

    /// What the peer is to hear of, as ranges.
    pub(super) fn owed(&self) -> Vec<(u64, u64)> {
        let mut ranges: Vec<(u64, u64)> = Vec::new();
        for seq in self.owed.lock().iter() {
            match ranges.last_mut() {
                Some((_, last)) if *last + 1 == *seq => *last = *seq,
                _ => ranges.push((*seq, *seq)),
            }
        }
        ranges
    }

    /// Takes out what has waited for a report too long; dropped, its outcome is `unknown`.
    pub(super) fn expire(&self, patience: Duration) -> Expired {
        let mut expired = Expired::default();
        {
            let mut state = self.state.lock();
            let silence = patience.max(SILENCE);
            expired.held = state
                .held
                .extract_if(|_, held| held.heard_at.elapsed() >= silence)
                .map(|(_, held)| held)
                .collect();
            while let Some(Some(front)) = state.pending.front()
                && front.sent_at.elapsed() >= patience
            {
                expired.pending.extend(state.pending.pop_front().flatten());
                state.first += 1;
                state.pass_withdrawn();
            }
        }
        if !expired.pending.is_empty() {
            self.reported.notify_waiters();
        }
        expired
    }

    /// Takes out what has no report before `seq`, as none will come; dropped, its outcome is `unknown`.
    pub(super) fn give_up_before(&self, seq: u64) -> Vec<Pending> {
        let given_up = {
            let mut state = self.state.lock();
            let count = seq.saturating_sub(state.first).min(state.pending.len() as u64);
            state.first += count;
            let count = usize::try_from(count).unwrap_or(usize::MAX);
            let given_up = state.pending.drain(..count).flatten().collect();
            state.pass_withdrawn();
            given_up
        };
        self.reported.notify_waiters();
        given_up
    }

    /// Whether anything has no report yet.
    pub(super) fn is_under_way(&self) -> bool {
        !self.state.lock().pending.is_empty()
    }

    /// Waits until everything before `seq` has been reported or given up, and what follows from it is done.
    pub(super) async fn settled_before(&self, seq: u64) {
        loop {
            let reported = self.reported.notified();
            tokio::pin!(reported);
            reported.as_mut().enable();
            let settled = {
                let state = self.state.lock();
                state.first >= seq && state.carried_out == 0
            };
            if settled {
                return;
            }
            reported.await;
        }
    }

    /// Whether it can be forgotten: nothing under way, and nothing for so long.
    pub(super) fn is_idle_for(&self, time: Duration) -> bool {
        let state = self.state.lock();
        let idle = state.pending.is_empty() && state.held.is_empty() && self.owed.lock().is_empty();
        idle && state.used_at.elapsed() > time && self.outbox.is_idle()
    }
}

/// A first number above those of any link made before by this process: the microseconds since 1970. A link would have to
/// carry a million messages a second all its life to overtake the clock.
pub(super) fn first_number() -> u64 {
    let since = clock::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(1)
}

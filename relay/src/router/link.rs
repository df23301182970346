//! The messages from this instance to one other, numbered, so that each gets exactly one outcome over a bus that may
//! lose them: the receiver reports which it queued, which not, and which it never saw.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::bus::InstanceId;
use crate::outbound::Settlement;
use crate::router::envelope::{self, Ack, Direct, Nack};
use crate::router::outbox::{Outbox, Pump};

/// Messages without a report yet: a second at a hundred thousand a second and room.
const PENDING_MAX: usize = 131_072;

/// The way to one other instance.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) peer: InstanceId,
    pub(super) outbox: Outbox,
    state: Mutex<State>,
    reported: Notify,
}

#[derive(Debug)]
struct State {
    /// The number of the first message of `pending`.
    first: u64,
    pending: VecDeque<Option<Pending>>,
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
    /// Whether it was sent again already.
    pub(super) retried: bool,
    sent_at: Instant,
}

impl Pending {
    /// When the message is worth nothing any more.
    pub(super) fn expires_at(&self) -> Option<Instant> {
        let life = Duration::from_millis(u64::from(self.direct.expires_in_ms));
        (!life.is_zero()).then(|| self.sent_at + life)
    }
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
        let state = State { first, pending: VecDeque::new(), carried_out: 0, used_at: Instant::now() };
        Link { peer, outbox: Outbox::default(), state: Mutex::new(state), reported: Notify::new() }
    }

    /// Puts a message in line. Numbers follow the order in line, as both are given under one lock.
    pub(super) fn push(
        &self,
        own: &InstanceId,
        direct: Arc<Direct<Arc<str>>>,
        settlement: Settlement,
        retried: bool,
        now: Instant,
    ) -> Result<Pump, Settlement> {
        let mut state = self.state.lock();
        if state.pending.len() >= PENDING_MAX {
            return Err(settlement);
        }
        let seq = state.first + state.pending.len() as u64;
        let pushed =
            self.outbox.push(own, Some(seq), None, |batch| envelope::append_direct(batch, seq, &direct));
        match pushed {
            Ok(pump) => {
                state.used_at = now;
                state.pending.push_back(Some(Pending { settlement, direct, retried, sent_at: now }));
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

    /// Takes out what has waited for a report too long; dropped, its outcome is `unknown`.
    pub(super) fn expire(&self, patience: Duration) -> Vec<Pending> {
        let mut expired = Vec::new();
        {
            let mut state = self.state.lock();
            while let Some(Some(front)) = state.pending.front()
                && front.sent_at.elapsed() >= patience
            {
                expired.extend(state.pending.pop_front().flatten());
                state.first += 1;
                state.pass_withdrawn();
            }
        }
        if !expired.is_empty() {
            self.reported.notify_waiters();
        }
        expired
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
        state.pending.is_empty() && state.used_at.elapsed() > time && self.outbox.is_idle()
    }
}

/// A first number above those of any link made before by this process: the microseconds since 1970. A link would have to
/// carry a million messages a second all its life to overtake the clock.
pub(super) fn first_number() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(1)
}

//! Who talks, and who does not read.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use relay_protocol::ServerFrame;

use crate::agent::{Ended, Greeting, Outbox};
use crate::checker::{Books, End};
use crate::scenario::slow_reader::watch::Bounds;
use crate::stamp::Destination;
use crate::trial::correspondent::{Correspondent, Heard};
use crate::trial::drive::Role;
use crate::trial::pace::Schedule;
use crate::trial::stage::Window;

/// Of so many messages one goes to an addressee: enough to fill a queue in seconds.
const SHARE: u32 = 4;

/// What all of them saw of refusals.
#[derive(Debug)]
pub(crate) struct Refusals {
    /// When the first was told, on [`crate::clock`].
    pub(crate) first_ns: AtomicU64,
    /// Refusals of messages that were not for an addressee.
    pub(crate) to_others: AtomicU64,
    /// What the relay said may wait for a session.
    pub(crate) bounds: Bounds,
}

impl Default for Refusals {
    fn default() -> Self {
        Refusals {
            first_ns: AtomicU64::new(u64::MAX),
            to_others: AtomicU64::new(0),
            bounds: Bounds::default(),
        }
    }
}

/// Whom an agent sends to in turn.
#[derive(Debug)]
pub(crate) struct Rounds {
    me: u32,
    senders: u32,
    addressees: u32,
    sent: u32,
    to_others: u32,
}

impl Rounds {
    pub(crate) fn new(me: u32, senders: u32, addressees: u32) -> Rounds {
        // Not all begin with the same kind of recipient.
        Rounds { me, senders, addressees, sent: me, to_others: 0 }
    }

    fn next(&mut self) -> u32 {
        self.sent = self.sent.wrapping_add(1);
        if self.sent.is_multiple_of(SHARE) {
            return self.senders + (self.sent / SHARE) % self.addressees;
        }
        self.to_others = self.to_others.wrapping_add(1);
        (self.me + 1 + self.to_others % (self.senders - 1)) % self.senders
    }
}

/// One of them.
#[derive(Debug)]
pub(crate) struct Party {
    pub(crate) correspondent: Correspondent,
    /// Nothing in addressees.
    pub(crate) schedule: Option<Schedule>,
    pub(crate) rounds: Rounds,
    /// Whether it is to stop reading.
    pub(crate) stalls: bool,
    /// Whether it does not read now.
    pub(crate) stalled: bool,
    pub(crate) refusals: Arc<Refusals>,
}

impl Role for Party {
    fn correspondent(&mut self) -> &mut Correspondent {
        &mut self.correspondent
    }

    fn welcomed(&mut self, greeting: &Greeting) {
        self.refusals.bounds.set(&greeting.limits);
    }

    fn hear(&mut self, frame: &ServerFrame<'_>, read_ns: u64, _: &mut Outbox) {
        if let Heard::Unsent(unsent) = self.correspondent.hear(frame, read_ns) {
            self.refusals.first_ns.fetch_min(read_ns, Ordering::Relaxed);
            let senders = self.rounds.senders;
            let others = unsent
                .sends
                .iter()
                .filter(|(to, _)| matches!(to, Destination::Agent(number) if *number < senders));
            self.refusals.to_others.fetch_add(others.count() as u64, Ordering::Relaxed);
        }
    }

    fn tick(&mut self, window: &Window, now_ns: u64, outbox: &mut Outbox) -> Option<u64> {
        let Some(schedule) = &mut self.schedule else {
            self.stalled = self.stalls && window.is_open(now_ns);
            return [window.start_ns, window.end_ns].into_iter().find(|at_ns| *at_ns > now_ns);
        };
        schedule.send_due(window, now_ns, outbox, |at_ns, outbox| {
            let number = self.rounds.next();
            let to = (Destination::Agent(number), self.correspondent.address(number));
            self.correspondent.post(to, at_ns, outbox, |_, _| {});
        })
    }

    fn reads(&self) -> bool {
        !self.stalled
    }

    fn finish(self, ended: Option<Ended>) -> Books {
        if self.stalls {
            let ended = ended.map(|_| End::Provoked);
            return self.correspondent.into_books_of(ended);
        }
        self.correspondent.into_books(ended)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_in_four_goes_to_an_addressee_and_none_to_oneself() {
        let mut rounds = Rounds::new(3, 8, 2);
        let to: Vec<u32> = (0..800).map(|_| rounds.next()).collect();
        assert_eq!(to.iter().filter(|to| **to >= 8).count(), 200);
        assert_eq!(to.iter().filter(|to| **to == 8).count(), 100);
        assert!(to.iter().all(|to| *to != 3 && *to < 10));
    }
}

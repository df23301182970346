//! Who talks, and who makes noise.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use relay_protocol::{Address, ServerFrame};

use crate::agent::{Ended, Outbox};
use crate::checker::{Books, End};
use crate::stamp::Destination;
use crate::trial::correspondent::{Correspondent, Heard};
use crate::trial::drive::Role;
use crate::trial::live::add;
use crate::trial::pace::Schedule;
use crate::trial::stage::Window;

/// How the relay closes a connection that goes on after a thousand refusals.
const CLOSED_FOR_NOISE: &str = "rate_limited";

/// What all of them saw, while figures count.
#[derive(Debug, Default)]
pub(crate) struct Noise {
    /// Messages that the noisy tenant sent.
    pub(crate) offered: AtomicU64,
    /// Those that arrived.
    pub(crate) carried: AtomicU64,
    /// Noisy connections that were closed for it.
    pub(crate) closed: AtomicU64,
    /// Messages of the quiet tenant that did not arrive, or may not have; these count from the first to the last.
    pub(crate) quiet_refused: AtomicU64,
}

/// One of them.
#[derive(Debug)]
pub(crate) struct Party {
    pub(crate) correspondent: Correspondent,
    pub(crate) peer: (Destination, Address<'static>),
    /// Nothing in a noisy one that is to be silent.
    pub(crate) schedule: Option<Schedule>,
    pub(crate) is_noisy: bool,
    pub(crate) window: Option<Window>,
    pub(crate) noise: Arc<Noise>,
}

impl Role for Party {
    fn correspondent(&mut self) -> &mut Correspondent {
        &mut self.correspondent
    }

    fn hear(&mut self, frame: &ServerFrame<'_>, read_ns: u64, _: &mut Outbox) {
        match self.correspondent.hear(frame, read_ns) {
            Heard::Message(_) if self.is_noisy => {
                let counts = self.window.is_some_and(|window| window.counts(read_ns));
                add(&self.noise.carried, u64::from(counts));
            }
            Heard::Unsent(unsent) if !self.is_noisy => {
                add(&self.noise.quiet_refused, unsent.sends.len() as u64);
            }
            _ => {}
        }
    }

    fn tick(&mut self, window: &Window, now_ns: u64, outbox: &mut Outbox) -> Option<u64> {
        self.window = Some(*window);
        let schedule = self.schedule.as_mut()?;
        schedule.send_due(window, now_ns, outbox, |at_ns, outbox| {
            if self.is_noisy {
                add(&self.noise.offered, u64::from(window.counts(at_ns)));
            }
            self.correspondent.post(self.peer.clone(), at_ns, outbox, |_, _| {});
        })
    }

    fn finish(self, ended: Option<Ended>) -> Books {
        match ended {
            Some(ended) if self.is_noisy && ended.reason == CLOSED_FOR_NOISE => {
                self.noise.closed.fetch_add(1, Ordering::Relaxed);
                self.correspondent.into_books_of(Some(End::Provoked))
            }
            ended => self.correspondent.into_books(ended),
        }
    }
}

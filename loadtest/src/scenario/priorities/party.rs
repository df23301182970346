//! Who sends in which lane, and who takes slowly.

use std::sync::Arc;
use std::time::Duration;

use relay_protocol::ServerFrame;
use relay_protocol::client::Lane;

use crate::agent::{Ended, Outbox};
use crate::checker::Books;
use crate::clock;
use crate::scenario::priorities::lanes::Lanes;
use crate::stamp::Destination;
use crate::trial::correspondent::{Correspondent, Heard};
use crate::trial::drive::Role;
use crate::trial::pace::Schedule;
use crate::trial::stage::Window;

/// One of them.
#[derive(Debug)]
pub(crate) struct Party {
    pub(crate) correspondent: Correspondent,
    /// Nothing in those who take.
    pub(crate) sending: Option<Sending>,
    pub(crate) taking: Taking,
    pub(crate) window: Option<Window>,
    pub(crate) lanes: Arc<Lanes>,
}

/// What a sender keeps.
#[derive(Debug)]
pub(crate) struct Sending {
    pub(crate) to: u32,
    /// One for each sender: order is promised within a lane.
    pub(crate) lane: Lane,
    pub(crate) schedule: Schedule,
}

/// How fast one takes.
#[derive(Debug)]
pub(crate) struct Taking {
    pace: Duration,
    not_before_ns: u64,
    now_ns: u64,
}

impl Taking {
    pub(crate) fn new(per_second: u32) -> Taking {
        Taking { pace: Duration::from_secs(1) / per_second, not_before_ns: 0, now_ns: 0 }
    }

    /// One was taken: the next is due a while later.
    fn took(&mut self, read_ns: u64) {
        self.not_before_ns = self.not_before_ns.max(read_ns) + clock::nanoseconds(self.pace);
    }

    fn is_due(&self) -> bool {
        self.now_ns >= self.not_before_ns
    }
}

impl Role for Party {
    fn correspondent(&mut self) -> &mut Correspondent {
        &mut self.correspondent
    }

    fn hear(&mut self, frame: &ServerFrame<'_>, read_ns: u64, _: &mut Outbox) {
        match (self.correspondent.hear(frame, read_ns), frame, &self.sending) {
            (Heard::Message(stamp), ServerFrame::Message(message), None) => {
                self.taking.took(read_ns);
                if self.window.is_some_and(|window| window.counts(stamp.at_ns)) {
                    self.lanes.took(message.lane, read_ns.saturating_sub(stamp.at_ns));
                }
            }
            (Heard::Unsent(unsent), _, Some(sending)) => {
                self.lanes.refused(sending.lane, unsent.sends.len() as u64);
            }
            _ => {}
        }
    }

    fn tick(&mut self, window: &Window, now_ns: u64, outbox: &mut Outbox) -> Option<u64> {
        self.window = Some(*window);
        let Some(sending) = &mut self.sending else {
            // After the last send it takes all there is, so that nothing is left behind.
            self.taking.now_ns = if now_ns < window.end_ns { now_ns } else { u64::MAX };
            return Some(self.taking.not_before_ns.clamp(window.start_ns, window.end_ns))
                .filter(|at_ns| *at_ns > now_ns);
        };
        let Sending { to, lane, schedule } = sending;
        schedule.send_due(window, now_ns, outbox, |at_ns, outbox| {
            self.lanes.sent(*lane);
            let to = (Destination::Agent(*to), self.correspondent.address(*to));
            self.correspondent.post(to, at_ns, outbox, |send, _| send.lane = *lane);
        })
    }

    fn reads(&self) -> bool {
        self.sending.is_some() || self.taking.is_due()
    }

    fn finish(self, ended: Option<Ended>) -> Books {
        self.correspondent.into_books(ended)
    }
}

//! One of a pair, which talks all the time, or during the surge, or more during the surge.

use std::sync::Arc;

use relay_protocol::{Address, ServerFrame};

use crate::agent::{Ended, Outbox};
use crate::checker::Books;
use crate::scenario::overload::phases::{Bins, Times};
use crate::stamp::Destination;
use crate::trial::correspondent::{Correspondent, Heard};
use crate::trial::drive::Role;
use crate::trial::pace::Schedule;
use crate::trial::stage::Window;

/// One of a pair.
#[derive(Debug)]
pub(crate) struct Party {
    pub(crate) correspondent: Correspondent,
    pub(crate) peer: (Destination, Address<'static>),
    /// From the first to the last send.
    pub(crate) base: Option<Schedule>,
    /// During the surge only.
    pub(crate) surplus: Option<Schedule>,
    pub(crate) window: Option<Window>,
    pub(crate) bins: Arc<Bins>,
}

impl Role for Party {
    fn correspondent(&mut self) -> &mut Correspondent {
        &mut self.correspondent
    }

    fn hear(&mut self, frame: &ServerFrame<'_>, read_ns: u64, _: &mut Outbox) {
        if let Heard::Message(stamp) = self.correspondent.hear(frame, read_ns)
            && let Some(window) = self.window
            && read_ns >= window.measure_ns
        {
            self.bins.arrived(read_ns - window.measure_ns, read_ns.saturating_sub(stamp.at_ns));
        }
    }

    fn tick(&mut self, window: &Window, now_ns: u64, outbox: &mut Outbox) -> Option<u64> {
        self.window = Some(*window);
        let (correspondent, peer) = (&mut self.correspondent, &self.peer);
        let mut send = |at_ns, outbox: &mut Outbox| {
            correspondent.post(peer.clone(), at_ns, outbox, |_, _| {});
        };
        let surge = Times::of(window).surge();
        let mut due = |schedule: Option<&mut Schedule>, window: &Window| {
            schedule.and_then(|schedule| schedule.send_due(window, now_ns, outbox, &mut send))
        };
        let again = due(self.surplus.as_mut(), &surge);
        due(self.base.as_mut(), window).or(again)
    }

    fn finish(self, ended: Option<Ended>) -> Books {
        self.correspondent.into_books(ended)
    }
}

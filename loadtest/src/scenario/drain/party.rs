//! One that talks until its relay leaves.

use std::sync::Arc;

use parking_lot::Mutex;
use relay_protocol::{Address, ServerFrame};

use crate::agent::{Ended, Outbox};
use crate::checker::{Books, End};
use crate::scenario::drain::farewell::Farewell;
use crate::stamp::Destination;
use crate::trial::correspondent::Correspondent;
use crate::trial::drive::Role;
use crate::trial::pace::Schedule;
use crate::trial::stage::Window;

/// One of them.
#[derive(Debug)]
pub(crate) struct Party {
    pub(crate) correspondent: Correspondent,
    pub(crate) peer: (Destination, Address<'static>),
    pub(crate) schedule: Option<Schedule>,
    pub(crate) farewell: Farewell,
    pub(crate) farewells: Arc<Mutex<Vec<Farewell>>>,
}

impl Role for Party {
    fn correspondent(&mut self) -> &mut Correspondent {
        &mut self.correspondent
    }

    fn hear(&mut self, frame: &ServerFrame<'_>, read_ns: u64, _: &mut Outbox) {
        match frame {
            ServerFrame::Drain { reconnect_after_ms, .. } => {
                self.farewell.delay_ms = Some(*reconnect_after_ms);
            }
            ServerFrame::Closing { reconnect_after_ms, .. } => {
                self.farewell.closing_delay_ms = *reconnect_after_ms;
            }
            _ => {
                self.correspondent.hear(frame, read_ns);
            }
        }
    }

    fn tick(&mut self, window: &Window, now_ns: u64, outbox: &mut Outbox) -> Option<u64> {
        let schedule = self.schedule.as_mut()?;
        schedule.send_due(window, now_ns, outbox, |at_ns, outbox| {
            self.correspondent.post(self.peer.clone(), at_ns, outbox, |_, _| {});
        })
    }

    fn finish(mut self, ended: Option<Ended>) -> Books {
        self.farewell.ended.clone_from(&ended);
        let drained = self.farewell.is_drained();
        self.farewells.lock().push(self.farewell);
        if drained {
            return self.correspondent.into_books_of(Some(End::Drained));
        }
        self.correspondent.into_books(ended)
    }
}

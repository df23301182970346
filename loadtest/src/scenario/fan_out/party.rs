//! Who publishes and who listens.

use std::collections::HashMap;
use std::sync::Arc;

use relay_protocol::{Address, ServerFrame};

use crate::agent::{Ended, Outbox};
use crate::checker::Books;
use crate::scenario::fan_out::track::Track;
use crate::scenario::owed::Owed;
use crate::stamp::Destination;
use crate::trial::correspondent::{Correspondent, Heard};
use crate::trial::drive::Role;
use crate::trial::pace::Schedule;
use crate::trial::stage::Window;

/// One of them.
#[derive(Debug)]
pub(crate) struct Party {
    pub(crate) correspondent: Correspondent,
    pub(crate) task: Task,
}

/// What it does.
#[derive(Debug)]
pub(crate) enum Task {
    /// Publishes.
    Publish(Publishing),
    /// Listens, in a seat if it is one of the sampled, by publisher.
    Listen { seat: Option<usize>, tracks: Arc<HashMap<u32, Arc<Track>>> },
}

/// What a publisher keeps.
#[derive(Debug)]
pub(crate) struct Publishing {
    pub(crate) topic: (Destination, Address<'static>),
    pub(crate) ahead: u64,
    pub(crate) track: Arc<Track>,
    pub(crate) owed: Owed,
    pub(crate) published: u64,
    pub(crate) schedule: Option<Schedule>,
}

impl Publishing {
    fn publish(&mut self, correspondent: &mut Correspondent, at_ns: u64, outbox: &mut Outbox) {
        self.published = correspondent.post(self.topic.clone(), at_ns, outbox, |_, _| {});
    }
}

impl Role for Party {
    fn correspondent(&mut self) -> &mut Correspondent {
        &mut self.correspondent
    }

    fn hear(&mut self, frame: &ServerFrame<'_>, read_ns: u64, _: &mut Outbox) {
        match (&mut self.task, self.correspondent.hear(frame, read_ns)) {
            (Task::Listen { seat: Some(seat), tracks }, Heard::Message(stamp)) => {
                if let Some(track) = tracks.get(&stamp.sender) {
                    track.passed(*seat, stamp.number);
                }
            }
            // What was refused is not waited for.
            (Task::Publish(publishing), Heard::Unsent(unsent)) => publishing.owed.again(&unsent, read_ns),
            _ => {}
        }
    }

    fn tick(&mut self, window: &Window, now_ns: u64, outbox: &mut Outbox) -> Option<u64> {
        let Task::Publish(publishing) = &mut self.task else { return None };
        if let Some(schedule) = &mut publishing.schedule {
            let topic = &publishing.topic;
            return schedule.send_due(window, now_ns, outbox, |at_ns, outbox| {
                self.correspondent.post(topic.clone(), at_ns, outbox, |_, _| {});
            });
        }
        if !window.is_open(now_ns) {
            return (now_ns < window.start_ns).then_some(window.start_ns);
        }
        let reach = publishing.track.slowest().saturating_add(publishing.ahead);
        while publishing.published < reach && !outbox.is_full() {
            publishing.publish(&mut self.correspondent, now_ns, outbox);
        }
        while publishing.owed.take(now_ns) {
            publishing.publish(&mut self.correspondent, now_ns, outbox);
        }
        publishing.owed.next_ns()
    }

    fn finish(self, ended: Option<Ended>) -> Books {
        if let (Task::Listen { seat: Some(seat), tracks }, Some(_)) = (&self.task, &ended) {
            tracks.values().for_each(|track| track.left(*seat));
        }
        self.correspondent.into_books(ended)
    }
}

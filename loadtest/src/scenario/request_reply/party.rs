//! Who asks and who answers.

use std::sync::Arc;

use parking_lot::Mutex;
use relay_protocol::{Address, ServerFrame};

use crate::agent::{Ended, Outbox};
use crate::checker::Books;
use crate::scenario::owed::Owed;
use crate::scenario::request_reply::rounds::{Pending, Rounds};
use crate::stamp::Destination;
use crate::trial::correspondent::{Correspondent, Heard};
use crate::trial::drive::Role;
use crate::trial::pace::Schedule;
use crate::trial::stage::Window;

const MS_NS: u64 = 1_000_000;

/// One of a pair.
#[derive(Debug)]
pub(crate) struct Party {
    pub(crate) correspondent: Correspondent,
    pub(crate) rounds: Arc<Mutex<Rounds>>,
    /// Nothing in those who answer.
    pub(crate) asking: Option<Asking>,
}

/// What an asker keeps.
#[derive(Debug)]
pub(crate) struct Asking {
    pub(crate) peer: (Destination, Address<'static>),
    pub(crate) deadline_ms: u64,
    pub(crate) owed: Owed,
    pub(crate) schedule: Option<Schedule>,
    pub(crate) pending: Pending,
    pub(crate) last_request: u64,
    /// Messages between the requests that nobody answers.
    pub(crate) writes: Option<Schedule>,
}

impl Asking {
    fn ask(&mut self, correspondent: &mut Correspondent, at_ns: u64, now_ns: u64, outbox: &mut Outbox) {
        let me = correspondent.address(correspondent.number);
        let deadline_ms = self.deadline_ms;
        let request = correspondent.post(self.peer.clone(), at_ns, outbox, |send, number| {
            send.reply_to = Some(me);
            send.correlation_id = Some(number.to_string().into());
            send.deadline_ms = Some(deadline_ms);
        });
        self.last_request = request;
        self.pending.asked(request, at_ns, now_ns + deadline_ms * MS_NS);
    }

    fn replied(
        &mut self,
        request: Option<u64>,
        correspondent: &Correspondent,
        read_ns: u64,
        rounds: &mut Rounds,
    ) {
        match request.map(|request| (request, self.pending.over(request))) {
            Some((_, Some(at_ns))) => {
                rounds.replied += 1;
                correspondent.took(at_ns, read_ns);
                self.owed.one();
            }
            Some((request, None)) if request <= self.last_request => {
                rounds.late += 1;
                rounds.unanswered = rounds.unanswered.saturating_sub(1);
            }
            Some(_) | None => rounds.unasked += 1,
        }
    }
}

impl Role for Party {
    fn correspondent(&mut self) -> &mut Correspondent {
        &mut self.correspondent
    }

    fn hear(&mut self, frame: &ServerFrame<'_>, read_ns: u64, outbox: &mut Outbox) {
        let heard = self.correspondent.hear(frame, read_ns);
        match (&mut self.asking, heard, frame) {
            (Some(asking), Heard::Message(_), ServerFrame::Message(message)) => {
                let request = message.correlation_id.as_deref().and_then(|id| id.parse().ok());
                asking.replied(request, &self.correspondent, read_ns, &mut self.rounds.lock());
            }
            (Some(asking), Heard::Unsent(unsent), _) => {
                let over = unsent.sends.iter().filter(|(_, number)| asking.pending.over(*number).is_some());
                self.rounds.lock().refused += over.count() as u64;
                asking.owed.again(&unsent, read_ns);
            }
            (None, Heard::Message(stamp), ServerFrame::Message(request)) => {
                if let Some(reply_to) = request.reply_to.clone() {
                    let correlation_id = request.correlation_id.clone().map(relay_protocol::Text::into_owned);
                    let to = (Destination::Agent(stamp.sender), reply_to.into_owned());
                    self.correspondent
                        .post(to, read_ns, outbox, |send, _| send.correlation_id = correlation_id);
                }
            }
            (None, Heard::Unsent(unsent), _) => {
                self.rounds.lock().replies_refused += unsent.sends.len() as u64;
            }
            _ => {}
        }
    }

    fn tick(&mut self, window: &Window, now_ns: u64, outbox: &mut Outbox) -> Option<u64> {
        let asked = self.ask(window, now_ns, outbox);
        let asking = self.asking.as_mut()?;
        let writes = asking.writes.as_mut();
        let written = writes.and_then(|writes| {
            writes.send_due(window, now_ns, outbox, |at_ns, outbox| {
                self.rounds.lock().writes += 1;
                self.correspondent.post(asking.peer.clone(), at_ns, outbox, |_, _| {});
            })
        });
        asked.into_iter().chain(written).min()
    }

    fn finish(self, ended: Option<Ended>) -> Books {
        if let Some(asking) = &self.asking {
            self.rounds.lock().unanswered += asking.pending.waiting();
        }
        self.correspondent.into_books(ended)
    }
}

impl Party {
    /// Asks what is due, and gives up what is overdue.
    fn ask(&mut self, window: &Window, now_ns: u64, outbox: &mut Outbox) -> Option<u64> {
        let asking = self.asking.as_mut()?;
        while asking.pending.expire(now_ns) {
            self.rounds.lock().unanswered += 1;
            asking.owed.one();
        }
        if let Some(mut schedule) = asking.schedule {
            let again = schedule.send_due(window, now_ns, outbox, |at_ns, outbox| {
                self.rounds.lock().sent += 1;
                asking.ask(&mut self.correspondent, at_ns, now_ns, outbox);
            });
            asking.schedule = Some(schedule);
            return again.or(asking.pending.next_ns());
        }
        if !window.is_open(now_ns) {
            return if now_ns < window.start_ns { Some(window.start_ns) } else { asking.pending.next_ns() };
        }
        while asking.owed.take(now_ns) {
            self.rounds.lock().sent += 1;
            asking.ask(&mut self.correspondent, now_ns, now_ns, outbox);
        }
        [asking.owed.next_ns(), asking.pending.next_ns()].into_iter().flatten().min()
    }
}

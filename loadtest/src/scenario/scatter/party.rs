//! Who publishes, and who answers.

use std::sync::Arc;

use parking_lot::Mutex;
use relay_protocol::{Address, Message, ServerFrame};

use crate::agent::{Ended, Outbox};
use crate::checker::Books;
use crate::scenario::owed::Owed;
use crate::scenario::scatter::SOURCE;
use crate::scenario::scatter::ballots::Ballots;
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
    /// Publishes, and gathers answers.
    Publish(Source),
    /// Answers.
    Answer(Answering),
}

/// What one that answers keeps.
#[derive(Debug)]
pub(crate) struct Answering {
    /// Of so many messages it answers one.
    pub(crate) one_in: u64,
    pub(crate) to: Address<'static>,
    /// Its last vote, and how often it is to be sent again.
    pub(crate) vote: Option<String>,
    pub(crate) owed: Owed,
}

/// What the one that publishes keeps.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) topic: (Destination, Address<'static>),
    /// Nothing where a round waits for the one before.
    pub(crate) schedule: Option<Schedule>,
    pub(crate) ballots: Arc<Mutex<Ballots>>,
    /// Calls that were refused and are to be made again.
    pub(crate) owed: Owed,
}

impl Answering {
    fn answer(&self, correspondent: &mut Correspondent, at_ns: u64, outbox: &mut Outbox) {
        let to = (Destination::Agent(SOURCE), self.to.clone());
        let vote = self.vote.clone();
        correspondent.post(to, at_ns, outbox, |send, _| send.correlation_id = vote.map(Into::into));
    }
}

impl Role for Party {
    fn correspondent(&mut self) -> &mut Correspondent {
        &mut self.correspondent
    }

    fn hear(&mut self, frame: &ServerFrame<'_>, read_ns: u64, outbox: &mut Outbox) {
        let heard = self.correspondent.hear(frame, read_ns);
        match (&mut self.task, heard, frame) {
            (Task::Answer(answering), Heard::Message(stamp), ServerFrame::Message(call)) => {
                let me = self.correspondent.number;
                if (u64::from(me) + stamp.number).is_multiple_of(answering.one_in) {
                    answering.vote = call.correlation_id.as_deref().and_then(|round| vote(me, round));
                    answering.answer(&mut self.correspondent, read_ns, outbox);
                }
            }
            // A vote that was refused is cast again; an order is not.
            (Task::Answer(answering), Heard::Unsent(unsent), _) if answering.vote.is_some() => {
                answering.owed.again(&unsent, read_ns);
            }
            (Task::Publish(source), Heard::Message(_), ServerFrame::Message(answer)) => {
                if let Some((round, candidate)) = ballot(answer)
                    && let Some(begun_ns) = source.ballots.lock().vote(round, candidate)
                {
                    self.correspondent.took(begun_ns, read_ns);
                }
            }
            (Task::Publish(source), Heard::Unsent(unsent), _) => source.owed.again(&unsent, read_ns),
            _ => {}
        }
    }

    fn tick(&mut self, window: &Window, now_ns: u64, outbox: &mut Outbox) -> Option<u64> {
        let source = match &mut self.task {
            Task::Publish(source) => source,
            Task::Answer(answering) => {
                while answering.owed.take(now_ns) {
                    answering.answer(&mut self.correspondent, now_ns, outbox);
                }
                return answering.owed.next_ns();
            }
        };
        if let Some(schedule) = &mut source.schedule {
            return schedule.send_due(window, now_ns, outbox, |at_ns, outbox| {
                self.correspondent.post(source.topic.clone(), at_ns, outbox, |_, _| {});
            });
        }
        let mut ballots = source.ballots.lock();
        let calls = window.is_open(now_ns) && ballots.is_over();
        if calls || source.owed.take(now_ns) {
            let round = if calls { ballots.call(now_ns) } else { ballots.round() };
            self.correspondent.post(source.topic.clone(), now_ns, outbox, |send, _| {
                send.correlation_id = Some(round.to_string().into());
            });
        }
        let begins = (now_ns < window.start_ns).then_some(window.start_ns);
        source.owed.next_ns().or(begins)
    }

    fn finish(self, ended: Option<Ended>) -> Books {
        self.correspondent.into_books(ended)
    }
}

/// A vote as it travels: the round and the candidate.
fn vote(voter: u32, round: &str) -> Option<String> {
    let number = round.parse().ok()?;
    Some(format!("{number}:{}", Ballots::choice(voter, number)))
}

fn ballot(answer: &Message<'_>) -> Option<(u64, usize)> {
    let (round, candidate) = answer.correlation_id.as_deref()?.split_once(':')?;
    Some((round.parse().ok()?, candidate.parse().ok()?))
}

//! What was sent, what was said of it, what came: and what of that cannot be.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::telemetry::outcome::Outcome;

/// What was said of a send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    Queued,
    Accepted,
    Failed,
    Unknown,
}

impl From<Outcome> for Mark {
    fn from(outcome: Outcome) -> Mark {
        match outcome {
            Outcome::Queued => Mark::Queued,
            Outcome::Accepted | Outcome::Delivered => Mark::Accepted,
            Outcome::Failed { .. } => Mark::Failed,
            Outcome::Unknown => Mark::Unknown,
        }
    }
}

#[derive(Debug)]
struct Sent {
    to: String,
    at: usize,
    marks: Vec<Mark>,
    /// The sessions to which it came.
    came: Vec<Arc<str>>,
}

impl Sent {
    fn has_order(&self) -> bool {
        !self.to.starts_with("group/")
    }

    fn is_topic(&self) -> bool {
        self.to.starts_with("topic/")
    }
}

/// Subscribers of the one topic.
pub(super) const SUBSCRIBERS: usize = 2;

/// Everything, in the order in which it happened.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    clock: usize,
    sends: BTreeMap<(String, u64), Sent>,
    /// The last message of a sender to an address that came to a session.
    last: BTreeMap<(Arc<str>, String, String), u64>,
    gaps: BTreeMap<Arc<str>, Vec<usize>>,
    /// What cannot be.
    pub(super) faults: Vec<String>,
    /// Messages of a topic may come twice and out of order.
    pub(super) lenient: bool,
}

impl Ledger {
    pub(super) fn sent(&mut self, sender: &str, id: u64, to: &str) {
        self.clock += 1;
        let sent = Sent { to: to.to_owned(), at: self.clock, marks: Vec::new(), came: Vec::new() };
        self.sends.insert((sender.to_owned(), id), sent);
    }

    pub(super) fn settled(&mut self, sender: &str, id: u64, mark: Mark) {
        self.sends.get_mut(&(sender.to_owned(), id)).unwrap().marks.push(mark);
    }

    pub(super) fn came(&mut self, session: &Arc<str>, sender: &str, id: u64) {
        let sent = self.sends.get_mut(&(sender.to_owned(), id)).unwrap();
        let strict = !(self.lenient && sent.is_topic());
        // An agent of these tests has one session at a time, so neither may two of them have it.
        if strict && !sent.is_topic() && !sent.came.is_empty() || strict && sent.came.contains(session) {
            self.faults.push(format!("{id} of {sender} to {} came twice", sent.to));
        }
        sent.came.push(Arc::clone(session));
        let line = (Arc::clone(session), sender.to_owned(), sent.to.clone());
        let before = self.last.insert(line, id);
        if strict && sent.has_order() && before.is_some_and(|before| before > id) {
            self.faults.push(format!("{id} of {sender} to {} came behind {before:?}", sent.to));
        }
    }

    pub(super) fn gap(&mut self, session: &Arc<str>) {
        self.clock += 1;
        self.gaps.entry(Arc::clone(session)).or_default().push(self.clock);
    }

    /// From message `first` on, all must have arrived wherever they should.
    pub(super) fn expect_good(&mut self, first: u64) {
        for ((sender, id), sent) in self.sends.iter().filter(|((_, id), _)| *id >= first) {
            let (mark, recipients) =
                if sent.is_topic() { (Mark::Accepted, SUBSCRIBERS) } else { (Mark::Queued, 1) };
            if sent.marks != [mark] || sent.came.len() != recipients {
                self.faults.push(format!("it does not flow again: {id} of {sender}: {sent:?}"));
            }
        }
    }

    /// How many sends have each outcome.
    pub(super) fn count(&self, mark: Mark) -> usize {
        self.sends.values().filter(|sent| sent.marks == [mark]).count()
    }

    /// Messages to a topic that did not come to a subscriber.
    pub(super) fn missed(&self, subscriber: &Arc<str>) -> usize {
        self.missing(subscriber).count()
    }

    fn missing(&self, subscriber: &Arc<str>) -> impl Iterator<Item = (&(String, u64), &Sent)> {
        self.sends.iter().filter(move |(_, sent)| {
            let lacking = !sent.came.iter().any(|session| session == subscriber);
            lacking && sent.is_topic() && sent.marks == [Mark::Accepted]
        })
    }

    /// What cannot be, now that nothing is under way; `subscribers` were there all the time.
    pub(super) fn judge(&mut self, subscribers: &[Arc<str>]) {
        let mut faults = std::mem::take(&mut self.faults);
        for ((sender, id), sent) in &self.sends {
            let (topic, came) = (sent.is_topic(), !sent.came.is_empty());
            let wrong = match sent.marks[..] {
                [Mark::Queued] => topic || !came,
                [Mark::Accepted] => !topic,
                [Mark::Failed] => came,
                [Mark::Unknown] => false,
                _ => true,
            };
            if wrong {
                faults.push(format!("{id} of {sender}: {sent:?}"));
            }
        }
        for subscriber in subscribers {
            let told = self.gaps.get(subscriber).and_then(|gaps| gaps.last()).copied().unwrap_or(0);
            let untold = self.missing(subscriber).filter(|(_, sent)| sent.at > told);
            faults.extend(untold.map(|(id, _)| format!("{subscriber} was not told that it lacks {id:?}")));
        }
        self.faults = faults;
    }
}

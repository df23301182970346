//! What should have come and did not, once it can be said.

use std::collections::HashMap;
use std::sync::Arc;

use relay_protocol::client::Qos;
use relay_protocol::topic;

use super::books::{Books, Message, Session, Try};
use super::event::{Moment, Outcome, To};
use super::judgement::{Breach, Rest};

/// Reasons that a sender may hear when no fault is left; what is `saturated` it sends again.
const FAIR: [&str; 3] = ["no_recipient", "expired", "saturated"];

/// Finds what is missing and tells `each` of it; returns how many losses had been told to those concerned.
pub(super) fn find(books: &Books, rest: Rest, each: impl FnMut(Breach, usize, Option<usize>, String)) -> u64 {
    let mut search = Search { books, rest, each, skips: HashMap::new(), declared: 0 };
    for number in 0..books.messages.len() {
        search.message(number);
    }
    search.declared
}

/// When a skip was told, and of how many.
type Skips = Vec<(Moment, u64)>;

struct Search<'b, F> {
    books: &'b Books,
    rest: Rest,
    each: F,
    /// The skips of a stream that a session was told of, and how many messages of each are not yet put down to one.
    skips: HashMap<(usize, Arc<str>), Skips>,
    declared: u64,
}

impl<F: FnMut(Breach, usize, Option<usize>, String)> Search<'_, F> {
    fn message(&mut self, number: usize) {
        let books = self.books;
        let message = &books.messages[number];
        self.answers(number, message);
        let Some(taken) = message.taken() else { return };
        match (message.qos, &message.to) {
            (Qos::AtLeastOnce, _) if message.is_expired() => {}
            (Qos::AtLeastOnce, To::Agent(agent)) => self.stored_for_agent(number, message, taken, agent),
            (Qos::AtLeastOnce, To::Topic(topic)) => self.stored_for_topic(number, message, taken, topic),
            (Qos::AtMostOnce, _) if self.rest == Rest::Unsettled => {}
            (Qos::AtMostOnce, To::Agent(agent)) => self.queued(number, message, taken, agent),
            (Qos::AtMostOnce, To::Topic(topic)) => self.published(number, message, taken, topic),
        }
    }

    /// Attempts without an outcome, and refusals that nothing explains.
    fn answers(&mut self, number: usize, message: &Message) {
        if self.rest == Rest::Unsettled {
            return;
        }
        let living = |one: &&Try| self.books.is_open(one.attempt.connection);
        for one in message.tries.iter().filter(living).filter(|one| one.outcome.is_none()) {
            (self.each)(Breach::Unanswered, number, None, format!("{} has no outcome", one.attempt));
        }
        let calm = self.books.calm.is_some_and(|calm| message.first_sent() >= calm);
        let Some(last) = message.tries.last().filter(|_| calm && message.taken().is_none()) else { return };
        let explained = match &last.outcome {
            Some((_, Outcome::Failed(why))) => FAIR.contains(&&**why),
            // Told above, or to nobody.
            None => true,
            _ => false,
        };
        if !explained {
            (self.each)(Breach::Refusal, number, None, "nothing was wrong when it was sent".to_owned());
        }
    }

    fn stored_for_agent(&mut self, number: usize, message: &Message, taken: &Try, agent: &Arc<str>) {
        let (books, stream) = (self.books, message.stream());
        let sessions = books.sessions_of(&message.name.tenant, agent);
        let first_sent = message.first_sent();
        let mut continuous = false;
        for &session in sessions {
            let known = &books.sessions[session];
            if known.opened >= first_sent || message.was_presented_to(session) {
                continuous |= known.opened < first_sent && known.connection.is_some();
                continue;
            }
            let waits = self.rest == Rest::Settled && known.connection.is_some();
            continuous |= waits && known.reliable;
            if known.reliable && (waits || is_overtaken(known, taken)) {
                self.missing(number, session, &stream, message.stored_since(taken));
            }
        }
        // One that began later begins with what nobody has acknowledged.
        let heir = sessions.iter().find(|session| {
            let known = &books.sessions[**session];
            known.reliable && known.connection.is_some()
        });
        let Some(heir) = heir.filter(|_| self.rest == Rest::Settled && message.presented.is_empty()) else {
            return;
        };
        if continuous {
            return;
        }
        if books.forgotten.is_some_and(|when| when >= taken.sent) {
            self.declared += 1;
            return;
        }
        let told = sessions.iter().copied().find(|session| self.is_excused(*session, &stream, taken.sent));
        if told.is_some() {
            self.declared += 1;
        } else {
            let detail = "it was taken, and presented to no session of its recipient".to_owned();
            (self.each)(Breach::Lost, number, Some(*heir), detail);
        }
    }

    fn stored_for_topic(&mut self, number: usize, message: &Message, taken: &Try, topic: &Arc<str>) {
        let (books, stream) = (self.books, message.stream());
        for (session, known) in books.sessions.iter().enumerate() {
            let Some(reads) = known.topics.get(topic).filter(|reads| reads.qos == Qos::AtLeastOnce) else {
                continue;
            };
            let is_there = known.party.tenant == message.name.tenant && reads.since < message.first_sent();
            if !is_there || message.was_presented_to(session) {
                continue;
            }
            let waits = self.rest == Rest::Settled && reads.in_force && known.connection.is_some();
            if waits || is_overtaken(known, taken) {
                self.missing(number, session, &stream, message.stored_since(taken));
            }
        }
    }

    /// A message at `qos` 1 did not come to a session.
    fn missing(&mut self, number: usize, session: usize, stream: &Arc<str>, sent: Moment) {
        if self.is_excused(session, stream, sent) {
            self.declared += 1;
            return;
        }
        let party = &self.books.sessions[session].party;
        (self.each)(
            Breach::Lost,
            number,
            Some(session),
            format!("it was taken, and {party} has never seen it"),
        );
    }

    /// Whether a session was told that it may have missed what was sent at that time to a stream.
    fn is_excused(&mut self, session: usize, stream: &Arc<str>, sent: Moment) -> bool {
        let Some(reading) = self.books.sessions[session].readings.get(stream) else { return false };
        if reading.incomplete.is_some_and(|when| when >= sent) {
            return true;
        }
        let skips =
            self.skips.entry((session, Arc::clone(stream))).or_insert_with(|| reading.skipped.clone());
        // A skip of three excuses three.
        let skip = skips.iter_mut().find(|(when, left)| *when >= sent && *left > 0);
        skip.map(|(_, left)| *left -= 1).is_some()
    }

    /// At `qos` 0 on a queue: of those who stayed on their connection one at least has it.
    fn queued(&mut self, number: usize, message: &Message, taken: &Try, agent: &Arc<str>) {
        if !message.presented.is_empty() {
            return;
        }
        let books = self.books;
        let sessions = books.sessions_of(&message.name.tenant, agent).iter();
        let there: Vec<usize> = sessions
            .copied()
            .filter(|session| books.sessions[*session].left.is_none_or(|left| left >= taken.sent))
            .collect();
        let stayed = there.iter().all(|session| has_stayed(&books.sessions[*session], taken.sent));
        if let (true, Some(session)) = (stayed, there.first()) {
            let detail = "it was queued, nobody left, and nobody has seen it".to_owned();
            (self.each)(Breach::Lost, number, Some(*session), detail);
        }
    }

    /// At `qos` 0 to a topic: those who stayed on their connection have it or heard of a gap.
    fn published(&mut self, number: usize, message: &Message, taken: &Try, name: &Arc<str>) {
        for (session, known) in self.books.sessions.iter().enumerate() {
            let mut reads = known.topics.iter().filter(|(pattern, reads)| {
                let is_read = reads.qos == Qos::AtMostOnce && reads.in_force && reads.since < taken.sent;
                is_read && topic::matches(pattern, name)
            });
            let is_there = known.party.tenant == message.name.tenant && reads.next().is_some();
            if is_there && has_stayed(known, taken.sent) && !message.was_presented_to(session) {
                let detail = format!("{} reads the topic, and has neither this nor a gap", known.party);
                (self.each)(Breach::Lost, number, Some(session), detail);
            }
        }
    }
}

/// Whether a session has been on one connection since a time, and was told of no gap.
fn has_stayed(session: &Session, since: Moment) -> bool {
    session.connection.is_some_and(|(_, opened)| opened < since) && session.gap.is_none_or(|gap| gap < since)
}

/// Whether a session has seen a later message of the same flow.
fn is_overtaken(session: &Session, taken: &Try) -> bool {
    session.orders.get(&taken.flow).is_some_and(|last| *last > taken.order)
}

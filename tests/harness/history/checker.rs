//! Takes one event after another and says at once what can be said at once.

use std::collections::HashMap;
use std::sync::Arc;

use relay_protocol::client::{Lane, Qos};
use relay_protocol::topic;

use super::books::{Books, Connection, Flow, Message, Presentation, Reading, Session, Subscription, Try};
use super::event::{At, Attempt, Event, Moment, Name, Notice, Outcome, Party, To, What};
use super::judgement::{Breach, Found, Judgement, Rest};

/// The books, and what was found wrong.
#[derive(Debug, Default)]
pub(super) struct Checker {
    books: Books,
    found: Found,
    /// Messages that came to a session after a later one, each with what that is.
    overtaken: Vec<(usize, usize, String)>,
}

impl Checker {
    pub(super) fn take(&mut self, event: Event) {
        let at = event.at;
        self.remember(&event);
        match event.what {
            What::Opened { party, connection, reliable, .. } => self.opened(at, &party, connection, reliable),
            What::Closed { connection, .. } => self.closed(at, connection),
            What::Asked { party, topic } => {
                let session = self.session(&party, at);
                self.books.sessions[session].asked.insert(topic);
            }
            What::Subscribed { party, topic, qos } => {
                let session = self.session(&party, at);
                let subscription = Subscription { since: at, qos, in_force: true };
                let Session { topics, readings, .. } = &mut self.books.sessions[session];
                // Without a position to go on from it begins anew.
                let has_position = readings.contains_key(&*format!("topic/{topic}"));
                let known = topics.entry(topic).or_insert_with(|| subscription.clone());
                if !known.in_force && (!has_position || qos == Qos::AtMostOnce) {
                    known.since = at;
                }
                (known.qos, known.in_force) = (qos, true);
            }
            What::Unsubscribed { party, topic } => {
                let session = self.session(&party, at);
                let session = &mut self.books.sessions[session];
                session.topics.remove(&topic);
                session.readings.remove(&*format!("topic/{topic}"));
            }
            What::Sent { attempt, name, to, qos, lane, counter } => {
                self.sent(at, attempt, name, (to, qos, lane), counter);
            }
            What::Told { attempt, outcome } => self.told(at, attempt, outcome),
            What::Presented { party, name, at: place, .. } => {
                let session = self.session(&party, at);
                if let Some(place) = &place {
                    self.read(session, place, &name);
                }
                self.presented(at, session, &name, place);
            }
            What::Noticed { party, notice } => {
                let session = self.session(&party, at);
                self.noticed(at, session, notice);
            }
            What::Acknowledged { .. } | What::Fault(_) => {}
            What::Forgotten => self.books.forgotten = Some(at),
            What::Calm => self.books.calm = Some(at),
        }
    }

    /// What is wrong with all of it.
    pub(super) fn judge(&self, rest: Rest) -> Judgement {
        let mut found = self.found.clone();
        for (number, session, detail) in &self.overtaken {
            if !self.books.messages[*number].may_be_late() {
                found.note(&self.books, Breach::Reordered, Some(*number), Some(*session), detail);
            }
        }
        Judgement::new(&self.books, found, rest)
    }

    /// Keeps what a counterexample may show.
    fn remember(&mut self, event: &Event) {
        let party = match &event.what {
            What::Opened { party, .. }
            | What::Subscribed { party, .. }
            | What::Unsubscribed { party, .. }
            | What::Noticed { party, .. } => Some(self.session(party, event.at)),
            What::Closed { connection, .. } => {
                self.books.connections.get(connection).map(|known| known.session)
            }
            What::Fault(_) | What::Forgotten | What::Calm => {
                self.books.faults.push(event.clone());
                None
            }
            _ => None,
        };
        if let Some(session) = party {
            self.books.sessions[session].log.push(event.clone());
        }
    }

    /// The session of that name, known or not yet.
    fn session(&mut self, party: &Party, at: Moment) -> usize {
        if let Some(known) = self.books.by_party.get(party) {
            return *known;
        }
        let number = self.books.sessions.len();
        self.books.by_party.insert(party.clone(), number);
        let agent = (Arc::clone(&party.tenant), Arc::clone(&party.agent));
        self.books.by_agent.entry(agent).or_default().push(number);
        self.books.sessions.push(Session {
            party: party.clone(),
            opened: at,
            reliable: false,
            connection: None,
            left: None,
            topics: std::collections::BTreeMap::new(),
            asked: std::collections::BTreeSet::new(),
            readings: HashMap::new(),
            gap: None,
            orders: HashMap::new(),
            log: super::books::Remembered::default(),
        });
        number
    }

    fn opened(&mut self, at: Moment, party: &Party, number: u64, reliable: bool) {
        let session = self.session(party, at);
        self.books.connections.insert(number, Connection { session, is_open: true });
        let known = &mut self.books.sessions[session];
        known.connection = Some((number, at));
        known.left = None;
        known.reliable = reliable;
        // Its subscriptions at `qos` 0 ended with its connection, and their order with them.
        known.orders.retain(|flow, _| !flow.is_of_subscription());
        for subscription in known.topics.values_mut() {
            subscription.in_force = false;
        }
    }

    fn closed(&mut self, at: Moment, number: u64) {
        let Some(connection) = self.books.connections.get_mut(&number) else { return };
        connection.is_open = false;
        let session = &mut self.books.sessions[connection.session];
        // A later connection of the session may be there already.
        if session.connection.is_some_and(|(now, _)| now == number) {
            session.connection = None;
            session.left = Some(at);
        }
    }

    fn sent(
        &mut self,
        at: Moment,
        attempt: Attempt,
        name: Name,
        (to, qos, lane): (To, Qos, Lane),
        counter: Option<u64>,
    ) {
        let Some(connection) = self.books.connections.get(&attempt.connection) else {
            self.found.note(
                &self.books,
                Breach::Stray,
                None,
                None,
                &format!("{attempt}: no such connection"),
            );
            return;
        };
        let (sender, to_again) = (connection.session, to.clone());
        let flow = Flow { sender, to: to_again, qos, lane, counted: counter.is_some() };
        let sent = self.books.flows.entry(flow.clone()).or_default();
        *sent += 1;
        let order = counter.unwrap_or(*sent);
        let number = *self.books.by_name.entry(name.clone()).or_insert(self.books.messages.len());
        if number == self.books.messages.len() {
            let (tries, presented) = (Vec::new(), Vec::new());
            self.books.messages.push(Message { name, to, qos, tries, presented });
        }
        let tries = &mut self.books.messages[number].tries;
        self.books.attempts.insert(attempt, (number, tries.len()));
        tries.push(Try { attempt, sent: at, flow, order, outcome: None, later: None });
    }

    fn told(&mut self, at: Moment, attempt: Attempt, outcome: Outcome) {
        let Some(&(number, which)) = self.books.attempts.get(&attempt) else {
            let detail = format!("{attempt} is told {outcome:?} and sent nothing");
            self.found.note(&self.books, Breach::Stray, None, None, &detail);
            return;
        };
        let message = &mut self.books.messages[number];
        let is_presented = !message.presented.is_empty();
        let to_agent = matches!(message.to, To::Agent(_));
        let one = &mut message.tries[which];
        let said = outcome.clone();
        let fits = match (&one.outcome, &one.later) {
            (None, _) => {
                one.outcome = Some((at, outcome));
                true
            }
            (Some((_, Outcome::Accepted)), None) if to_agent && message.qos == Qos::AtLeastOnce => {
                let follows = said == Outcome::Delivered || said == Outcome::Failed("expired".into());
                one.later = Some((at, outcome));
                follows
            }
            _ => false,
        };
        if !fits {
            let detail = format!("{attempt} had an outcome and is told {said:?}");
            self.found.note(&self.books, Breach::Contradicted, Some(number), None, &detail);
        }
        if said == Outcome::Delivered && !is_presented && !self.may_be_skipped(number) {
            let detail = format!("{attempt} is told delivered, and nobody was shown it");
            self.found.note(&self.books, Breach::Untrue, Some(number), None, &detail);
        }
    }

    /// Whether somebody may have acknowledged the message without having seen it.
    fn may_be_skipped(&self, number: usize) -> bool {
        let message = &self.books.messages[number];
        let To::Agent(agent) = &message.to else { return false };
        let stream = message.stream();
        self.books.sessions_of(&message.name.tenant, agent).iter().any(|session| {
            let reading = self.books.sessions[*session].readings.get(&stream);
            reading.is_some_and(|reading| !reading.skipped.is_empty() || reading.incomplete.is_some())
        })
    }

    /// Moves on in a stream.
    fn read(&mut self, session: usize, place: &At, name: &Name) {
        let readings = &mut self.books.sessions[session].readings;
        let last = &mut readings.entry(Arc::clone(&place.stream)).or_default().last;
        let before = last.take();
        let reached = match &before {
            Some((epoch, seq)) if *epoch == place.epoch => place.seq.max(*seq),
            _ => place.seq,
        };
        *last = Some((Arc::clone(&place.epoch), reached));
        let Some((epoch, seq)) = before else { return };
        let wrong = if epoch != place.epoch {
            format!("{name} stands at {place}, and nothing was said of the end of epoch {epoch}")
        } else if place.seq > seq + 1 {
            format!("{name} stands at {place}, and nothing was said of what is behind {seq}")
        } else {
            return;
        };
        let number = self.books.by_name.get(name).copied();
        self.found.note(&self.books, Breach::Hole, number, Some(session), &wrong);
    }

    fn presented(&mut self, at: Moment, session: usize, name: &Name, place: Option<At>) {
        let Some(&number) = self.books.by_name.get(name) else {
            let detail = format!("nobody sent {name}");
            self.found.note(&self.books, Breach::Phantom, None, Some(session), &detail);
            return;
        };
        let (breach, is_repeat) = self.weigh(session, number, place.as_ref());
        let connection = self.books.sessions[session].connection.map(|(connection, _)| connection);
        let presentation = Presentation { session, connection, when: at, at: place };
        self.books.messages[number].presented.push(presentation);
        if let Some((breach, detail)) = breach {
            self.found.note(&self.books, breach, Some(number), Some(session), &detail);
        }
        if !is_repeat {
            self.put_in_order(session, number);
        }
    }

    /// What is wrong with presenting a message, and whether it is not the first time.
    fn weigh(&self, session: usize, number: usize, place: Option<&At>) -> (Option<(Breach, String)>, bool) {
        let (message, to) = (&self.books.messages[number], &self.books.sessions[session]);
        let party = &to.party;
        if message.name.tenant != party.tenant {
            return (Some((Breach::Leaked, format!("{} was presented to {party}", message.name))), false);
        }
        let is_meant = match &message.to {
            To::Agent(agent) => *agent == party.agent,
            To::Topic(name) => to.topics.keys().chain(&to.asked).any(|pattern| topic::matches(pattern, name)),
        };
        if !is_meant {
            let detail = format!("{} to {} was presented to {party}", message.name, message.to);
            return (Some((Breach::Misdelivered, detail)), false);
        }
        if message.is_refused() {
            return (Some((Breach::Refused, "every attempt to send it was refused".to_owned())), false);
        }
        // At `qos` 0 a session that moves may be found in both places.
        let now = to.connection.map(|(connection, _)| connection);
        let same_class = |one: &&Presentation| {
            one.session == session
                && one.at.is_some() == place.is_some()
                && (place.is_some() || one.connection == now)
        };
        let Some(before) = message.presented.iter().rev().find(same_class) else {
            return (None, message.was_presented_to(session));
        };
        // A store that forgot cannot know that it is a repeat: what was sent again stands in the later epoch too.
        let forgotten = match (&before.at, place) {
            (Some(before), Some(place)) => before.epoch != place.epoch && message.tries.len() > 1,
            _ => false,
        };
        let breach = (!forgotten).then(|| {
            (
                if place.is_some() { Breach::Twice } else { Breach::TwiceUnstored },
                format!("it was presented to {party} before"),
            )
        });
        (breach, true)
    }

    /// Holds the message against what else was presented.
    fn put_in_order(&mut self, session: usize, number: usize) {
        let message = &self.books.messages[number];
        let [.., last] = message.tries.as_slice() else { return };
        if message.is_refused() {
            return;
        }
        if message.tries.len() > 1 && !last.flow.counted {
            // By which of the attempts it was stored nobody knows, so it has no place that could be wrong.
            return;
        }
        let orders = &mut self.books.sessions[session].orders;
        let stored = || message.tries.iter().filter(|one| !one.is_refused());
        let fits = stored().find(|one| orders.get(&one.flow).is_none_or(|last| one.order > *last));
        if let Some(one) = fits {
            // Sent by several sessions it has its place in the order of one of them, nobody knows which.
            if stored().all(|other| other.flow == one.flow) {
                orders.insert(one.flow.clone(), one.order);
            }
            return;
        }
        let last = message.tries.last().and_then(|one| orders.get(&one.flow));
        let detail = format!("number {last:?} of the same sender, recipient, class and lane came before");
        // Whether it was overtaken or came late its sender may hear only now.
        self.overtaken.push((number, session, detail));
    }

    fn noticed(&mut self, at: Moment, session: usize, notice: Notice) {
        let known = &mut self.books.sessions[session];
        match notice {
            Notice::Gap => known.gap = Some(at),
            Notice::Skip { first, to, .. } => {
                let reading = known.readings.entry(Arc::clone(&first.stream)).or_default();
                reading.skipped.push((at, (to + 1).saturating_sub(first.seq)));
                let jumped = reading
                    .last
                    .as_ref()
                    .is_some_and(|(epoch, seq)| *epoch == first.epoch && first.seq > seq + 1);
                reading.last = Some((Arc::clone(&first.epoch), to));
                if jumped {
                    let detail = format!("what is before {first} is not skipped");
                    self.found.note(&self.books, Breach::Hole, None, Some(session), &detail);
                }
            }
            Notice::Goes { after, recovered } => {
                let reading = known.readings.entry(Arc::clone(&after.stream)).or_default();
                let goes_on = go_on(reading, &after, recovered);
                if !recovered {
                    reading.incomplete = Some(at);
                    known.orders.retain(|flow, _| *flow.to.to_string() != *after.stream);
                }
                if !goes_on {
                    let detail =
                        format!("it is to go on after {after} without loss, and has not read so far");
                    self.found.note(&self.books, Breach::Hole, None, Some(session), &detail);
                }
            }
        }
    }
}

/// Lets a reading go on behind a place; false if it leaves out what nothing was said of.
fn go_on(reading: &mut Reading, after: &At, recovered: bool) -> bool {
    match &mut reading.last {
        Some((epoch, seq)) if *epoch == after.epoch => {
            let jumps = after.seq > *seq;
            *seq = (*seq).max(after.seq);
            !jumps || !recovered
        }
        last => {
            *last = Some((Arc::clone(&after.epoch), after.seq));
            true
        }
    }
}

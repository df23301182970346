//! What is wrong with a history, and the first example of each kind with all that is known of it.

use std::collections::BTreeMap;
use std::fmt;
use std::fmt::Write as _;

use super::books::Books;
use super::event::{Moment, Outcome};
use super::losses;

/// Whether the history is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rest {
    /// It may go on, or was cut off: what is missing may still come. A message is lost only where a later one of its
    /// flow was presented.
    Unsettled,
    /// All has settled: what is missing now is lost.
    Settled,
}

/// A kind of broken promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Breach {
    /// Taken, never presented, and nothing was said of it.
    Lost,
    /// Presented twice to one session, at `qos` 1.
    Twice,
    /// The same at `qos` 0, on one connection.
    TwiceUnstored,
    /// Presented after a later one of its sender, recipient, class and lane.
    Reordered,
    /// Presented in another tenant.
    Leaked,
    /// Presented to somebody it was not sent to.
    Misdelivered,
    /// Presented, and never sent.
    Phantom,
    /// Presented, though its sender heard that it was refused.
    Refused,
    /// A stream left something out without saying so.
    Hole,
    /// Another outcome of an attempt that had one.
    Contradicted,
    /// The outcome of an attempt that was not made.
    Stray,
    /// An attempt on a connection that lives has no outcome.
    Unanswered,
    /// Said to be delivered, and presented to nobody.
    Untrue,
    /// Refused, or of unknown outcome, when no fault was left.
    Refusal,
}

/// A broken promise.
#[derive(Debug, Clone)]
pub struct Violation {
    /// Of which kind.
    pub breach: Breach,
    /// How many.
    pub count: u64,
    /// The first, and what is known of it.
    pub counterexample: String,
}

/// What is wrong with a history, and its figures.
#[derive(Debug, Clone, Default)]
pub struct Judgement {
    /// Distinct messages.
    pub messages: u64,
    /// Attempts to send them.
    pub attempts: u64,
    /// Messages of which an outcome says that they are stored or handed on.
    pub taken: u64,
    /// Presentations.
    pub presented: u64,
    /// Losses of taken messages that were told.
    pub declared: u64,
    /// Broken promises, of each kind once.
    pub violations: Vec<Violation>,
}

/// What was found wrong, by kind.
#[derive(Debug, Clone, Default)]
pub(super) struct Found(BTreeMap<Breach, (u64, String)>);

impl Found {
    pub(super) fn note(
        &mut self,
        books: &Books,
        breach: Breach,
        message: Option<usize>,
        session: Option<usize>,
        detail: &str,
    ) {
        let (count, _) = self.0.entry(breach).or_insert_with(|| (0, tell(books, message, session, detail)));
        *count += 1;
    }
}

impl Judgement {
    pub(super) fn new(books: &Books, mut found: Found, rest: Rest) -> Judgement {
        let declared = losses::find(books, rest, |breach, message, session, detail| {
            found.note(books, breach, Some(message), session, &detail);
        });
        let sum = |figure: fn(&super::books::Message) -> usize| {
            books.messages.iter().map(|message| figure(message) as u64).sum()
        };
        let violations = found.0.into_iter();
        Judgement {
            messages: books.messages.len() as u64,
            attempts: sum(|message| message.tries.len()),
            taken: sum(|message| usize::from(message.taken().is_some())),
            presented: sum(|message| message.presented.len()),
            declared,
            violations: violations
                .map(|(breach, (count, counterexample))| Violation { breach, count, counterexample })
                .collect(),
        }
    }

    /// Whether all promises were kept.
    pub fn is_kept(&self) -> bool {
        self.violations.is_empty()
    }

    /// How many promises were broken.
    pub fn count(&self) -> u64 {
        self.violations.iter().map(|violation| violation.count).sum()
    }

    /// How many of this kind.
    pub fn of(&self, breach: Breach) -> u64 {
        self.violations
            .iter()
            .filter(|violation| violation.breach == breach)
            .map(|violation| violation.count)
            .sum()
    }

    /// An error that tells all, if a promise was broken.
    pub fn ensure(&self) -> anyhow::Result<()> {
        anyhow::ensure!(self.is_kept(), "{self}");
        Ok(())
    }
}

impl fmt::Display for Judgement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Judgement { messages, attempts, taken, presented, declared, violations } = self;
        writeln!(
            f,
            "{messages} messages, {attempts} attempts, {taken} taken, {presented} presented, {declared} lost and told"
        )?;
        for Violation { breach, count, counterexample } in violations {
            writeln!(f, "BROKEN {breach:?}, {count} times; the first:\n{counterexample}")?;
        }
        Ok(())
    }
}

/// All that is known of a message and of a session.
fn tell(books: &Books, message: Option<usize>, session: Option<usize>, detail: &str) -> String {
    let mut text = format!("    {detail}\n");
    let mut line = |said: String| {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "    {said}");
    };
    let told = |what: &Option<(Moment, Outcome)>| match what {
        Some((at, outcome)) => format!("{outcome:?} at {at}"),
        None => "nothing".to_owned(),
    };
    if let Some(message) = message.and_then(|number| books.messages.get(number)) {
        line(format!("{} to {} at {:?}", message.name, message.to, message.qos));
        for one in &message.tries {
            let (sender, sent) = (&books.sessions[one.flow.sender].party, one.sent);
            let (first, later) = (told(&one.outcome), told(&one.later));
            line(format!(
                "  sent at {sent} by {sender}, {}, number {}; told {first}, then {later}",
                one.attempt, one.order
            ));
        }
        for one in &message.presented {
            let (who, at) = (&books.sessions[one.session].party, one.when);
            let place = one.at.as_ref().map(ToString::to_string).unwrap_or_default();
            line(format!("  presented at {at} to {who} {place}"));
        }
    }
    if let Some(session) = session.and_then(|number| books.sessions.get(number)) {
        line(format!("session {}, the last that it was told:", session.party));
        for event in &session.log.0 {
            line(format!("  {event}"));
        }
    }
    line("the last faults:".to_owned());
    for event in &books.faults.0 {
        line(format!("  {event}"));
    }
    text
}

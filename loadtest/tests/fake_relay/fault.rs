//! What the fake relay does wrong, to every nth message.

use std::sync::atomic::{AtomicU64, Ordering};

/// A way to be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wrong {
    /// Loses it and says nothing.
    Drop,
    /// Loses it and tells the recipient by `gap`.
    DropAndOwnUp,
    /// Loses two and owns up to one.
    DropAndOwnUpToLess,
    /// Delivers it twice.
    Duplicate,
    /// Delivers it behind the next one.
    Swap,
    /// Delivers it to another agent too.
    Misdeliver,
    /// Delivers it to the agent of that name in another tenant too.
    Leak,
    /// Says that another agent sent it.
    Forge,
    /// Changes a byte of its payload.
    Corrupt,
    /// Delivers it and says that it failed.
    LieFailed,
    /// Loses it and says that it is queued.
    LieQueued,
    /// Refuses it and says so, which is right.
    Refuse,
    /// Refuses it for its tenant's rate and says so, which is right.
    Limit,
    /// The same, where the sender is of the second tenant only.
    LimitSecondTenant,
    /// Loses it and says that it cannot know, which is right.
    Unknown,
    /// Tells two outcomes.
    AnswerTwice,
    /// Tells no outcome.
    AnswerNever,
    /// Tells the outcome of a command that was no send.
    AnswerStray,
    /// Closes the sender's connection.
    Disconnect,
}

/// What goes wrong, and how often.
#[derive(Debug)]
pub(crate) struct Fault {
    wrong: Option<Wrong>,
    every: u64,
    seen: AtomicU64,
}

impl Fault {
    /// All goes well.
    pub(crate) fn none() -> Fault {
        Fault { wrong: None, every: 1, seen: AtomicU64::new(0) }
    }

    /// Every nth message goes wrong.
    pub(crate) fn every(every: u64, wrong: Wrong) -> Fault {
        Fault { wrong: Some(wrong), every, seen: AtomicU64::new(0) }
    }

    /// What happens to the next message.
    pub(crate) fn next(&self) -> Option<Wrong> {
        let seen = self.seen.fetch_add(1, Ordering::Relaxed) + 1;
        self.wrong.filter(|_| seen.is_multiple_of(self.every))
    }
}

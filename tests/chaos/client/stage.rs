//! What clients are to do, and who has shown that everything works for it.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use relay_protocol::ErrorCode;

/// What all clients are to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Send and read, and prove that everything works since this proof was asked for.
    Talk {
        /// Its number, from 1.
        proof: u64,
    },
    /// Send nothing more but what has no outcome, and read.
    Settle,
    /// Leave.
    Leave,
}

impl Stage {
    pub(super) fn is_talking(self) -> bool {
        matches!(self, Stage::Talk { .. })
    }
}

/// What a proof takes beside subscriptions: a good outcome of each.
const KINDS: [&str; 4] = ["an agent at qos 0", "a topic at qos 0", "an agent at qos 1", "a topic at qos 1"];

/// How far each client is with its last proof.
#[derive(Debug)]
pub(crate) struct Board(Vec<Mutex<Progress>>);

/// How far a client is with a proof.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Progress {
    pub(super) proof: u64,
    /// The relay that it is connected to.
    pub(super) relay: Option<usize>,
    pub(super) subscribed: bool,
    /// Which kinds of message have arrived since the proof was asked for.
    pub(super) good: [bool; KINDS.len()],
    /// What the last one of each kind came to that did not arrive.
    pub(super) refused: [Option<ErrorCode>; KINDS.len()],
    /// It is made, whatever happens to the connection afterwards.
    pub(super) is_made: bool,
}

impl Progress {
    /// At a time at which nothing is asked for.
    pub(super) fn weigh(&mut self, subscribed: bool) {
        self.subscribed = subscribed;
        self.is_made |= subscribed && self.good == [true; KINDS.len()];
    }
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(relay) = self.relay else { return f.write_str("is not connected") };
        write!(f, "on relay {relay}")?;
        if !self.subscribed {
            f.write_str(", is not subscribed")?;
        }
        for (number, kind) in KINDS.iter().enumerate().filter(|(number, _)| !self.good[*number]) {
            write!(f, ", has not reached {kind} ({:?})", self.refused[number])?;
        }
        Ok(())
    }
}

impl Board {
    pub(crate) fn new(clients: usize) -> Board {
        Board((0..clients).map(|_| Mutex::default()).collect())
    }

    pub(super) fn of(&self, client: usize) -> MutexGuard<'_, Progress> {
        self.0[client].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Who has not made this proof, and what it lacks.
    pub(crate) fn missing(&self, proof: u64) -> Vec<(usize, Progress)> {
        let all = (0..self.0.len()).map(|client| (client, *self.of(client)));
        all.filter(|(_, at)| at.proof < proof || !at.is_made).collect()
    }
}

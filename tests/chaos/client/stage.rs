//! What clients are to do, and who has shown that everything works for it.

use std::sync::atomic::{AtomicU64, Ordering};

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

/// The last proof of each client.
#[derive(Debug)]
pub(crate) struct Board(Vec<AtomicU64>);

impl Board {
    pub(crate) fn new(clients: usize) -> Board {
        Board((0..clients).map(|_| AtomicU64::new(0)).collect())
    }

    pub(super) fn proved(&self, client: usize, proof: u64) {
        self.0[client].store(proof, Ordering::Relaxed);
    }

    /// Who has not made this proof.
    pub(crate) fn missing(&self, proof: u64) -> Vec<usize> {
        (0..self.0.len()).filter(|client| self.0[*client].load(Ordering::Relaxed) < proof).collect()
    }
}

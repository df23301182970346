//! What clients sent, heard and were told, written down as it happens and checked as it is written.
//!
//! Clients of any kind (over sockets, or in a simulation) report to one [`History`], best through a [`Witness`], which
//! reads the frames of a connection as a client library does. [`History::judge`] says which promises of `PROTOCOL.md`
//! were broken:
//!
//! * what was `accepted` at `qos` 1 is presented, or its loss was told (`skip`, `resume`, `expired`);
//! * no message is presented twice to a session, nor after a later one of its sender, to that recipient, class and lane;
//! * nothing comes from another tenant, to somebody else, or that was never sent, or that was refused;
//! * each attempt has one outcome;
//! * what is sent when no fault is left arrives.
//!
//! The events are not kept: memory grows with the distinct messages and who got them. Of each broken promise the first is
//! told with all that is known of its message and of the sessions concerned.

mod books;
mod checker;
mod event;
mod judgement;
mod losses;
mod witness;

#[cfg(test)]
mod tests;

use std::fmt;
use std::hash::{DefaultHasher, Hasher as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

pub use event::{At, Attempt, Event, Moment, Name, Notice, Outcome, Party, To, What};
pub use judgement::{Breach, Judgement, Rest, Violation};
pub use witness::{Presented, Witness};

use checker::Checker;

/// A history that all clients of a run write.
#[derive(Debug, Clone)]
pub struct History(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    began: Instant,
    connections: AtomicU64,
    written: Mutex<Written>,
}

#[derive(Debug, Default)]
struct Written {
    events: u64,
    checker: Checker,
    digest: Digest,
    aloud: bool,
}

impl Default for History {
    fn default() -> History {
        let (connections, written) = (AtomicU64::new(0), Mutex::default());
        History(Arc::new(Shared { began: Instant::now(), connections, written }))
    }
}

impl History {
    /// Also prints each event as it happens.
    #[must_use]
    pub fn aloud(self) -> History {
        self.written().aloud = true;
        self
    }

    /// A number for another connection.
    pub fn connection(&self) -> u64 {
        self.0.connections.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Writes down what happened just now. What causes something must be written before that can happen: a send before
    /// it is flushed, a message presented before it is acknowledged.
    #[expect(clippy::print_stderr, reason = "asked for, and cargo shows it with a failure")]
    pub fn record(&self, what: What) {
        let mut written = self.written();
        // Under the lock, so that times only grow.
        let at = Moment { since: self.0.began.elapsed(), number: written.events };
        written.events += 1;
        let event = Event { at, what };
        if written.aloud {
            eprintln!("{event}");
        }
        written.digest.add(&event);
        written.checker.take(event);
    }

    /// What is wrong with the history so far.
    pub fn judge(&self, rest: Rest) -> Judgement {
        self.written().checker.judge(rest)
    }

    /// What is still to come if all is well: accepted messages that nobody has presented and no notice excuses, and
    /// attempts on living connections without an outcome. A run has settled when it stays 0.
    pub fn outstanding(&self) -> u64 {
        self.judge(Rest::Settled).count()
    }

    /// A number that differs, but for chance, from that of every other history.
    pub fn digest(&self) -> u64 {
        self.written().digest.0.finish()
    }

    fn written(&self) -> MutexGuard<'_, Written> {
        self.0.written.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The digest of events, by their text.
#[derive(Debug, Default)]
struct Digest(DefaultHasher);

impl Digest {
    fn add(&mut self, event: &Event) {
        let wrote = fmt::Write::write_fmt(self, format_args!("{event}\n"));
        debug_assert!(wrote.is_ok(), "a hasher takes everything");
    }
}

impl fmt::Write for Digest {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.write(text.as_bytes());
        Ok(())
    }
}

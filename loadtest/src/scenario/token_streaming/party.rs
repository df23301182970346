//! Who asks, and who streams.

use std::sync::Arc;

use parking_lot::Mutex;
use relay_protocol::ServerFrame;

use crate::agent::{Ended, Outbox};
use crate::checker::Books;
use crate::scenario::token_streaming::streams::{Open, Streams, TOKEN_EVERY_NS};
use crate::stamp::Destination;
use crate::trial::correspondent::{Correspondent, Heard};
use crate::trial::drive::Role;
use crate::trial::stage::Window;

/// One of a pair.
#[derive(Debug)]
pub(crate) struct Party {
    pub(crate) correspondent: Correspondent,
    pub(crate) tokens: u64,
    pub(crate) task: Task,
    pub(crate) streams: Arc<Mutex<Streams>>,
}

/// What it does.
#[derive(Debug)]
pub(crate) enum Task {
    /// Asks as soon as the stream before has ended.
    Ask { owes: bool, open: Option<Open> },
    /// Streams what was asked for.
    Stream(Option<Stream>),
}

/// A stream that is under way, as its writer sees it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stream {
    left: u64,
    due_ns: u64,
}

impl Party {
    fn post(&mut self, at_ns: u64, outbox: &mut Outbox) {
        let peer = self.correspondent.number ^ 1;
        let to = (Destination::Agent(peer), self.correspondent.address(peer));
        self.correspondent.post(to, at_ns, outbox, |_, _| {});
    }
}

impl Role for Party {
    fn correspondent(&mut self) -> &mut Correspondent {
        &mut self.correspondent
    }

    fn hear(&mut self, frame: &ServerFrame<'_>, read_ns: u64, _: &mut Outbox) {
        match (self.correspondent.hear(frame, read_ns), &mut self.task) {
            (Heard::Message(_), Task::Ask { owes, open }) => {
                if let Some(stream) = open
                    && self.streams.lock().came(stream, self.tokens, read_ns)
                {
                    (*owes, *open) = (true, None);
                }
            }
            (Heard::Message(_), Task::Stream(stream)) => {
                *stream = Some(Stream { left: self.tokens, due_ns: read_ns });
            }
            // What was refused is said again.
            (Heard::Unsent(_), Task::Ask { owes, open }) => (*owes, *open) = (true, None),
            (Heard::Unsent(unsent), Task::Stream(stream)) => {
                let due_ns = read_ns + TOKEN_EVERY_NS;
                stream.get_or_insert(Stream { left: 0, due_ns }).left += unsent.sends.len() as u64;
            }
            _ => {}
        }
    }

    fn tick(&mut self, window: &Window, now_ns: u64, outbox: &mut Outbox) -> Option<u64> {
        if !window.is_open(now_ns) {
            return (now_ns < window.start_ns).then_some(window.start_ns);
        }
        match &mut self.task {
            Task::Ask { owes, open } => {
                if std::mem::take(owes) {
                    *open = Some(Open { asked_ns: now_ns, came: 0, last_ns: now_ns });
                    self.post(now_ns, outbox);
                }
                None
            }
            Task::Stream(stream) => {
                let mut under_way = (*stream)?;
                let mut due = Vec::new();
                while under_way.left > 0 && under_way.due_ns <= now_ns {
                    due.push(under_way.due_ns);
                    under_way.left -= 1;
                    under_way.due_ns += TOKEN_EVERY_NS;
                }
                *stream = (under_way.left > 0).then_some(under_way);
                let next_ns = stream.map(|stream| stream.due_ns);
                for at_ns in due {
                    self.post(at_ns, outbox);
                }
                next_ns
            }
        }
    }

    fn finish(self, ended: Option<Ended>) -> Books {
        self.correspondent.into_books(ended)
    }
}

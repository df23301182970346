//! What one client sends to one place at `qos` 1: each message again under its `mid` until an outcome says that it is stored.

use std::collections::{BTreeMap, BTreeSet};

use relay_protocol::Address;

/// What is open before nothing more is begun: all of it goes again as long as it is refused.
const OPEN_MAX: usize = 4;

/// Messages to one place, numbered from 1.
#[derive(Debug)]
pub(super) struct Line {
    /// Where to.
    pub(super) to: Address<'static>,
    /// What its `mid`s begin with.
    pub(super) letter: char,
    sent: u64,
    /// Sends without an outcome on this connection: command to number.
    in_flight: BTreeMap<u64, u64>,
    /// Of which nothing says that they are stored.
    open: BTreeSet<u64>,
}

impl Line {
    pub(super) fn new(to: Address<'static>, letter: char) -> Line {
        Line { to, letter, sent: 0, in_flight: BTreeMap::new(), open: BTreeSet::new() }
    }

    /// What to send now, in order; one more if `further`.
    pub(super) fn due(&mut self, further: bool) -> Vec<u64> {
        let mut due = Vec::new();
        if self.in_flight.is_empty() {
            due.extend(&self.open);
        }
        // Behind what was refused it would be out of order.
        let has_room = self.open.len() < OPEN_MAX;
        if further && has_room && self.in_flight.len() + due.len() == self.open.len() {
            self.sent += 1;
            self.open.insert(self.sent);
            due.push(self.sent);
        }
        due
    }

    /// A message was sent by a command.
    pub(super) fn put(&mut self, command: u64, number: u64) {
        self.in_flight.insert(command, number);
    }

    /// Up to which number nothing is sent again.
    pub(super) fn settled(&self) -> u64 {
        self.open.first().map_or(self.sent, |first| first - 1)
    }

    /// Commands begin again.
    pub(super) fn is_cut(&mut self) {
        self.in_flight.clear();
    }

    /// An outcome came; true if it says of one of these that it is stored.
    pub(super) fn told(&mut self, command: u64, is_good: bool) -> bool {
        let Some(number) = self.in_flight.remove(&command) else { return false };
        is_good && self.open.remove(&number)
    }

    /// Whether everything is stored.
    pub(super) fn is_done(&self) -> bool {
        self.open.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_refused_goes_again_before_anything_else() {
        let mut line = Line::new(Address::parse("agent/bob".into()).unwrap(), 'd');
        assert_eq!((line.due(true), line.settled()), (vec![1], 0));
        line.put(10, 1);
        assert_eq!(line.due(true), [2]);
        line.put(11, 2);
        assert!(!line.told(10, false) && line.due(true).is_empty());
        assert!(!line.told(11, false));
        assert_eq!(line.due(true), [1, 2, 3]);
        for (command, number) in [(12, 1), (13, 2), (14, 3)] {
            line.put(command, number);
        }
        assert!(line.told(12, true) && line.told(13, true));
        assert_eq!(line.settled(), 2);
        line.is_cut();
        assert_eq!(line.due(false), [3]);
        line.put(1, 3);
        assert!(line.told(1, true) && line.is_done());
        assert_eq!(line.settled(), 3);
    }
}

//! The rounds of all askers together.

use std::collections::{HashMap, VecDeque};

use serde::Serialize;

/// Requests by what became of them.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Rounds {
    /// Asked.
    pub(crate) sent: u64,
    /// Answered within the deadline.
    pub(crate) replied: u64,
    /// Answered after it.
    pub(crate) late: u64,
    /// Told at once, or in time, that there will be no answer.
    pub(crate) refused: u64,
    /// Neither.
    pub(crate) unanswered: u64,
    /// Replies that were refused, whose requests stay unanswered for a reason.
    pub(crate) replies_refused: u64,
    /// Messages sent besides, that ask nothing.
    pub(crate) writes: u64,
    /// Replies to nothing that was asked.
    pub(crate) unasked: u64,
}

impl Rounds {
    /// Requests that stayed unanswered though nobody said why.
    pub(crate) fn unexplained(&self) -> u64 {
        self.unanswered.saturating_sub(self.replies_refused)
    }
}

/// The requests of one asker that wait for their replies. All have the same deadline, so they end in order.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    asked: HashMap<u64, u64>,
    order: VecDeque<(u64, u64)>,
}

impl Pending {
    /// A request was meant to be sent at `at_ns` and may be answered until `until_ns`.
    pub(crate) fn asked(&mut self, request: u64, at_ns: u64, until_ns: u64) {
        self.asked.insert(request, at_ns);
        self.order.push_back((request, until_ns));
    }

    /// The request is over; tells when it was meant to be sent, if it was waiting.
    pub(crate) fn over(&mut self, request: u64) -> Option<u64> {
        self.asked.remove(&request)
    }

    /// Drops a request whose deadline has passed; the rest ends later.
    pub(crate) fn expire(&mut self, now_ns: u64) -> bool {
        while let Some((request, until_ns)) = self.order.front().copied() {
            let waiting = self.asked.contains_key(&request);
            if waiting && until_ns > now_ns {
                return false;
            }
            self.order.pop_front();
            if waiting {
                self.asked.remove(&request);
                return true;
            }
        }
        false
    }

    /// When the first of them ends.
    pub(crate) fn next_ns(&self) -> Option<u64> {
        self.order.front().map(|(_, until_ns)| *until_ns)
    }

    /// How many wait.
    pub(crate) fn waiting(&self) -> u64 {
        self.asked.len() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_ends_once_by_its_reply_or_by_its_deadline() {
        let mut pending = Pending::default();
        for request in 1..=3 {
            pending.asked(request, request * 10, request * 100);
        }
        assert_eq!(pending.over(1), Some(10));
        assert_eq!(pending.over(1), None);
        assert!(!pending.expire(199));
        assert_eq!(pending.next_ns(), Some(200));
        assert!(pending.expire(200) && !pending.expire(200));
        assert_eq!((pending.over(2), pending.waiting()), (None, 1));
    }
}

//! What is told of a send after its outcome: that a stored message was delivered, or expired. Its reader may be quicker than
//! the store's answer to the sender's instance, and what is said first would not be believed later. And it may be heard
//! twice: from a Redis that was made a replica and from its successor, or from one that has forgotten what it told.

mod id_ranges;

use std::collections::VecDeque;

use crate::telemetry::outcome::Outcome;

use id_ranges::IdRanges;

/// What is known of the sends of a connection that are being stored.
#[derive(Debug, Default)]
pub(super) struct Afterwards {
    /// Being stored, by command. Ids grow, so this is sorted; bounded by the sends in flight.
    storing: VecDeque<u64>,
    /// What was heard of some of them already: of each the first.
    early: Vec<(u64, Outcome)>,
    /// Those of which the last word was said.
    told: IdRanges,
}

impl Afterwards {
    /// A send is being stored.
    pub(super) fn begin(&mut self, id: u64) {
        self.storing.push_back(id);
    }

    /// A send has its outcome; what was heard before is to be told behind it.
    pub(super) fn settle(&mut self, id: u64, outcome: Outcome) -> Option<Outcome> {
        let at = self.storing.binary_search(&id).ok()?;
        self.storing.remove(at);
        let early = self.early.iter().position(|(early, _)| *early == id);
        let heard = early.map(|at| self.early.swap_remove(at).1).filter(|_| outcome == Outcome::Accepted);
        if heard.is_some() || outcome != Outcome::Accepted {
            self.told.add(id);
        }
        heard
    }

    /// Something is heard of a stored message; returned if it is to be told now.
    pub(super) fn hear(&mut self, id: u64, outcome: Outcome) -> Option<Outcome> {
        if self.storing.binary_search(&id).is_ok() {
            if !self.early.iter().any(|(early, _)| *early == id) {
                self.early.push((id, outcome));
            }
            return None;
        }
        self.told.add(id).then_some(outcome)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_heard_early_is_told_behind_the_outcome() {
        let mut afterwards = Afterwards::default();
        afterwards.begin(3);
        afterwards.begin(5);
        assert_eq!(afterwards.hear(5, Outcome::Delivered), None);
        assert_eq!(afterwards.settle(3, Outcome::Accepted), None);
        assert_eq!(afterwards.hear(3, Outcome::Delivered), Some(Outcome::Delivered));
        assert_eq!(afterwards.settle(5, Outcome::Accepted), Some(Outcome::Delivered));
    }

    #[test]
    fn what_is_heard_early_twice_is_kept_once() {
        let mut afterwards = Afterwards::default();
        afterwards.begin(1);
        for _ in 0..2 {
            assert_eq!(afterwards.hear(1, Outcome::Delivered), None);
        }
        assert_eq!(afterwards.early.len(), 1);
        assert_eq!(afterwards.settle(1, Outcome::Accepted), Some(Outcome::Delivered));
        assert!(afterwards.early.is_empty());
    }

    #[test]
    fn what_is_heard_again_is_told_once() {
        let mut afterwards = Afterwards::default();
        for id in [1, 2] {
            afterwards.begin(id);
            assert_eq!(afterwards.settle(id, Outcome::Accepted), None);
        }
        for id in [2, 1] {
            assert_eq!(afterwards.hear(id, Outcome::Delivered), Some(Outcome::Delivered));
            assert_eq!(afterwards.hear(id, Outcome::Delivered), None);
        }
        afterwards.begin(3);
        assert_eq!(afterwards.hear(3, Outcome::Delivered), None);
        assert_eq!(afterwards.settle(3, Outcome::Accepted), Some(Outcome::Delivered));
        assert_eq!(afterwards.hear(3, Outcome::Delivered), None);
    }

    #[test]
    fn unknown_is_the_last_word() {
        let mut afterwards = Afterwards::default();
        for id in [1, 2] {
            afterwards.begin(id);
        }
        assert_eq!(afterwards.hear(1, Outcome::Delivered), None);
        assert_eq!(afterwards.settle(1, Outcome::Unknown), None);
        assert_eq!(afterwards.settle(2, Outcome::Unknown), None);
        assert_eq!(afterwards.hear(2, Outcome::Delivered), None);
    }
}

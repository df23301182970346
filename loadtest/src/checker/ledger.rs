//! The sender's side: which sends there were, and what the relay said became of each.

use std::collections::{BTreeMap, HashMap, VecDeque};

use crate::checker::ranges::Ranges;
use crate::stamp::Destination;

/// The most stretches of command ids remembered. A sender that alternates between destinations uses one for each send,
/// and no relay leaves so many without an outcome.
const STRETCHES_MAX: usize = 65_536;

/// What the relay said became of a send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// `queued` or `accepted`.
    Good,
    /// `failed`, or refused by an `error`.
    Failed,
    /// `unknown`.
    Unknown,
}

/// The sends of one agent.
#[derive(Debug, Default)]
pub struct Ledger {
    flows: HashMap<Destination, SentFlow>,
    stretches: VecDeque<Stretch>,
    /// Ids up to here are no longer known.
    dropped_to: u64,
    strays: u64,
    reasons: BTreeMap<&'static str, u64>,
}

/// The sends of one agent to one destination, numbered from 1.
#[derive(Debug, Default)]
pub struct SentFlow {
    /// How many.
    pub sent: u64,
    /// Told to have arrived.
    pub good: Ranges,
    /// Told to have been acknowledged by a recipient, which may follow `accepted`.
    pub delivered: Ranges,
    /// Told to have failed.
    pub failed: Ranges,
    /// Told to be unknown.
    pub unknown: Ranges,
    /// Outcomes told of a send that had one.
    pub contradictory: u64,
}

/// Consecutive ids of sends with consecutive numbers.
#[derive(Debug, Clone, Copy)]
struct Stretch {
    id: u64,
    destination: Destination,
    number: u64,
    length: u64,
}

impl Ledger {
    /// Notes a send under its command id and gives it its number.
    pub fn sent(&mut self, id: u64, destination: Destination) -> u64 {
        let flow = self.flows.entry(destination).or_default();
        flow.sent += 1;
        let number = flow.sent;
        match self.stretches.back_mut() {
            Some(last)
                if last.destination == destination
                    && last.id + last.length == id
                    && last.number + last.length == number =>
            {
                last.length += 1;
            }
            _ => self.stretches.push_back(Stretch { id, destination, number, length: 1 }),
        }
        if self.stretches.len() > STRETCHES_MAX
            && let Some(oldest) = self.stretches.pop_front()
        {
            self.dropped_to = oldest.id + oldest.length - 1;
        }
        number
    }

    /// Notes what was told of the sends `first..=last`; `each` hears of every one.
    pub fn outcome(
        &mut self,
        (first, last): (u64, u64),
        outcome: Outcome,
        mut each: impl FnMut(Destination, u64),
    ) {
        self.each((first, last), |flow, destination, number| {
            flow.settle(number, outcome);
            each(destination, number);
        });
    }

    /// Finds the sends of these ids.
    fn each(&mut self, (first, last): (u64, u64), mut found: impl FnMut(&mut SentFlow, Destination, u64)) {
        let mut unmatched = last.saturating_sub(first.max(self.dropped_to + 1)).saturating_add(1);
        let from = self.stretches.partition_point(|stretch| stretch.id + stretch.length <= first);
        for stretch in self.stretches.range(from..).take_while(|stretch| stretch.id <= last) {
            let begin = stretch.id.max(first);
            let end = (stretch.id + stretch.length - 1).min(last);
            unmatched = unmatched.saturating_sub(end - begin + 1);
            let flow = self.flows.entry(stretch.destination).or_default();
            for id in begin..=end {
                found(flow, stretch.destination, stretch.number + (id - stretch.id));
            }
        }
        if last > self.dropped_to {
            self.strays += unmatched;
        }
    }

    /// Notes that the sends `first..=last` were acknowledged; returns of how many that is the first that was told.
    pub fn delivered(&mut self, (first, last): (u64, u64)) -> u64 {
        let mut fresh = 0;
        self.each((first, last), |flow, _, number| fresh += u64::from(flow.deliver(number)));
        fresh
    }

    /// Notes why a send failed.
    pub fn refused(&mut self, reason: &'static str, count: u64) {
        *self.reasons.entry(reason).or_default() += count;
    }

    /// Failures by reason.
    pub fn reasons(&self) -> &BTreeMap<&'static str, u64> {
        &self.reasons
    }

    /// Outcomes told of commands that were no sends.
    pub fn strays(&self) -> u64 {
        self.strays
    }

    /// Whether anything was sent there.
    pub fn has(&self, destination: Destination) -> bool {
        self.flows.contains_key(&destination)
    }

    /// The sends by destination.
    pub fn flows(&self) -> impl Iterator<Item = (Destination, &SentFlow)> {
        self.flows.iter().map(|(destination, flow)| (*destination, flow))
    }
}

impl SentFlow {
    fn settle(&mut self, number: u64, outcome: Outcome) {
        let told = [&self.good, &self.failed, &self.unknown].iter().any(|set| set.contains(number));
        if told {
            self.contradictory += 1;
            return;
        }
        match outcome {
            Outcome::Good => self.good.insert(number),
            Outcome::Failed => self.failed.insert(number),
            Outcome::Unknown => self.unknown.insert(number),
        };
    }

    /// Says whether nothing was told of it before.
    fn deliver(&mut self, number: u64) -> bool {
        let failed = self.failed.contains(number) || self.unknown.contains(number);
        if failed || !self.delivered.insert(number) {
            self.contradictory += 1;
            return false;
        }
        self.good.insert(number)
    }

    /// Sends of which nothing was told.
    pub fn unanswered(&self) -> u64 {
        self.sent.saturating_sub(self.good.count() + self.failed.count() + self.unknown.count())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const B: Destination = Destination::Agent(1);
    const C: Destination = Destination::Agent(2);

    #[test]
    fn ranges_of_ids_reach_the_numbers_of_each_destination() {
        let mut ledger = Ledger::default();
        let numbers: Vec<u64> =
            [(2, B), (3, B), (4, C), (6, B)].map(|(id, to)| ledger.sent(id, to)).into_iter().collect();
        assert_eq!(numbers, [1, 2, 1, 3]);
        let mut heard = Vec::new();
        ledger.outcome((2, 4), Outcome::Good, |to, number| heard.push((to, number)));
        ledger.outcome((6, 6), Outcome::Failed, |_, _| {});
        assert_eq!(heard, [(B, 1), (B, 2), (C, 1)]);
        assert_eq!((ledger.flows[&B].unanswered(), ledger.strays()), (0, 0));
    }

    #[test]
    fn a_second_outcome_contradicts_and_one_of_no_send_is_a_stray() {
        let mut ledger = Ledger::default();
        ledger.sent(2, B);
        ledger.outcome((2, 2), Outcome::Good, |_, _| {});
        ledger.outcome((2, 3), Outcome::Failed, |_, _| {});
        assert_eq!((ledger.flows[&B].contradictory, ledger.strays()), (1, 1));
    }

    #[test]
    fn delivered_may_follow_accepted_once() {
        let mut ledger = Ledger::default();
        for id in 2..=4 {
            ledger.sent(id, B);
        }
        ledger.outcome((2, 2), Outcome::Good, |_, _| {});
        assert_eq!(ledger.delivered((2, 3)), 1);
        assert_eq!((ledger.flows[&B].contradictory, ledger.flows[&B].unanswered()), (0, 1));
        assert_eq!(ledger.delivered((3, 3)), 0);
        ledger.outcome((4, 4), Outcome::Failed, |_, _| {});
        assert_eq!(ledger.delivered((4, 4)), 0);
        assert_eq!((ledger.flows[&B].contradictory, ledger.strays()), (2, 0));
    }

    #[test]
    fn ids_beyond_the_bound_are_dropped_without_blame() {
        let mut ledger = Ledger::default();
        for id in 1..=STRETCHES_MAX as u64 + 10 {
            ledger.sent(id, if id % 2 == 0 { B } else { C });
        }
        ledger.outcome((1, 10), Outcome::Good, |_, _| {});
        assert_eq!((ledger.stretches.len(), ledger.strays()), (STRETCHES_MAX, 0));
    }
}

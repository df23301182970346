//! Rounds of votes, counted. Pure.

use serde::Serialize;

/// Row AD1's figures.
const CANDIDATES: usize = 7;
const ROUNDS: u64 = 5;

/// All elections of a run.
#[derive(Debug)]
pub(crate) struct Ballots {
    voters: u32,
    round: u64,
    votes: [u64; CANDIDATES],
    begun_ns: u64,
    over: u64,
    complete: u64,
    stray: u64,
}

/// What they came to.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Results {
    /// Rounds in which every vote came.
    rounds: u64,
    /// Elections of five rounds.
    elections: u64,
    /// Votes for no round, or a second time.
    stray_votes: u64,
}

impl Ballots {
    pub(crate) fn new(voters: u32) -> Ballots {
        Ballots { voters, round: 0, votes: [0; CANDIDATES], begun_ns: 0, over: 0, complete: 0, stray: 0 }
    }

    /// Whether every vote of the last round has come.
    pub(crate) fn is_over(&self) -> bool {
        self.over == self.round
    }

    /// Begins the next round; returns its number.
    pub(crate) fn call(&mut self, at_ns: u64) -> u64 {
        self.round += 1;
        self.begun_ns = at_ns;
        self.votes = [0; CANDIDATES];
        self.round
    }

    /// What that voter votes in that round.
    pub(crate) fn choice(voter: u32, round: u64) -> usize {
        usize::try_from((u64::from(voter) + round) % CANDIDATES as u64).unwrap_or(0)
    }

    /// Counts a vote; tells when the round began if that was the last one.
    pub(crate) fn vote(&mut self, round: u64, candidate: usize) -> Option<u64> {
        match self.votes.get_mut(candidate) {
            Some(votes) if round == self.round && self.over < self.round => *votes += 1,
            _ => {
                self.stray += 1;
                return None;
            }
        }
        let all = self.votes.iter().sum::<u64>() == u64::from(self.voters);
        all.then(|| {
            self.over = self.round;
            self.complete += u64::from(self.votes == self.expected());
            self.begun_ns
        })
    }

    /// The number of the last round that was called.
    pub(crate) fn round(&self) -> u64 {
        self.round
    }

    fn expected(&self) -> [u64; CANDIDATES] {
        let mut votes = [0; CANDIDATES];
        (1..=self.voters).for_each(|voter| votes[Ballots::choice(voter, self.round)] += 1);
        votes
    }

    pub(crate) fn results(&self) -> Results {
        Results { rounds: self.complete, elections: self.complete / ROUNDS, stray_votes: self.stray }
    }

    /// Votes that were counted wrongly, and rounds that came out wrong or were not completed.
    pub(crate) fn wrong(&self) -> u64 {
        self.stray + (self.round - self.complete)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_is_over_with_its_last_vote_and_a_second_vote_is_seen() {
        let mut ballots = Ballots::new(3);
        let round = ballots.call(42);
        let votes = [1, 2, 3].map(|voter| ballots.vote(round, Ballots::choice(voter, round)));
        assert_eq!(votes, [None, None, Some(42)]);
        assert!(ballots.is_over() && ballots.wrong() == 0);
        assert_eq!(ballots.vote(round, 0), None);
        assert_eq!(ballots.wrong(), 1);
        ballots.call(50);
        ballots.vote(2, 0);
        assert_eq!((ballots.wrong(), ballots.results().rounds), (2, 1));
    }
}

//! Agents whose messages a fail-over can lose: the recipients have not presented what was accepted while the replica was
//! cut off.

use std::collections::HashSet;

use relay_tests::Fleet;
use relay_tests::eventually;
use relay_tests::reliable::Reliable;

use super::probes::{INSTANCES, PATIENCE};

const PAIRS: usize = 6;
const MESSAGES: usize = 5;

/// Pairs of agents, each on two relays.
pub(super) struct Behind {
    pairs: Vec<(Reliable, Reliable)>,
    accepted: Vec<Vec<String>>,
    round: usize,
}

/// What became of the messages of one fail-over.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Fate {
    /// Of which an outcome said that they are stored.
    pub(super) accepted: usize,
    /// Of these, never presented.
    pub(super) lost: usize,
    /// Of these, such whose recipient was told nothing.
    pub(super) undeclared: usize,
}

impl Behind {
    pub(super) async fn gather(fleet: &Fleet) -> anyhow::Result<Behind> {
        let mut pairs = Vec::new();
        for pair in 0..PAIRS {
            let recipient =
                Reliable::join(fleet, (pair + 1) % INSTANCES, &format!("behind-to-{pair}")).await?;
            let sender = Reliable::join(fleet, pair % INSTANCES, &format!("behind-from-{pair}")).await?;
            pairs.push((sender, recipient));
        }
        Ok(Behind { pairs, accepted: vec![Vec::new(); PAIRS], round: 0 })
    }

    /// Each sends some; the recipients do not read. Returns how many were accepted.
    pub(super) async fn send(&mut self) -> anyhow::Result<usize> {
        self.round += 1;
        let before: usize = self.accepted.iter().map(Vec::len).sum();
        for (number, (sender, _)) in self.pairs.iter_mut().enumerate() {
            for message in 0..MESSAGES {
                let mid = format!("round{}-{message}", self.round);
                if is_stored(sender.ask(&format!("agent/behind-to-{number}"), &mid).await?) {
                    self.accepted[number].push(mid);
                }
            }
        }
        Ok(self.accepted.iter().map(Vec::len).sum::<usize>() - before)
    }

    /// The recipients go on at another relay, and present all that comes up to a message that is sent now.
    pub(super) async fn settle(&mut self, fleet: &Fleet) -> anyhow::Result<Fate> {
        let mut fate = Fate::default();
        for (number, (sender, recipient)) in self.pairs.iter_mut().enumerate() {
            let (skipped, resumed) = (recipient.book.skipped, recipient.book.resumed.len());
            recipient.move_to(fleet, (number + self.round) % INSTANCES).await?;
            let closing = format!("settle{}", self.round);
            eventually("a message is accepted", PATIENCE, async || {
                let outcome = sender.ask(&format!("agent/behind-to-{number}"), &closing).await?;
                Ok(is_stored(outcome).then_some(()))
            })
            .await?;
            recipient.until(|book| book.presented.contains(&closing)).await?;
            let accepted = std::mem::take(&mut self.accepted[number]);
            let presented: HashSet<&String> = recipient.book.presented.iter().collect();
            let lost = accepted.iter().filter(|mid| !presented.contains(mid)).count();
            let declared =
                recipient.book.skipped > skipped || recipient.book.resumed[resumed..].contains(&false);
            fate.accepted += accepted.len();
            fate.lost += lost;
            fate.undeclared += if declared { 0 } else { lost };
        }
        Ok(fate)
    }
}

fn is_stored(outcome: &str) -> bool {
    ["accepted", "delivered"].contains(&outcome)
}

//! Steady traffic at `qos` 1 between pairs of agents on different relays, whose every message is accounted for: what was
//! accepted is presented, or its recipient was told that something is missing.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use crate::eventually::eventually;
use crate::fleet::Fleet;
use crate::reliable::{Book, Reliable};

/// Between two sends of an agent.
const PAUSE: Duration = Duration::from_millis(20);
/// The last message of each.
const END: &str = "end";

/// Such traffic.
#[derive(Debug)]
pub struct Steady {
    ending: watch::Sender<bool>,
    presented: Vec<Arc<AtomicU64>>,
    pairs: JoinSet<anyhow::Result<Account>>,
}

/// What became of messages.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Account {
    /// Of which an outcome said that they are stored.
    pub accepted: usize,
    /// Of these, presented.
    pub delivered: usize,
    /// Of these, never presented.
    pub lost: usize,
    /// Of these, such whose recipient was told nothing.
    pub undeclared: usize,
    /// Presented before which one is missing of which nothing was said.
    pub holes: usize,
}

impl Steady {
    /// Starts so many pairs.
    pub async fn begin(fleet: &Fleet, pairs: usize) -> anyhow::Result<Steady> {
        let (ending, ended) = watch::channel(false);
        let (mut counts, mut tasks) = (Vec::new(), JoinSet::new());
        let relays = fleet.cluster.relays.len();
        for pair in 0..pairs {
            let (from, to) = (format!("from-{pair}"), format!("to-{pair}"));
            let recipient = Reliable::join(fleet, (pair + 1) % relays, &to).await?;
            let sender = Reliable::join(fleet, pair % relays, &from).await?;
            let presented = Arc::<AtomicU64>::default();
            counts.push(Arc::clone(&presented));
            let (sending, receiving) = (send(sender, to, ended.clone()), receive(recipient, presented));
            tasks.spawn(async move {
                let (accepted, heard) = tokio::try_join!(sending, receiving)?;
                Ok(account(&accepted, &heard))
            });
        }
        Ok(Steady { ending, presented: counts, pairs: tasks })
    }

    /// Waits until every recipient was presented so many more.
    pub async fn flows(&mut self, more: u64, within: Duration) -> anyhow::Result<()> {
        let read = |count: &Arc<AtomicU64>| count.load(Ordering::Relaxed);
        let enough: Vec<u64> = self.presented.iter().map(|count| read(count) + more).collect();
        eventually("qos 1 flows", within, async || {
            if let Some(ended) = self.pairs.try_join_next() {
                anyhow::bail!("a pair ended: {:?}", ended?);
            }
            let all = self.presented.iter().zip(&enough).all(|(count, enough)| read(count) >= *enough);
            Ok(all.then_some(()))
        })
        .await
    }

    /// Ends it when all that was sent has come or never will.
    pub async fn end(self) -> anyhow::Result<Account> {
        self.ending.send_replace(true);
        let mut sum = Account::default();
        for account in self.pairs.join_all().await {
            let account = account?;
            sum.accepted += account.accepted;
            sum.delivered += account.delivered;
            sum.lost += account.lost;
            sum.undeclared += account.undeclared;
            sum.holes += account.holes;
        }
        Ok(sum)
    }
}

/// Sends one after the other, each again until it is accepted. Returns those that were, but for the last.
async fn send(mut agent: Reliable, to: String, ended: watch::Receiver<bool>) -> anyhow::Result<Vec<String>> {
    let to = format!("agent/{to}");
    let mut ticks = tokio::time::interval(PAUSE);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut accepted = Vec::new();
    loop {
        let is_last = *ended.borrow();
        let mid = if is_last { END.to_owned() } else { format!("m{}", accepted.len()) };
        loop {
            ticks.tick().await;
            agent.book.outcomes.clear();
            if ["accepted", "delivered"].contains(&agent.ask(&to, &mid).await?) {
                break;
            }
        }
        if is_last {
            return Ok(accepted);
        }
        accepted.push(mid);
    }
}

/// Presents all that comes up to the last.
async fn receive(mut agent: Reliable, presented: Arc<AtomicU64>) -> anyhow::Result<Book> {
    loop {
        let before = agent.book.presented.len();
        agent.until(|book| book.presented.len() > before).await?;
        presented.store(agent.book.presented.len() as u64, Ordering::Relaxed);
        if agent.book.presented.iter().any(|mid| mid == END) {
            return Ok(agent.book);
        }
    }
}

fn account(accepted: &[String], heard: &Book) -> Account {
    let presented: HashSet<&String> = heard.presented.iter().collect();
    let delivered = accepted.iter().filter(|mid| presented.contains(mid)).count();
    let lost = accepted.len() - delivered;
    let declared = heard.skipped > 0 || heard.resumed.contains(&false);
    let undeclared = if declared { 0 } else { lost };
    Account { accepted: accepted.len(), delivered, lost, undeclared, holes: heard.holes }
}

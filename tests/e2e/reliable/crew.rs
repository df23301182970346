//! Clients at `qos` 1 in a ring, each sending to the next, and what became of their messages.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Context, ensure};
use relay_tests::reconnecting::{Reconnecting, Record, Return, Stage, Sums};
use relay_tests::seed::{Chance, seed};
use relay_tests::{Fleet, eventually};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Of each agent; all together send 500 a second at most, so that a large test measures the relays and not its machine.
const PAUSE: Duration = Duration::from_millis(200);
const SENDS_PER_S_MAX: u64 = 500;
/// After which what was sent is presented.
pub(super) const SETTLED_WITHIN: Duration = Duration::from_mins(1);

/// Clients that talk.
pub(super) struct Crew {
    agents: u64,
    sums: Arc<Sums>,
    stage: watch::Sender<Stage>,
    clients: JoinSet<anyhow::Result<Record>>,
}

/// What they did, summed up.
#[derive(Debug, Default)]
pub(super) struct Totals {
    pub(super) sent: u64,
    pub(super) resent: u64,
    lost: usize,
    twice: usize,
    reordered: usize,
    skipped: u64,
}

impl Crew {
    /// So many clients, over all relays of a fleet.
    pub(super) async fn gather(fleet: &Fleet, agents: usize) -> anyhow::Result<Crew> {
        let (seed, sums) = (seed(), Arc::<Sums>::default());
        let mut crew = Vec::new();
        for agent in 0..agents {
            let (name, to) = (format!("agent-{agent}"), format!("agent-{}", (agent + 1) % agents));
            let (chance, relay) =
                (Chance::new(seed, u32::try_from(agent)?), agent % fleet.cluster.relays.len());
            crew.push(Reconnecting::join(fleet, relay, &name, &to, chance, &sums).await?);
        }
        let (stage, told) = watch::channel(Stage::Talk);
        let agents = agents as u64;
        let pause = PAUSE.max(Duration::from_millis(1_000 * agents / SENDS_PER_S_MAX));
        let clients = crew.into_iter().map(|client| client.run(pause, told.clone())).collect();
        Ok(Crew { agents, sums, stage, clients })
    }

    /// Waits until some messages of each were presented from now on; a client ends early only by a fault.
    pub(super) async fn flows(&mut self) -> anyhow::Result<()> {
        let begin = self.sums.presented.load(Ordering::Relaxed);
        eventually("messages flow", SETTLED_WITHIN, async || {
            Ok((self.sums.presented.load(Ordering::Relaxed) >= begin + 5 * self.agents).then_some(()))
        })
        .await?;
        match self.clients.try_join_next() {
            Some(ended) => ended?.map(drop),
            None => Ok(()),
        }
    }

    /// Ways back so far, of all.
    pub(super) fn returns(&self) -> u64 {
        self.sums.returns.load(Ordering::Relaxed)
    }

    /// Waits until all that was sent is presented, and lets them leave.
    pub(super) async fn settle(self) -> anyhow::Result<Vec<Record>> {
        let sums = &self.sums;
        self.stage.send_replace(Stage::Settle);
        eventually("all is presented", SETTLED_WITHIN, async || {
            let [sent, stored, presented] =
                [&sums.sent, &sums.stored, &sums.presented].map(|sum| sum.load(Ordering::Relaxed));
            Ok((stored == sent && presented >= sent).then_some(()))
        })
        .await
        .with_context(|| format!("{sums:?}"))?;
        self.stage.send_replace(Stage::Leave);
        self.clients.join_all().await.into_iter().collect()
    }
}

impl Totals {
    /// Of these records.
    pub(super) fn of(records: &[Record]) -> anyhow::Result<Totals> {
        let mut totals = Totals::default();
        for (at, sender) in records.iter().enumerate() {
            let heard = recipient(records, at)?;
            let distinct: HashSet<&String> = heard.book.presented.iter().collect();
            let mids = (1..=sender.sent).map(|number| format!("{}:{number}", sender.name));
            totals.lost += mids.filter(|mid| !distinct.contains(mid)).count();
            totals.twice += heard.book.presented.len() - distinct.len();
            let numbers = heard.book.presented.iter().filter_map(|mid| mid.rsplit(':').next()?.parse().ok());
            let numbers: Vec<u64> = numbers.collect();
            totals.reordered += numbers.windows(2).filter(|pair| pair[1] < pair[0]).count();
            totals.skipped += heard.book.skipped + heard.book.holes as u64;
            totals.sent += sender.sent;
            totals.resent += sender.resent;
        }
        Ok(totals)
    }

    /// Each message was presented once and in order.
    pub(super) fn hold(&self) -> anyhow::Result<()> {
        let Totals { lost, twice, reordered, skipped, .. } = self;
        ensure!((*lost, *twice, *reordered, *skipped) == (0, 0, 0, 0), "{self:?}");
        Ok(())
    }
}

/// Every way back.
pub(super) fn returns(records: &[Record]) -> Vec<Return> {
    records.iter().flat_map(|record| record.returns.iter().copied()).collect()
}

/// The longest time that one was without a connection.
pub(super) fn longest_absence(returns: &[Return]) -> Duration {
    returns.iter().map(|way| way.back - way.left).max().unwrap_or_default()
}

/// The one whom a client sends to is the next by number; clients end in any order.
fn recipient(records: &[Record], sender: usize) -> anyhow::Result<&Record> {
    let number = |record: &Record| record.name.trim_start_matches("agent-").parse::<usize>();
    let next = format!("agent-{}", (number(&records[sender])? + 1) % records.len());
    records.iter().find(|record| record.name == next).context("a record is missing")
}

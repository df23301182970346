//! The table of recovery times and losses (MS4).

use std::fmt;
use std::time::Duration;

use anyhow::Context;
use relay_tests::history::{Breach, History, Judgement};
use tokio::time::Instant;

use crate::cast::Cast;
use crate::fault::Fault;
use crate::fault::link::{LinkFault, Way};
use crate::fault::relay::RelayFault;
use crate::fault::store::StoreFault;
use crate::soak::{percentile, seconds};
use crate::world::{Form, RELAYS, World, knows_wait};

/// Longer than anything may take, so that what takes too long is measured.
const PATIENCE: Duration = Duration::from_mins(2);
/// How long a partition lasts: longer than every time-out and the lease of an instance.
const PARTITION: Duration = Duration::from_secs(10);

/// Something that happens, and what is asked of us when it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scenario {
    Crash,
    NodeFailure { wait_replicas: u32 },
    Partition,
    Region,
}

/// What came of a scenario.
#[derive(Debug)]
struct Row {
    scenario: Scenario,
    recovered: Vec<Duration>,
    /// Fail-overs that nobody asked for.
    further_fail_overs: u32,
    judgement: Judgement,
}

/// What came of all.
#[derive(Debug, Default)]
pub(crate) struct Table {
    rows: Vec<Row>,
    skipped: Vec<String>,
}

/// Each scenario so many times.
pub(crate) async fn run(rounds: u32, mut tell: impl FnMut(String)) -> anyhow::Result<Table> {
    let mut table = Table::default();
    let all = [
        Scenario::Crash,
        Scenario::NodeFailure { wait_replicas: 0 },
        Scenario::NodeFailure { wait_replicas: 1 },
        Scenario::Partition,
        Scenario::Region,
    ];
    for scenario in all {
        if matches!(scenario, Scenario::NodeFailure { wait_replicas: 1.. }) && !knows_wait()? {
            table.skipped.push(format!("{scenario}: the relay has no such setting"));
            continue;
        }
        let row = scenario.run(rounds, &mut tell).await.with_context(|| scenario.to_string())?;
        table.rows.push(row);
    }
    Ok(table)
}

impl Scenario {
    async fn run(self, rounds: u32, tell: &mut impl FnMut(String)) -> anyhow::Result<Row> {
        let (is_watched, wait_replicas) = match self {
            Scenario::NodeFailure { wait_replicas } => (true, wait_replicas),
            _ => (false, 0),
        };
        let form = Form { is_watched, wait_replicas, is_patient: true, has_clocks: false };
        let mut world = World::start(form).await?;
        let mut cast = Cast::enter(&world, rounds, History::default())?;
        cast.proves(PATIENCE).await?;
        let mut recovered = Vec::new();
        for round in 1..=rounds {
            let took = self.happen(round, &mut world, &mut cast).await?;
            tell(format!("{self}, {round} of {rounds}: everything works after {}", seconds(took)));
            recovered.push(took);
            cast.proves(PATIENCE).await?;
        }
        cast.calm(PATIENCE).await?;
        world.note_fail_overs(&cast.history).await?;
        recovered.sort();
        let judgement = cast.settle().await?;
        Ok(Row { scenario: self, recovered, further_fail_overs: world.further_fail_overs, judgement })
    }

    /// Lets it happen; how long it took until everything worked for everybody.
    async fn happen(self, round: u32, world: &mut World, cast: &mut Cast) -> anyhow::Result<Duration> {
        let (history, node) = (cast.history.clone(), (round % RELAYS) as usize);
        let begun = Instant::now();
        match self {
            Scenario::Crash => {
                let crash = Fault::Relay(RelayFault::Killed, node);
                crash.begin(world, &history).await?;
                // It stays away: the others have to do.
                cast.proves(PATIENCE).await?;
                let took = begun.elapsed();
                crash.end(world, &history).await?;
                Ok(took)
            }
            Scenario::NodeFailure { wait_replicas } => {
                let failure = Fault::Store(StoreFault::FailOver);
                failure.begin(world, &history).await?;
                // Of two servers none is a replica until the one that was killed is back: nothing is accepted before.
                if wait_replicas > 0 {
                    failure.end(world, &history).await?;
                }
                cast.proves(PATIENCE).await?;
                let took = begun.elapsed();
                if wait_replicas == 0 {
                    failure.end(world, &history).await?;
                }
                Ok(took)
            }
            Scenario::Partition => {
                let partition = Fault::Link(LinkFault::Blackhole, Way::ToRedis, node);
                partition.begin(world, &history).await?;
                tokio::time::interval_at(begun + PARTITION, PARTITION).tick().await;
                partition.end(world, &history).await?;
                cast.proves(PATIENCE).await
            }
            Scenario::Region => {
                history.record(relay_tests::history::What::Forgotten);
                world.burn_down().await?;
                history.record(relay_tests::history::What::Forgotten);
                cast.proves(PATIENCE).await?;
                Ok(begun.elapsed())
            }
        }
    }

    /// What the source asks for.
    fn target(self) -> &'static str {
        match self {
            Scenario::Crash => "≤ 5 s, 0 lost",
            Scenario::NodeFailure { wait_replicas: 0 } => "≤ 30 s, 0 undeclared",
            Scenario::NodeFailure { .. } => "≤ 30 s, 0 lost",
            Scenario::Partition => "≤ 35 s, 0 lost",
            Scenario::Region => "≤ 5 min, 0 undeclared",
        }
    }

    /// Within what everything has to work, and whether what was accepted may be lost if that is told.
    fn bounds(self) -> (Duration, bool) {
        match self {
            Scenario::Crash => (Duration::from_secs(5), false),
            Scenario::NodeFailure { wait_replicas } => (Duration::from_secs(30), wait_replicas == 0),
            Scenario::Partition => (Duration::from_secs(35), false),
            Scenario::Region => (Duration::from_mins(5), true),
        }
    }
}

impl Table {
    /// An error that names what was not kept.
    pub(crate) fn ensure(&self) -> anyhow::Result<()> {
        for Row { scenario, recovered, further_fail_overs, judgement } in &self.rows {
            let (within, may_lose) = scenario.bounds();
            judgement.ensure().with_context(|| scenario.to_string())?;
            anyhow::ensure!(
                percentile(recovered, 99) <= within,
                "{scenario}: not within {}",
                seconds(within)
            );
            anyhow::ensure!(
                may_lose || judgement.declared == 0,
                "{scenario}: {} lost, with {further_fail_overs} further fail-overs by the Sentinels themselves",
                judgement.declared
            );
        }
        Ok(())
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "| what happens | asked | times | back, p50 | p99 | accepted | lost | lost undeclared |"
        )?;
        writeln!(f, "| --- | --- | --: | --: | --: | --: | --: | --: |")?;
        for Row { scenario, recovered, further_fail_overs, judgement } in &self.rows {
            let undeclared = judgement.of(Breach::Lost) + judgement.of(Breach::Hole);
            writeln!(
                f,
                "| {scenario} | {} | {}{} | {} | {} | {} | {} | {undeclared} |",
                scenario.target(),
                recovered.len(),
                if *further_fail_overs > 0 { format!(" (+{further_fail_overs})") } else { String::new() },
                seconds(percentile(recovered, 50)),
                seconds(percentile(recovered, 99)),
                judgement.taken,
                judgement.declared + undeclared,
            )?;
        }
        if self.rows.iter().any(|row| row.further_fail_overs > 0) {
            writeln!(
                f,
                "\n(+1): Sentinels failed over once more by themselves, as on a machine that is too busy."
            )?;
        }
        for skipped in &self.skipped {
            writeln!(f, "\nSKIPPED {skipped}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Scenario::Crash => f.write_str("instance crash (SIGKILL, stays away)"),
            Scenario::NodeFailure { wait_replicas: 0 } => {
                f.write_str("Redis primary killed, its replica behind, Sentinel")
            }
            Scenario::NodeFailure { wait_replicas } => {
                write!(
                    f,
                    "the same, accepted on {wait_replicas} replica (WAIT); the one that was killed starts again"
                )
            }
            Scenario::Partition => {
                f.write_str("an instance cut off from Redis for 10 s; back from its end on")
            }
            Scenario::Region => f.write_str("region: all relays and Redis killed, started empty"),
        }
    }
}

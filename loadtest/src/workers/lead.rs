//! Who leads: starts the workers, gives the cue, measures the machine, and adds up what they found.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use futures_util::TryStreamExt;
use futures_util::stream::{SelectAll, select_all};
use serde_json::Value;

use crate::checker::Tally;
use crate::clock;
use crate::scenario::Scenario;
use crate::trial::Trial;
use crate::trial::conduct::{SETTLE, cpu_of};
use crate::trial::crew::Connecting;
use crate::trial::live::{Live, empty};
use crate::trial::performance::Performance;
use crate::trial::stage::Window;
use crate::workers::process::{Words, WorkerProcess};
use crate::workers::share::shares;
use crate::workers::wire::{Assignment, Cue, Findings, Gathered, Word};

/// From the cue to the first message: every worker has woken its agents by then, on a machine where all of them wait for a core.
const CUE_AHEAD: Duration = Duration::from_millis(500);

/// Runs a scenario in as many workers as the plan names processes; the trial's counters are theirs, a shard each.
pub async fn lead(trial: &Trial<'_>, scenario: &Scenario) -> anyhow::Result<Performance> {
    let (bench, plan) = (trial.bench, trial.plan());
    ensure!(scenario.divisible, "{} cannot be shared out among processes", scenario.name);
    let shares = shares(plan)?;
    let agents: u32 = shares.iter().map(|share| share.plan.agents).sum();
    let before = bench.rss_bytes()?;
    let each = |now: Option<u64>| before.zip(now).map(|(before, now)| bytes_each(before, now, agents));
    let (mut workers, mut words) = (Vec::new(), Vec::new());
    for (index, share) in shares.into_iter().enumerate() {
        let assignment = Assignment::new(bench, scenario.name, trial.run, share.first, share.plan);
        let (worker, said) = WorkerProcess::start(index, plan.processes, &assignment).await?;
        workers.push(worker);
        words.push(said);
    }
    bench.workers.are(workers.iter().map(|worker| worker.process).collect());
    let mut team = Team { words: select_all(words), count: workers.len(), live: &trial.live };
    let connecting = team.gathered().await?;
    let direct = async {
        tokio::time::sleep(SETTLE).await;
        let rss = bench.rss_bytes()?;
        let start_ns = clock::now_ns() + clock::nanoseconds(CUE_AHEAD);
        for worker in &mut workers {
            worker.tell(&Cue { start_machine_ns: clock::machine_ns(start_ns)? }).await?;
        }
        let cpu = cpu_of(bench, Window::from(start_ns, plan.warm_up(), plan.duration())).await?;
        Ok::<_, anyhow::Error>((rss, cpu, bench.rss_bytes()?))
    };
    let ((rss, cpu, rss_at_end), findings) = tokio::try_join!(direct, team.done())?;
    let mut tally = Tally::default();
    for part in &findings {
        tally.add(&part.tally);
    }
    Ok(Performance {
        tally,
        latency: trial.live.latency()?,
        lag: trial.live.lag()?,
        duration_s: plan.duration,
        counted: trial.live.sums().counted,
        connecting,
        cpu,
        rss_bytes_per_connection: each(rss),
        rss_bytes_per_connection_at_end: each(rss_at_end),
        broken: BTreeMap::new(),
        extra: extra(findings),
        timeline: Vec::new(),
    })
}

/// What the workers say.
struct Team<'l> {
    words: SelectAll<Words>,
    count: usize,
    live: &'l Live,
}

impl Team<'_> {
    /// Waits until all agents of all are connected.
    async fn gathered(&mut self) -> anyhow::Result<Connecting> {
        let parts: Vec<Gathered> = self
            .each(|word| match word {
                Word::Gathered(gathered) => Some(gathered),
                _ => None,
            })
            .await?;
        let mut latency = empty()?;
        for part in &parts {
            latency.add(part.latency.histogram()?)?;
        }
        Ok(Connecting { took_ns: parts.iter().map(|part| part.took_ns).max().unwrap_or(0), latency })
    }

    /// Waits until all are done.
    async fn done(&mut self) -> anyhow::Result<Vec<Findings>> {
        self.each(|word| match word {
            Word::Done(findings) => Some(*findings),
            _ => None,
        })
        .await
    }

    /// Waits for one such word of each; meanwhile shows how they stand.
    async fn each<T>(&mut self, wanted: impl Fn(Word) -> Option<T>) -> anyhow::Result<Vec<T>> {
        let mut heard = Vec::new();
        while heard.len() < self.count {
            let word = self.words.try_next().await?;
            let (index, word) = word.context("all processes of the generator ended")?;
            match word {
                Word::Failed(why) => bail!("{why}"),
                Word::Progress(progress) => progress.show(self.live.shard(u32::try_from(index)?))?,
                word => heard.extend(wanted(word)),
            }
        }
        Ok(heard)
    }
}

#[expect(clippy::cast_precision_loss, reason = "exact up to 2^53")]
fn bytes_each(before: u64, now: u64, agents: u32) -> f64 {
    (now as f64 - before as f64) / f64::from(agents.max(1))
}

/// What each says besides.
fn extra(findings: Vec<Findings>) -> BTreeMap<String, Value> {
    let mut each: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for (name, value) in findings.into_iter().flat_map(|part| part.extra) {
        each.entry(name).or_default().push(value);
    }
    each.into_iter().map(|(name, values)| (name, Value::Array(values))).collect()
}

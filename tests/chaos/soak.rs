//! Many timelines, several at once, and a table of what came of them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use anyhow::Context;
use relay_tests::history::Breach;
use tokio::runtime::Handle;
use tokio::task::JoinSet;

use crate::fault::Means;
use crate::timeline::Timeline;
use crate::trial::{self, Outcome};

/// What came of all.
#[derive(Debug, Default)]
pub(crate) struct Results {
    outcomes: Vec<Outcome>,
    /// Timelines that broke a promise or did not end, by seed.
    failures: BTreeMap<u32, String>,
}

/// Runs a timeline for each seed, so many at once. Tells of each as it ends.
pub(crate) async fn run(
    seeds: impl Iterator<Item = u32>,
    at_once: usize,
    means: Means,
    aloud: bool,
    mut tell: impl FnMut(String),
) -> anyhow::Result<Results> {
    let (mut seeds, mut running, mut results) = (seeds, JoinSet::new(), Results::default());
    loop {
        while running.len() < at_once.max(1) {
            let Some(seed) = seeds.next() else { break };
            // A thread for each, as what waits in steps does not move between threads.
            let runtime = Handle::current();
            running.spawn_blocking(move || {
                (seed, runtime.block_on(trial::run(Timeline::of(seed, means), means, aloud)))
            });
        }
        let Some(ended) = running.join_next().await else { return Ok(results) };
        let (seed, outcome) = ended.context("a timeline panicked")?;
        tell(results.take(seed, outcome, means));
    }
}

impl Results {
    /// Keeps what came of a timeline, and says it in a line or, of a failure, in more.
    fn take(&mut self, seed: u32, outcome: anyhow::Result<Outcome>, means: Means) -> String {
        let failure = match outcome {
            Ok(outcome) => {
                let said = line(&outcome);
                let broken = (!outcome.judgement.is_kept()).then(|| outcome.judgement.to_string());
                self.outcomes.push(outcome);
                let Some(broken) = broken else { return said };
                broken
            }
            Err(error) => format!("{error:#}"),
        };
        let said = format!("FAILED {}{failure}", Timeline::of(seed, means));
        self.failures.insert(seed, failure);
        said
    }

    /// An error naming every seed that failed.
    pub(crate) fn ensure(&self) -> anyhow::Result<()> {
        let (count, seeds) = (self.failures.len(), self.failed_seeds());
        anyhow::ensure!(count == 0, "{count} timelines failed; their seeds: {seeds}");
        Ok(())
    }

    fn failed_seeds(&self) -> String {
        self.failures.keys().map(u32::to_string).collect::<Vec<_>>().join(" ")
    }

    /// The table, in Markdown.
    pub(crate) fn table(&self) -> String {
        let sum = |figure: fn(&Outcome) -> u64| self.outcomes.iter().map(figure).sum::<u64>();
        let of =
            |breach: Breach| self.outcomes.iter().map(|outcome| outcome.judgement.of(breach)).sum::<u64>();
        let mut recovered: Vec<Duration> = self.outcomes.iter().map(|outcome| outcome.recovered).collect();
        recovered.sort();
        let mut text = "| timelines | |\n| --- | --- |\n".to_owned();
        let all = self.outcomes.len() + self.failures.len() - self.broken();
        let rows = [
            ("run; failed", format!("{all}; {}", self.failures.len())),
            ("seeds of those that failed", self.failed_seeds()),
            (
                "messages; attempts",
                format!("{}; {}", sum(|o| o.judgement.messages), sum(|o| o.judgement.attempts)),
            ),
            ("accepted or queued", sum(|o| o.judgement.taken).to_string()),
            ("presented", sum(|o| o.judgement.presented).to_string()),
            ("losses that were told", sum(|o| o.judgement.declared).to_string()),
            ("lost untold", (of(Breach::Lost) + of(Breach::Hole)).to_string()),
            ("presented twice", of(Breach::Twice).to_string()),
            ("out of order", of(Breach::Reordered).to_string()),
            ("of another tenant, or not meant", (of(Breach::Leaked) + of(Breach::Misdelivered)).to_string()),
            ("without an outcome", of(Breach::Unanswered).to_string()),
            (
                "everything works after the last fault: p50, p99, most",
                [50, 99, 100].map(|percent| seconds(percentile(&recovered, percent))).join(", "),
            ),
        ];
        for (name, figure) in rows {
            let _ = writeln!(text, "| {name} | {figure} |");
        }
        let mut kinds: BTreeMap<String, u32> = BTreeMap::new();
        let mut skipped: BTreeMap<&String, &str> = BTreeMap::new();
        for outcome in &self.outcomes {
            for step in &outcome.timeline.steps {
                *kinds.entry(step.fault.kind()).or_default() += 1;
            }
            skipped.extend(outcome.skipped.iter().map(|(kind, why)| (kind, *why)));
        }
        text.push_str("\n| fault | times |\n| --- | --- |\n");
        for (kind, times) in &kinds {
            let note = skipped.get(kind).map(|why| format!(", SKIPPED: {why}")).unwrap_or_default();
            let _ = writeln!(text, "| {kind} | {times}{note} |");
        }
        text
    }

    fn broken(&self) -> usize {
        self.outcomes.iter().filter(|outcome| !outcome.judgement.is_kept()).count()
    }
}

fn line(outcome: &Outcome) -> String {
    let Outcome { timeline, recovered, judgement, .. } = outcome;
    let faults: Vec<String> = timeline.steps.iter().map(|step| step.fault.to_string()).collect();
    format!(
        "seed {}: {} messages, {} taken, {} losses told, well after {}: {}",
        timeline.seed,
        judgement.messages,
        judgement.taken,
        judgement.declared,
        seconds(*recovered),
        faults.join("; ")
    )
}

/// The value below which so many of a hundred are.
pub(crate) fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    let at = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(at).copied().unwrap_or_default()
}

pub(crate) fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

//! A run beside its baseline: ratios of medians, each pair's ratio, and whether limits were kept.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::Serialize;

use crate::checker::Tally;
use crate::limit::{Figure, Limit};
use crate::plan::Plan;
use crate::report::figures::{Milliseconds, median};
use crate::trial::performance::Performance;

/// What was run in turn with a scenario.
#[derive(Debug)]
pub struct Baseline<'b> {
    /// The arguments in which it differs.
    pub arguments: String,
    /// Its load.
    pub plan: &'b Plan,
    /// What it showed, turn by turn.
    pub turns: Vec<Performance>,
    /// Whether memory is to be compared.
    pub memory: bool,
}

/// A run beside its baseline.
#[derive(Debug, Serialize)]
pub struct AgainstReport {
    /// The arguments in which the baseline differs.
    pub arguments: String,
    /// How many pairs were run.
    pub pairs: usize,
    /// Figure by figure.
    pub figures: BTreeMap<Figure, Ratio>,
    /// Promises that were broken in the baseline.
    pub baseline_broken: BTreeMap<&'static str, u64>,
    /// Limits, and whether each was kept.
    pub limits: Vec<Verdict>,
}

/// One figure of a run by the baseline's.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Ratio {
    /// The run's median.
    pub run: f64,
    /// The baseline's median.
    pub baseline: f64,
    /// The one by the other.
    pub ratio: f64,
    /// The smallest ratio of a pair.
    pub min: f64,
    /// The largest.
    pub max: f64,
}

/// Whether a limit was kept by the ratio of medians.
#[derive(Debug, Clone, Serialize)]
pub struct Verdict {
    /// The limit.
    pub limit: Limit,
    /// Whether it was; not where there is no such figure.
    pub kept: bool,
}

const FIGURES: [Figure; 6] =
    [Figure::P50, Figure::P95, Figure::P99, Figure::Throughput, Figure::Cpu, Figure::Memory];

impl AgainstReport {
    /// Compares the turns of a run with those of its baseline, pair by pair.
    pub fn new(run: &[Performance], baseline: &Baseline<'_>, limits: &[Limit]) -> AgainstReport {
        let figures: BTreeMap<Figure, Ratio> = FIGURES
            .into_iter()
            .filter(|figure| *figure != Figure::Memory || baseline.memory)
            .filter_map(|figure| Some((figure, Ratio::of(figure, run, &baseline.turns)?)))
            .collect();
        let verdict = |limit: &Limit| {
            let kept = figures.get(&limit.figure).is_some_and(|ratio| limit.is_kept(ratio.ratio));
            Verdict { limit: *limit, kept }
        };
        let limits = limits.iter().map(verdict).collect();
        let (mut tally, mut own) = (Tally::default(), BTreeMap::new());
        for turn in &baseline.turns {
            tally.add(&turn.tally);
            turn.broken.iter().for_each(|(name, count)| *own.entry(*name).or_default() += count);
        }
        let mut baseline_broken: BTreeMap<_, _> =
            tally.broken(baseline.plan.receipt_mode()).into_iter().collect();
        baseline_broken.extend(own);
        let Baseline { arguments, turns, .. } = baseline;
        AgainstReport { arguments: arguments.clone(), pairs: turns.len(), figures, baseline_broken, limits }
    }

    /// Whether limits were kept, and promises in the baseline.
    pub fn is_kept(&self) -> bool {
        self.baseline_broken.is_empty() && self.limits.iter().all(|verdict| verdict.kept)
    }

    /// A line for each figure.
    pub fn lines(&self) -> impl Iterator<Item = (&'static str, String)> {
        self.figures.iter().map(|(figure, ratio)| {
            let Ratio { run, baseline, ratio, min, max } = ratio;
            let unit = figure.unit();
            (figure.name(), format!("{ratio:.2}× [{min:.2}–{max:.2}] · {run:.3} by {baseline:.3} {unit}"))
        })
    }

    /// Limits in words, and what was broken in the baseline.
    pub fn verdict(&self) -> String {
        let mut text = String::new();
        for Verdict { limit, kept } in &self.limits {
            // Writing to text meets no error.
            let _ = write!(text, "{limit} {} · ", if *kept { "kept" } else { "NOT KEPT" });
        }
        let broken: Vec<String> =
            self.baseline_broken.iter().map(|(name, count)| format!("{name} {count}")).collect();
        if broken.is_empty() {
            text.push_str("baseline kept its promises");
        } else {
            let _ = write!(text, "baseline BROKE: {}", broken.join(", "));
        }
        text
    }
}

impl Ratio {
    fn of(figure: Figure, run: &[Performance], baseline: &[Performance]) -> Option<Ratio> {
        let values = |turns: &[Performance]| {
            turns.iter().map(|turn| figure_of(turn, figure)).collect::<Option<Vec<f64>>>()
        };
        let (run, baseline) = (values(run)?, values(baseline)?);
        let pairs = run.iter().zip(&baseline).map(|(run, baseline)| run / baseline);
        let (min, max) =
            pairs.fold((f64::INFINITY, 0.0_f64), |(min, max), ratio| (min.min(ratio), max.max(ratio)));
        let (run, baseline) = (median(run)?, median(baseline)?);
        let ratio = run / baseline;
        [ratio, min, max].iter().all(|ratio| ratio.is_finite()).then_some(Ratio {
            run,
            baseline,
            ratio,
            min,
            max,
        })
    }
}

fn figure_of(turn: &Performance, figure: Figure) -> Option<f64> {
    let latency = Milliseconds::of(&turn.latency);
    match figure {
        Figure::P50 => Some(latency.p50),
        Figure::P95 => Some(latency.p95),
        Figure::P99 => Some(latency.p99),
        Figure::Throughput => Some(turn.throughput()),
        Figure::Cpu => turn.per_cpu_second().map(|messages| 1e6 / messages),
        Figure::Memory => turn.rss_bytes_per_connection.map(|bytes| bytes / 1024.0),
    }
}

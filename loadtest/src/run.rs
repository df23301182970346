//! `relay-loadtest run`: from arguments to a report.

use std::fs;
use std::sync::Arc;

use anyhow::{Context, bail};

use crate::bench::Bench;
use crate::cli::{Cli, Command, CompareArgs, RunArgs};
use crate::floor::beside::{Turns, take_turns};
use crate::place::{Place, nowhere, prepare};
use crate::process::raise_descriptor_limit;
use crate::report::Report;
use crate::report::against::{AgainstReport, Baseline};
use crate::scenario::{FloorKind, Scenario};
use crate::search::search;

/// Descriptors that are no sockets of agents.
const DESCRIPTORS_SPARE: u64 = 64;
/// How often each has its turn in a comparison, so that one odd run does not decide.
const PAIRS: u32 = 5;

/// Runs what a line says, as behind `relay-loadtest run`.
pub async fn run_line(line: &str) -> anyhow::Result<Report> {
    run_words(line.split_whitespace()).await
}

/// The same of words, which may hold spaces.
pub async fn run_words<'w>(words: impl IntoIterator<Item = &'w str>) -> anyhow::Result<Report> {
    match Cli::complete(["relay-loadtest", "run"].into_iter().chain(words))?.command {
        Command::Run(args) => run(*args).await,
        _ => bail!("that runs no scenario"),
    }
}

/// Runs a scenario as the arguments say, writes the JSON report if asked, and returns it.
pub async fn run(args: RunArgs) -> anyhow::Result<Report> {
    let Some(scenario) = Scenario::named(&args.scenario) else {
        bail!("no scenario is called {}; see `relay-loadtest list`", args.scenario);
    };
    let sockets = sockets_each(&args);
    let limit = raise_descriptor_limit();
    if sockets > limit {
        bail!(
            "{} agents need {sockets} file descriptors in a process, and {limit} are allowed; --processes shares them out",
            args.plan.agents
        );
    }
    if args.baseline.is_none() && !args.compare.limit.is_empty() && args.compare.against.is_none() {
        bail!("--limit is about ratios to a baseline, and there is none: say which by --against");
    }
    let count = turns(&args, scenario);
    let RunArgs { plan, running, peer, launch, compare, search: searches, json, html, baseline, .. } = args;
    let place = Place { running, peer, launch };
    let mut bench =
        if compare.no_relay { nowhere(plan)? } else { prepare(plan, place.clone(), scenario).await? };
    let beside = match baseline.filter(|_| !searches).map(|args| *args) {
        Some(RunArgs { plan, running, peer, launch, .. }) => {
            let other = Place { running, peer, launch };
            Some(if other == place {
                Bench { plan, ..bench.clone() }
            } else {
                prepare(plan, other, scenario).await?
            })
        }
        None => None,
    };
    let report = if searches {
        found(&mut bench, scenario).await?
    } else {
        let turns = Turns {
            count,
            floors: compare.floor.clone(),
            relay: !compare.no_relay,
            baseline: beside.clone(),
        };
        in_turn(&bench, scenario, turns, compare).await?
    };
    if let Some(path) = json {
        fs::write(&path, serde_json::to_vec_pretty(&report)?).with_context(|| path.display().to_string())?;
    }
    if let Some(path) = html {
        fs::write(&path, report.html()).with_context(|| path.display().to_string())?;
    }
    // What the two share is stopped once, with the last of them.
    for bench in [beside, Some(bench)].into_iter().flatten() {
        if let Some(cluster) = bench.cluster.and_then(Arc::into_inner) {
            cluster.into_inner().stop().await?;
        }
    }
    Ok(report)
}

/// The scenario beside whatever it is compared with.
async fn in_turn(
    bench: &Bench,
    scenario: &Scenario,
    turns: Turns,
    compare: CompareArgs,
) -> anyhow::Result<Report> {
    let taken = take_turns(bench, scenario, &turns).await?;
    let against = turns.baseline.as_ref().map(|beside| {
        let arguments = compare.against.unwrap_or_default();
        // Memory that one took is the other's too where both are one process.
        let memory = scenario.floor == Some(FloorKind::Memory) && beside.relays != bench.relays;
        let baseline = Baseline { arguments, plan: &beside.plan, turns: taken.baseline, memory };
        AgainstReport::new(&taken.run, &baseline, &compare.limit)
    });
    Report::new(bench, scenario, &taken.run, &taken.floors, against)
}

/// The scenario at the highest rate that meets its target.
async fn found(bench: &mut Bench, scenario: &Scenario) -> anyhow::Result<Report> {
    let (found, shown) = search(bench, scenario, bench.plan.goal()).await?;
    bench.plan.rate = found.highest_rate.or(bench.plan.rate);
    let report = Report::new(bench, scenario, &[shown], &[], None)?;
    Ok(Report { search: Some(found), ..report })
}

/// Descriptors that one process of the generator needs; floors are loaded by one alone.
fn sockets_each(args: &RunArgs) -> u64 {
    let shares = if args.compare.floor.is_empty() { args.plan.processes } else { 1 };
    let agents = args.plan.agents.div_ceil(shares).next_multiple_of(2);
    u64::from(agents) + u64::from(args.plan.publishers) + DESCRIPTORS_SPARE
}

fn turns(args: &RunArgs, scenario: &Scenario) -> u32 {
    let default = match scenario.floor {
        // Memory is that of fresh processes, and of a relay's first turn.
        Some(FloorKind::Memory) => 1,
        _ if args.compare.floor.is_empty() && args.baseline.is_none() => 1,
        _ => PAIRS,
    };
    args.compare.pairs.unwrap_or(default)
}

//! Runs a scenario, its baseline and its floors in turn, so that what else the machine does falls on both.

use anyhow::{Context, bail};

use crate::bench::Bench;
use crate::floor::bus;
use crate::floor::client::{self, FloorFigures, FloorMemory};
use crate::floor::fan_out;
use crate::floor::paced;
use crate::floor::process::FloorProcess;
use crate::floor::spec::{FloorSpec, ServerSpec, Upgrade};
use crate::floor::store;
use crate::report::progress::Progress;
use crate::scenario::{FloorKind, Scenario};
use crate::trial::Trial;
use crate::trial::performance::Performance;
use crate::trial::timeline::Timeline;
use crate::workers::lead;

/// What a floor showed in all its turns.
#[derive(Debug)]
pub struct Beside {
    /// Which one.
    pub spec: FloorSpec,
    /// How it carried messages.
    pub echoes: Vec<FloorFigures>,
    /// What it held.
    pub memory: Vec<FloorMemory>,
}

/// What is run in turn.
#[derive(Debug, Clone)]
pub struct Turns {
    /// How many times each.
    pub count: u32,
    /// The floors.
    pub floors: Vec<FloorSpec>,
    /// Whether the relay takes part.
    pub relay: bool,
    /// The same scenario with another load, or on other relays.
    pub baseline: Option<Bench>,
}

/// What was run in turn.
#[derive(Debug, Default)]
pub struct Taken {
    /// The scenario, turn by turn.
    pub run: Vec<Performance>,
    /// Its baseline.
    pub baseline: Vec<Performance>,
    /// The floors.
    pub floors: Vec<Beside>,
}

/// The relay beside its baseline, then each floor, and again. Which of the two goes first changes with each turn, so that
/// what the one leaves behind falls on both.
pub async fn take_turns(bench: &Bench, scenario: &Scenario, turns: &Turns) -> anyhow::Result<Taken> {
    let kind = match (scenario.floor, turns.floors.is_empty()) {
        (None, false) => bail!("{} has no floor to be compared with", scenario.name),
        (kind, _) => kind,
    };
    let mut taken = Taken::default();
    let mut besides: Vec<Beside> = turns
        .floors
        .iter()
        .map(|spec| Beside { spec: *spec, echoes: Vec::new(), memory: Vec::new() })
        .collect();
    for turn in 0..turns.count {
        let baseline = turns.baseline.as_ref();
        if let Some(baseline) = baseline.filter(|_| turn % 2 == 0) {
            taken.baseline.push(execute(baseline, scenario).await?);
        }
        if turns.relay {
            taken.run.push(execute(bench, scenario).await?);
        }
        if let Some(baseline) = baseline.filter(|_| turn % 2 == 1) {
            taken.baseline.push(execute(baseline, scenario).await?);
        }
        for beside in &mut besides {
            let trial = Trial::new(bench)?;
            // A new process each time: memory that an earlier turn touched would hide what this one takes.
            match (kind.context("no floor")?, beside.spec) {
                (FloorKind::Echo, FloorSpec::Server(server)) => {
                    let floor = FloorProcess::start(server).await?;
                    beside.echoes.push(match trial.plan().rate {
                        Some(rate) => paced::echo(&trial, &floor, rate).await?,
                        None => client::echo(&trial, &floor).await?,
                    });
                }
                (FloorKind::Echo, FloorSpec::Redis { batch }) => {
                    beside.echoes.push(match trial.plan().rate {
                        Some(rate) => paced::carry(&trial, batch, rate).await?,
                        None => bus::carry(&trial, batch).await?,
                    });
                }
                (FloorKind::Broadcast, FloorSpec::Server(ServerSpec { upgrade: Upgrade::Raw, .. })) => {
                    beside.echoes.push(fan_out::broadcast(&trial).await?);
                }
                (FloorKind::Memory, FloorSpec::Server(server)) => {
                    let floor = FloorProcess::start(server).await?;
                    beside.memory.push(client::idle(&trial, &floor).await?);
                }
                (FloorKind::Store, FloorSpec::Redis { batch }) => {
                    beside.echoes.push(store::append(&trial, batch).await?);
                }
                (_, spec) => bail!("{} cannot be compared with {spec}", scenario.name),
            }
        }
    }
    taken.floors = besides;
    Ok(taken)
}

/// One turn of a scenario.
pub(crate) async fn execute(bench: &Bench, scenario: &Scenario) -> anyhow::Result<Performance> {
    let trial = Trial::new(bench)?;
    let _progress = Progress::show(scenario.name, &trial.live);
    let mut timeline = Timeline::new(bench, &trial.live)?;
    let performance = tokio::select! {
        performance = run(&trial, scenario) => performance?,
        never = timeline.follow() => match never {},
    };
    let mut performance = Performance { timeline: timeline.into_moments(), ..performance };
    if bench.plan.must_meet
        && let Some(missed) = bench.plan.goal().missed(&performance, &bench.plan)
    {
        performance.broken.insert("target missed", 1);
        performance.extra.insert("target".to_owned(), missed.into());
    }
    Ok(performance)
}

/// In this process, or in several.
async fn run(trial: &Trial<'_>, scenario: &Scenario) -> anyhow::Result<Performance> {
    if trial.plan().processes > 1 { lead(trial, scenario).await } else { (scenario.run)(trial).await }
}

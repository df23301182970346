//! The two swarms of row AD1: a few agents, each handing work to the others in turn.
//!
//! Every agent begins with `--depth` pieces of work. Whoever gets one hands one on, so that all of them are under way all the
//! time and go around among all agents.

use futures_util::future::BoxFuture;

use crate::scenario::{Scenario, direct};
use crate::trial::performance::Performance;
use crate::trial::{Place, Trial};

/// Three agents.
pub const LEAN: Scenario = Scenario {
    name: "lean-swarm",
    about: "three agents hand work to each other in turn",
    arguments: "--agents=3 --rate=300",
    environment: &[],
    floor: None,
    run,
};

/// Five agents.
pub const MULTI_AGENT: Scenario = Scenario {
    name: "multi-agent-swarm",
    about: "five agents hand work to each other in turn",
    arguments: "--agents=5 --rate=500",
    ..LEAN
};

fn run<'t>(trial: &'t Trial<'t>) -> BoxFuture<'t, anyhow::Result<Performance>> {
    Box::pin(async move {
        let plan = trial.plan();
        let count = plan.agents.max(2);
        let others = |me: u32| (1..count).map(|step| (me + step) % count).collect();
        let place = |slot| Place { tenant: 0, slot };
        let depth = plan.depth.unwrap_or(1);
        let members = direct::talkers(trial, count, place, others, |_| depth)?;
        direct::talk(trial, members).await
    })
}

//! The swarms of rows AD1 and AF1.
//!
//! The two of AD1 are a few agents, each handing work to the others in turn: every agent begins with `--depth` pieces of work. Whoever gets one hands one on, so that all of them are under way all the
//! time and go around among all agents. That of AF1 is 50,000 connections on three relays with 10,000 messages a second among
//! them, held to its target for latency.

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
    instances: 1,
    divisible: false,
    run,
};

/// Five agents.
pub const MULTI_AGENT: Scenario = Scenario {
    name: "multi-agent-swarm",
    about: "five agents hand work to each other in turn",
    arguments: "--agents=5 --rate=500",
    ..LEAN
};

/// Row AF1's. A process may open 20,000 sockets in many places, and an address has 28,000 ports.
pub const WHOLE: Scenario = Scenario {
    name: "swarm",
    about: "50,000 agents on three relays, pairs sending 10,000 messages a second among them, p95 under 100 ms",
    arguments: "--agents=50000 --connect-rate=2500 --rate=10000 --processes=4 --source-addresses=4 --duration=30 --warm-up=5 --grace=5 \
                --receipt=all --target-p95=100 --must-meet",
    instances: 3,
    ..direct::SCENARIO
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

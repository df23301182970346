//! `relay-loadtest run`: from arguments to a report.

use std::fs;

use anyhow::{Context, bail};

use crate::bench::{Bench, Tokens};
use crate::cli::{LaunchArgs, RunArgs, RunningArgs};
use crate::floor::beside::{Turns, take_turns};
use crate::launch::{Cluster, ClusterOptions, RedisChoice, relay_beside_this_program};
use crate::process::{Process, raise_descriptor_limit};
use crate::report::Report;
use crate::scenario::{FloorKind, Scenario};
use crate::target::Target;
use crate::token::Minter;

/// Descriptors that are no sockets of agents.
const DESCRIPTORS_SPARE: u64 = 64;
/// How often each has its turn in a comparison, so that one odd run does not decide.
const PAIRS: u32 = 5;

/// Runs a scenario as the arguments say, writes the JSON report if asked, and returns it.
pub async fn run(args: RunArgs) -> anyhow::Result<Report> {
    let Some(scenario) = Scenario::named(&args.scenario) else {
        bail!("no scenario is called {}; see `relay-loadtest list`", args.scenario);
    };
    let sockets = u64::from(args.plan.agents) + u64::from(args.plan.publishers) + DESCRIPTORS_SPARE;
    let limit = raise_descriptor_limit();
    if sockets > limit {
        bail!("{} agents need {sockets} file descriptors, and {limit} are allowed", args.plan.agents);
    }
    let turns =
        Turns { count: turns(&args, scenario), floors: args.compare.floor, relay: !args.compare.no_relay };
    let cluster =
        if turns.relay && args.running.url.is_empty() { Some(launch(args.launch).await?) } else { None };
    let (targets, tokens, relays) = match &cluster {
        Some(cluster) => (cluster.targets(), Tokens::Minter(cluster.minter().clone()), cluster.processes()),
        None if turns.relay => reach(args.running).await?,
        None => (vec![Target::local(0)?], Tokens::Given(Vec::new()), Vec::new()),
    };
    let redis =
        cluster.as_ref().and_then(|cluster| cluster.redis.as_ref()).map(|redis| redis.child.process());
    let bench = Bench { plan: args.plan, targets, tokens, relays, redis };
    let (performances, floors) = take_turns(&bench, scenario, &turns).await?;
    let report = Report::new(&bench, scenario, &performances, &floors)?;
    if let Some(path) = args.json {
        fs::write(&path, serde_json::to_vec_pretty(&report)?).with_context(|| path.display().to_string())?;
    }
    if let Some(cluster) = cluster {
        cluster.stop().await?;
    }
    Ok(report)
}

fn turns(args: &RunArgs, scenario: &Scenario) -> u32 {
    let default = match scenario.floor {
        // Memory is that of fresh processes, and of a relay's first turn.
        Some(FloorKind::Memory) => 1,
        _ if args.compare.floor.is_empty() => 1,
        _ => PAIRS,
    };
    args.compare.pairs.unwrap_or(default)
}

async fn launch(args: LaunchArgs) -> anyhow::Result<Cluster> {
    let redis = match args.redis_url {
        Some(url) => RedisChoice::Url(url),
        None if args.redis || args.instances > 1 => RedisChoice::Own,
        None => RedisChoice::None,
    };
    let binary = match args.relay_binary {
        Some(path) => path,
        None => relay_beside_this_program()?,
    };
    let options = ClusterOptions {
        binary,
        instances: args.instances,
        redis,
        arguments: Vec::new(),
        environment: args.relay_env,
    };
    Cluster::start(options).await
}

async fn reach(args: RunningArgs) -> anyhow::Result<(Vec<Target>, Tokens, Vec<Process>)> {
    let mut targets = Vec::new();
    for url in &args.url {
        targets.push(Target::resolve(url, args.allow_remote).await?);
    }
    let tokens = match (args.token_file, args.hmac_secret) {
        (Some(path), _) => Tokens::read(&path)?,
        (None, Some(secret)) => Tokens::Minter(Minter::new(&secret, args.issuer, args.audience)),
        (None, None) => bail!("--url needs --hmac-secret (or RELAY_AUTH_HMAC_SECRET) or --token-file"),
    };
    Ok((targets, tokens, args.relay_pid.into_iter().map(Process).collect()))
}

//! Where a scenario is run: relays started for it, relays that run already, or another server in their place.

use std::sync::Arc;

use anyhow::bail;
use parking_lot::Mutex;

use crate::bench::{Bench, Tokens};
use crate::cli::{LaunchArgs, PeerArgs, RunningArgs};
use crate::launch::{Cluster, ClusterOptions, PeerServer, RedisChoice, relay_beside_this_program};
use crate::listener::listening_at;
use crate::peer::{self, Peer};
use crate::plan::{EncodingChoice, Plan, Receipt};
use crate::process::Process;
use crate::scenario::Scenario;
use crate::target::{RELAY_PATH, Target};
use crate::token::Minter;

/// For floors alone.
pub fn nowhere(plan: Plan) -> anyhow::Result<Bench> {
    let (targets, tokens) = (vec![Target::local(0)?], Tokens::Given(Vec::new()));
    Ok(Bench::anonymous(plan, targets, tokens))
}

/// Where a scenario is run.
#[derive(Debug, Clone, PartialEq)]
pub struct Place {
    /// Relays that run already.
    pub running: RunningArgs,
    /// Another server in their place.
    pub peer: PeerArgs,
    /// Relays to be started.
    pub launch: LaunchArgs,
}

/// Starts what is to be started, or finds what runs.
pub async fn prepare(plan: Plan, place: Place, scenario: &Scenario) -> anyhow::Result<Bench> {
    let Place { running, peer: PeerArgs { peer, peer_tuned }, launch } = place;
    if let Some(peer) = peer {
        check(peer, &plan, scenario)?;
    }
    match (peer, running.url.is_empty()) {
        (Some(peer), true) => start_peer(plan, peer, peer_tuned, launch).await,
        (None, true) => start(plan, launch, scenario).await,
        (None, false) if launch.is_something() => {
            bail!("--url names relays that run: none is started to be set up")
        }
        (_, false) => reach(plan, peer, running).await,
    }
}

/// Whether a peer can be asked for that.
fn check(peer: Peer, plan: &Plan, scenario: &Scenario) -> anyhow::Result<()> {
    let (name, said) = (peer.name(), peer::SCENARIOS);
    if !said.contains(&scenario.name) {
        bail!("{} asks for more than {name} has; what others have too: {}", scenario.name, said.join(", "));
    }
    if plan.encoding != EncodingChoice::Json {
        bail!("{name} is spoken with in JSON");
    }
    if plan.receipt == Receipt::All {
        bail!("{name} tells no sender what became of a message: no --receipt=all");
    }
    if plan.processes > 1 {
        bail!(
            "{name} is loaded from one process: what --processes shares out are agents that speak as to a relay"
        );
    }
    Ok(())
}

async fn start_peer(plan: Plan, peer: Peer, tuned: bool, launch: LaunchArgs) -> anyhow::Result<Bench> {
    if launch.instances.is_some_and(|count| count > 1) {
        bail!("one {} is started; give several by --url", peer.name());
    }
    let server = PeerServer::start(peer, tuned, redis(&launch, 1)).await?;
    let (targets, relays) = (vec![server.target.clone()], vec![server.process()]);
    let (tokens, redis) = (Tokens::Minter(server.minter.clone()), server.redis_process());
    let (peer, peer_server) = (Some(peer), Some(Arc::new(server)));
    Ok(Bench { relays, redis, peer, peer_server, ..Bench::anonymous(plan, targets, tokens) })
}

/// What is behind that many servers.
fn redis(args: &LaunchArgs, instances: u32) -> RedisChoice {
    match &args.redis_url {
        Some(url) => RedisChoice::Url(url.clone()),
        None if args.redis || instances > 1 => RedisChoice::Own,
        None => RedisChoice::None,
    }
}

async fn start(plan: Plan, args: LaunchArgs, scenario: &Scenario) -> anyhow::Result<Bench> {
    let cluster = start_cluster(args, scenario).await?;
    let redis = cluster.redis.as_ref().map(|redis| redis.child.process());
    let tokens = Tokens::Minter(cluster.minter().clone());
    let (targets, relays) = (cluster.targets(), cluster.processes());
    let cluster = Some(Arc::new(Mutex::new(cluster)));
    Ok(Bench { relays, redis, cluster, ..Bench::anonymous(plan, targets, tokens) })
}

async fn start_cluster(args: LaunchArgs, scenario: &Scenario) -> anyhow::Result<Cluster> {
    let instances = args.instances.unwrap_or(scenario.instances);
    let redis = redis(&args, instances);
    let binary = match args.relay_binary {
        Some(path) => path,
        None => relay_beside_this_program()?,
    };
    let own = scenario.environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    // The last one counts.
    let environment = own.chain(args.relay_env).collect();
    let options = ClusterOptions { binary, instances, redis, arguments: Vec::new(), environment };
    Cluster::start(options).await
}

async fn reach(plan: Plan, peer: Option<Peer>, args: RunningArgs) -> anyhow::Result<Bench> {
    let mut targets = Vec::new();
    for url in &args.url {
        targets.push(Target::resolve(url, peer.map_or(RELAY_PATH, Peer::path), args.allow_remote).await?);
    }
    let tokens = match (args.token_file, args.hmac_secret) {
        (Some(path), _) => Tokens::read(&path)?,
        (None, Some(secret)) => Tokens::Minter(Minter::new(&secret, args.issuer, args.audience)),
        // It is shown none.
        (None, None) if peer == Some(Peer::Nats) => {
            Tokens::Minter(Minter::new("", args.issuer, args.audience))
        }
        (None, None) => bail!("--url needs --hmac-secret (or RELAY_AUTH_HMAC_SECRET) or --token-file"),
    };
    let mut relays: Vec<Process> = args.relay_pid.into_iter().map(Process).collect();
    if relays.is_empty() {
        let all = targets.iter().map(|target| listening_at(target.address)).collect::<Option<Vec<_>>>();
        relays = all.unwrap_or_default();
        // Several URLs may be of one process.
        relays.sort_unstable_by_key(|relay| relay.0);
        relays.dedup();
        // A server within the generator, as in tests, is none of its own.
        relays.retain(|relay| *relay != Process::own());
    }
    Ok(Bench { relays, peer, ..Bench::anonymous(plan, targets, tokens) })
}

//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::capacity::PlanArgs;
use crate::floor::{FloorSpec, ServerSpec, Upgrade};
use crate::limit::Limit;
use crate::matrix::MatrixArgs;
use crate::peer::Peer;
use crate::plan::Plan;
use crate::results::BenchArgs;

/// Loads agent-relay with simulated agents and checks that it keeps its promises.
///
/// Exits with 0 if every promise was kept, 1 if one was broken (a connection that ended unasked is one) or a limit was not
/// kept, 2 if the run could not be made.
#[derive(Debug, Parser)]
#[command(name = "relay-loadtest", version, max_term_width = 120)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// Threads of the generator (or of the floor) [default: one for each core]
    #[arg(long, value_name = "N", global = true, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub threads: Option<u16>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a scenario, against relays started for it unless --url is given
    Run(Box<RunArgs>),
    /// List the scenarios
    List,
    /// Run pairs for every number of agents and every concurrency, and print the table
    Matrix(MatrixArgs),
    /// Compare the relay with bare servers, case by case, and print the table
    Bench(BenchArgs),
    /// Work out what a load takes: instances, processors, memory, Redis, money
    Plan(PlanArgs),
    /// Serve the floor: a bare WebSocket server that echoes or broadcasts, to compare with
    Floor(FloorArgs),
    /// Take part in a run with --processes, as standard input says
    #[command(hide = true)]
    Worker,
}

/// Arguments of `run`.
#[derive(Debug, Args)]
#[command(args_override_self = true)]
pub struct RunArgs {
    /// Which one; `relay-loadtest list` names them
    pub scenario: String,
    /// The load.
    #[command(flatten)]
    pub plan: Plan,
    /// Relays that run already.
    #[command(flatten)]
    pub running: RunningArgs,
    /// Another server in their place.
    #[command(flatten)]
    pub peer: PeerArgs,
    /// Relays to be started.
    #[command(flatten)]
    pub launch: LaunchArgs,
    /// What to compare with.
    #[command(flatten)]
    pub compare: CompareArgs,
    /// Find the highest --rate that meets --target-p95 and --target-p99 (beginning at --rate, else 1000): doubled until it is
    /// missed, then halved in between to within 6 %; the report is that of the rate found
    #[arg(long, conflicts_with_all = ["floor", "pairs", "limit", "no_relay"])]
    pub search: bool,
    /// Write the report there, as JSON
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Write the report there as one HTML page with plots, which needs nothing else
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// The run that `--against` describes.
    #[arg(skip)]
    pub baseline: Option<Box<RunArgs>>,
}

/// How to reach relays that run already.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(next_help_heading = "Relays that run already")]
pub struct RunningArgs {
    /// Connect there instead of starting relays; again for each further relay
    #[arg(long, value_name = "URL")]
    pub url: Vec<String>,
    /// Allow addresses that are not of this machine
    #[arg(long, requires = "url")]
    pub allow_remote: bool,
    /// Key to sign tokens with (HS256)
    #[arg(long, value_name = "TEXT", env = "RELAY_AUTH_HMAC_SECRET", hide_env_values = true)]
    pub hmac_secret: Option<String>,
    /// Issuer of the tokens
    #[arg(long, value_name = "TEXT", env = "RELAY_AUTH_ISSUER", default_value = "relay-loadtest")]
    pub issuer: String,
    /// Audience of the tokens
    #[arg(long, value_name = "TEXT", env = "RELAY_AUTH_AUDIENCE", default_value = "agent-relay")]
    pub audience: String,
    /// Tokens to use instead of signing any, one a line, one for each agent; the two of a pair are of one tenant
    #[arg(long, value_name = "FILE", conflicts_with = "hmac_secret")]
    pub token_file: Option<PathBuf>,
    /// Process ids of the relays, to watch their CPU time and memory; again for each [default: who listens there, if that
    /// can be seen]
    #[arg(long, value_name = "PID", requires = "url")]
    pub relay_pid: Vec<u32>,
}

/// Another server in the relays' place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Args)]
#[command(next_help_heading = "Another server in the relays' place")]
pub struct PeerArgs {
    /// Which one is at --url; without --url it is started if it is installed (loadtest/PEERS.md), with --redis behind Redis
    #[arg(long, value_enum, value_name = "NAME")]
    pub peer: Option<Peer>,
    /// Start it as its authors advise for many quiet connections
    #[arg(long, requires = "peer", conflicts_with = "url")]
    pub peer_tuned: bool,
}

/// How to start relays; of no use beside `--url`, unless that is of a baseline's peer.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(next_help_heading = "Relays started for the run")]
pub struct LaunchArgs {
    /// How many [default: 1, or as the scenario says]
    #[arg(long, visible_alias = "relays", value_name = "N", value_parser = clap::value_parser!(u32).range(1..=64))]
    pub instances: Option<u32>,
    /// The relay's program [default: agent-relay beside this program]
    #[arg(long, value_name = "FILE")]
    pub relay_binary: Option<PathBuf>,
    /// A setting of the relays, as in their environment; again for each
    #[arg(long, value_name = "NAME=VALUE", value_parser = variable)]
    pub relay_env: Vec<(String, String)>,
    /// Put Redis behind a single relay too; behind several it always is
    #[arg(long)]
    pub redis: bool,
    /// The Redis to use [default: start `redis-server`, or what `RELAY_REDIS_SERVER` names]
    #[arg(long, value_name = "URL")]
    pub redis_url: Option<String>,
}

impl LaunchArgs {
    /// Whether anything is said about relays to be started.
    pub fn is_something(&self) -> bool {
        let LaunchArgs { instances, relay_binary, relay_env, redis, redis_url } = self;
        instances.is_some()
            || relay_binary.is_some()
            || !relay_env.is_empty()
            || *redis
            || redis_url.is_some()
    }
}

/// What to compare with.
#[derive(Debug, Args)]
#[command(next_help_heading = "Comparison")]
pub struct CompareArgs {
    /// Run a bare server in turn with the relay: `axum` or `raw`, then a read buffer in bytes and `naive` if wanted
    /// (`raw,4096`); `raw` alone for fan-out, whose floor frames once and writes to each socket; `redis` and how many
    /// messages a script stores, or a PUBLISH carries (`redis,16`), for what is compared with Redis; again for each
    #[arg(long, value_name = "SPEC", num_args = 0..=1, require_equals = true, default_missing_value = "axum")]
    pub floor: Vec<FloorSpec>,
    /// Run the same with these arguments added (`--against=--batch=1`) in turn, as a baseline: the ratios of medians are
    /// told, with the smallest and largest of a pair; nothing for no baseline
    #[arg(long, value_name = "ARGUMENTS", allow_hyphen_values = true, conflicts_with = "no_relay")]
    pub against: Option<String>,
    /// What a ratio to the baseline may be, for exit status 0: `p50`, `p95`, `p99`, `throughput` or `cpu`, then `<=` or
    /// `>=` (`p99<=1.5`); again for each
    #[arg(long, value_name = "LIMIT")]
    pub limit: Vec<Limit>,
    /// How many times each has its turn; the medians are compared [default: 5 where there is something to compare with]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100))]
    pub pairs: Option<u32>,
    /// Leave the relay out: compare floors with each other
    #[arg(long, requires = "floor", conflicts_with = "url")]
    pub no_relay: bool,
}

/// Arguments of `floor`.
#[derive(Debug, Args)]
pub struct FloorArgs {
    /// Loopback port; 0 takes a free one and prints it
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub port: u16,
    /// How to take the socket from HTTP
    #[arg(long, value_enum, default_value_t = Upgrade::Axum)]
    pub upgrade: Upgrade,
    /// Read buffer of each connection [default: the library's, 131072]
    #[arg(long, value_name = "BYTES")]
    pub read_buffer: Option<usize>,
    /// Write each message by itself
    #[arg(long)]
    pub naive: bool,
    /// Write what comes on `/publish` to all other sockets, framed once, instead of echoing; on the TCP stream itself
    #[arg(long, conflicts_with_all = ["naive", "read_buffer"])]
    pub broadcasts: bool,
}

impl FloorArgs {
    /// Which floor that is.
    pub fn spec(&self) -> ServerSpec {
        let FloorArgs { upgrade, read_buffer, naive, broadcasts, .. } = *self;
        ServerSpec { upgrade, read_buffer, naive, broadcasts }
    }
}

fn variable(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("not of the form NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_declaration_is_sound() {
        Cli::command().debug_assert();
    }
}

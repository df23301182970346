//! `relay-chaos`: whole relays under faults from a seed, and whether every promise of PROTOCOL.md was kept.

mod cast;
mod client;
mod fault;
mod recovery;
mod soak;
mod timeline;
mod trial;
mod world;

#[cfg(test)]
mod short;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Parser, Subcommand};
use relay_loadtest::process::raise_descriptor_limit;
use relay_tests::program;
use tokio::process::Command;

use fault::{Means, clock, network};

/// A soak begins with this seed where none is given, so that it can be repeated.
const FIRST_SEED: u32 = 1;

#[derive(Debug, Parser)]
#[command(about = "Whole relays under faults from a seed")]
struct Arguments {
    #[command(subcommand)]
    what: What,
    /// This process has a network namespace of its own.
    #[arg(long, global = true, hide = true)]
    own_network: bool,
}

#[derive(Debug, Clone, Subcommand)]
enum What {
    /// Timelines by seed.
    Timelines {
        /// One timeline, whose every event is printed.
        #[arg(long, env = "SEED")]
        seed: Option<u32>,
        /// How many.
        #[arg(long, env = "TIMELINES", default_value_t = 20)]
        count: u32,
        /// The seed of the first.
        #[arg(long, env = "FIRST_SEED", default_value_t = FIRST_SEED)]
        first: u32,
        /// How many at once.
        #[arg(long, env = "AT_ONCE", default_value_t = 2)]
        at_once: usize,
        /// Only what a proxy does, as in the tests: of one seed that is another timeline.
        #[arg(long, env = "LINKS_ONLY")]
        links_only: bool,
        /// Where to write the table.
        #[arg(long)]
        markdown: Option<PathBuf>,
    },
    /// The table of recovery times and losses (MS4).
    Recovery {
        /// How often each thing happens.
        #[arg(long, env = "ROUNDS", default_value_t = 5)]
        rounds: u32,
        /// Where to write the table.
        #[arg(long)]
        markdown: Option<PathBuf>,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    raise_descriptor_limit();
    match run(Arguments::parse()).await {
        Ok(code) => code,
        Err(error) => {
            say(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    program::relay()?;
    if !arguments.own_network
        && let What::Timelines { .. } = arguments.what
    {
        match network::tools() {
            Ok(()) => return in_own_network().await,
            Err(why) => say(&format!("SKIPPED packet loss, partition and slow link by the kernel: {why}")),
        }
    }
    if arguments.own_network {
        network::prepare().await?;
    }
    let clocks = clock::library().is_some();
    if !clocks {
        say("SKIPPED clock jumps: libfaketime is not installed");
    }
    let links_only = matches!(arguments.what, What::Timelines { links_only: true, .. });
    let means = Means { links_only, clocks, network: arguments.own_network };
    match arguments.what {
        What::Timelines { seed: Some(seed), .. } => {
            say(&timeline::Timeline::of(seed, means).to_string());
            let results = soak::run(std::iter::once(seed), 1, means, true, |line| say(&line)).await?;
            results.ensure()?;
        }
        What::Timelines { count, first, at_once, markdown, .. } => {
            let mut done = 0;
            let results = soak::run(first..first + count, at_once, means, false, |line| {
                done += 1;
                say(&format!("[{done}/{count}] {line}"));
            })
            .await?;
            publish("Timelines", &results.table(), markdown)?;
            results.ensure()?;
        }
        What::Recovery { rounds, markdown } => {
            let table = recovery::run(rounds, |line| say(&line)).await?;
            publish("Recovery (MS4)", &table.to_string(), markdown)?;
            table.ensure()?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Runs this again where loopback is ours alone: what it does to packets goes with it.
async fn in_own_network() -> anyhow::Result<ExitCode> {
    let mut command = Command::new(program::tool("unshare")?);
    command.arg("--net").arg(std::env::current_exe()?).args(std::env::args_os().skip(1)).arg("--own-network");
    let status = command.status().await.context("unshare")?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn publish(title: &str, table: &str, markdown: Option<PathBuf>) -> anyhow::Result<()> {
    say(table);
    if let Some(path) = markdown {
        let note =
            "Written by `make chaos` or `make ms4`, not by hand; what is behind it: `relay-chaos --help`.";
        std::fs::write(&path, format!("# {title}\n\n{note}\n\n{table}"))?;
    }
    Ok(())
}

/// Progress and tables are what this is for.
fn say(line: &str) {
    // Nobody is left to hear of a standard output that is closed.
    let _ = writeln!(std::io::stdout(), "{line}");
}

//! `relay-loadtest`: the command line, and exit codes.

use std::future::Future;
use std::process::ExitCode;

use anyhow::bail;
use relay_loadtest::capacity::plan;
use relay_loadtest::cli::{Cli, Command};
use relay_loadtest::floor::process::LISTENING;
use relay_loadtest::floor::serve::serve;
use relay_loadtest::matrix::matrix;
use relay_loadtest::process::raise_descriptor_limit;
use relay_loadtest::results::bench;
use relay_loadtest::scenario;
use relay_loadtest::{print, run, workers};
use tokio::signal::unix::{SignalKind, signal};

/// The relay's allocator, so that the floor differs from it in code and not in memory management.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// A promise was broken.
const BROKEN: u8 = 1;
/// The run could not be made.
const COULD_NOT_RUN: u8 = 2;

fn main() -> ExitCode {
    let cli = Cli::complete(std::env::args_os()).unwrap_or_else(|error| error.exit());
    match work(cli) {
        Ok(code) => code,
        Err(error) => {
            print::error(&error);
            ExitCode::from(COULD_NOT_RUN)
        }
    }
}

fn work(cli: Cli) -> anyhow::Result<ExitCode> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    if let Some(threads) = cli.threads {
        builder.worker_threads(usize::from(threads));
    }
    let runtime = builder.enable_all().build()?;
    runtime.block_on(uninterrupted(obey(cli.command)))
}

async fn obey(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::List => {
            for scenario in scenario::ALL {
                print::line(&format!("{:<18} {}", scenario.name, scenario.about));
                if !scenario.arguments.is_empty() {
                    print::line(&format!("{:<18}   unless said otherwise: {}", "", scenario.arguments));
                }
            }
        }
        Command::Floor(args) => {
            raise_descriptor_limit();
            serve(args.port, args.spec(), |port| print::line(&format!("{LISTENING}{port}"))).await?;
        }
        Command::Matrix(args) => {
            let (table, good) = matrix(&args).await?;
            print::line(&table);
            return Ok(verdict(good));
        }
        Command::Bench(args) => {
            let (document, kept) = bench(&args).await?;
            print::line(&document);
            return Ok(verdict(kept));
        }
        Command::Worker => workers::work().await?,
        Command::Plan(args) => print::line(&plan(&args).await?),
        Command::Run(args) => {
            let report = run::run(*args).await?;
            print::line(&report.summary());
            return Ok(verdict(report.is_kept()));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn verdict(kept: bool) -> ExitCode {
    if kept { ExitCode::SUCCESS } else { ExitCode::from(BROKEN) }
}

/// A signal drops the work, and with it every process that it started.
async fn uninterrupted(work: impl Future<Output = anyhow::Result<ExitCode>>) -> anyhow::Result<ExitCode> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        result = work => result,
        _ = terminate.recv() => bail!("terminated"),
        _ = interrupt.recv() => bail!("interrupted"),
    }
}

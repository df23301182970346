//! Runs simulations and says which seeds broke a promise.

use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use relay_simulation::{Mode, Plan, cores, run, run_many};
use tokio::time::Instant;

/// How many failures are told in full.
const TOLD_MAX: usize = 5;

/// Simulates relays, their clients and all that goes wrong, each seed another way.
#[derive(Debug, Parser)]
struct Arguments {
    /// How many seeds.
    #[arg(long, default_value_t = 200)]
    seeds: u32,
    /// The first of them.
    #[arg(long, default_value_t = 1)]
    from: u32,
    /// Which way a run ends; both where none is named.
    #[arg(long)]
    mode: Option<Ending>,
    /// Runs at a time.
    #[arg(long)]
    threads: Option<usize>,
    /// Prints each event of each run.
    #[arg(long)]
    aloud: bool,
}

/// How a run ends.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Ending {
    /// While things still go wrong.
    Safety,
    /// When everything works again and nothing is left to come.
    Liveness,
}

#[expect(clippy::print_stdout, reason = "a command")]
fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    let modes = match arguments.mode {
        Some(Ending::Safety) => vec![Mode::Safety],
        Some(Ending::Liveness) => vec![Mode::Liveness],
        None => Mode::ALL.to_vec(),
    };
    let seeds = arguments.from..arguments.from.saturating_add(arguments.seeds);
    if arguments.aloud {
        for plan in seeds.flat_map(|seed| modes.iter().map(move |mode| Plan::new(seed, *mode))) {
            println!("{}", run(&Plan { aloud: true, ..plan })?);
        }
        return Ok(ExitCode::SUCCESS);
    }
    let begun = Instant::now();
    let progress = ProgressBar::new(u64::from(arguments.seeds) * modes.len() as u64);
    progress
        .set_style(ProgressStyle::with_template("{pos}/{len} runs {wide_bar} {msg} {elapsed}, {eta} left")?);
    let failures = std::sync::Mutex::new(Vec::new());
    let figures = run_many(seeds, &modes, arguments.threads.unwrap_or_else(cores), |_, failure| {
        progress.inc(1);
        if let (Some(failure), Ok(mut failures)) = (failure, failures.lock()) {
            failures.push(failure);
            progress.set_message(format!("{} FAILED", failures.len()));
        }
    });
    progress.finish_and_clear();
    let failures = failures.into_inner().unwrap_or_default();
    for failure in failures.iter().take(TOLD_MAX) {
        println!("{failure}\n");
    }
    for rest in failures.iter().skip(TOLD_MAX) {
        println!("{}", rest.lines().next().unwrap_or_default());
    }
    println!("| mode | seeds | failed | messages | taken | presented | lost and told |");
    println!("| --- | ---: | ---: | ---: | ---: | ---: | ---: |");
    for (mode, f) in figures {
        let (mode, declared) = (mode.name(), f.declared);
        let told = format!("{} | {} | {} | {} | {}", f.runs, f.failed, f.messages, f.taken, f.presented);
        println!("| {mode} | {told} | {declared} |");
    }
    println!("in {:.0} s", begun.elapsed().as_secs_f64());
    Ok(if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

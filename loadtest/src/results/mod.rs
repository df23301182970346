//! `relay-loadtest bench`: the relay beside its floors, case by case, as a table and as a document.
//!
//! Each figure is a median over turns that the relay and the floors take one after another; only ratios of one run, and
//! figures by CPU second, mean anything on another machine, or on this one at another time.

mod cases;
mod document;

use std::fs;
use std::path::PathBuf;

use anyhow::Context;
use clap::Args;

use crate::print;
use crate::report::Report;
use crate::results::cases::{CASES, Case};
use crate::run::run_line;

/// Arguments of `bench`.
#[derive(Debug, Args)]
pub struct BenchArgs {
    /// Write the document there, as Markdown
    #[arg(long, value_name = "FILE")]
    pub markdown: Option<PathBuf>,
    /// How many turns each takes
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub pairs: u32,
    /// Seconds of each turn that count
    #[arg(long, value_name = "S", default_value_t = 3.0)]
    pub duration: f64,
    /// Only cases whose name contains this
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub only: String,
    /// The swarm too: 50,000 agents on three relays, for minutes
    #[arg(long)]
    pub swarm: bool,
}

/// A case and what it showed.
#[derive(Debug)]
pub(crate) struct Shown {
    case: &'static Case,
    report: Report,
}

/// Runs every case; returns the document, and whether every promise was kept.
pub async fn bench(args: &BenchArgs) -> anyhow::Result<(String, bool)> {
    let mut shown = Vec::new();
    let asked = |case: &&Case| case.name.contains(&args.only) && (args.swarm || !case.on_request);
    for case in CASES.iter().filter(asked) {
        let turns = if case.once { 1 } else { args.pairs };
        let own = format!("{} --pairs={turns}", case.arguments);
        let line =
            if case.on_request { own } else { format!("{own} --duration={} --warm-up=0.5", args.duration) };
        let report = run_line(&line).await.with_context(|| case.name)?;
        print::progress(&format!("{}: {}", case.name, case.figure(&report)));
        shown.push(Shown { case, report });
    }
    let document = document::document(args, &shown);
    if let Some(path) = &args.markdown {
        fs::write(path, &document).with_context(|| path.display().to_string())?;
    }
    Ok((document, shown.iter().all(|shown| shown.report.is_kept())))
}

//! `relay-loadtest matrix`: row AD2's stress matrix, agents by concurrency, each cell a run of its own on a fresh relay.

mod table;

use std::fs;
use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use serde::Serialize;

use crate::print;
use crate::report::Report;
use crate::report::figures::Milliseconds;
use crate::report::headroom::Headroom;
use crate::run::run_line;

/// What lets pairs that answer at once through: the matrix asks what the relay carries, not what it is set to refuse.
pub(crate) const UNLIMITED: &str = "--relay-env=RELAY_RATE_MESSAGES=1000000 --relay-env=RELAY_RATE_BURST=1000000 \
                                    --relay-env=RELAY_RATE_BYTES=1000000000";

/// Arguments of `matrix`.
#[derive(Debug, Args)]
pub struct MatrixArgs {
    /// How many agents, row by row
    #[arg(long, value_name = "N,…", value_delimiter = ',', default_values_t = [10, 50, 100, 500, 1_000, 5_000, 10_000],
          value_parser = clap::value_parser!(u32).range(2..=1_000_000))]
    pub agents: Vec<u32>,
    /// Messages in flight of each pair, column by column
    #[arg(long, value_name = "N,…", value_delimiter = ',', default_values_t = [1, 5, 10, 20, 50],
          value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub concurrency: Vec<u32>,
    /// Further arguments of each run, as of `run direct` (`--with="--duration 5 --instances 3"`)
    #[arg(long, value_name = "ARGUMENTS", allow_hyphen_values = true, default_value = "")]
    pub with: String,
    /// Write every cell there, as JSON
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}

/// One cell.
#[derive(Debug, Clone, Serialize)]
pub struct Cell {
    /// How many agents.
    pub agents: u32,
    /// Messages in flight of each pair.
    pub concurrency: u32,
    /// Sends.
    pub sent: u64,
    /// Those that arrived.
    pub delivered: u64,
    /// The second by the first, in percent.
    pub success_percent: f64,
    /// Whether every promise was kept.
    pub kept: bool,
    /// Arrivals a second.
    pub throughput_per_s: f64,
    /// From sending to the arrival.
    pub latency_ms: Milliseconds,
    /// Who was busy.
    pub headroom: Option<Headroom>,
}

/// Runs every cell, and returns the table and whether all of them succeeded.
pub async fn matrix(args: &MatrixArgs) -> anyhow::Result<(String, bool)> {
    let mut cells = Vec::new();
    for agents in &args.agents {
        for concurrency in &args.concurrency {
            let cell = Cell::run(*agents, *concurrency, &args.with).await?;
            print::progress(&cell.words());
            cells.push(cell);
        }
    }
    if let Some(path) = &args.json {
        fs::write(path, serde_json::to_vec_pretty(&cells)?).with_context(|| path.display().to_string())?;
    }
    Ok((table::table(args, &cells), cells.iter().all(Cell::is_good)))
}

impl Cell {
    async fn run(agents: u32, concurrency: u32, with: &str) -> anyhow::Result<Cell> {
        // On relays that run already nothing can be set.
        let unlimited = if with.contains("--url") { "" } else { UNLIMITED };
        let line = format!(
            "direct --agents={agents} --depth={concurrency} --receipt=all --duration=2 --warm-up=0.5 {unlimited} {with}"
        );
        Ok(Cell::of(agents, concurrency, &run_line(&line).await?))
    }

    #[expect(clippy::cast_precision_loss, reason = "exact up to 2^53")]
    fn of(agents: u32, concurrency: u32, report: &Report) -> Cell {
        let (sent, delivered) = (report.tally.sent, report.tally.delivered);
        Cell {
            agents,
            concurrency,
            sent,
            delivered,
            success_percent: if sent == 0 { 0.0 } else { delivered as f64 * 100.0 / sent as f64 },
            kept: report.is_kept(),
            throughput_per_s: report.throughput_per_s,
            latency_ms: report.latency_ms,
            headroom: report.headroom,
        }
    }

    /// Whether all that was sent arrived, and every promise was kept.
    pub fn is_good(&self) -> bool {
        self.kept && self.sent > 0 && self.delivered == self.sent
    }

    fn words(&self) -> String {
        let Cell { agents, concurrency, sent, success_percent, latency_ms, throughput_per_s, .. } = self;
        format!(
            "{agents} × {concurrency}: {success_percent:.2} % of {sent} · {throughput_per_s:.0}/s · p50 {:.2} · p99 {:.2} ms",
            latency_ms.p50, latency_ms.p99
        )
    }
}

//! `relay-loadtest plan`: how many instances, how much memory and money a load takes, from measured figures.
//!
//! A model, not a promise: what it assumes is printed with what it says, and every figure can be given.

pub mod model;
pub mod scaling;
pub mod words;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use serde::Deserialize;

use crate::capacity::model::{Load, Measured, Prices};
use crate::capacity::scaling::Scrape;
use crate::capacity::words::{decision_words, plan_words};
use crate::metrics::Metrics;
use crate::target::{RELAY_PATH, Target};

/// Between two looks at the relays' processor time: their metrics count whole hundredths.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// Arguments of `plan`.
#[derive(Debug, Args)]
pub struct PlanArgs {
    /// The load to be carried.
    #[command(flatten)]
    pub load: Load,
    /// What things cost.
    #[command(flatten)]
    pub prices: Prices,
    /// A report of `run --json` to take processor time and memory from; the last of several counts for what it tells
    #[arg(long, value_name = "FILE")]
    pub measured: Vec<PathBuf>,
    /// The same of a run across instances
    #[arg(long, value_name = "FILE")]
    pub measured_across: Option<PathBuf>,
    /// Look at relays that run, and say whether there should be more or fewer (row RA2); again for each
    #[arg(long, value_name = "URL")]
    pub scrape: Vec<String>,
    /// Allow addresses that are not of this machine
    #[arg(long, requires = "scrape")]
    pub allow_remote: bool,
    /// Print the variables for Terraform alone
    #[arg(long)]
    pub tfvars: bool,
}

/// What a report tells of costs.
#[derive(Debug, Deserialize)]
struct Figures {
    messages_per_cpu_second: Option<f64>,
    rss_bytes_per_connection: Option<f64>,
}

/// Works it out, and returns it as text.
pub async fn plan(args: &PlanArgs) -> anyhow::Result<String> {
    if !args.scrape.is_empty() {
        return decide(args).await;
    }
    let mut measured = Measured::default();
    for path in &args.measured {
        let figures = read(path)?;
        measured.cpu_us = figures.messages_per_cpu_second.map_or(measured.cpu_us, |messages| 1e6 / messages);
        measured.connection_kib =
            figures.rss_bytes_per_connection.map_or(measured.connection_kib, |bytes| bytes / 1024.0);
        measured.source = path.display().to_string();
    }
    if let Some(path) = &args.measured_across {
        let messages = read(path)?.messages_per_cpu_second.context("the report tells no processor time")?;
        measured.across_cpu_us = 1e6 / messages;
    }
    let plan = model::Plan::of(&args.load, &measured, &args.prices);
    Ok(if args.tfvars {
        words::tfvars(&plan)
    } else {
        plan_words(&args.load, &measured, &args.prices, &plan)
    })
}

async fn decide(args: &PlanArgs) -> anyhow::Result<String> {
    let mut targets = Vec::new();
    for url in &args.scrape {
        targets.push(Target::resolve(url, RELAY_PATH, args.allow_remote).await?);
    }
    let before = Metrics::of(&targets).await?;
    tokio::time::sleep(LOOK_AGAIN).await;
    let after = Metrics::of(&targets).await?;
    let scrape =
        Scrape::of(targets.len(), &before, &after, LOOK_AGAIN.as_secs_f64(), args.load.instance_cores);
    Ok(decision_words(&scrape))
}

fn read(path: &Path) -> anyhow::Result<Figures> {
    let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
    serde_json::from_str(&text).with_context(|| format!("{} is no report of `run --json`", path.display()))
}

//! `relay-loadtest bench`: the relay beside its floors, case by case, as a table and as a document.
//!
//! Each figure is a median over turns that the relay and the floors take one after another; only ratios of one run, and
//! figures by CPU second, mean anything on another machine, or on this one at another time.

mod cases;
mod document;
mod peers;

use std::fs;
use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, ValueEnum};

use crate::peer::Peer;
use crate::print;
use crate::report::Report;
use crate::results::cases::{CASES, Case, Figure, Pace};
use crate::run::run_words;

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
    /// A peer that runs already, as `nats=ws://127.0.0.1:9222`; again for each. Others are started if they are installed
    /// (loadtest/PEERS.md)
    #[arg(long, value_name = "NAME=URL", value_parser = peer_at)]
    pub peer: Vec<(Peer, String)>,
    /// Only cases whose name contains this
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub only: String,
    /// The swarm too: 50,000 agents on three relays, for minutes
    #[arg(long)]
    pub swarm: bool,
}

/// One row of the table.
#[derive(Debug)]
pub(crate) struct Entry {
    name: String,
    /// Behind `run`.
    words: Vec<String>,
    once: bool,
    /// It says itself how long it takes.
    at_own_pace: bool,
    figure: Figure,
    peer: Option<Peer>,
}

/// A row and what it showed.
#[derive(Debug)]
pub(crate) struct Shown {
    entry: Entry,
    report: Report,
}

impl From<&Case> for Entry {
    fn from(case: &Case) -> Entry {
        let words = case.arguments.split_whitespace().map(str::to_owned).collect();
        let Case { name, pace, figure, .. } = *case;
        let at_own_pace = matches!(pace, Pace::Own | Pace::OnRequest);
        let once = pace != Pace::InTurns;
        Entry { name: name.to_owned(), words, once, at_own_pace, figure, peer: None }
    }
}

/// Runs every case; returns the document, and whether every promise was kept.
pub async fn bench(args: &BenchArgs) -> anyhow::Result<(String, bool)> {
    let (mut entries, mut missing) = (own(args), Vec::new());
    for peer in Peer::ALL {
        let url = args.peer.iter().find(|(named, _)| *named == peer).map(|(_, url)| url.as_str());
        if url.is_some() || peer.installed().is_some() {
            entries.extend(peers::entries(peer, url));
        } else {
            missing.push(peer);
        }
    }
    let mut shown = Vec::new();
    for entry in entries.into_iter().filter(|entry| entry.name.contains(&args.only)) {
        let words = entry.run(args);
        let report = run_words(words.iter().map(String::as_str)).await.with_context(|| entry.name.clone())?;
        print::progress(&format!("{}: {}", entry.name, entry.figure.words(&report)));
        shown.push(Shown { entry, report });
    }
    let document = document::document(args, &shown, &missing);
    if let Some(path) = &args.markdown {
        fs::write(path, &document).with_context(|| path.display().to_string())?;
    }
    Ok((document, shown.iter().all(Shown::is_kept)))
}

/// The relay's own rows.
fn own(args: &BenchArgs) -> Vec<Entry> {
    CASES.iter().filter(|case| args.swarm || case.pace != Pace::OnRequest).map(Entry::from).collect()
}

impl Entry {
    /// What is behind `run`, how long and how often it is run included.
    fn run(&self, args: &BenchArgs) -> Vec<String> {
        let turns = if self.once { 1 } else { args.pairs };
        let mut words = self.words.clone();
        words.push(format!("--pairs={turns}"));
        if !self.at_own_pace {
            words.extend([format!("--duration={}", args.duration), "--warm-up=0.5".to_owned()]);
        }
        words
    }
}

impl Shown {
    /// Whether the relay kept its promises; what a peer lost is told, and is no fault of the relay's.
    fn is_kept(&self) -> bool {
        if self.entry.peer.is_some() { self.report.broken.is_empty() } else { self.report.is_kept() }
    }

    /// The promises in words, and what a peer did not keep of them.
    fn promises(&self) -> String {
        let broken = self.report.against.as_ref().map(|against| &against.baseline_broken);
        match (self.entry.peer, broken.filter(|broken| !broken.is_empty())) {
            (Some(peer), Some(broken)) => {
                let words: Vec<String> =
                    broken.iter().map(|(name, count)| format!("{name} {count}")).collect();
                format!("{}; {}: {}", self.report.promises(), peer.name(), words.join(", "))
            }
            _ => self.report.promises(),
        }
    }
}

fn peer_at(text: &str) -> Result<(Peer, String), String> {
    let (name, url) = text.split_once('=').ok_or("not of the form NAME=URL")?;
    Ok((Peer::from_str(name, false)?, url.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Cli, Command};

    fn rows(swarm: bool) -> Vec<(String, u64, u32)> {
        let (markdown, peer, only) = (None, Vec::new(), String::new());
        let args = BenchArgs { markdown, pairs: 7, duration: 2.0, peer, only, swarm };
        let read = |entry: Entry| {
            let words = ["relay-loadtest", "run"].map(str::to_owned).into_iter().chain(entry.run(&args));
            let Command::Run(run) = Cli::complete(words).unwrap().command else { panic!("`run`") };
            (run.scenario, run.plan.duration().as_secs(), run.compare.pairs.unwrap())
        };
        own(&args).into_iter().map(read).collect()
    }

    #[test]
    fn the_swarm_is_run_when_asked_for_and_what_has_no_pace_of_its_own_as_long_as_the_bench_says() {
        let (brief, whole) = (rows(false), rows(true));
        let own = |scenario: &str| ["peak", "overload"].contains(&scenario);
        assert!(brief.iter().all(|(scenario, ..)| scenario != "swarm"));
        assert!(brief.iter().all(|(scenario, duration, _)| own(scenario) == (*duration != 2)));
        assert!(brief.iter().any(|(.., pairs)| *pairs == 7));
        assert_eq!(whole.len(), brief.len() + 1);
        assert!(whole.contains(&("swarm".to_owned(), 30, 1)), "{whole:?}");
    }
}

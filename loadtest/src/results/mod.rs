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
use crate::results::cases::{CASES, Case, Figure};
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
        let Case { name, once, on_request, figure, .. } = *case;
        Entry { name: name.to_owned(), words, once, at_own_pace: on_request, figure, peer: None }
    }
}

/// Runs every case; returns the document, and whether every promise was kept.
pub async fn bench(args: &BenchArgs) -> anyhow::Result<(String, bool)> {
    let asked = CASES.iter().filter(|case| args.swarm || !case.on_request);
    let (mut entries, mut missing): (Vec<Entry>, Vec<Peer>) = (asked.map(Entry::from).collect(), Vec::new());
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
        let turns = if entry.once { 1 } else { args.pairs };
        let mut added = vec![format!("--pairs={turns}")];
        if !entry.at_own_pace {
            added.extend([format!("--duration={}", args.duration), "--warm-up=0.5".to_owned()]);
        }
        let words = entry.words.iter().chain(&added).map(String::as_str);
        let report = run_words(words).await.with_context(|| entry.name.clone())?;
        print::progress(&format!("{}: {}", entry.name, entry.figure.words(&report)));
        shown.push(Shown { entry, report });
    }
    let document = document::document(args, &shown, &missing);
    if let Some(path) = &args.markdown {
        fs::write(path, &document).with_context(|| path.display().to_string())?;
    }
    Ok((document, shown.iter().all(Shown::is_kept)))
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

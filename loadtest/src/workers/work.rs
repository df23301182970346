//! What a worker does: its share of a scenario, when the cue comes.

use std::os::fd::AsFd;
use std::time::Duration;

use anyhow::{Context, ensure};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::net::unix::pipe::Receiver;
use tokio::sync::{mpsc, watch};

use crate::clock;
use crate::print;
use crate::process::raise_descriptor_limit;
use crate::scenario::Scenario;
use crate::trial::Trial;
use crate::trial::part::{Cue, Part};
use crate::trial::performance::Performance;
use crate::workers::wire::{self, Assignment, Findings, Gathered, Progress, Word};

/// As often as a plot is drawn from.
const PROGRESS_EVERY: Duration = Duration::from_millis(500);

type Orders = Lines<BufReader<Receiver>>;

/// Takes its share from standard input, runs it, and says on standard output how it went.
pub async fn work() -> anyhow::Result<()> {
    // tokio's own standard input waits on a thread, which would hold up the end of the process.
    let input = Receiver::from_owned_fd(std::io::stdin().as_fd().try_clone_to_owned()?)?;
    let mut orders = BufReader::new(input).lines();
    let done = take_part(&mut orders).await;
    if let Err(error) = &done {
        say(&Word::Failed(format!("{error:#}")))?;
    }
    done
}

async fn take_part(orders: &mut Orders) -> anyhow::Result<()> {
    let assignment: Assignment = order(orders).await?;
    raise_descriptor_limit();
    let scenario = Scenario::named(&assignment.scenario).context("no such scenario")?;
    let bench = assignment.bench()?;
    let (gathered, mut connected) = mpsc::channel(1);
    let (begin, begins) = watch::channel(None);
    let part = Part { first: assignment.first, cue: Some(Cue::new(gathered, begins)) };
    let trial = Trial { run: assignment.run, part, ..Trial::new(&bench)? };
    let mut run = (scenario.run)(&trial);
    let mut progress = tokio::time::interval(PROGRESS_EVERY);
    let performance = loop {
        tokio::select! {
            performance = &mut run => break performance?,
            Some(connecting) = connected.recv() => say(&Word::Gathered(Gathered::of(&connecting)))?,
            // There is one cue; what comes behind it is the end of who leads.
            cue = order::<wire::Cue>(orders) => {
                begin.send_replace(Some(clock::of_machine_ns(cue?.start_machine_ns)?));
            }
            _ = progress.tick() => say(&Word::Progress(Progress::of(&trial.live)?))?,
        }
    };
    finish(&trial, performance)
}

fn finish(trial: &Trial<'_>, performance: Performance) -> anyhow::Result<()> {
    ensure!(
        performance.broken.is_empty(),
        "a promise of the scenario's own cannot be told: {:?}",
        performance.broken
    );
    say(&Word::Progress(Progress::of(&trial.live)?))?;
    let Performance { tally, extra, .. } = performance;
    say(&Word::Done(Box::new(Findings { tally, extra })))
}

async fn order<T: for<'d> serde::Deserialize<'d>>(orders: &mut Orders) -> anyhow::Result<T> {
    let line = orders.next_line().await?.context("who led is gone")?;
    Ok(serde_json::from_str(&line)?)
}

fn say(word: &Word) -> anyhow::Result<()> {
    print::line(&serde_json::to_string(word)?);
    Ok(())
}

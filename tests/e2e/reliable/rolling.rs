//! A rolling restart: each relay in turn leaves on SIGTERM and is replaced where it was, under steady traffic at `qos` 1.
//! Whoever does what PROTOCOL.md says loses nothing, gets nothing twice and in order, and is back soon.
//!
//! `RELAY_TEST_AGENTS` (60) and `RELAY_TEST_RESTARTS` (1, of all relays) make it larger.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, ensure};
use relay_loadtest::process::raise_descriptor_limit;
use relay_tests::fleet::UNLIMITED;
use relay_tests::reconnecting::{Record, Return};
use relay_tests::{Fleet, turn};
use tokio::time::Instant;

use super::crew::{Crew, Totals, longest_absence, returns};
use super::stolen::Stolen;

const RELAYS: usize = 3;
/// What a client may be away: the spread of a drain is five seconds.
const BACK_WITHIN: Duration = Duration::from_secs(10);
/// Of those who come back after a restart, so many may in one second, which five seconds of spread make 20 %.
const LARGEST_BIN_PERCENT_MAX: usize = 25;
/// So many that a second's share is no matter of chance.
const AGENTS_TO_SPREAD: usize = 1_000;
/// How long they take to come back, with something to spare.
const WATCHED: Duration = Duration::from_secs(7);

#[tokio::test(flavor = "multi_thread")]
async fn rolling_restarts_lose_nothing() -> anyhow::Result<()> {
    let _machine = turn::alone().await;
    raise_descriptor_limit();
    let (agents, rounds) = (number("RELAY_TEST_AGENTS", 60)?, number("RELAY_TEST_RESTARTS", 1)?);
    ensure!((RELAYS..=2_000).contains(&agents), "RELAY_TEST_AGENTS is {RELAYS} to 2000");
    let mut fleet = Fleet::joined(RELAYS.try_into()?, &UNLIMITED).await?;
    let mut crew = Crew::gather(&fleet, agents).await?;
    let (mut restarts, stolen) = (Vec::new(), Stolen::watch());
    let begun = Instant::now();
    for round in 1..=rounds {
        for relay in 0..RELAYS {
            crew.flows().await?;
            progress(begun, &format!("round {round} of {rounds}: relay {relay} leaves"));
            restarts.push(Instant::now());
            fleet.cluster.restart(relay).await?;
        }
    }
    crew.flows().await?;
    progress(begun, "all are back");
    judge(&crew.settle().await?, &restarts, &stolen)
}

#[expect(clippy::print_stderr, reason = "a larger run takes minutes")]
fn progress(begun: Instant, what: &str) {
    eprintln!("{:>4} s: {what}", begun.elapsed().as_secs());
}

#[expect(clippy::print_stderr, reason = "the figures are what a larger run is for")]
fn judge(records: &[Record], restarts: &[Instant], stolen: &Stolen) -> anyhow::Result<()> {
    let (totals, returns) = (Totals::of(records)?, returns(records));
    let (longest, spreads) = (longest_absence(&returns), spreads(&returns, restarts));
    for (number, (bins, begun)) in spreads.iter().zip(restarts).enumerate() {
        let (largest, taken) = (percent(bins), stolen.percent(*begun, *begun + WATCHED));
        eprintln!("restart {}: largest {largest} % of {bins:?}; stolen up to {taken} %", number + 1);
    }
    let largest_bin = spreads.iter().map(percent).max().unwrap_or(0);
    eprintln!(
        "{} agents, {} restarts: {totals:?}; {} reconnects, the longest {} ms, largest one-second bin {largest_bin} %",
        records.len(),
        restarts.len(),
        returns.len(),
        longest.as_millis(),
    );
    totals.hold()?;
    ensure!(returns.len() >= records.len(), "not every relay had clients: {} came back", returns.len());
    ensure!(returns.iter().all(|way| way.resumed), "a ticket was not honoured");
    ensure!(longest < BACK_WITHIN, "one was away for {} ms", longest.as_millis());
    // Of a few, chance puts more into one second.
    ensure!(
        records.len() < AGENTS_TO_SPREAD || largest_bin <= LARGEST_BIN_PERCENT_MAX,
        "{largest_bin} % came back within a second"
    );
    Ok(())
}

/// How many came back in each second after one restart.
type Bins = BTreeMap<u64, usize>;

/// The share of those who came back in the fullest second.
fn percent(bins: &Bins) -> usize {
    bins.values().max().copied().unwrap_or(0) * 100 / bins.values().sum::<usize>().max(1)
}

/// Those of each restart.
fn spreads(returns: &[Return], restarts: &[Instant]) -> Vec<Bins> {
    let mut spreads = vec![Bins::new(); restarts.len()];
    for way in returns {
        let restart = restarts.partition_point(|begun| *begun <= way.left);
        let Some(at) = restart.checked_sub(1) else { continue };
        *spreads[at].entry((way.back - restarts[at]).as_secs()).or_default() += 1;
    }
    spreads
}

fn number(variable: &str, otherwise: usize) -> anyhow::Result<usize> {
    let Some(text) = std::env::var_os(variable) else { return Ok(otherwise) };
    text.to_str().and_then(|text| text.parse().ok()).with_context(|| format!("{variable} is no number"))
}

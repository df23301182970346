//! A rolling restart: each relay in turn leaves on SIGTERM and is replaced where it was, under steady traffic at `qos` 1.
//! Whoever does what PROTOCOL.md says loses nothing, gets nothing twice and in order, and is back soon.
//!
//! `RELAY_TEST_AGENTS` (60) and `RELAY_TEST_RESTARTS` (1, of all relays) make it larger.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Context, ensure};
use relay_loadtest::process::raise_descriptor_limit;
use relay_tests::fleet::UNLIMITED;
use relay_tests::reconnecting::{Reconnecting, Record, Return, Stage, Sums};
use relay_tests::seed::{Chance, seed};
use relay_tests::{Fleet, eventually, turn};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

const RELAYS: usize = 3;
/// Of each agent; all together send 500 a second at most, so that a large test measures restarts and not its machine.
const PAUSE: Duration = Duration::from_millis(200);
const SENDS_PER_S_MAX: u64 = 500;
/// What a client may be away: the spread of a drain is five seconds.
const BACK_WITHIN: Duration = Duration::from_secs(10);
/// After which what was sent is presented.
const SETTLED_WITHIN: Duration = Duration::from_mins(1);

#[tokio::test(flavor = "multi_thread")]
async fn rolling_restarts_lose_nothing() -> anyhow::Result<()> {
    let _machine = turn::alone().await;
    raise_descriptor_limit();
    let (agents, rounds) = (number("RELAY_TEST_AGENTS", 60)?, number("RELAY_TEST_RESTARTS", 1)?);
    ensure!((RELAYS..=2_000).contains(&agents), "RELAY_TEST_AGENTS is {RELAYS} to 2000");
    let (seed, sums) = (seed(), Arc::<Sums>::default());
    let mut fleet = Fleet::joined(3, &UNLIMITED).await?;
    let mut crew = Vec::new();
    for agent in 0..agents {
        let (name, to) = (format!("agent-{agent}"), format!("agent-{}", (agent + 1) % agents));
        let chance = Chance::new(seed, u32::try_from(agent)?);
        crew.push(Reconnecting::join(&fleet, agent % RELAYS, &name, &to, chance, &sums).await?);
    }
    let (stage, told) = watch::channel(Stage::Talk);
    let pause = PAUSE.max(Duration::from_millis(1_000 * agents as u64 / SENDS_PER_S_MAX));
    let mut clients: JoinSet<_> = crew.into_iter().map(|client| client.run(pause, told.clone())).collect();
    let mut restarts = Vec::new();
    for _ in 0..rounds {
        for relay in 0..RELAYS {
            flows(&sums, agents as u64).await?;
            restarts.push(Instant::now());
            fleet.cluster.restart(relay).await?;
            nobody_ended(&mut clients)?;
        }
    }
    flows(&sums, agents as u64).await?;
    stage.send_replace(Stage::Settle);
    eventually("all is presented", SETTLED_WITHIN, async || {
        let [sent, stored, presented] =
            [&sums.sent, &sums.stored, &sums.presented].map(|sum| sum.load(Ordering::Relaxed));
        Ok((stored == sent && presented >= sent).then_some(()))
    })
    .await
    .with_context(|| format!("{sums:?}"))?;
    stage.send_replace(Stage::Leave);
    let records: Vec<Record> = clients.join_all().await.into_iter().collect::<anyhow::Result<_>>()?;
    judge(&records, &restarts)
}

/// Waits until some messages of each agent were presented from now on.
async fn flows(sums: &Sums, agents: u64) -> anyhow::Result<()> {
    let begin = sums.presented.load(Ordering::Relaxed);
    eventually("messages flow", SETTLED_WITHIN, async || {
        Ok((sums.presented.load(Ordering::Relaxed) >= begin + 5 * agents).then_some(()))
    })
    .await
}

/// A client ends early only by a fault.
fn nobody_ended(clients: &mut JoinSet<anyhow::Result<Record>>) -> anyhow::Result<()> {
    match clients.try_join_next() {
        Some(ended) => ended?.map(drop),
        None => Ok(()),
    }
}

#[expect(clippy::print_stderr, reason = "the figures are what a larger run is for")]
fn judge(records: &[Record], restarts: &[Instant]) -> anyhow::Result<()> {
    let (mut lost, mut twice, mut reordered, mut skipped) = (0, 0, 0, 0);
    for (at, sender) in records.iter().enumerate() {
        let heard = recipient(records, at)?;
        let distinct: HashSet<&String> = heard.book.presented.iter().collect();
        let sent: Vec<String> = (1..=sender.sent).map(|number| format!("{}:{number}", sender.name)).collect();
        lost += sent.iter().filter(|mid| !distinct.contains(mid)).count();
        twice += heard.book.presented.len() - distinct.len();
        let numbers = heard.book.presented.iter().filter_map(|mid| mid.rsplit(':').next()?.parse().ok());
        let numbers: Vec<u64> = numbers.collect();
        reordered += numbers.windows(2).filter(|pair| pair[1] < pair[0]).count();
        skipped += heard.book.skipped + heard.book.holes as u64;
    }
    let returns: Vec<Return> = records.iter().flat_map(|record| record.returns.iter().copied()).collect();
    let longest = returns.iter().map(|way| way.back - way.left).max().unwrap_or_default();
    let sent: u64 = records.iter().map(|record| record.sent).sum();
    let resent: u64 = records.iter().map(|record| record.resent).sum();
    eprintln!(
        "{} agents, {} restarts: {sent} sent, {resent} again, lost {lost}, presented twice {twice}, \
         reordered {reordered}; {} reconnects, the longest {} ms, largest one-second bin {} %",
        records.len(),
        restarts.len(),
        returns.len(),
        longest.as_millis(),
        largest_bin_percent(&returns, restarts),
    );
    ensure!((lost, twice, reordered, skipped) == (0, 0, 0, 0), "{skipped} skipped");
    ensure!(returns.len() >= records.len(), "not every relay had clients: {} came back", returns.len());
    ensure!(returns.iter().all(|way| way.resumed), "a ticket was not honoured");
    ensure!(longest < BACK_WITHIN, "one was away for {} ms", longest.as_millis());
    Ok(())
}

/// The one whom a client sends to is the next by number; clients end in any order.
fn recipient(records: &[Record], sender: usize) -> anyhow::Result<&Record> {
    let number = |record: &Record| record.name.trim_start_matches("agent-").parse::<usize>();
    let next = format!("agent-{}", (number(&records[sender])? + 1) % records.len());
    records.iter().find(|record| record.name == next).context("a record is missing")
}

/// Of those who came back after one restart, the share that did in the fullest second.
fn largest_bin_percent(returns: &[Return], restarts: &[Instant]) -> usize {
    let mut bins: BTreeMap<usize, BTreeMap<u64, usize>> = BTreeMap::new();
    for way in returns {
        let restart = restarts.partition_point(|begun| *begun <= way.left);
        let Some(begun) = restart.checked_sub(1).and_then(|at| restarts.get(at)) else { continue };
        *bins.entry(restart).or_default().entry((way.back - *begun).as_secs()).or_default() += 1;
    }
    let share = |bins: &BTreeMap<u64, usize>| {
        bins.values().max().copied().unwrap_or(0) * 100 / bins.values().sum::<usize>().max(1)
    };
    bins.values().map(share).max().unwrap_or(0)
}

fn number(variable: &str, otherwise: usize) -> anyhow::Result<usize> {
    let Some(text) = std::env::var_os(variable) else { return Ok(otherwise) };
    text.to_str().and_then(|text| text.parse().ok()).with_context(|| format!("{variable} is no number"))
}

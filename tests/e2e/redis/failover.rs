//! The primary dies under traffic of both kinds, while its replica is behind, and Sentinel puts that in its place: every
//! message is accounted for, and everything flows again. A line for each fail-over says what it cost.

use std::time::Duration;

use anyhow::{Context, ensure};
use relay_tests::fleet::UNLIMITED;
use relay_tests::sentinel::Watched;
use relay_tests::steady::Steady;
use relay_tests::{Fleet, turn};
use tokio::time::Instant;

use super::behind::{Behind, Fate};
use super::probes::{PATIENCE, Probes, accounted_for, flows};

/// From the primary's death on: Sentinel takes two seconds to be sure, and some to agree.
const BACK_WITHIN: Duration = Duration::from_secs(30);
/// How often the primary dies, unless `RELAY_TEST_FAILOVERS` says otherwise.
const FAILOVERS: u32 = 2;
/// Pairs with steady traffic at `qos` 1.
const PAIRS: usize = 6;
/// How many of the replicas must have a message before it is accepted.
const WAIT: (&str, &str) = ("RELAY_REDIS_WAIT_REPLICAS", "1");

fn failovers() -> anyhow::Result<u32> {
    std::env::var_os("RELAY_TEST_FAILOVERS").map_or(Ok(FAILOVERS), |times| {
        times.to_str().and_then(|times| times.parse().ok()).context("RELAY_TEST_FAILOVERS is no number")
    })
}

#[expect(clippy::print_stdout, reason = "a measurement")]
fn print(time: u32, recovery: Duration, fate: Fate) {
    let Fate { accepted, lost, undeclared } = fate;
    println!(
        "fail-over {time}: everything flows after {} ms; behind its replica {accepted} accepted, {} delivered, {lost} lost, \
         {undeclared} undeclared",
        recovery.as_millis(),
        accepted - lost
    );
}

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::print_stdout, reason = "a measurement")]
async fn the_primary_dies_and_a_replica_that_is_behind_takes_over() -> anyhow::Result<()> {
    let _machine = turn::alone().await;
    let mut redis = Watched::start().await?;
    let fleet = Fleet::over(redis.url(), 3, &UNLIMITED).await?;
    let (_, conversation) = Probes::under_traffic(&fleet).await?;
    let mut steady = Steady::begin(&fleet, PAIRS).await?;
    let mut behind = Behind::gather(&fleet).await?;
    let mut lost = 0;
    for time in 1..=failovers()? {
        // Others each time, as who does not read between two is gone by his heartbeat.
        let mut probes = Probes::gather(&fleet).await?;
        redis.cut_replica_off().await?;
        behind.send().await?;
        redis.kill_primary_of_cut_off().await?;
        let died = Instant::now();
        probes.all_flow(BACK_WITHIN).await.with_context(|| format!("fail-over {time}"))?;
        let recovery = died.elapsed();
        flows(&conversation, 1_000).await?;
        steady.flows(20, PATIENCE).await?;
        let fate = behind.settle(&fleet).await?;
        print(time, recovery, fate);
        ensure!(fate.undeclared == 0, "{fate:?}");
        lost += fate.lost;
        redis.rejoin().await?;
    }
    ensure!(lost > 0, "the replica was not behind: nothing is shown");
    let account = steady.end().await?;
    println!("steady traffic at qos 1: {account:?}");
    ensure!(account.undeclared == 0 && account.holes == 0, "{account:?}");
    conversation.hush(PATIENCE).await?;
    let tally = accounted_for(&fleet, conversation).await?;
    ensure!(tally.gaps > 0, "nobody was told of a gap: {tally:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_replica_had_to_have_is_not_lost() -> anyhow::Result<()> {
    let _machine = turn::alone().await;
    let mut redis = Watched::start().await?;
    let fleet = Fleet::over(redis.url(), 3, &[UNLIMITED[0], UNLIMITED[1], UNLIMITED[2], WAIT]).await?;
    let mut behind = Behind::gather(&fleet).await?;
    for time in 1..=failovers()? {
        let mut probes = Probes::gather(&fleet).await?;
        probes.all_flow(PATIENCE).await?;
        behind.send().await?;
        redis.cut_replica_off().await?;
        behind.send().await?;
        redis.kill_primary_of_cut_off().await?;
        let died = Instant::now();
        probes.all_flow(BACK_WITHIN).await.with_context(|| format!("fail-over {time}"))?;
        let recovery = died.elapsed();
        // Without a replica nothing is accepted.
        redis.rejoin().await?;
        let fate = behind.settle(&fleet).await?;
        print(time, recovery, fate);
        ensure!(fate.accepted > 0 && fate.lost == 0, "{fate:?}");
    }
    Ok(())
}

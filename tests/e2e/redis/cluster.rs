//! Relays on a Redis Cluster: traffic of both kinds flows, a primary dies under it, its replica takes over, and every
//! message is accounted for, and with `WAIT` what was accepted is there.

use std::time::Duration;

use anyhow::{Context, ensure};
use relay_tests::fleet::UNLIMITED;
use relay_tests::redis_cluster::RedisCluster;
use relay_tests::steady::Steady;
use relay_tests::{Fleet, turn};
use tokio::time::Instant;

use super::behind::Behind;
use super::probes::{PATIENCE, Probes, accounted_for, flows};

/// From the primary's death on: 2 s until the others are sure, an election, and the relays' ways there.
const BACK_WITHIN: Duration = Duration::from_secs(30);
/// Pairs at `qos` 1: their streams are of many slots.
const PAIRS: usize = 12;

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::print_stdout, reason = "a measurement")]
async fn a_primary_dies_and_its_replica_takes_over() -> anyhow::Result<()> {
    let _machine = turn::alone().await;
    let mut redis = RedisCluster::start().await?;
    let fleet = Fleet::over(redis.url(), 3, &UNLIMITED).await?;
    let (mut probes, conversation) = Probes::under_traffic(&fleet).await?;
    let mut steady = Steady::begin(&fleet, PAIRS).await?;
    steady.flows(20, PATIENCE).await?;
    // Where the instances say that they live, and where a recipient's stream is.
    for key in ["r1:leases", "r1:s:{acme:agent/to-0}:m"] {
        let killed = redis.holder(key).await?;
        redis.kill(killed).await?;
        let died = Instant::now();
        probes.all_flow(BACK_WITHIN).await.with_context(|| key.to_owned())?;
        println!("the primary of {key} died: everything flows after {} ms", died.elapsed().as_millis());
        flows(&conversation, 1_000).await?;
        steady.flows(20, PATIENCE).await?;
        redis.rejoin(killed).await?;
    }
    let account = steady.end().await?;
    println!("qos 1: {account:?}");
    ensure!(account.undeclared == 0 && account.holes == 0, "{account:?}");
    conversation.hush(PATIENCE).await?;
    let tally = accounted_for(&fleet, conversation).await?;
    ensure!(tally.gaps > 0, "nobody was told of a gap: {tally:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_replica_of_its_primary_had_to_have_is_not_lost() -> anyhow::Result<()> {
    let _machine = turn::alone().await;
    let mut redis = RedisCluster::start().await?;
    let wait = ("RELAY_REDIS_WAIT_REPLICAS", "1");
    let fleet = Fleet::over(redis.url(), 3, &[UNLIMITED[0], UNLIMITED[1], UNLIMITED[2], wait]).await?;
    let mut behind = Behind::gather(&fleet).await?;
    let mut probes = Probes::gather(&fleet).await?;
    probes.all_flow(PATIENCE).await?;
    let before = behind.send().await?;
    let primary = redis.holder("r1:s:{acme:agent/behind-to-0}:m").await?;
    let replica = redis.cut_replica_off(primary).await?;
    let meanwhile = behind.send().await?;
    ensure!(
        0 < meanwhile && meanwhile < before,
        "{meanwhile} accepted: only the other primaries have replicas"
    );
    redis.kill(primary).await?;
    redis.thaw(replica)?;
    probes.all_flow(BACK_WITHIN).await?;
    // Without a replica nothing is accepted.
    redis.rejoin(primary).await?;
    let fate = behind.settle(&fleet).await?;
    ensure!(fate.accepted == before + meanwhile && fate.lost == 0, "{fate:?}");
    Ok(())
}

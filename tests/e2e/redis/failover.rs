//! The primary dies under traffic and Sentinel puts its replica in its place: every message is accounted for, and
//! everything flows again.

use std::time::Duration;

use anyhow::{Context, ensure};
use relay_tests::fleet::UNLIMITED;
use relay_tests::sentinel::Watched;
use relay_tests::{Fleet, turn};
use tokio::time::Instant;

use super::probes::{PATIENCE, Probes, accounted_for, flows};

/// From the primary's death on: Sentinel takes a second to be sure, and some to agree.
const BACK_WITHIN: Duration = Duration::from_secs(30);
/// How often the primary dies, unless `RELAY_TEST_FAILOVERS` says otherwise.
const FAILOVERS: u32 = 2;

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::print_stdout, reason = "a measurement")]
async fn the_primary_dies_and_its_replica_takes_over() -> anyhow::Result<()> {
    let _machine = turn::alone().await;
    let times = std::env::var_os("RELAY_TEST_FAILOVERS").map_or(Ok(FAILOVERS), |times| {
        times.to_str().and_then(|times| times.parse().ok()).context("RELAY_TEST_FAILOVERS is no number")
    })?;
    let mut redis = Watched::start().await?;
    let fleet = Fleet::over(redis.url(), 3, &UNLIMITED).await?;
    let (mut probes, conversation) = Probes::under_traffic(&fleet).await?;
    for time in 1..=times {
        redis.kill_primary().await?;
        let died = Instant::now();
        probes.all_flow(BACK_WITHIN).await.with_context(|| format!("fail-over {time}"))?;
        println!("fail-over {time}: everything flows after {} ms", died.elapsed().as_millis());
        flows(&conversation, 1_000).await?;
        redis.rejoin().await?;
    }
    conversation.hush(PATIENCE).await?;
    let tally = accounted_for(&fleet, conversation).await?;
    ensure!(tally.gaps > 0, "nobody was told of a gap: {tally:?}");
    Ok(())
}

//! Redis dies, comes back empty, and another time only stands still, all under traffic: whatever did not arrive, somebody
//! was told of; nothing comes twice or out of order; and soon after everything flows again.

use std::time::Duration;

use anyhow::ensure;
use relay_tests::fleet::UNLIMITED;
use relay_tests::{Fleet, eventually, turn};
use tokio::time::Instant;

use super::probes::{PATIENCE, Probes, accounted_for, bus_is, flows};

/// After which everything must flow again.
const BACK_WITHIN: Duration = Duration::from_secs(5);
/// How long Redis stands still.
const STILL: Duration = Duration::from_secs(3);
/// What an outage may cost a relay in memory. What waits for a destination is bounded by 16 MiB.
const GROWTH_BYTES_MAX: u64 = 64 * 1024 * 1024;

#[tokio::test(flavor = "multi_thread")]
async fn redis_killed_and_restarted_empty() -> anyhow::Result<()> {
    let _machine = turn::alone().await;
    let mut fleet = Fleet::joined(3, &UNLIMITED).await?;
    let (mut probes, conversation) = Probes::under_traffic(&fleet).await?;
    let before = fleet.rss_bytes_max()?;

    fleet.redis()?.kill().await?;
    bus_is(&fleet, "down").await?;
    // Traffic goes on against the outage.
    flows(&conversation, 3_000).await?;
    let during = fleet.rss_bytes_max()?;
    fleet.redis()?.begin().await?;
    probes.all_flow(BACK_WITHIN).await?;
    flows(&conversation, 3_000).await?;
    conversation.hush(PATIENCE).await?;
    let after = fleet.rss_bytes_max()?;
    ensure!(during.max(after) < before + GROWTH_BYTES_MAX, "{before} → {during} → {after} bytes");
    let tally = accounted_for(&fleet, conversation).await?;
    ensure!(tally.gaps > 0, "nobody was told of a gap: {tally:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_stands_still_and_goes_on() -> anyhow::Result<()> {
    let _machine = turn::alone().await;
    let mut fleet = Fleet::joined(3, &UNLIMITED).await?;
    let (mut probes, conversation) = Probes::under_traffic(&fleet).await?;
    let begun = Instant::now();
    fleet.redis()?.freeze()?;
    eventually("Redis has stood still for long enough", PATIENCE, async || {
        Ok((begun.elapsed() >= STILL).then_some(()))
    })
    .await?;
    fleet.redis()?.thaw()?;
    probes.all_flow(BACK_WITHIN).await?;
    flows(&conversation, 3_000).await?;
    conversation.hush(PATIENCE).await?;
    // Whether anything was lost depends on what stood in which buffer; whatever was, is declared.
    accounted_for(&fleet, conversation).await.map(drop)
}

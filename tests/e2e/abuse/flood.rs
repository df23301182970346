//! A client that sends more than it may, and one that sends and never reads.

use std::time::Duration;

use anyhow::ensure;
use relay_tests::fleet::UNLIMITED;
use relay_tests::raw::{Raw, TEXT, frame};
use relay_tests::{Fleet, eventually, turn};
use tokio::io::AsyncWriteExt;

const PATIENCE: Duration = Duration::from_secs(20);
/// What answers to one client may cost: its backlog, buffers and what the allocator keeps.
const GROWTH_BYTES_MAX: u64 = 32 * 1024 * 1024;
/// Commands in one WebSocket message.
const TOGETHER: u64 = 100;

#[tokio::test]
async fn going_on_after_refusals_ends_a_connection() -> anyhow::Result<()> {
    let _machine = turn::shared().await;
    let rates = [("RELAY_RATE_MESSAGES", "1"), ("RELAY_RATE_BURST", "10"), ("RELAY_RATE_STRIKES", "20")];
    let fleet = Fleet::single(&rates).await?;
    let mut raw = Raw::welcomed(fleet.address(0), &fleet.token("mallory")?).await?;
    for id in 2..100 {
        raw.send(&frame(TEXT, ping(id).as_bytes())).await?;
    }
    let farewell = raw.farewell().await?;
    ensure!(farewell.code == Some(4102), "{farewell:?}");
    ensure!(farewell.said.matches("\"pong\"").count() >= 9, "the burst is allowed: {farewell:?}");
    ensure!(farewell.said.matches("\"rate_messages\"").count() >= 19, "refusals name it: {farewell:?}");
    ensure!(farewell.said.contains("\"retry_after_ms\""), "{farewell:?}");
    fleet.assert_serves(0).await
}

#[tokio::test(flavor = "multi_thread")]
async fn one_who_asks_and_never_reads_costs_little_and_is_closed() -> anyhow::Result<()> {
    let _machine = turn::alone().await;
    let slow = ("RELAY_SLOW_MS", "3000");
    let fleet = Fleet::single(&[UNLIMITED[0], UNLIMITED[1], UNLIMITED[2], slow]).await?;
    fleet.assert_serves(0).await?;
    let before = fleet.rss_bytes_max()?;
    let mut raw = Raw::welcomed(fleet.address(0), &fleet.token("mallory")?).await?;
    let (mut id, mut most) = (1, 0);
    // Written until the relay does not take more, and then until it has ended the connection.
    while let Ok(Ok(())) = tokio::time::timeout(PATIENCE, raw.stream.write_all(&questions(&mut id))).await {
        most = most.max(fleet.rss_bytes_max()?);
    }
    let metrics = fleet.metrics(0).await?;
    ensure!(metrics.having("relay_closes_total", "slow_consumer") > 0.5, "not closed as slow: {metrics:?}");
    ensure!(most < before + GROWTH_BYTES_MAX, "{before} → {most} bytes after {id} commands");
    eventually("the session is gone", PATIENCE, async || {
        Ok((fleet.metrics(0).await?.sum("relay_sessions") < 0.5).then_some(()))
    })
    .await?;
    fleet.assert_serves(0).await
}

/// Commands with answers, one WebSocket message of them.
fn questions(id: &mut u64) -> Vec<u8> {
    let frames: Vec<String> = (0..TOGETHER)
        .map(|_| {
            *id += 1;
            if id.is_multiple_of(10) {
                format!(r#"{{"type":"subscribe","id":{id},"topic":"t"}}"#)
            } else {
                ping(*id)
            }
        })
        .collect();
    frame(TEXT, format!("[{}]", frames.join(",")).as_bytes())
}

fn ping(id: u64) -> String {
    format!(r#"{{"type":"ping","id":{id}}}"#)
}

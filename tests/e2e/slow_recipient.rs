//! One of a hundred recipients stops reading: its senders are told, its queue stays within its bound, it is closed as
//! slow, and the others miss nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, ensure};
use relay_loadtest::agent::Agent;
use relay_protocol::client::ReceiptMode;
use relay_protocol::{Address, ErrorCode, Payload, ServerFrame};
use relay_tests::fleet::{UNLIMITED, address};
use relay_tests::raw::Raw;
use relay_tests::{Fleet, turn};
use tokio::task::JoinSet;

const OTHERS: usize = 99;
/// Messages to each of the others in each round.
const EACH: usize = 1;
const QUEUE_BYTES: (&str, &str) = ("RELAY_QUEUE_BYTES", "1048576");
const SLOW: (&str, &str) = ("RELAY_SLOW_MS", "3000");
/// A queue of 1 MiB, buffers, and what the allocator keeps; far below what is sent to the slow one.
const GROWTH_BYTES_MAX: u64 = 24 * 1024 * 1024;
const SENT_BYTES_MIN: usize = 32 * 1024 * 1024;
const PAYLOAD_BYTES: usize = 60 * 1024;
const PATIENCE: Duration = Duration::from_secs(40);

#[tokio::test(flavor = "multi_thread")]
async fn one_who_does_not_read_harms_nobody_else() -> anyhow::Result<()> {
    let _machine = turn::alone().await;
    let fleet = Fleet::single(&[UNLIMITED[0], UNLIMITED[1], UNLIMITED[2], QUEUE_BYTES, SLOW]).await?;
    let mut others = Vec::new();
    let mut listening = JoinSet::new();
    for number in 0..OTHERS {
        listening.spawn(count(fleet.agent(0, &format!("other-{number}")).await?));
        others.push(address(&format!("agent/other-{number}"))?);
    }
    let slow = Raw::welcomed(fleet.address(0), &fleet.token("slow")?).await?;
    let slow_address = address("agent/slow")?;
    let mut sender = fleet.agent(0, "sender").await?;
    let before = fleet.rss_bytes_max()?;

    let (mut rounds, mut sent_bytes, mut most) = (0, 0, 0);
    let mut outcomes = BTreeMap::new();
    let talking = async {
        // Until the slow one is gone, and for long enough that a queue without a bound would have shown.
        while !outcomes.contains_key("no_recipient") || sent_bytes < SENT_BYTES_MIN {
            sent_bytes += PAYLOAD_BYTES;
            round(&mut sender, &slow_address, &others, &mut outcomes).await?;
            rounds += 1;
            if rounds % 50 == 0 {
                most = most.max(fleet.rss_bytes_max()?);
            }
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(PATIENCE, talking).await.context("never closed as slow")??;

    ensure!(outcomes.contains_key("saturated"), "its sender was not told: {outcomes:?}");
    let reasons: Vec<&str> = outcomes.keys().copied().collect();
    ensure!(reasons == ["no_recipient", "saturated"], "{outcomes:?}");
    ensure!(most < before + GROWTH_BYTES_MAX, "{before} → {most} bytes");
    let metrics = fleet.metrics(0).await?;
    ensure!(metrics.having("relay_closes_total", "slow_consumer") > 0.5, "{metrics:?}");
    drop(slow);
    fleet.cluster.stop().await?;
    for received in listening.join_all().await {
        ensure!(received == rounds * EACH, "{received} of {} came", rounds * EACH);
    }
    Ok(())
}

/// One large message to the slow one and some to each of the others; waits until all have their outcome. Only the slow
/// one's may be bad.
async fn round(
    sender: &mut Agent,
    slow: &Address<'static>,
    others: &[Address<'static>],
    outcomes: &mut BTreeMap<&'static str, u64>,
) -> anyhow::Result<()> {
    let large = format!("\"{}\"", "x".repeat(PAYLOAD_BYTES - 2));
    let outbox = sender.outbox();
    let to_slow = outbox.next_id();
    outbox.send(to_slow, slow.clone(), Payload::Json(large.into()), ReceiptMode::All, |_| {});
    for to in others.iter().cycle().take(others.len() * EACH) {
        let id = outbox.next_id();
        outbox.send(id, to.clone(), Payload::Json("1".into()), ReceiptMode::All, |_| {});
    }
    let mut waiting = 1 + others.len() * EACH;
    let mut refused: Vec<(u64, ErrorCode)> = Vec::new();
    while waiting > 0 {
        sender
            .receive(|frame, _, _| {
                let ServerFrame::Receipt(receipt) = frame else { return };
                let queued = receipt
                    .queued
                    .iter()
                    .map(|(first, last)| usize::try_from(last - first + 1).unwrap_or(usize::MAX));
                waiting -= queued.sum::<usize>();
                for failed in &receipt.failed {
                    let ids = refused.len();
                    refused.extend(failed.each_id().map(|id| (id, failed.reason)));
                    waiting -= refused.len() - ids;
                }
            })
            .await?;
    }
    for (id, reason) in refused {
        ensure!(id == to_slow, "one of the others was refused: {}", reason.name());
        *outcomes.entry(reason.name()).or_default() += 1;
    }
    Ok(())
}

/// Counts messages until the connection ends.
async fn count(mut agent: Agent) -> usize {
    let mut count = 0;
    while agent
        .receive(|frame, _, _| count += usize::from(matches!(frame, ServerFrame::Message(_))))
        .await
        .is_ok()
    {}
    count
}

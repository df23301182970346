//! SIGTERM with five thousand connections: each client is told when to come back, at times that are spread; nobody new is
//! let in meanwhile; and the process is gone well before a platform would kill it.

use std::time::Duration;

use anyhow::{Context, ensure};
use relay_loadtest::agent::{Agent, Ended};
use relay_loadtest::process::raise_descriptor_limit;
use relay_protocol::client::ReceiptMode;
use relay_protocol::{Address, CloseCode, Payload, ServerFrame};
use relay_tests::fleet::{UNLIMITED, address, tell};
use relay_tests::raw::Raw;
use relay_tests::{Fleet, eventually, turn};
use rustix::process::Signal;
use tokio::task::JoinSet;
use tokio::time::Instant;

const CONNECTIONS: usize = 5_000;
/// Cloud Run kills after ten seconds.
const GONE_WITHIN: Duration = Duration::from_secs(8);
/// Senders, each with a recipient of its own.
const PAIRS: usize = 20;
/// Messages sent as something is heard.
const BURST: usize = 20;
/// A fifth of the default spread, which is five seconds.
const BIN_MS: u64 = 1_000;
const BIN_PERCENT_MAX: usize = 35;

#[tokio::test(flavor = "multi_thread")]
async fn every_client_is_told_when_to_come_back_and_the_process_leaves_in_time() -> anyhow::Result<()> {
    let _machine = turn::alone().await;
    raise_descriptor_limit();
    let mut fleet = Fleet::single(&UNLIMITED).await?;
    let mut clients = JoinSet::new();
    for number in 0..CONNECTIONS {
        clients.spawn(until_told(fleet.agent(0, &format!("agent-{number}")).await?));
    }
    // One that does not read keeps the instance leaving for as long as it has patience, so that it can be looked at.
    let stuck = stuck_client(&fleet).await?;

    let begun = Instant::now();
    fleet.child(0).signal(Signal::TERM)?;
    eventually("the instance is not ready", GONE_WITHIN, async || {
        Ok((fleet.get(0, "/health/ready").await?.status == 503).then_some(()))
    })
    .await?;
    let (_, refused) = Raw::ask(fleet.address(0), "Sec-WebSocket-Protocol: agent-relay.v1.json\r\n").await?;
    ensure!(refused.status == 503 && refused.body.contains("\"drain\""), "{refused:?}");
    ensure!(refused.header("retry-after").is_some(), "{refused:?}");
    ensure!(fleet.get(0, "/health/live").await?.status == 200, "a leaving process is alive");

    let status = fleet.take(0).stop().await?;
    let took = begun.elapsed();
    ensure!(status.success(), "{status}");
    ensure!(took < GONE_WITHIN, "it took {} ms", took.as_millis());
    drop(stuck);

    let mut delays = Vec::new();
    for (delay, ended) in clients.join_all().await {
        ensure!(ended.code == Some(CloseCode::Drain.number()) && ended.reason == "drain", "{ended:?}");
        delays.push(delay.context("a client was not told when to come back")?);
    }
    ensure!(delays.len() == CONNECTIONS);
    let last = delays.iter().max().copied().unwrap_or(0);
    let bins = (0..=last / BIN_MS).map(|bin| delays.iter().filter(|delay| **delay / BIN_MS == bin).count());
    let fullest = bins.max().unwrap_or(0);
    ensure!(fullest * 100 <= CONNECTIONS * BIN_PERCENT_MAX, "{fullest} of {CONNECTIONS} come back together");
    Ok(())
}

/// Listens until the connection ends: when to come back, and how it ended.
async fn until_told(mut agent: Agent) -> (Option<u64>, Ended) {
    let mut delay = None;
    loop {
        let received = agent.receive(|frame, _, _| {
            if let ServerFrame::Closing { reconnect_after_ms, .. } = frame {
                delay = *reconnect_after_ms;
            }
        });
        if let Err(ended) = received.await {
            return (delay, ended);
        }
    }
}

/// A client that does not read, with a queue that cannot be written.
async fn stuck_client(fleet: &Fleet) -> anyhow::Result<Raw> {
    let stuck = Raw::welcomed(fleet.address(0), &fleet.token("stuck")?).await?;
    let mut sender = fleet.agent(0, "sender").await?;
    let to = address("agent/stuck")?;
    let payload = format!("\"{}\"", "x".repeat(60_000));
    eventually("its queue is full", Duration::from_secs(20), async || {
        tell(&mut sender, &to, &payload).await?;
        let saturated = sender.wait_for(|frame| match frame {
            ServerFrame::Receipt(receipt) => Some(!receipt.failed.is_empty()),
            _ => None,
        });
        Ok(saturated.await?.then_some(()))
    })
    .await?;
    sender.leave().await;
    Ok(stuck)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_told_to_be_queued_is_written_before_the_close() -> anyhow::Result<()> {
    let _machine = turn::alone().await;
    let mut fleet = Fleet::single(&UNLIMITED).await?;
    let (mut recipients, mut senders) = (JoinSet::new(), JoinSet::new());
    for pair in 0..PAIRS {
        recipients.spawn(count(fleet.agent(0, &format!("recipient-{pair}")).await?));
        let sender = fleet.agent(0, &format!("sender-{pair}")).await?;
        senders.spawn(send_on(sender, address(&format!("agent/recipient-{pair}"))?));
    }
    eventually("messages flow", GONE_WITHIN, async || {
        let written = fleet.metrics(0).await?.sum("relay_deliveries_written_total");
        Ok((written >= 5_000.0).then_some(()))
    })
    .await?;
    let status = fleet.take(0).stop().await?;
    ensure!(status.success(), "{status}");
    let received: u64 = recipients.join_all().await.into_iter().sum();
    let queued: u64 = senders.join_all().await.into_iter().sum();
    ensure!(received >= queued, "{queued} were told to be queued, {received} came");
    Ok(())
}

/// Counts messages until the connection ends.
async fn count(mut agent: Agent) -> u64 {
    let mut count = 0;
    while agent
        .receive(|frame, _, _| count += u64::from(matches!(frame, ServerFrame::Message(_))))
        .await
        .is_ok()
    {}
    count
}

/// Keeps messages in flight until the connection ends; says how many were told to be queued.
async fn send_on(mut agent: Agent, to: Address<'static>) -> u64 {
    let mut queued = 0;
    loop {
        for _ in 0..BURST {
            let id = agent.outbox().next_id();
            agent.outbox().send(id, to.clone(), Payload::Json("1".into()), ReceiptMode::All, |_| {});
        }
        let received = agent.receive(|frame, _, _| {
            if let ServerFrame::Receipt(receipt) = frame {
                queued += receipt.queued.iter().map(|(first, last)| last - first + 1).sum::<u64>();
            }
        });
        if received.await.is_err() {
            return queued;
        }
    }
}

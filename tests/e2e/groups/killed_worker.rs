//! A worker that does not read is given work until nothing more fits, and is then killed: what was written to its socket
//! counts as given, all the rest is done by another worker or failed to the sender.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, ensure};
use relay_loadtest::agent::Agent;
use relay_protocol::client::ReceiptMode;
use relay_protocol::{ErrorCode, Payload, ServerFrame};
use relay_tests::fleet::{PATIENCE, UNLIMITED, address, join};
use relay_tests::{Fleet, eventually, turn};

/// More than the buffers on the way and the queue of a session take.
const JOBS: u64 = 1_000;
const JOB_BYTES: usize = 8 * 1024;
const GROUP: &str = "render";
/// Longer than a relay needs to see that a connection broke.
const SOON: Duration = Duration::from_secs(10);

/// What the sender heard of its jobs.
type Told = BTreeMap<u64, Result<(), ErrorCode>>;

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::print_stdout, reason = "a measurement")]
async fn what_a_killed_worker_did_not_get_is_done_by_another_or_failed() -> anyhow::Result<()> {
    let _machine = turn::alone().await;
    let fleet = Fleet::joined(3, &UNLIMITED).await?;
    let mut sender = fleet.agent(0, "sender").await?;
    let mut told = Told::new();

    // Killed with another worker elsewhere.
    let mut victim = fleet.agent(1, "victim").await?;
    join(&mut victim, GROUP).await?;
    give(&mut sender, 1).await?;
    hear(&mut sender, &mut told, "the queue is full", saturated).await?;
    all_waits(&fleet).await?;
    let mut heir = fleet.agent(2, "heir").await?;
    join(&mut heir, GROUP).await?;
    drop(victim);
    let all = |told: &Told| told.len() as u64 == JOBS;
    let mut done = 0.0;
    tokio::select! {
        ended = work(&mut heir, &mut done, f64::INFINITY) => anyhow::bail!("the heir ended: {ended:?}"),
        heard = hear(&mut sender, &mut told, "every outcome", all) => heard?,
    }
    let handed_on = fleet.metrics(1).await?.sum("relay_group_handed_on_total");
    ensure!(handed_on > 0.5, "nothing waited for the one who was killed");
    tokio::time::timeout(PATIENCE, work(&mut heir, &mut done, handed_on)).await.context("work is lost")??;
    ensure!((done - handed_on).abs() < 0.5, "{done} done of {handed_on} handed on");
    let failed = told.values().filter(|outcome| outcome.is_err()).count();
    println!("{JOBS} jobs: {failed} refused while it was full, {handed_on} handed on to another worker");
    ensure!(told.values().all(|outcome| !matches!(outcome, Err(reason) if *reason != ErrorCode::Saturated)));

    // Killed as the last one.
    heir.leave().await;
    told.clear();
    let mut last = fleet.agent(1, "last").await?;
    join(&mut last, GROUP).await?;
    give(&mut sender, JOBS + 1).await?;
    hear(&mut sender, &mut told, "the queue is full", saturated).await?;
    drop(last);
    hear(&mut sender, &mut told, "every outcome", all).await?;
    let count = |reason| told.values().filter(|outcome| **outcome == Err(reason)).count();
    let (refused, unwanted) = (count(ErrorCode::Saturated), count(ErrorCode::NoRecipient));
    println!("{JOBS} jobs: {refused} refused while it was full, {unwanted} failed as nobody was left");
    ensure!(unwanted > 0, "nothing waited for the last one");

    eventually("the books balance", SOON, async || {
        Ok(fleet.all_metrics().await?.broken_identities().is_empty().then_some(()))
    })
    .await?;
    fleet.cluster.stop().await
}

/// What has no outcome waits for the victim, and none of it is on its way: it would go to who joins next.
async fn all_waits(fleet: &Fleet) -> anyhow::Result<()> {
    eventually("all waits", PATIENCE, async || {
        let under_way = fleet.metrics(0).await?.sum("relay_sends_in_flight");
        let there = fleet.metrics(1).await?;
        let deliveries = |what| there.sum(&format!("relay_deliveries_{what}_total"));
        let waiting = deliveries("queued") - deliveries("written") - deliveries("dropped");
        Ok((waiting > 0.5 && (under_way - waiting).abs() < 0.5).then_some(()))
    })
    .await
}

fn saturated(told: &Told) -> bool {
    told.values().any(|outcome| *outcome == Err(ErrorCode::Saturated))
}

/// Sends all jobs, from this command on.
async fn give(sender: &mut Agent, first: u64) -> anyhow::Result<()> {
    let to = address(&format!("group/{GROUP}"))?;
    let text = format!("\"{}\"", "x".repeat(JOB_BYTES - 2));
    for _ in 0..JOBS {
        let id = sender.outbox().next_id();
        ensure!(id > first, "{id}");
        let payload = Payload::Json(text.as_str().into());
        sender.outbox().send(id, to.clone(), payload, ReceiptMode::All, |_| {});
    }
    Ok(sender.flush().await?)
}

/// Reads outcomes until there is enough.
async fn hear(
    sender: &mut Agent,
    told: &mut Told,
    what: &str,
    enough: impl Fn(&Told) -> bool,
) -> anyhow::Result<()> {
    let hearing = async {
        while !enough(told) {
            let mut twice = false;
            let mut note = |id, outcome| twice |= told.insert(id, outcome).is_some();
            sender
                .receive(|frame, _, _| {
                    let ServerFrame::Receipt(receipt) = frame else { return };
                    receipt
                        .queued
                        .iter()
                        .flat_map(|(first, last)| *first..=*last)
                        .for_each(|id| note(id, Ok(())));
                    for failed in &receipt.failed {
                        failed.each_id().for_each(|id| note(id, Err(failed.reason)));
                    }
                    if !receipt.unknown.is_empty() {
                        note(0, Err(ErrorCode::Internal));
                    }
                })
                .await?;
            ensure!(!twice, "two outcomes");
        }
        Ok(())
    };
    tokio::time::timeout(PATIENCE, hearing).await.with_context(|| format!("not in time: {what}"))?
}

/// Does jobs until so many are done.
async fn work(agent: &mut Agent, done: &mut f64, enough: f64) -> anyhow::Result<()> {
    while *done < enough {
        let each = |frame: &ServerFrame<'_>| if matches!(frame, ServerFrame::Message(_)) { 1.0 } else { 0.0 };
        agent.receive(|frame, _, _| *done += each(frame)).await?;
    }
    Ok(())
}

//! Messages at `qos` 1 between instances: presented once and in order, with an outcome for each sender.

use anyhow::ensure;
use relay_tests::fleet::UNLIMITED;
use relay_tests::reliable::Reliable;
use relay_tests::{Fleet, turn};

const MESSAGES: usize = 500;

#[tokio::test(flavor = "multi_thread")]
async fn across_instances_each_is_delivered_once_and_its_sender_hears() -> anyhow::Result<()> {
    let _machine = turn::shared().await;
    let fleet = Fleet::joined(2, &UNLIMITED).await?;
    both_hear(&fleet, 1).await
}

#[tokio::test(flavor = "multi_thread")]
async fn without_redis_it_is_the_same() -> anyhow::Result<()> {
    let _machine = turn::shared().await;
    let fleet = Fleet::single(&UNLIMITED).await?;
    both_hear(&fleet, 0).await
}

async fn both_hear(fleet: &Fleet, other: usize) -> anyhow::Result<()> {
    let mut alice = Reliable::join(fleet, 0, "alice").await?;
    let mut bob = Reliable::join(fleet, other, "bob").await?;
    let mut reader = Reliable::join(fleet, other, "reader").await?;
    reader.subscribe("log").await?;
    let (mut sent, mut last) = (Vec::new(), 0);
    for number in 0..MESSAGES {
        let mid = format!("m{number}");
        last = alice.send("agent/bob", &mid, Some(number as u64 + 1)).await?;
        alice.send("topic/log", &mid, None).await?;
        sent.push(mid);
    }
    bob.present(MESSAGES).await?;
    reader.present(MESSAGES).await?;
    ensure!(bob.book.presented == sent && reader.book.presented == sent, "order or content differs");
    let faults = bob.book.repeats + bob.book.holes + reader.book.repeats + reader.book.holes;
    ensure!(faults == 0, "{:?}", bob.book);
    alice.until(|book| book.has(last, "delivered")).await?;
    let delivered = alice.book.outcomes.iter().filter(|(_, told)| *told == "delivered").count();
    let accepted = alice.book.outcomes.iter().filter(|(_, told)| *told == "accepted").count();
    ensure!((delivered, accepted) == (MESSAGES, 2 * MESSAGES), "{delivered} delivered, {accepted} accepted");
    let metrics = fleet.all_metrics().await?;
    ensure!(metrics.sum("relay_sends_in_flight") == 0.0, "sends are in flight");
    Ok(())
}

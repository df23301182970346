//! A sender whose relay dies hears on another one what became of what it sent: of messages that were done while it was
//! nowhere, and of those that are done after it came back.

use std::time::Duration;

use anyhow::{Context, ensure};
use relay_tests::fleet::UNLIMITED;
use relay_tests::reliable::{Book, Reliable};
use relay_tests::{Fleet, eventually, turn};

const MEANWHILE: usize = 40;
const AFTER: usize = 10;
/// Longer than outcomes take to be kept.
const SOON: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread")]
async fn a_sender_of_a_killed_relay_hears_every_outcome_on_another() -> anyhow::Result<()> {
    let _machine = turn::alone().await;
    let mut fleet = Fleet::joined(3, &UNLIMITED).await?;
    let mut alice = Reliable::join(&fleet, 2, "alice").await?;
    let mut bob = Reliable::join(&fleet, 0, "bob").await?;
    let mut carol = Reliable::join(&fleet, 0, "carol").await?;
    // From now on both read their streams, so that a hint which dies with the relay is not missed for long.
    for (reader, to) in [(&mut bob, "agent/bob"), (&mut carol, "agent/carol")] {
        let first = alice.send(to, "first", None).await?;
        reader.present(1).await?;
        alice.until(|book| book.has(first, "delivered")).await?;
    }
    alice.book.outcomes.clear();
    for number in 0..MEANWHILE {
        alice.send("agent/bob", &format!("b{number}"), None).await?;
    }
    for number in 0..AFTER {
        alice.send("agent/carol", &format!("c{number}"), None).await?;
    }
    let accepted = |book: &Book| book.outcomes.iter().filter(|(_, told)| *told == "accepted").count();
    alice.until(|book| accepted(book) == MEANWHILE + AFTER).await?;

    fleet.take(2).kill().await?;
    bob.present(1 + MEANWHILE).await?;
    bob.agent.leave().await;
    eventually("what was done is kept", SOON, async || {
        Ok((fleet.all_metrics().await?.sum("relay_outcomes_kept_total") >= 1.0).then_some(()))
    })
    .await?;
    alice.move_to(&fleet, 1).await?;
    ensure!(alice.agent.greeting().resumed);
    alice.until(|book| book.earlier.len() >= MEANWHILE).await.context("meanwhile")?;
    carol.present(1 + AFTER).await?;
    carol.agent.leave().await;
    alice.until(|book| book.earlier.len() >= MEANWHILE + AFTER).await.context("after")?;
    let mut told = alice.book.earlier.clone();
    told.sort_unstable();
    told.dedup();
    ensure!(told.len() == MEANWHILE + AFTER && told.iter().all(|(_, delivered)| *delivered), "{told:?}");
    ensure!(alice.book.earlier.len() == told.len(), "told twice");
    // What it sends now is told as ever.
    let id = alice.send("agent/alice", "own", None).await?;
    alice.until(|book| book.has(id, "delivered")).await?;
    ensure!(alice.book.earlier.len() == told.len(), "told as if it were of an earlier connection");
    Ok(())
}

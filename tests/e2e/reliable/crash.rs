//! A relay dies under a recipient that has not presented everything: on another one it gets what is left, once.

use anyhow::ensure;
use relay_tests::fleet::UNLIMITED;
use relay_tests::reliable::Reliable;
use relay_tests::{Fleet, turn};

const BEFORE: usize = 200;
const MEANWHILE: usize = 100;
const AFTER: usize = 100;

#[tokio::test(flavor = "multi_thread")]
async fn a_recipient_of_a_killed_relay_goes_on_at_another() -> anyhow::Result<()> {
    let _machine = turn::alone().await;
    let mut fleet = Fleet::joined(3, &UNLIMITED).await?;
    let mut alice = Reliable::join(&fleet, 0, "alice").await?;
    let mut bob = Reliable::join(&fleet, 2, "bob").await?;
    let session = bob.agent.greeting().session.clone();
    let mut sent = Vec::new();
    let mut counter = 0;
    let mut post = async |alice: &mut Reliable, count: usize| -> anyhow::Result<u64> {
        let mut last = 0;
        for _ in 0..count {
            counter += 1;
            let mid = format!("m{counter}");
            last = alice.send("agent/bob", &mid, Some(counter)).await?;
            sent.push(mid);
        }
        alice.until(|book| book.has(last, "accepted")).await?;
        Ok(last)
    };
    post(&mut alice, BEFORE).await?;
    bob.present(BEFORE / 2).await?;

    fleet.take(2).kill().await?;
    // Nobody is there, and nothing is refused.
    post(&mut alice, MEANWHILE).await?;
    bob.move_to(&fleet, 1).await?;
    ensure!(bob.agent.greeting().resumed && bob.agent.greeting().session == session);
    let last = post(&mut alice, AFTER).await?;
    bob.present(BEFORE + MEANWHILE + AFTER).await?;
    ensure!(bob.book.presented == sent, "not what was sent, or not in order");
    ensure!(bob.book.holes == 0 && bob.book.skipped == 0, "{:?}", bob.book);
    ensure!(bob.book.resumed == [true], "{:?}", bob.book.resumed);
    alice.until(|book| book.has(last, "delivered")).await?;

    // The sender's relay dies too: what it repeats on another one is stored once.
    fleet.take(0).kill().await?;
    alice.move_to(&fleet, 0).await?;
    ensure!(alice.agent.greeting().resumed);
    let outcome = alice.ask("agent/bob", "m400").await?;
    ensure!(outcome == "delivered", "{outcome}");
    let id = alice.send("agent/bob", "m401", Some(401)).await?;
    bob.present(401).await?;
    alice.until(|book| book.has(id, "delivered")).await?;
    ensure!(bob.book.presented.len() == 401, "a repeat was presented");
    Ok(())
}

//! Redis comes back empty, or as it was a while ago: what it forgot is said, and everything goes on.

use std::time::Duration;

use anyhow::ensure;
use relay_tests::fleet::UNLIMITED;
use relay_tests::reliable::Reliable;
use relay_tests::{Fleet, eventually, turn};

/// A session is spoken for that often at least, for so short a grace.
const GRACE: (&str, &str) = ("RELAY_RESUME_GRACE_MS", "8000");
const BACK_WITHIN: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_comes_back_empty_is_another_epoch_and_everybody_hears() -> anyhow::Result<()> {
    let _machine = turn::alone().await;
    let environment = [UNLIMITED[0], UNLIMITED[1], UNLIMITED[2], GRACE];
    let mut fleet = Fleet::joined(2, &environment).await?;
    let mut alice = Reliable::join(&fleet, 0, "alice").await?;
    let mut bob = Reliable::join(&fleet, 1, "bob").await?;
    let mut reader = Reliable::join(&fleet, 1, "reader").await?;
    reader.subscribe("log").await?;
    for mid in ["m1", "m2"] {
        alice.send("agent/bob", mid, None).await?;
        alice.send("topic/log", mid, None).await?;
    }
    bob.present(2).await?;
    reader.present(2).await?;

    fleet.redis()?.kill().await?;
    eventually("qos 1 is refused while there is nowhere to store", BACK_WITHIN, async || {
        let outcome = alice.ask("agent/bob", "lost").await?;
        ensure!(outcome == "unavailable" || outcome == "unknown", "{outcome}");
        Ok((outcome == "unavailable").then_some(()))
    })
    .await?;
    fleet.redis()?.begin().await?;
    // Its recipient is there, so it is known again before its session ends.
    let tries = stored_again(&mut alice, "agent/bob", "again").await?;
    ensure!(alice.ask("topic/log", "m3").await? == "accepted");
    bob.present(3).await?;
    reader.present(3).await?;
    ensure!(bob.book.presented[2] == format!("again{tries}"), "{:?}", bob.book);
    ensure!(reader.book.presented[2] == "m3", "{:?}", reader.book);
    ensure!(bob.book.resumed.contains(&false), "it was not told: {:?}", bob.book);
    ensure!(reader.book.resumed.contains(&false), "it was not told: {:?}", reader.book);
    // The session that was known before is known again.
    bob.move_to(&fleet, 0).await?;
    ensure!(bob.agent.greeting().resumed, "the ticket is not known any more");
    let id = alice.send("agent/bob", "m4", None).await?;
    bob.present(4).await?;
    alice.until(|book| book.has(id, "delivered")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_comes_back_as_it_was_two_lives_ago_repeats_nothing() -> anyhow::Result<()> {
    let _machine = turn::alone().await;
    let mut fleet = Fleet::joined(2, &UNLIMITED).await?;
    let mut alice = Reliable::join(&fleet, 0, "alice").await?;
    let mut bob = Reliable::join(&fleet, 1, "bob").await?;
    let mut reader = Reliable::join(&fleet, 1, "reader").await?;
    reader.subscribe("log").await?;
    for mid in ["m1", "m2"] {
        ensure!(alice.ask("agent/bob", mid).await? == "accepted");
        ensure!(alice.ask("topic/log", mid).await? == "accepted");
    }
    // Nobody has acknowledged them yet.
    let snapshot = fleet.redis()?.snapshot().await?;
    bob.present(2).await?;
    reader.present(2).await?;

    fleet.redis()?.kill().await?;
    fleet.redis()?.begin().await?;
    for to in ["agent/bob", "topic/log"] {
        stored_again(&mut alice, to, "empty").await?;
    }
    for one in [&mut bob, &mut reader] {
        one.until(|book| book.presented.iter().any(|text| text.starts_with("empty"))).await?;
    }
    fleet.redis()?.kill().await?;
    fleet.redis()?.begin_with(&snapshot).await?;
    for to in ["agent/bob", "topic/log"] {
        stored_again(&mut alice, to, "back").await?;
    }
    for one in [&mut bob, &mut reader] {
        let told = one.book.resumed.len();
        one.until(|book| book.presented.iter().any(|text| text.starts_with("back"))).await?;
        ensure!(one.book.resumed[told..].contains(&false), "it was not told: {:?}", one.book);
        let mut presented = one.book.presented.clone();
        presented.sort();
        presented.dedup();
        ensure!(presented.len() == one.book.presented.len(), "some came twice: {:?}", one.book);
    }
    Ok(())
}

/// Sends until it is stored, each time under a name of its own; how often.
async fn stored_again(sender: &mut Reliable, to: &str, name: &str) -> anyhow::Result<u32> {
    let mut tries = 0;
    eventually("it is stored again", BACK_WITHIN, async || {
        tries += 1;
        let outcome = sender.ask(to, &format!("{name}{tries}")).await?;
        Ok((outcome == "accepted" || outcome == "delivered").then_some(tries))
    })
    .await
}

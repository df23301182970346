//! One of three relays is killed: what was on its way there has an outcome, what is for its agents fails, everybody else
//! goes on, and an agent that comes back elsewhere is found there by those who knew where it was.

use std::time::Duration;

use anyhow::ensure;
use relay_protocol::ErrorCode;
use relay_tests::fleet::{UNLIMITED, address};
use relay_tests::peer::Outcome;
use relay_tests::{Fleet, eventually, turn};
use tokio::time::Instant;

/// Within which a send has an outcome, whatever happened to its recipient's instance.
const OUTCOME_TIMEOUT: Duration = Duration::from_secs(5);
/// How long an instance counts as alive after its last beat, and what a busy machine adds.
const LEASE: Duration = Duration::from_secs(3);
const SLACK: Duration = Duration::from_secs(2);

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_relay_takes_only_its_own_agents_with_it() -> anyhow::Result<()> {
    let _machine = turn::alone().await;
    let mut fleet = Fleet::joined(3, &UNLIMITED).await?;
    let mut sender = fleet.peer(0, "sender").await?;
    let mut neighbour = fleet.peer(1, "neighbour").await?;
    let mut victim = fleet.peer(2, "victim").await?;
    let (to_victim, to_neighbour) = (address("agent/victim")?, address("agent/neighbour")?);
    // Now the sender's instance knows where both are.
    for (to, agent) in [(&to_victim, &mut victim), (&to_neighbour, &mut neighbour)] {
        let outcome = sender.ask(to).await?;
        ensure!(outcome == Outcome::Queued, "{outcome:?}");
        agent.hear().await?;
    }

    fleet.take(2).kill().await?;
    let killed = Instant::now();
    drop(victim);
    // Until the lease has lapsed it is not known that nobody is there; then it is, and at once.
    eventually("nobody is there", LEASE + SLACK, async || {
        let begun = Instant::now();
        let outcome = sender.ask(&to_victim).await?;
        let took = begun.elapsed();
        ensure!(took < OUTCOME_TIMEOUT + SLACK, "an outcome took {took:?}");
        ensure!(outcome != Outcome::Queued, "queued with a relay killed {:?} before", killed.elapsed());
        let other = sender.ask(&to_neighbour).await?;
        ensure!(other == Outcome::Queued, "the neighbour was not reached: {other:?}");
        neighbour.hear().await?;
        Ok((outcome == Outcome::Failed(ErrorCode::NoRecipient)).then_some(()))
    })
    .await?;

    let mut back = fleet.peer(1, "victim").await?;
    let outcome = sender.ask(&to_victim).await?;
    ensure!(outcome == Outcome::Queued, "not reached where it came back: {outcome:?}");
    back.hear().await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_moves_is_reached_by_those_who_knew_where_it_was() -> anyhow::Result<()> {
    let _machine = turn::shared().await;
    // A route that lives so long is corrected by what happens, not by its age.
    let environment = [UNLIMITED[0], UNLIMITED[1], UNLIMITED[2], ("RELAY_ROUTE_TTL_MS", "300000")];
    let mut fleet = Fleet::joined(3, &environment).await?;
    let mut sender = fleet.peer(0, "sender").await?;
    let to = address("agent/mover")?;
    for instance in [2, 1, 2] {
        let mut mover = fleet.peer(instance, "mover").await?;
        let outcome = sender.ask(&to).await?;
        ensure!(outcome == Outcome::Queued, "on {instance}: {outcome:?}");
        mover.hear().await?;
        mover.agent.leave().await;
    }
    let mover = fleet.peer(2, "mover").await?;
    ensure!(sender.ask(&to).await? == Outcome::Queued);
    // The route is known, and its instance dies; the agent is elsewhere before anybody else notices.
    fleet.take(2).kill().await?;
    drop(mover);
    let mut mover = fleet.peer(1, "mover").await?;
    let outcome = sender.ask(&to).await?;
    ensure!(outcome == Outcome::Queued, "after its instance's death: {outcome:?}");
    mover.hear().await.map(drop)
}

//! Redis is away: nobody elsewhere could find a further member, so there is none, and it hears so; those here serve those here.

use std::time::Duration;

use anyhow::ensure;
use relay_loadtest::agent::ConnectError;
use relay_protocol::ErrorCode;
use relay_tests::fleet::{UNLIMITED, address, join};
use relay_tests::peer::Outcome;
use relay_tests::{Fleet, eventually, turn};

/// Longer than a relay needs to see that Redis is back.
const SOON: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread")]
async fn joining_fails_while_the_directory_is_away_and_members_here_still_serve() -> anyhow::Result<()> {
    let _machine = turn::alone().await;
    let mut fleet = Fleet::joined(2, &UNLIMITED).await?;
    let (mut sender, mut worker) = (fleet.peer(0, "sender").await?, fleet.peer(0, "worker").await?);
    let mut late = fleet.agent(1, "late").await?;
    join(&mut worker.agent, "work").await?;
    let group = address("group/work")?;
    fleet.redis()?.kill().await?;
    let unavailable = |joined: &Result<(), ConnectError>| {
        matches!(joined, Err(ConnectError::Command { code: ErrorCode::Unavailable, .. }))
    };
    let joined = join(&mut late, "work").await;
    ensure!(unavailable(&joined), "{joined:?}");
    eventually("it is seen that Redis is away", SOON, async || {
        Ok((fleet.metrics(0).await?.sum("relay_bus_up") < 0.5).then_some(()))
    })
    .await?;
    let outcome = sender.ask(&group).await?;
    ensure!(outcome == Outcome::Queued, "the member here: {outcome:?}");
    worker.hear().await?;
    fleet.redis()?.begin().await?;
    eventually("a member can join again", SOON, async || {
        let joined = join(&mut late, "work").await;
        ensure!(joined.is_ok() || unavailable(&joined), "{joined:?}");
        Ok(joined.ok())
    })
    .await?;
    worker.agent.leave().await;
    // What is sent while the bus comes back may have any outcome but a wrong one.
    eventually("the member elsewhere is reached", SOON, async || {
        let outcome = sender.ask(&group).await?;
        ensure!(outcome != Outcome::Accepted, "{outcome:?}");
        Ok((outcome == Outcome::Queued).then_some(()))
    })
    .await
}

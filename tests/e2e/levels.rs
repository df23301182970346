//! What a relay leans on fails and comes back: operators see the level, clients are told what works less, and each level
//! is left again.

use std::time::Duration;

use anyhow::ensure;
use relay_loadtest::agent::Agent;
use relay_protocol::ServerFrame;
use relay_tests::fleet::UNLIMITED;
use relay_tests::{Fleet, eventually, turn};

const PATIENCE: Duration = Duration::from_secs(30);

/// A port of this machine where nothing listens.
const NOBODY: (&str, &str) = ("RELAY_AUTH_JWKS_URL", "http://127.0.0.1:1/jwks.json");

#[tokio::test]
async fn an_outage_of_redis_is_a_level_that_comes_and_goes() -> anyhow::Result<()> {
    let _machine = turn::alone().await;
    let mut fleet = Fleet::joined(1, &UNLIMITED).await?;
    let mut witness = fleet.agent(0, "witness").await?;
    stands_at(&fleet, 0).await?;
    fleet.redis()?.kill().await?;
    hears(&mut witness, 2, &["other_instances", "topics"]).await?;
    stands_at(&fleet, 2).await?;
    let health = fleet.get(0, "/health/live").await?.body;
    ensure!(health.contains(r#"{"name":"redis","health":"down","meanwhile":""#), "{health}");
    ensure!(fleet.get(0, "/health/ready").await?.status == 200, "an outage of Redis takes it out of service");
    fleet.redis()?.begin().await?;
    hears(&mut witness, 0, &[]).await?;
    stands_at(&fleet, 0).await
}

#[tokio::test]
async fn several_failures_are_a_level_of_their_own() -> anyhow::Result<()> {
    let _machine = turn::alone().await;
    let environment = [UNLIMITED.as_slice(), &[NOBODY]].concat();
    let mut fleet = Fleet::joined(1, &environment).await?;
    // The key server counts as down after some seconds only.
    let mut witness = fleet.agent(0, "witness").await?;
    hears(&mut witness, 2, &["sign_in"]).await?;
    stands_at(&fleet, 2).await?;
    fleet.redis()?.kill().await?;
    hears(&mut witness, 3, &["other_instances", "sign_in", "topics"]).await?;
    stands_at(&fleet, 3).await
}

#[tokio::test]
async fn a_full_instance_is_an_emergency_until_there_is_room() -> anyhow::Result<()> {
    let _machine = turn::alone().await;
    // One of the three is what asks for the health.
    let fleet = Fleet::single(&[("RELAY_MAX_CONNECTIONS", "3")]).await?;
    let mut first = fleet.agent(0, "first").await?;
    let second = fleet.agent(0, "second").await?;
    let third = fleet.agent(0, "third").await?;
    hears(&mut first, 4, &["connections"]).await?;
    drop((second, third));
    hears(&mut first, 0, &[]).await
}

/// Waits until health and metrics show the level.
async fn stands_at(fleet: &Fleet, level: u8) -> anyhow::Result<()> {
    eventually("the level is shown", PATIENCE, async || {
        let health = fleet.get(0, "/health/live").await?.body;
        let shown = health.contains(&format!(r#""level":"L{level}""#));
        let counted = fleet.metrics(0).await?.sum("relay_degradation_level");
        Ok((shown && (counted - f64::from(level)).abs() < 0.1).then_some(()))
    })
    .await
}

/// Waits until the agent is told the level, whatever it hears on the way.
async fn hears(agent: &mut Agent, level: u64, reduced: &[&str]) -> anyhow::Result<()> {
    let told = agent.wait_for(|frame| match frame {
        ServerFrame::Degraded { level: told, reduced } if *told == level => {
            Some(reduced.iter().map(ToString::to_string).collect::<Vec<_>>())
        }
        _ => None,
    });
    let told = tokio::time::timeout(PATIENCE, told).await??;
    ensure!(told == reduced, "{told:?}");
    Ok(())
}

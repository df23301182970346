//! What a relay leans on fails and comes back: operators see the level, clients are told what works less, and each level
//! is left again.

use std::time::Duration;

use anyhow::ensure;
use relay_loadtest::agent::Agent;
use relay_loadtest::launch::Child;
use relay_protocol::ServerFrame;
use relay_tests::fleet::{UNLIMITED, address, tell};
use relay_tests::proxy::{CLEAR, Conduct, Proxy};
use relay_tests::redis::Redis;
use relay_tests::{Fleet, eventually, turn};
use rustix::process::Signal;
use tokio::time::MissedTickBehavior;

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
    stands_at(&fleet, 3).await?;
    fleet.redis()?.begin().await?;
    hears(&mut witness, 2, &["sign_in"]).await?;
    stands_at(&fleet, 2).await
}

#[tokio::test]
async fn a_redis_that_answers_late_is_a_level_that_comes_and_goes() -> anyhow::Result<()> {
    let _machine = turn::alone().await;
    let redis = Redis::start().await?;
    let way = Proxy::before(redis.port()).await?;
    let slow = [UNLIMITED.as_slice(), &[("RELAY_DEPENDENCY_SLOW_MS", "100")]].concat();
    let fleet = Fleet::over(format!("redis://127.0.0.1:{}", way.port()), 1, &slow).await?;
    let mut witness = fleet.agent(0, "witness").await?;
    // Far below the second that a question to Redis may take.
    way.set(Conduct { delay: Duration::from_millis(150), ..CLEAR });
    hears(&mut witness, 1, &[]).await?;
    stands_at(&fleet, 1).await?;
    fleet.assert_serves(0).await?;
    way.set(CLEAR);
    hears(&mut witness, 0, &[]).await?;
    stands_at(&fleet, 0).await
}

#[tokio::test]
async fn too_little_processor_is_an_emergency_until_there_is_enough() -> anyhow::Result<()> {
    let _machine = turn::alone().await;
    let late = [UNLIMITED.as_slice(), &[("RELAY_SHED_SENDS_DELAY_MS", "10")]].concat();
    let fleet = Fleet::single(&late).await?;
    let mut witness = fleet.agent(0, "witness").await?;
    let mut sender = fleet.agent(0, "sender").await?;
    let to = address("agent/witness")?;
    let observed = async {
        hears(&mut witness, 4, &["sends"]).await?;
        eventually("some are refused for it", PATIENCE, async || {
            tell(&mut sender, &to, "1").await?;
            Ok((fleet.metrics(0).await?.having("relay_limited_total", "processor") > 0.5).then_some(()))
        })
        .await
    };
    tokio::select! {
        starved = starve(fleet.child(0)) => starved?,
        observed = observed => observed?,
    }
    fleet.child(0).signal(Signal::CONT)?;
    hears(&mut witness, 0, &[]).await?;
    stands_at(&fleet, 0).await
}

/// Lets a process run for 5 ms of each 60, less than a timer of 10 ms needs to be in time.
async fn starve(child: &Child) -> anyhow::Result<()> {
    let mut beat = tokio::time::interval(Duration::from_millis(5));
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for tick in 0.. {
        beat.tick().await;
        match tick % 12 {
            0 => child.signal(Signal::STOP)?,
            11 => child.signal(Signal::CONT)?,
            _ => {}
        }
    }
    Ok(())
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

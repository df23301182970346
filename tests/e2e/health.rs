//! Where a relay is in its life, as its platform sees it: starting with and without its Redis, serving, leaving.

use std::time::Duration;

use anyhow::ensure;
use relay_loadtest::launch::{Relay, RelayOptions};
use relay_protocol::ErrorCode;
use relay_tests::fleet::address;
use relay_tests::http::{self, Response};
use relay_tests::peer::Outcome;
use relay_tests::raw::{Raw, upgrade_head};
use relay_tests::redis::Redis;
use relay_tests::{Fleet, eventually, program, turn};
use rustix::process::Signal;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

const PATIENCE: Duration = Duration::from_secs(20);

#[tokio::test]
async fn health_follows_a_relay_through_its_life() -> anyhow::Result<()> {
    let _machine = turn::shared().await;
    let folder = TempDir::with_prefix("relay-tests-life-")?;
    let environment = vec![("RELAY_AUTH_HMAC_SECRET".to_owned(), "x".repeat(32))];
    let options = RelayOptions { binary: program::relay()?, arguments: Vec::new(), environment };
    let relay = Relay::start("life", &options, folder.path()).await?;
    let listens = relay.target.address;
    for path in ["live", "ready", "startup"] {
        says(&http::get(listens, &format!("/health/{path}")).await?, 200, "ready")?;
    }
    for (path, same) in [("/health", "live"), ("/ready", "ready")] {
        let status = http::get(listens, path).await?.status;
        ensure!(status == http::get(listens, &format!("/health/{same}")).await?.status, "{path}");
    }
    // Half a request keeps it leaving for as long as it waits for the rest of a head, so that it can be looked at.
    let mut half = TcpStream::connect(listens).await?;
    half.write_all(upgrade_head(listens).as_bytes()).await?;
    eventually("the relay has it", PATIENCE, async || {
        let page = http::get(listens, "/metrics").await?.body;
        Ok(page.lines().any(|line| line == "relay_connections 2").then_some(()))
    })
    .await?;
    relay.child.signal(Signal::TERM)?;
    eventually("it is not ready", PATIENCE, async || {
        Ok((http::get(listens, "/health/ready").await?.status == 503).then_some(()))
    })
    .await?;
    says(&http::get(listens, "/health/ready").await?, 503, "draining")?;
    says(&http::get(listens, "/health/live").await?, 200, "draining")?;
    says(&http::get(listens, "/health/startup").await?, 200, "draining")?;
    let (_, refused) = Raw::ask(listens, "Sec-WebSocket-Protocol: agent-relay.v1.json\r\n").await?;
    ensure!(refused.status == 503 && refused.body.contains("\"drain\""), "{refused:?}");
    drop(half);
    let status = relay.child.stop().await?;
    ensure!(status.success(), "{status}");
    ensure!(TcpStream::connect(listens).await.is_err(), "it still listens");
    Ok(())
}

#[tokio::test]
async fn a_relay_starts_without_its_redis_and_joins_it_when_it_comes() -> anyhow::Result<()> {
    let _machine = turn::shared().await;
    let mut redis = Redis::start().await?;
    redis.kill().await?;
    let url = redis.url();
    let fleet = Fleet::single(&[("RELAY_REDIS_URL", &*url)]).await?;
    // One outage must not take every instance out of service: those who are here are served.
    for path in ["live", "ready", "startup"] {
        let report = fleet.get(0, &format!("/health/{path}")).await?;
        ensure!(report.status == 200 && report.body.contains("\"bus\":\"down\""), "{path}: {report:?}");
    }
    fleet.assert_serves(0).await?;
    let mut agent = fleet.peer(0, "bob").await?;
    let away = agent.ask(&address("agent/elsewhere")?).await?;
    ensure!(away == Outcome::Failed(ErrorCode::Unavailable), "{away:?}");
    redis.begin().await?;
    eventually("the bus is up", PATIENCE, async || {
        Ok(fleet.get(0, "/health/ready").await?.body.contains("\"bus\":\"up\"").then_some(()))
    })
    .await?;
    eventually("nobody is elsewhere", PATIENCE, async || {
        let outcome = agent.ask(&address("agent/elsewhere")?).await?;
        Ok((outcome == Outcome::Failed(ErrorCode::NoRecipient)).then_some(()))
    })
    .await
}

fn says(report: &Response, status: u16, word: &str) -> anyhow::Result<()> {
    let told = report.body.contains(&format!("\"status\":\"{word}\""));
    ensure!(report.status == status && told, "expected {status} and {word}: {report:?}");
    Ok(())
}

//! More connections than there is room for: refused at once, told when to come back, and let in when there is room.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use anyhow::ensure;
use relay_loadtest::launch::{Cluster, ClusterOptions, RedisChoice};
use relay_tests::http::Response;
use relay_tests::raw::Raw;
use relay_tests::{Fleet, eventually, program, turn};
use tempfile::TempDir;
use tokio::net::TcpStream;

const JSON: &str = "agent-relay.v1.json";
/// Half of so few are kept for other things than connections.
const DESCRIPTORS: usize = 64;
const FREE_WITHIN: Duration = Duration::from_secs(10);

#[tokio::test]
async fn connections_over_the_limit_are_told_to_come_back() -> anyhow::Result<()> {
    let _machine = turn::shared().await;
    let fleet = Fleet::single(&[("RELAY_MAX_CONNECTIONS", "3"), ("RELAY_MAX_UNAUTHENTICATED", "3")]).await?;
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(
            eventually("the probe's place is free", FREE_WITHIN, async || upgrade(&fleet).await).await?,
        );
    }
    assert_overload(&refusal(&fleet).await?)?;
    drop(held);
    eventually("the places are free", FREE_WITHIN, async || upgrade(&fleet).await).await?;
    eventually("agents are served", FREE_WITHIN, async || Ok(fleet.assert_serves(0).await.ok())).await
}

#[tokio::test]
async fn connections_without_a_token_have_a_limit_of_their_own() -> anyhow::Result<()> {
    let _machine = turn::shared().await;
    let fleet = Fleet::single(&[("RELAY_MAX_UNAUTHENTICATED", "2")]).await?;
    let known = Raw::welcomed(fleet.address(0), &fleet.token("known")?).await?;
    let held = [Raw::upgraded(fleet.address(0), JSON).await?, Raw::upgraded(fleet.address(0), JSON).await?];
    assert_overload(&refusal(&fleet).await?)?;
    drop(held);
    eventually("the places are free", FREE_WITHIN, async || upgrade(&fleet).await).await?;
    fleet.assert_serves(0).await?;
    drop(known);
    Ok(())
}

#[tokio::test]
async fn a_relay_with_few_descriptors_refuses_and_goes_on() -> anyhow::Result<()> {
    let _machine = turn::shared().await;
    let folder = TempDir::with_prefix("relay-tests-few-")?;
    let few = folder.path().join("few");
    let relay = program::relay()?;
    fs::write(&few, format!("#!/bin/sh\nulimit -n {DESCRIPTORS}\nexec {} \"$@\"\n", relay.display()))?;
    fs::set_permissions(&few, fs::Permissions::from_mode(0o755))?;
    let options = ClusterOptions {
        binary: few,
        instances: 1,
        redis: RedisChoice::None,
        arguments: Vec::new(),
        environment: Vec::new(),
    };
    let fleet = Fleet { cluster: Cluster::start(options).await?, redis: None };
    let mut held = Vec::new();
    for _ in 0..3 * DESCRIPTORS {
        held.push(TcpStream::connect(fleet.address(0)).await?);
    }
    // Those that came first have the places until their heads are late; the last one hears so at once.
    assert_overload(&refusal(&fleet).await?)?;
    drop(held);
    eventually("agents are served", FREE_WITHIN, async || Ok(fleet.assert_serves(0).await.ok())).await?;
    fleet.cluster.stop().await
}

async fn upgrade(fleet: &Fleet) -> anyhow::Result<Option<Raw>> {
    Ok(Raw::upgraded(fleet.address(0), JSON).await.ok())
}

async fn refusal(fleet: &Fleet) -> anyhow::Result<Response> {
    let (_, answer) = Raw::ask(fleet.address(0), &format!("Sec-WebSocket-Protocol: {JSON}\r\n")).await?;
    Ok(answer)
}

fn assert_overload(answer: &Response) -> anyhow::Result<()> {
    ensure!(answer.status == 503 && answer.body.contains("\"overload\""), "{answer:?}");
    let seconds: Option<u64> = answer.header("retry-after").and_then(|text| text.parse().ok());
    ensure!(seconds.is_some_and(|seconds| seconds > 0), "{answer:?}");
    Ok(())
}

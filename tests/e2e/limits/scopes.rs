//! Connections of one agent and of one source address, and a dry run.

use std::time::Duration;

use anyhow::ensure;
use relay_protocol::ErrorCode;
use relay_tests::fleet::address;
use relay_tests::http::Response;
use relay_tests::peer::Outcome;
use relay_tests::raw::{Raw, TEXT, frame, hello};
use relay_tests::{Fleet, eventually, turn};

const JSON: &str = "agent-relay.v1.json";
const FREE_WITHIN: Duration = Duration::from_secs(10);

#[tokio::test]
async fn an_agent_has_as_many_connections_as_it_may() -> anyhow::Result<()> {
    let _machine = turn::shared().await;
    let fleet = Fleet::single(&[("RELAY_AGENT_CONNECTIONS", "2"), ("RELAY_TENANT_CONNECTIONS", "3")]).await?;
    let held = [fleet.agent(0, "bob").await?, fleet.agent(0, "bob").await?];
    let bob = refused(&fleet, "bob").await?;
    ensure!(bob == (Some(4103), true), "{bob:?}");
    let _third = fleet.agent(0, "eve").await?;
    let tenant = refused(&fleet, "mallory").await?;
    ensure!(tenant == (Some(4104), true), "{tenant:?}");
    drop(held);
    eventually("the places are free", FREE_WITHIN, async || Ok(fleet.agent(0, "bob").await.ok())).await?;
    Ok(())
}

/// The code with which an agent is turned away, and whether it is told to back off.
pub(super) async fn refused(fleet: &Fleet, agent: &str) -> anyhow::Result<(Option<u16>, bool)> {
    let mut raw = Raw::upgraded(fleet.address(0), JSON).await?;
    raw.send(&frame(TEXT, hello(&fleet.token(agent)?).as_bytes())).await?;
    let farewell = raw.farewell().await?;
    Ok((farewell.code, farewell.said.contains("\"back_off\"")))
}

#[tokio::test]
async fn a_source_address_is_believed_from_trusted_hops_alone() -> anyhow::Result<()> {
    let _machine = turn::shared().await;
    let limit = ("RELAY_ADDRESS_CONNECTIONS", "1");
    let fleet = Fleet::single(&[limit, ("RELAY_TRUSTED_PROXIES", "127.0.0.0/8")]).await?;
    let (held, first) = upgrade(&fleet, "203.0.113.1, 192.0.2.1").await?;
    ensure!(first.status == 101, "{first:?}");
    // What stands left of the hop's own entry is the client's word.
    let (_, again) = upgrade(&fleet, "203.0.113.2, 192.0.2.1").await?;
    ensure!(again.status == 429 && again.body.contains("connection_limit"), "{again:?}");
    ensure!(again.header("retry-after").is_some(), "{again:?}");
    let (_other, other) = upgrade(&fleet, "192.0.2.2").await?;
    ensure!(other.status == 101, "{other:?}");
    drop(held);
    eventually("its place is free", FREE_WITHIN, async || {
        let (raw, answer) = upgrade(&fleet, "192.0.2.1").await?;
        Ok((answer.status == 101).then_some(raw))
    })
    .await?;

    let fleet = Fleet::single(&[limit]).await?;
    let (_held, first) = upgrade(&fleet, "192.0.2.1").await?;
    let (_, second) = upgrade(&fleet, "192.0.2.2").await?;
    ensure!((first.status, second.status) == (101, 429), "a stranger chose its own address");
    Ok(())
}

async fn upgrade(fleet: &Fleet, forwarded: &str) -> anyhow::Result<(Raw, Response)> {
    let headers = format!("Sec-WebSocket-Protocol: {JSON}\r\nX-Forwarded-For: {forwarded}\r\n");
    Raw::ask(fleet.address(0), &headers).await
}

#[tokio::test]
async fn a_dry_run_refuses_nothing_and_shows_what_it_would() -> anyhow::Result<()> {
    let _machine = turn::shared().await;
    let limits = [("RELAY_AGENT_RATE_MESSAGES", "1"), ("RELAY_AGENT_CONNECTIONS", "1")];
    let fleet = Fleet::single(&limits).await?;
    let mut bob = fleet.peer(0, "bob").await?;
    let to = address("agent/bob")?;
    let mut outcomes = Vec::new();
    for _ in 0..20 {
        outcomes.push(bob.ask(&to).await?);
    }
    ensure!(outcomes.contains(&Outcome::Failed(ErrorCode::RateLimited)), "{outcomes:?}");

    let fleet = Fleet::single(&[limits[0], limits[1], ("RELAY_LIMITS_DRY_RUN", "true")]).await?;
    let mut bob = fleet.peer(0, "bob").await?;
    let _second = fleet.peer(0, "bob").await?;
    for _ in 0..20 {
        let outcome = bob.ask(&to).await?;
        ensure!(outcome == Outcome::Queued, "{outcome:?}");
    }
    let metrics = fleet.metrics(0).await?;
    for limit in ["agent_rate_messages", "agent_connections"] {
        let label = format!("limit=\"{limit}\",mode=\"dry_run\"");
        ensure!(metrics.having("relay_limited_total", &label) > 0.5, "{limit}: {metrics:?}");
    }
    ensure!(metrics.having("relay_limited_total", "mode=\"enforced\"") < 0.5, "{metrics:?}");
    Ok(())
}

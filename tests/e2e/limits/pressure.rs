//! An instance under pressure refuses connections, says so, and goes on serving those that it has.

use std::time::Duration;

use anyhow::ensure;
use relay_tests::http::Response;
use relay_tests::raw::Raw;
use relay_tests::{Fleet, eventually, turn};

const JSON: &str = "agent-relay.v1.json";
const SEEN_WITHIN: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_storm_is_let_in_at_its_rate() -> anyhow::Result<()> {
    let _machine = turn::shared().await;
    let fleet = Fleet::single(&[("RELAY_CONNECT_RATE", "1")]).await?;
    let mut held = Vec::new();
    let refused = eventually("the rate is met", SEEN_WITHIN, async || {
        let (raw, answer) = upgrade(&fleet).await?;
        held.push(raw);
        Ok((answer.status != 101).then_some(answer))
    })
    .await?;
    ensure!(refused.status == 503 && refused.body.contains("\"overload\""), "{refused:?}");
    ensure!(refused.header("retry-after").is_some(), "{refused:?}");
    ensure!(fleet.get(0, "/health/ready").await?.status == 200, "a storm makes nobody unready");
    let metrics = fleet.metrics(0).await?;
    ensure!(metrics.having("relay_connections_refused_total", "rate") > 0.5, "{metrics:?}");
    eventually("the rate lets one in", SEEN_WITHIN, async || {
        Ok((upgrade(&fleet).await?.1.status == 101).then_some(()))
    })
    .await
}

#[tokio::test]
async fn memory_is_spared_and_those_who_are_there_are_served() -> anyhow::Result<()> {
    let _machine = turn::shared().await;
    let idle = Fleet::single(&[]).await?;
    // A little above what a relay needs to start, so that some connections fill it.
    let budget = (idle.rss_bytes_max()? + 6 * 1024 * 1024).to_string();
    drop(idle);
    let memory = [("RELAY_MEMORY_BYTES", budget.as_str()), ("RELAY_SHED_MEMORY_PERCENT", "95")];
    let fleet = Fleet::single(&memory).await?;
    let mut served = fleet.peer(0, "early").await?;
    let mut held = Vec::new();
    let refused = eventually("memory is spared", SEEN_WITHIN, async || {
        for _ in 0..50 {
            let (raw, answer) = upgrade(&fleet).await?;
            held.push(raw);
            if answer.status != 101 {
                return Ok(Some(answer));
            }
        }
        Ok(None)
    })
    .await?;
    ensure!(refused.status == 503 && refused.header("retry-after").is_some(), "{refused:?}");
    let ready = fleet.get(0, "/health/ready").await?;
    ensure!(ready.status == 503 && ready.body.contains("\"memory\""), "{ready:?}");
    ensure!(fleet.get(0, "/health/live").await?.status == 200, "it is alive");
    let me = served.agent.greeting().session.clone();
    served.ask(&me).await?;
    served.hear().await?;
    Ok(())
}

async fn upgrade(fleet: &Fleet) -> anyhow::Result<(Raw, Response)> {
    Raw::ask(fleet.address(0), &format!("Sec-WebSocket-Protocol: {JSON}\r\n")).await
}

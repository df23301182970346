//! Connections that break off: before a request, in the middle of a head, after the upgrade, and many at once by reset.

use std::time::Duration;

use anyhow::ensure;
use relay_tests::raw::{Raw, upgrade_head};
use relay_tests::{Fleet, eventually, turn};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

const STORM: usize = 500;
const GONE_WITHIN: Duration = Duration::from_secs(20);

#[tokio::test]
async fn connections_that_break_off_leave_nothing_behind() -> anyhow::Result<()> {
    let _machine = turn::shared().await;
    let fleet = Fleet::single(&[]).await?;
    let address = fleet.address(0);
    drop(TcpStream::connect(address).await?);
    let mut half = TcpStream::connect(address).await?;
    half.write_all(upgrade_head(address).as_bytes()).await?;
    drop(half);
    drop(Raw::upgraded(address, "agent-relay.v1.json").await?);
    drop(Raw::welcomed(address, &fleet.token("mallory")?).await?);
    nothing_is_left(&fleet).await?;
    for number in 0..STORM {
        let mut stream = TcpStream::connect(address).await?;
        stream.set_zero_linger()?;
        if number % 2 == 0 {
            stream.write_all(b"GET /ws HTTP/1.1\r\n").await?;
        }
        drop(stream);
    }
    nothing_is_left(&fleet).await?;
    let accepted = fleet.metrics(0).await?.sum("relay_connections_accepted_total");
    ensure!(accepted > 4.5, "{accepted} were accepted");
    fleet.assert_serves(0).await
}

async fn nothing_is_left(fleet: &Fleet) -> anyhow::Result<()> {
    eventually("only the connection that asks is open", GONE_WITHIN, async || {
        let metrics = fleet.metrics(0).await?;
        let gone = metrics.sum("relay_connections") < 1.5 && metrics.sum("relay_sessions") < 0.5;
        Ok(gone.then_some(()))
    })
    .await
}

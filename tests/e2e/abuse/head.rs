//! Before the upgrade: heads that are late, too large or wrong.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, ensure};
use relay_tests::raw::{Raw, upgrade_head};
use relay_tests::{Fleet, http, turn};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const JSON: &str = "Sec-WebSocket-Protocol: agent-relay.v1.json\r\n";
/// Time for a head, and what a busy machine adds.
const HEADER_TIMEOUT: (&str, &str) = ("RELAY_HEADER_TIMEOUT_MS", "300");
const CLOSED_WITHIN: Duration = Duration::from_secs(5);

#[tokio::test]
async fn a_head_that_does_not_come_in_time_is_not_waited_for() -> anyhow::Result<()> {
    let _machine = turn::shared().await;
    let fleet = Fleet::single(&[HEADER_TIMEOUT]).await?;
    let half = upgrade_head(fleet.address(0));
    for sent in ["", "GET /ws HT", half.as_str()] {
        let mut stream = TcpStream::connect(fleet.address(0)).await?;
        stream.write_all(sent.as_bytes()).await?;
        let mut answer = Vec::new();
        let closed = tokio::time::timeout(CLOSED_WITHIN, stream.read_to_end(&mut answer)).await;
        // That the socket is reset is as good.
        drop(closed.with_context(|| format!("still open after {sent:?}"))?);
        ensure!(!answer.starts_with(b"HTTP/1.1 101"), "upgraded without a head");
    }
    fleet.assert_serves(0).await
}

#[tokio::test]
async fn heads_that_are_too_large_or_wrong_are_refused() -> anyhow::Result<()> {
    let _machine = turn::shared().await;
    let fleet = Fleet::single(&[("RELAY_ALLOWED_ORIGINS", "https://app.example.com")]).await?;
    for (name, head, status, code) in requests(fleet.address(0)) {
        let answer = http::ask(fleet.address(0), head.as_bytes()).await?;
        let answer = answer.with_context(|| format!("{name}: closed without an answer"))?;
        ensure!(answer.status == status, "{name}: {answer:?}");
        ensure!(answer.body.contains(code), "{name}: {answer:?}");
        fleet.assert_serves(0).await.context(name)?;
    }
    let allowed = format!("{}{JSON}Origin: https://app.example.com\r\n\r\n", upgrade_head(fleet.address(0)));
    let answer = http::ask(fleet.address(0), allowed.as_bytes()).await?.context("no answer")?;
    ensure!(answer.status == 101, "{answer:?}");
    Ok(())
}

#[tokio::test]
async fn no_extension_is_negotiated() -> anyhow::Result<()> {
    let _machine = turn::shared().await;
    let fleet = Fleet::single(&[]).await?;
    let offer = format!("{JSON}Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n");
    let (_, answer) = Raw::ask(fleet.address(0), &offer).await?;
    ensure!(answer.status == 101, "{answer:?}");
    ensure!(answer.header("sec-websocket-extensions").is_none(), "{answer:?}");
    Ok(())
}

fn requests(address: SocketAddr) -> Vec<(&'static str, String, u16, &'static str)> {
    let head = upgrade_head(address);
    let many = "X-Many: x\r\n".repeat(65);
    let long = format!("X-Long: {}\r\n", "x".repeat(17 * 1024));
    let with = |more: &str| format!("{head}{JSON}{more}\r\n");
    let without = |from: &str, to: &str| with("").replace(from, to);
    let expected = "upgrade_expected";
    vec![
        ("more than 64 headers", with(&many), 431, ""),
        ("more than 16 KiB", with(&long), 431, ""),
        ("not HTTP", "\u{16}\u{3}\u{1}\r\n\r\n".to_owned(), 400, ""),
        ("another method", without("GET", "POST"), 400, expected),
        ("HTTP/1.0", without("HTTP/1.1", "HTTP/1.0"), 400, expected),
        ("another version", without("Version: 13", "Version: 8"), 400, expected),
        ("no version", without("Sec-WebSocket-Version: 13\r\n", ""), 400, expected),
        ("no key", without("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", ""), 400, expected),
        ("a short key", without("dGhlIHNhbXBsZSBub25jZQ==", "c2hvcnQ="), 400, expected),
        ("no upgrade", without("Upgrade: websocket\r\n", ""), 400, expected),
        ("no subprotocol", format!("{head}\r\n"), 400, "version_unsupported"),
        ("an unknown subprotocol", without("v1.json", "v9.json"), 400, "version_unsupported"),
        ("another origin", with("Origin: https://evil.example\r\n"), 403, "origin_forbidden"),
        ("the origin of a sandbox", with("Origin: null\r\n"), 403, "origin_forbidden"),
    ]
}

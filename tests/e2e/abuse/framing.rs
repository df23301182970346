//! Broken WebSocket framing: the close code says what was wrong, and a `closing` frame goes before it.

use anyhow::{Context, ensure};
use relay_tests::raw::{BINARY, PING, Raw, TEXT, frame};
use relay_tests::{Fleet, turn};

/// The first byte of a message that goes on, of its next piece, and of one that is compressed.
const FIRST: u8 = 0x01;
const NEXT: u8 = 0x00;
const RESERVED_BIT: u8 = 0xc1;
/// Empty continuations, 3 MB of them.
const CONTINUATIONS: usize = 500_000;
/// More than `limits.message`, which is 64 KiB in base64 and 16 KiB.
const TOO_LARGE: usize = 110_000;

#[tokio::test]
async fn each_fault_of_framing_is_answered_with_its_close_code() -> anyhow::Result<()> {
    let _machine = turn::shared().await;
    let fleet = Fleet::single(&[]).await?;
    for (name, bytes, code) in faults() {
        let mut raw = Raw::welcomed(fleet.address(0), &fleet.token("mallory")?).await?;
        raw.send(&bytes).await?;
        let farewell = raw.farewell().await.context(name)?;
        ensure!(farewell.code == Some(code), "{name}: expected {code}, heard {farewell:?}");
        let told = format!("\"code\":{code}");
        let closing = farewell.said.contains("\"closing\"") && farewell.said.contains(&told);
        ensure!(closing, "{name}: no `closing` before it: {farewell:?}");
        fleet.assert_serves(0).await.context(name)?;
    }
    Ok(())
}

#[tokio::test]
async fn framing_is_watched_before_hello_too() -> anyhow::Result<()> {
    let _machine = turn::shared().await;
    let fleet = Fleet::single(&[]).await?;
    for (name, bytes, code) in faults() {
        let mut raw = Raw::upgraded(fleet.address(0), "agent-relay.v1.json").await?;
        raw.send(&bytes).await?;
        let farewell = raw.farewell().await.context(name)?;
        ensure!(farewell.code == Some(code), "{name}: expected {code}, heard {farewell:?}");
    }
    let mut raw = Raw::upgraded(fleet.address(0), "agent-relay.v1.msgpack").await?;
    raw.send(&frame(TEXT, b"{}")).await?;
    let farewell = raw.farewell().await?;
    ensure!(farewell.code == Some(1003), "text on MessagePack: {farewell:?}");
    fleet.assert_serves(0).await
}

fn faults() -> Vec<(&'static str, Vec<u8>, u16)> {
    let pieces = |count: usize| [frame(FIRST, b""), frame(NEXT, b"").repeat(count)].concat();
    let half = vec![b' '; TOO_LARGE / 2];
    vec![
        ("not masked", vec![TEXT, 2, b'{', b'}'], 1002),
        ("a reserved bit", frame(RESERVED_BIT, b"{}"), 1002),
        ("a reserved opcode", frame(0x83, b""), 1002),
        ("a reserved control opcode", frame(0x8b, b""), 1002),
        ("a control frame in pieces", frame(PING & 0x7f, b""), 1002),
        ("a long control frame", frame(PING, &[0; 126]), 1002),
        ("a continuation of nothing", frame(0x80, b"{}"), 1002),
        ("a message within a message", [frame(FIRST, b"{"), frame(TEXT, b"{}")].concat(), 1002),
        ("binary on JSON", frame(BINARY, b"{}"), 1003),
        ("text that is not UTF-8", frame(TEXT, &[b'"', 0xff, b'"']), 1007),
        ("a length of 2^63", [&[TEXT, 0xff, 0x80][..], &[0; 11][..]].concat(), 1009),
        ("a large message", frame(TEXT, &vec![b' '; TOO_LARGE]), 1009),
        ("pieces that are large together", [frame(FIRST, &half), frame(NEXT, &half)].concat(), 1009),
        ("65 pieces", pieces(64), 1009),
        ("pieces without end", pieces(CONTINUATIONS), 1009),
        ("a flood of pings", frame(PING, b"").repeat(100), 4102),
    ]
}

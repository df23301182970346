//! Well-framed messages that are not what was agreed, and tokens that do not hold.

use anyhow::{Context, ensure};
use relay_tests::fleet::TENANT;
use relay_tests::raw::{Raw, TEXT, frame, hello};
use relay_tests::{Fleet, turn};

/// One more than `limits.frames` allows.
const FRAMES: usize = 257;

#[tokio::test]
async fn what_is_no_frame_ends_a_session() -> anyhow::Result<()> {
    let _machine = turn::shared().await;
    let fleet = Fleet::single(&[]).await?;
    let many = format!("[{}]", vec![r#"{"type":"pong"}"#; FRAMES].join(","));
    let deep = "[".repeat(5_000);
    let bad =
        [("half of one", "{\"type\":"), ("none", "[]"), ("a number", "7"), ("many", &many), ("deep", &deep)];
    for (name, text) in bad {
        let mut raw = Raw::welcomed(fleet.address(0), &fleet.token("mallory")?).await?;
        raw.send(&frame(TEXT, text.as_bytes())).await?;
        let farewell = raw.farewell().await.context(name)?;
        ensure!(farewell.code == Some(4005), "{name}: {farewell:?}");
        ensure!(farewell.said.contains("\"bad_frame\""), "{name}: {farewell:?}");
    }
    fleet.assert_serves(0).await
}

#[tokio::test]
async fn what_is_no_hello_begins_none() -> anyhow::Result<()> {
    let _machine = turn::shared().await;
    let fleet = Fleet::single(&[]).await?;
    let long = hello(&"x".repeat(17 * 1024));
    let firsts = [
        ("another frame", r#"{"type":"ping","id":1}"#.to_owned(), 4001),
        ("a hello over 16 KiB", long, 1009),
        ("no frame", "hello".to_owned(), 4005),
        ("no token", r#"{"type":"hello","id":1}"#.to_owned(), 4002),
        ("no real token", hello("e30.e30.e30"), 4002),
        ("an expired token", hello(&expired(&fleet)?), 4202),
        ("a token of another key", hello(&foreign(&fleet)?), 4002),
    ];
    for (name, first, code) in firsts {
        let mut raw = Raw::upgraded(fleet.address(0), "agent-relay.v1.json").await?;
        raw.send(&frame(TEXT, first.as_bytes())).await?;
        let farewell = raw.farewell().await.context(name)?;
        ensure!(farewell.code == Some(code), "{name}: expected {code}, heard {farewell:?}");
        ensure!(farewell.said.contains("\"closing\""), "{name}: {farewell:?}");
        ensure!(!farewell.said.contains("\"welcome\""), "{name}: {farewell:?}");
    }
    fleet.assert_serves(0).await
}

#[tokio::test]
async fn a_hello_is_not_waited_for_longer_than_five_seconds() -> anyhow::Result<()> {
    let _machine = turn::shared().await;
    let fleet = Fleet::single(&[]).await?;
    let raw = Raw::upgraded(fleet.address(0), "agent-relay.v1.json").await?;
    let farewell = raw.farewell().await?;
    ensure!(farewell.code == Some(4001), "{farewell:?}");
    ensure!(farewell.said.contains("\"hello_expected\""), "{farewell:?}");
    fleet.assert_serves(0).await
}

fn expired(fleet: &Fleet) -> anyhow::Result<String> {
    let minter = fleet.cluster.minter();
    let mut claims = minter.claims(TENANT, "late");
    (claims.iat, claims.exp) = (claims.iat - 600, claims.iat - 300);
    Ok(minter.sign(&claims)?)
}

/// A token whose last characters, those of its signature, are others.
fn foreign(fleet: &Fleet) -> anyhow::Result<String> {
    let token = fleet.token("mallory")?;
    let (signed, signature) = token.rsplit_once('.').context("a token has three parts")?;
    Ok(format!("{signed}.{}", signature.chars().rev().collect::<String>()))
}

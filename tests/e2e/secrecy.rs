//! What agents say, who they are and what they show stays between them: not a word of it in a log, a metric or the text
//! of an error, whatever the level of the log.

use std::time::Duration;

use anyhow::ensure;
use relay_protocol::{Payload, Text};
use relay_tests::fleet::{UNLIMITED, address};
use relay_tests::raw::{Raw, frame, hello};
use relay_tests::{Fleet, eventually, turn};

const PATIENCE: Duration = Duration::from_secs(20);

/// Stands in every name, payload and token here, and nowhere else.
const CANARY: &str = "canary7f3a";

/// A text frame, final.
const TEXT: u8 = 0x81;

#[tokio::test]
async fn nothing_of_agents_reaches_logs_metrics_or_errors() -> anyhow::Result<()> {
    let _machine = turn::alone().await;
    let environment =
        [UNLIMITED.as_slice(), &[("RELAY_LOG", "trace"), ("RELAY_LOG_FORMAT", "json")]].concat();
    let fleet = Fleet::joined(2, &environment).await?;
    let (alice, bob, topic) =
        (format!("{CANARY}-alice"), format!("{CANARY}-bob"), format!("topic/{CANARY}.topic"));
    let (mut near, mut far) = (fleet.peer(0, &alice).await?, fleet.peer(1, &bob).await?);
    far.subscribe(&format!("{CANARY}.*")).await?;
    for to in [format!("agent/{bob}"), topic, format!("agent/{CANARY}-nobody")] {
        near.ask_with(&address(&to)?, |send| {
            send.payload = Payload::Json(format!("\"{CANARY}\"").into());
            send.headers = vec![(Text::from("x-canary"), Text::from(CANARY.to_owned()))];
        })
        .await?;
    }
    far.hear().await?;
    far.hear().await?;
    // Wrong in every way: the token, the frame, the framing, the address.
    for wrong in [hello(&format!("{CANARY}.{CANARY}.{CANARY}")), format!(r#"{{"type":"{CANARY}","#)] {
        let mut raw = Raw::upgraded(fleet.address(0), "agent-relay.v1.json").await?;
        raw.send(&frame(TEXT, wrong.as_bytes())).await?;
        raw.farewell().await?;
    }
    let mut raw = Raw::welcomed(fleet.address(0), &fleet.token(&alice)?).await?;
    for wrong in [
        format!(r#"{{"type":"{CANARY}"}}"#),
        format!(r#"{{"type":"send","id":9,"to":"agent/{CANARY} {CANARY}"}}"#),
    ] {
        raw.send(&frame(TEXT, wrong.as_bytes())).await?;
    }
    raw.send(&frame(0x82, CANARY.as_bytes())).await?;
    raw.farewell().await?;
    for instance in 0..2 {
        let metrics = fleet.get(instance, "/metrics").await?.body;
        ensure!(!metrics.contains(CANARY), "{}", around(&metrics));
        eventually("the session that broke off is logged", PATIENCE, async || {
            Ok((!fleet.child(instance).log().is_empty()).then_some(()))
        })
        .await?;
        let log = fleet.child(instance).log();
        ensure!(!log.contains(CANARY), "{}", around(&log));
    }
    Ok(())
}

/// The line that gives it away.
fn around(text: &str) -> &str {
    text.lines().find(|line| line.contains(CANARY)).unwrap_or_default()
}

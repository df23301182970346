//! Traces (W3C Trace Context): that of a request stands in the log lines of its connection, that of a message goes through
//! untouched.

use std::time::Duration;

use anyhow::ensure;
use relay_protocol::{Encoding, Payload, ServerFrame, Text};
use relay_tests::fleet::{UNLIMITED, address};
use relay_tests::peer::Peer;
use relay_tests::raw::{Raw, frame};
use relay_tests::{Fleet, eventually, turn};

const PATIENCE: Duration = Duration::from_secs(20);
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

#[tokio::test]
async fn the_trace_of_a_request_stands_in_its_log_lines() -> anyhow::Result<()> {
    let _machine = turn::shared().await;
    let environment = [("RELAY_LOG", "relay=debug"), ("RELAY_LOG_FORMAT", "json")];
    let fleet = Fleet::single(&environment).await?;
    let headers = format!("Sec-WebSocket-Protocol: agent-relay.v1.json\r\ntraceparent: {PARENT}\r\n");
    let (mut raw, upgraded) = Raw::ask(fleet.address(0), &headers).await?;
    ensure!(upgraded.status == 101, "{upgraded:?}");
    raw.send(&frame(0x81, b"{}")).await?;
    raw.farewell().await?;
    eventually("the end of the connection is logged with its trace", PATIENCE, async || {
        let log = fleet.child(0).log();
        let line = log.lines().find(|line| line.contains("\"closing\""));
        Ok(line.is_some_and(|line| line.contains(&format!(r#""trace_id":"{TRACE}""#))).then_some(()))
    })
    .await
}

#[tokio::test]
async fn the_trace_of_a_message_goes_through_untouched() -> anyhow::Result<()> {
    let _machine = turn::shared().await;
    let fleet = Fleet::joined(2, &UNLIMITED).await?;
    let mut sender = fleet.peer(0, "sender").await?;
    let mut recipient = Peer::from(fleet.agent_speaking(1, "recipient", Encoding::Msgpack).await?);
    sender
        .ask_with(&address("agent/recipient")?, |send| {
            send.payload = Payload::Json("1".into());
            send.headers =
                vec![("traceparent".into(), PARENT.into()), ("tracestate".into(), Text::from("a=b"))];
        })
        .await?;
    let carried = recipient
        .wait_for(|frame| match frame {
            ServerFrame::Message(message) => Some(
                message.headers.iter().map(|(name, value)| format!("{name}: {value}")).collect::<Vec<_>>(),
            ),
            _ => None,
        })
        .await?;
    ensure!(carried == [format!("traceparent: {PARENT}"), "tracestate: a=b".to_owned()], "{carried:?}");
    Ok(())
}

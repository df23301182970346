//! How the API takes calls: within a bound, in time, and administrative ones written down.

use std::time::Duration;

use anyhow::{Context, ensure};
use relay_tests::api::{OPERATORS, Program};
use relay_tests::fleet::{PATIENCE, TENANT};
use relay_tests::{Fleet, eventually, http, turn};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

/// Longer than a body may take.
const BODY_PATIENCE: Duration = Duration::from_secs(15);

#[tokio::test]
async fn a_body_that_does_not_come_is_given_up_and_keeps_others_out_no_longer() -> anyhow::Result<()> {
    let _machine = turn::shared().await;
    let fleet = Fleet::single(&[("RELAY_API_CALLS", "2")]).await?;
    let program = Program::admin(&fleet, TENANT)?;
    let head = format!(
        "POST /v1/publish HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n",
        program.token
    );
    let mut waiting = Vec::new();
    for _ in 0..2 {
        let mut stream = TcpStream::connect(fleet.address(0)).await?;
        stream.write_all(head.as_bytes()).await?;
        waiting.push(stream);
    }
    let call = async || program.call(&fleet, 0, "GET", "/v1/info", None).await;
    let refused = async || Ok(Some(call().await?).filter(|answer| answer.status != 200));
    let refused = eventually("no place is left", PATIENCE, refused).await?;
    ensure!(refused.refusal() == (503, "overload"), "{refused:?}");
    ensure!(refused.response.header("retry-after").is_some(), "{refused:?}");
    for mut stream in waiting {
        let answer = tokio::time::timeout(BODY_PATIENCE, http::read(&mut stream, &mut Vec::new())).await;
        let answer = answer.context("still waiting for a body")?.context("closed without an answer")?;
        let problem: Value = serde_json::from_str(&answer.body)?;
        ensure!((answer.status, problem["code"].as_str()) == (408, Some("timeout")), "{answer:?}");
    }
    ensure!(call().await?.status == 200, "their places are free");
    Ok(())
}

#[tokio::test]
async fn each_administrative_act_is_one_line_whatever_became_of_it() -> anyhow::Result<()> {
    let _machine = turn::shared().await;
    let settings = [("RELAY_OPERATOR_TENANT", OPERATORS), ("RELAY_LOG_FORMAT", "json")];
    let fleet = Fleet::single(&settings).await?;
    let operator = Program::admin(&fleet, OPERATORS)?;
    let patch = async |tenant: &str, body: Value| {
        operator.call(&fleet, 0, "PATCH", &format!("/v1/tenants/{tenant}"), Some(body)).await
    };
    let limited = patch(TENANT, json!({"limits": {"connections": 7}})).await?;
    patch(TENANT, json!({"suspended": true, "limits": {"connections": null}})).await?;
    patch(OPERATORS, json!({"suspended": true})).await?;
    let acts = eventually("all is written", PATIENCE, async || {
        let acts = audited(&fleet.child(0).log());
        Ok((acts.len() == 4).then_some(acts))
    });
    let acts = acts.await?;
    let told: Vec<[&str; 3]> = acts
        .iter()
        .map(|act| ["act", "tenant", "outcome"].map(|field| find(act, field).unwrap_or_default()))
        .collect();
    ensure!(
        told == [
            ["limit", TENANT, "done"],
            ["suspend", TENANT, "done"],
            ["lift_limits", TENANT, "done"],
            ["suspend", OPERATORS, "conflict"],
        ],
        "{acts:?}"
    );
    ensure!(acts.iter().all(|act| find(act, "by_tenant") == Some(OPERATORS)), "{acts:?}");
    let named = find(&acts[0], "request_id");
    ensure!(named.is_some() && named == limited.response.header("x-request-id"), "{acts:?}");
    Ok(())
}

fn audited(log: &str) -> Vec<Value> {
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.filter(|line| line["target"] == "audit").collect()
}

/// A field of a log line, wherever the format puts it.
fn find<'a>(line: &'a Value, field: &str) -> Option<&'a str> {
    line[field].as_str().or_else(|| line["fields"][field].as_str())
}

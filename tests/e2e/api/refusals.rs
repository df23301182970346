//! What the API refuses, and that it says why without repeating what was said.

use anyhow::{Context, ensure};
use relay_tests::api::Program;
use relay_tests::fleet::TENANT;
use relay_tests::{Fleet, http, turn};
use serde_json::json;

const SECRET: &str = "do not repeat me";

#[tokio::test]
async fn each_refusal_has_its_code_and_repeats_nothing() -> anyhow::Result<()> {
    let _machine = turn::shared().await;
    let fleet = Fleet::single(&[("RELAY_PAYLOAD_BYTES", "1000")]).await?;
    let program = Program::admin(&fleet, TENANT)?;
    let address = fleet.address(0);
    let with = |kind: &str, body: &str| {
        format!(
            "POST /v1/publish HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\r\n{body}",
            program.token,
            body.len()
        )
    };
    let json = "application/json";
    let unknown = format!(r#"{{"to":"agent/bob","message":{{"{SECRET}":1}}}}"#);
    let wrong = format!(r#"{{"to":"agent/bob","message":{{"ttl_ms":"{SECRET}"}}}}"#);
    let address_of = format!(r#"{{"to":"{SECRET}","message":{{}}}}"#);
    let large = format!(r#"{{"to":"agent/bob","message":{{"payload":"{}"}}}}"#, "x".repeat(1_001));
    let huge = "x".repeat(40_000);
    for (request, expected) in [
        (with(json, &unknown), (400, "invalid_request")),
        (with(json, &wrong), (400, "invalid_request")),
        (with(json, &address_of), (400, "invalid_address")),
        (with(json, SECRET), (400, "invalid_request")),
        (with(json, r#"["agent/bob",[]]"#), (400, "invalid_request")),
        (with(json, r#"{"to":"agent/bob","to":"agent/eve","message":{}}"#), (400, "invalid_request")),
        (with(json, &large), (413, "too_large")),
        (with(json, &huge), (413, "too_large")),
        (with("text/plain", "{}"), (415, "unsupported_media_type")),
        (with("application/json; charset=latin1", "{}"), (415, "unsupported_media_type")),
        ("GET /v1/info HTTP/1.1\r\nhost: x\r\n\r\n".into(), (401, "token_invalid")),
        (
            format!("GET /v1/info HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {SECRET}\r\n\r\n"),
            (401, "token_invalid"),
        ),
        ("GET /v1/nothing HTTP/1.1\r\nhost: x\r\n\r\n".into(), (404, "not_found")),
        ("PUT /v1/keys HTTP/1.1\r\nhost: x\r\n\r\n".into(), (405, "method_not_allowed")),
    ] {
        let answer = http::ask(address, request.as_bytes()).await?.context("no answer")?;
        let problem: serde_json::Value = serde_json::from_str(&answer.body)?;
        ensure!((answer.status, problem["code"].as_str()) == (expected.0, Some(expected.1)), "{answer:?}");
        ensure!(answer.header("content-type") == Some("application/problem+json"), "{answer:?}");
        ensure!(problem["status"] == expected.0 && answer.header("x-request-id").is_some(), "{answer:?}");
        ensure!(!answer.body.contains(SECRET), "{answer:?}");
        ensure!((answer.status == 405) == answer.header("allow").is_some(), "{answer:?}");
        ensure!((answer.status == 401) == answer.header("www-authenticate").is_some(), "{answer:?}");
    }
    Ok(())
}

#[tokio::test]
async fn who_calls_too_often_is_told_when_to_come_back_and_nobody_else_is_refused() -> anyhow::Result<()> {
    let _machine = turn::shared().await;
    let fleet = Fleet::single(&[("RELAY_API_RATE", "1"), ("RELAY_API_BURST", "3")]).await?;
    let (busy, other) = (Program::plain(&fleet, TENANT, "busy")?, Program::plain(&fleet, TENANT, "other")?);
    let mut refused = None;
    for _ in 0..20 {
        let answer = busy.call(&fleet, 0, "GET", "/v1/info", None).await?;
        if answer.status != 200 {
            refused = Some(answer);
            break;
        }
    }
    let refused = refused.context("never refused")?;
    ensure!(refused.refusal() == (429, "rate_limited") && refused.body["limit"] == "api_rate", "{refused:?}");
    ensure!(refused.body["retry_after_ms"].as_u64().is_some_and(|ms| ms > 0 && ms <= 1_001), "{refused:?}");
    ensure!(refused.response.header("retry-after").is_some(), "{refused:?}");
    ensure!(other.call(&fleet, 0, "GET", "/v1/info", None).await?.status == 200);
    let counted = fleet.metrics(0).await?.having("relay_api_requests_total", "429");
    ensure!((0.5..1.5).contains(&counted), "{counted}");
    Ok(())
}

#[tokio::test]
async fn pages_may_call_only_where_an_operator_said_so() -> anyhow::Result<()> {
    let _machine = turn::shared().await;
    let page = "https://app.example.com";
    let closed = Fleet::single(&[]).await?;
    let open = Fleet::single(&[("RELAY_API_ALLOWED_ORIGINS", page)]).await?;
    for (fleet, origin, allowed) in
        [(&closed, page, None), (&open, page, Some(page)), (&open, "https://evil.net", None)]
    {
        let origin = format!("origin: {origin}\r\n");
        let program = Program::plain(fleet, TENANT, "page")?;
        let answer = program.call_with(fleet, 0, ("GET", "/v1/info"), None, &origin).await?;
        ensure!(answer.status == 200, "{answer:?}");
        ensure!(answer.response.header("access-control-allow-origin") == allowed, "{answer:?}");
    }
    let body = json!({"to": "agent/bob", "message": {}});
    let program = Program::plain(&open, TENANT, "page")?;
    ensure!(program.call(&open, 0, "POST", "/v1/publish", Some(body)).await?.status == 200);
    Ok(())
}

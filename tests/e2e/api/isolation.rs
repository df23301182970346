//! A tenant's administrator reaches no other tenant, whatever it names.

use anyhow::ensure;
use relay_tests::api::{OPERATORS, Program};
use relay_tests::fleet::TENANT;
use relay_tests::turn;
use serde_json::{Value, json};

use super::pair;

#[tokio::test]
async fn an_administrator_reaches_no_other_tenant() -> anyhow::Result<()> {
    let _machine = turn::shared().await;
    let fleet = pair().await?;
    let mut bob = fleet.peer(1, "bob").await?;
    let session = bob.agent.greeting().session.clone();
    let owner = Program::admin(&fleet, TENANT)?;
    let key = json!({"agent": "worker", "life_s": 60});
    let made = owner.call(&fleet, 0, "POST", "/v1/keys", Some(key)).await?;
    let id = made.body["key"]["id"].as_str().unwrap_or_default().to_owned();

    let stranger = Program::admin(&fleet, "other")?;
    for (method, path, body) in attempts(session.name(), &id) {
        for instance in 0..2 {
            let answer = stranger.call(&fleet, instance, method, &path, body.clone()).await?;
            ensure!(answer.refusal() == (403, "forbidden"), "{method} {path}: {answer:?}");
        }
    }
    // Its own tenant has none of these, though the names are the same.
    for (method, path, body, expected) in [
        ("GET", "/v1/agents".to_owned(), None, (200, json!({"agents": []}))),
        ("GET", "/v1/keys".to_owned(), None, (200, json!({"keys": []}))),
        (
            "GET",
            "/v1/presence?of=agent/bob".to_owned(),
            None,
            (200, json!({"of": "agent/bob", "count": 0, "members": []})),
        ),
        (
            "POST",
            "/v1/disconnect".to_owned(),
            Some(json!({"agent": "bob"})),
            (200, json!({"found": 0, "left": 0})),
        ),
        (
            "POST",
            "/v1/publish".to_owned(),
            Some(json!({"to": session.as_str(), "message": {}})),
            (200, json!({"outcome": "failed", "reason": "no_recipient"})),
        ),
    ] {
        let answer = stranger.call(&fleet, 1, method, &path, body).await?;
        ensure!((answer.status, &answer.body) == (expected.0, &expected.1), "{method} {path}: {answer:?}");
    }
    ensure!(stranger.call(&fleet, 0, "DELETE", &format!("/v1/keys/{id}"), None).await?.status == 404);
    ensure!(
        stranger.call(&fleet, 0, "POST", "/v1/revoke", Some(json!({"agent": "bob"}))).await?.status == 204
    );
    bob.ask(&session).await?;
    ensure!(bob.hear().await?.to == session.as_str(), "bob lives on");

    // An operator reaches every tenant; without the right `admin` nobody reaches anything.
    let operator = Program::admin(&fleet, OPERATORS)?;
    let shown = operator.call(&fleet, 0, "GET", &format!("/v1/agents?tenant={TENANT}"), None).await?;
    ensure!(shown.body["agents"][0]["agent"] == "bob", "{shown:?}");
    for plain in [Program::plain(&fleet, TENANT, "eve")?, Program::plain(&fleet, OPERATORS, "eve")?] {
        for path in ["/v1/agents", "/v1/agents/bob", "/v1/keys", "/v1/tenants/acme"] {
            let answer = plain.call(&fleet, 0, "GET", path, None).await?;
            ensure!(answer.refusal() == (403, "forbidden"), "{path}: {answer:?}");
        }
    }
    Ok(())
}

/// What an administrator of another tenant tries on a session and a key of this one.
fn attempts(name: &str, id: &str) -> Vec<(&'static str, String, Option<Value>)> {
    let tenant = json!(TENANT);
    vec![
        ("GET", format!("/v1/agents?tenant={TENANT}"), None),
        ("GET", format!("/v1/agents/bob?tenant={TENANT}"), None),
        ("GET", format!("/v1/sessions/{name}?tenant={TENANT}"), None),
        ("POST", "/v1/disconnect".into(), Some(json!({"tenant": tenant, "agent": "bob"}))),
        ("POST", "/v1/disconnect".into(), Some(json!({"tenant": tenant, "session": name}))),
        ("POST", "/v1/revoke".into(), Some(json!({"tenant": tenant, "agent": "bob"}))),
        ("POST", "/v1/revoke".into(), Some(json!({"tenant": tenant, "everyone": true}))),
        ("GET", format!("/v1/keys?tenant={TENANT}"), None),
        ("POST", "/v1/keys".into(), Some(json!({"tenant": tenant, "agent": "x", "life_s": 1}))),
        ("DELETE", format!("/v1/keys/{id}?tenant={TENANT}"), None),
        ("GET", format!("/v1/tenants/{TENANT}"), None),
        ("PATCH", format!("/v1/tenants/{TENANT}"), Some(json!({"suspended": true}))),
        ("PATCH", "/v1/tenants/other".into(), Some(json!({"suspended": true}))),
    ]
}

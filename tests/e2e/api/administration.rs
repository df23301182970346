//! What administrators do, on whatever instance their call arrives.

use std::time::Duration;

use anyhow::{Context, ensure};
use relay_loadtest::agent::{ConnectError, Ended};
use relay_protocol::{CloseCode, Encoding};
use relay_tests::api::{OPERATORS, Program};
use relay_tests::fleet::{PATIENCE, TENANT};
use relay_tests::{eventually, turn};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{closed, pair};

#[tokio::test]
async fn agents_are_listed_and_disconnected_wherever_they_are() -> anyhow::Result<()> {
    let _machine = turn::shared().await;
    let fleet = pair().await?;
    let admin = Program::admin(&fleet, TENANT)?;
    let mut bob = [fleet.peer(0, "bob").await?, fleet.peer(1, "bob").await?];
    let mut carol = fleet.peer(1, "carol").await?;
    let get = async |path: &str| admin.call(&fleet, 0, "GET", path, None).await;

    let first = get("/v1/agents?limit=1").await?;
    ensure!(first.body["agents"][0]["agent"] == "bob" && first.body["next"] == "bob", "{first:?}");
    ensure!(first.body["agents"][0]["sessions"].as_array().map(Vec::len) == Some(2), "{first:?}");
    let rest = get("/v1/agents?after=bob").await?;
    ensure!(rest.body["agents"][0]["agent"] == "carol" && rest.body.get("next").is_none(), "{rest:?}");
    ensure!(get("/v1/agents/nobody").await?.refusal() == (404, "not_found"));
    let session = carol.agent.greeting().session.name().to_owned();
    let shown = get(&format!("/v1/sessions/{session}")).await?;
    ensure!(shown.body["session"] == session.as_str() && shown.body["instance"].is_string(), "{shown:?}");

    let end = async |whom: Value| admin.call(&fleet, 0, "POST", "/v1/disconnect", Some(whom)).await;
    let ended = end(json!({"session": session})).await?;
    ensure!(ended.body == json!({"found": 1, "left": 0}), "{ended:?}");
    ensure!(closed(&mut carol).await?.0 == Some(CloseCode::Disconnected.number()));
    let ended = end(json!({"agent": "bob"})).await?;
    ensure!(ended.body == json!({"found": 2, "left": 0}), "{ended:?}");
    for session in &mut bob {
        ensure!(closed(session).await?.0 == Some(CloseCode::Disconnected.number()));
    }
    ensure!(end(json!({"agent": "bob"})).await?.body == json!({"found": 0, "left": 0}));
    ensure!(get("/v1/agents").await?.body == json!({"agents": []}));
    Ok(())
}

#[tokio::test]
#[expect(clippy::print_stdout, reason = "a measurement")]
async fn a_suspended_tenant_is_out_on_every_instance_within_a_second_until_it_is_lifted() -> anyhow::Result<()>
{
    let _machine = turn::alone().await;
    let fleet = pair().await?;
    let operator = Program::admin(&fleet, OPERATORS)?;
    let mut theirs = [fleet.peer(0, "bob").await?, fleet.peer(1, "bob").await?];
    let other = fleet.cluster.minter().identity("other", "eve")?.token;
    let mut others = fleet.connect(1, &other, Encoding::Json).await?;
    let set = async |instance, suspended: bool| {
        let body = json!({"suspended": suspended});
        operator.call(&fleet, instance, "PATCH", &format!("/v1/tenants/{TENANT}"), Some(body)).await
    };
    let suspended = set(0, true).await?;
    ensure!(suspended.body == json!({"tenant": TENANT, "suspended": true, "limits": {}}), "{suspended:?}");
    let answered = Instant::now();
    for peer in &mut theirs {
        ensure!(closed(peer).await?.0 == Some(CloseCode::TenantSuspended.number()));
    }
    println!("suspended: the last connection closed {:?} after the answer", answered.elapsed());
    ensure!(answered.elapsed() < Duration::from_secs(1), "{:?}", answered.elapsed());
    for instance in 0..2 {
        match fleet.connect(instance, &fleet.token("bob")?, Encoding::Json).await {
            Err(ConnectError::Ended(Ended { code, .. })) => {
                ensure!(code == Some(CloseCode::TenantSuspended.number()), "{code:?}");
            }
            other => anyhow::bail!("let in: {other:?}"),
        }
        let call = Program::admin(&fleet, TENANT)?.call(&fleet, instance, "GET", "/v1/info", None).await?;
        ensure!(call.refusal() == (403, "tenant_suspended"), "{call:?}");
    }
    let me = others.greeting().session.clone();
    relay_tests::fleet::tell(&mut others, &me, "1").await.context("another tenant is not concerned")?;
    // Lifted by the other instance.
    ensure!(set(1, false).await?.status == 200);
    for instance in 0..2 {
        let back = async || Ok(fleet.peer(instance, "bob").await.ok());
        eventually("they are back", PATIENCE, back).await?;
    }
    let own = format!("/v1/tenants/{OPERATORS}");
    let refused = operator.call(&fleet, 0, "PATCH", &own, Some(json!({"suspended": true}))).await?;
    ensure!(refused.refusal() == (409, "conflict"), "{refused:?}");
    Ok(())
}

#[tokio::test]
async fn keys_are_made_listed_and_ended_and_tokens_revoked() -> anyhow::Result<()> {
    let _machine = turn::shared().await;
    let fleet = pair().await?;
    let admin = Program::admin(&fleet, TENANT)?;
    let wanted =
        json!({"agent": "worker", "label": "nightly", "life_s": 3600, "rights": {"send": ["agent/*"]}});
    let made = admin.call(&fleet, 0, "POST", "/v1/keys", Some(wanted)).await?;
    ensure!(made.status == 201, "{made:?}");
    let secret = made.body["secret"].as_str().context("no secret")?.to_owned();
    let id = made.body["key"]["id"].as_str().context("no id")?.to_owned();
    let listed = admin.call(&fleet, 1, "GET", "/v1/keys", None).await?;
    ensure!(listed.body["keys"][0]["id"] == id.as_str(), "{listed:?}");
    ensure!(!listed.response.body.contains(&secret), "a secret is told once");
    let worker = Program { token: secret.clone() };
    let nobody = json!({"to": "agent/nobody", "message": {}});
    let sent = worker.call(&fleet, 1, "POST", "/v1/publish", Some(nobody.clone())).await?;
    ensure!(sent.status == 200, "{sent:?}");
    let path = format!("/v1/keys/{id}");
    ensure!(admin.call(&fleet, 1, "DELETE", &path, None).await?.status == 204);
    ensure!(admin.call(&fleet, 1, "DELETE", &path, None).await?.refusal() == (404, "not_found"));
    let sent = worker.call(&fleet, 0, "POST", "/v1/publish", Some(nobody)).await?;
    ensure!(sent.refusal() == (401, "token_invalid"), "{sent:?}");

    let mut bob = fleet.peer(1, "bob").await?;
    let revoked = admin.call(&fleet, 0, "POST", "/v1/revoke", Some(json!({"agent": "bob"}))).await?;
    ensure!(revoked.status == 204, "{revoked:?}");
    let (code, after) = closed(&mut bob).await?;
    ensure!(
        code == Some(CloseCode::Revoked.number()) && after < Duration::from_secs(1),
        "{code:?} {after:?}"
    );
    Ok(())
}

//! Limits that an operator gives a tenant while it runs.

use std::time::Duration;

use anyhow::{Context, ensure};
use relay_protocol::{CloseCode, ErrorCode};
use relay_tests::api::{OPERATORS, Program};
use relay_tests::fleet::{PATIENCE, TENANT, address};
use relay_tests::peer::{Outcome, Peer};
use relay_tests::{Fleet, eventually, turn};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::scopes::refused;

const SECOND: Duration = Duration::from_secs(1);
const ME: &str = "agent/bob";

#[tokio::test]
#[expect(clippy::print_stdout, reason = "a measurement")]
async fn a_running_tenants_refusals_begin_and_end_on_every_instance() -> anyhow::Result<()> {
    let _machine = turn::alone().await;
    let mut fleet = Fleet::joined(2, &[("RELAY_OPERATOR_TENANT", OPERATORS)]).await?;
    let operator = Program::admin(&fleet, OPERATORS)?;
    let place = format!("/v1/tenants/{TENANT}");
    let patch = async |fleet: &Fleet, instance, limits: Value| {
        operator.call(fleet, instance, "PATCH", &place, Some(json!({"limits": limits}))).await
    };
    let mut peers = [fleet.peer(0, "bob").await?, fleet.peer(1, "bob").await?];
    for peer in &mut peers {
        ensure!(refusal(peer, 20).await?.is_none(), "nothing is limited yet");
    }

    let set = patch(&fleet, 0, json!({"rate_messages": 1, "connections": 1})).await?;
    ensure!(set.status == 200, "{set:?}");
    ensure!(set.body["limits"] == json!({"rate_messages": 1, "connections": 1}), "{set:?}");
    let answered = Instant::now();
    for peer in &mut peers {
        let begun = eventually("refused", PATIENCE, async || refusal(peer, 10).await).await?;
        ensure!(begun == ErrorCode::RateLimited, "{begun:?}");
    }
    println!("limited: both instances refuse {:?} after the answer", answered.elapsed());
    ensure!(answered.elapsed() < SECOND, "{:?}", answered.elapsed());
    for instance in 0..2 {
        ensure!(refused(&fleet, "eve").await? == (Some(CloseCode::Quota.number()), true));
        let shown = operator.call(&fleet, instance, "GET", &place, None).await?;
        ensure!(shown.body == set.body, "{shown:?}");
    }

    // One limit is taken back, another stays; Redis forgets all of it and hears it again from the instances.
    fleet.redis()?.say("FLUSHALL").await?;
    let kept = async || {
        let told = fleet.redis.as_ref().map(|redis| redis.say("HEXISTS r1:tenants acme|l"));
        Ok(told.context("no Redis")?.await?.contains(":1").then_some(()))
    };
    eventually("the store knows again", PATIENCE, kept).await?;
    let cleared = patch(&fleet, 1, json!({"rate_messages": null})).await?;
    ensure!(cleared.body["limits"] == json!({"connections": 1}), "{cleared:?}");
    let answered = Instant::now();
    for peer in &mut peers {
        let ended = async || Ok(refusal(peer, 20).await?.is_none().then_some(()));
        eventually("carried out", PATIENCE, ended).await?;
    }
    ensure!(answered.elapsed() < SECOND, "{:?}", answered.elapsed());
    ensure!(refused(&fleet, "eve").await? == (Some(CloseCode::Quota.number()), true));
    let lifted = patch(&fleet, 0, json!({"connections": null})).await?;
    ensure!(lifted.body["limits"] == json!({}), "{lifted:?}");
    fleet.peer(0, "eve").await?;

    for wrong in
        [json!({"rate_bytes": 1}), json!({"connections": 1_000_000_001}), json!({"rate": 1}), json!([])]
    {
        let refused = patch(&fleet, 0, wrong).await?;
        ensure!(refused.refusal() == (400, "invalid_request"), "{refused:?}");
    }
    let theirs = Program::admin(&fleet, TENANT)?;
    let own = theirs.call(&fleet, 0, "PATCH", &place, Some(json!({"limits": {"connections": 0}}))).await?;
    ensure!(own.refusal() == (403, "forbidden"), "{own:?}");
    Ok(())
}

/// Sends so many, one after another; the first refusal.
async fn refusal(peer: &mut Peer, count: u32) -> anyhow::Result<Option<ErrorCode>> {
    let me = address(ME)?;
    for _ in 0..count {
        if let Outcome::Failed(code) = peer.ask(&me).await? {
            return Ok(Some(code));
        }
    }
    Ok(None)
}

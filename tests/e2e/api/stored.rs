//! Messages at `qos` 1 that programs send without a socket: stored before they are accepted, and once.

use anyhow::ensure;
use relay_tests::api::Program;
use relay_tests::fleet::{PATIENCE, TENANT, join};
use relay_tests::redis::Redis;
use relay_tests::reliable::Reliable;
use relay_tests::{Fleet, eventually, turn};
use serde_json::{Value, json};

use super::pair;

const PUBLISH: (&str, &str) = ("POST", "/v1/publish");
const KEY: &str = "idempotency-key: order-66\r\n";

fn stored(to: &str, mid: Option<&str>, payload: &str) -> Value {
    let message = json!({"qos": 1, "payload": payload});
    let mut body = json!({"to": to, "message": message});
    if let Some(mid) = mid {
        body["message"]["mid"] = json!(mid);
    }
    body
}

/// Somebody who was there once, and comes back later.
async fn was_there(fleet: &Fleet, instance: usize, name: &str) -> anyhow::Result<()> {
    Reliable::join(fleet, instance, name).await?.agent.leave().await;
    Ok(())
}

#[tokio::test]
async fn what_a_program_was_told_is_accepted_waits_for_who_is_away() -> anyhow::Result<()> {
    let _machine = turn::shared().await;
    for fleet in [Fleet::single(&[]).await?, pair().await?] {
        let last = fleet.cluster.relays.len() - 1;
        let program = Program::plain(&fleet, TENANT, "program")?;
        was_there(&fleet, last, "bob").await?;
        for (instance, mid) in [(0, "m1"), (last, "m2")] {
            let body = stored("agent/bob", Some(mid), mid);
            let answer = program.call_with(&fleet, instance, PUBLISH, Some(body), "").await?;
            ensure!((answer.status, &answer.body) == (200, &json!({"outcome": "accepted"})), "{answer:?}");
        }
        let nobody = stored("agent/nobody", Some("m"), "lost");
        let answer = program.call_with(&fleet, 0, PUBLISH, Some(nobody), "").await?;
        ensure!(answer.body == json!({"outcome": "failed", "reason": "no_recipient"}), "{answer:?}");

        let mut bob = Reliable::join(&fleet, 0, "bob").await?;
        let body = stored("agent/bob", Some("m3"), "m3");
        let answer = program.call_with(&fleet, 0, PUBLISH, Some(body), "").await?;
        ensure!(answer.body == json!({"outcome": "accepted"}), "{answer:?}");
        bob.present(3).await?;
        ensure!(bob.book.presented == ["m1", "m2", "m3"], "{:?}", bob.book);
        // Once it was presented a repeat says so.
        eventually("it is delivered", PATIENCE, async || {
            let body = stored("agent/bob", Some("m2"), "m2");
            let answer = program.call_with(&fleet, 0, PUBLISH, Some(body), "").await?;
            Ok((answer.body == json!({"outcome": "delivered"})).then_some(()))
        })
        .await?;
        let metrics = fleet.all_metrics().await?;
        ensure!(metrics.broken_identities().is_empty(), "{:?}", metrics.broken_identities());
    }
    Ok(())
}

#[tokio::test]
async fn topics_and_groups_take_them_too_and_sessions_do_not() -> anyhow::Result<()> {
    let _machine = turn::shared().await;
    let fleet = pair().await?;
    let program = Program::plain(&fleet, TENANT, "program")?;
    let mut reader = Reliable::join(&fleet, 1, "reader").await?;
    reader.subscribe("news").await?;
    let mut worker = Reliable::join(&fleet, 1, "worker").await?;
    join(&mut worker.agent, "work").await?;
    let session = reader.agent.greeting().session.as_str().to_owned();

    let answer =
        program.call_with(&fleet, 0, PUBLISH, Some(stored("topic/news", Some("n1"), "n1")), "").await?;
    let position = &answer.body["position"];
    ensure!(answer.body["outcome"] == "accepted" && position["seq"] == 1, "{answer:?}");
    ensure!(position["stream"] == "topic/news" && position["epoch"].is_string(), "{answer:?}");
    reader.present(1).await?;
    let answer =
        program.call_with(&fleet, 0, PUBLISH, Some(stored("group/work", Some("w1"), "w1")), "").await?;
    ensure!(answer.body == json!({"outcome": "accepted"}), "{answer:?}");
    worker.present(1).await?;

    for (body, refusal) in [
        (stored(&session, Some("s"), ""), (400, "unsupported")),
        (stored("agent/reader", None, ""), (400, "invalid_request")),
        (json!({"to": "agent/reader", "message": {"qos": 2, "mid": "q"}}), (400, "invalid_request")),
    ] {
        let answer = program.call_with(&fleet, 0, PUBLISH, Some(body), "").await?;
        ensure!(answer.refusal() == refusal, "{answer:?}");
    }
    let several = json!({"to": ["agent/reader", session, "topic/news"], "message": {"qos": 1, "mid": "all", "payload": "all"}});
    let answer = program.call(&fleet, 0, "POST", "/v1/broadcast", Some(several)).await?;
    let told: Vec<_> = (0..3).map(|at| &answer.body["receipts"][at]).collect();
    ensure!(told[0]["outcome"] == "accepted" && told[2]["position"]["seq"] == 2, "{answer:?}");
    ensure!(told[1]["outcome"] == "failed" && told[1]["reason"] == "unsupported", "{answer:?}");
    reader.present(3).await?;
    ensure!(
        reader.book.presented.iter().filter(|payload| *payload == "all").count() == 2,
        "{:?}",
        reader.book
    );
    let metrics = fleet.all_metrics().await?;
    ensure!(metrics.broken_identities().is_empty(), "{:?}", metrics.broken_identities());
    Ok(())
}

#[tokio::test]
async fn while_the_store_is_away_nothing_is_accepted() -> anyhow::Result<()> {
    let _machine = turn::shared().await;
    let mut fleet = pair().await?;
    let program = Program::plain(&fleet, TENANT, "program")?;
    let _bob = Reliable::join(&fleet, 0, "bob").await?;
    fleet.redis()?.kill().await?;
    eventually("it is known to be away", PATIENCE, async || {
        let body = stored("agent/bob", Some("m1"), "m1");
        let answer = program.call_with(&fleet, 0, PUBLISH, Some(body), "").await?;
        ensure!(answer.status == 200 && answer.body["outcome"] != "accepted", "{answer:?}");
        let is_refused = answer.body["reason"] == "unavailable" && answer.body["retry_after_ms"].is_u64();
        Ok(is_refused.then_some(()))
    })
    .await
}

/// The message is stored and no replica has it: whether it stays is not known, until one has.
#[tokio::test]
async fn a_repeat_of_a_call_in_doubt_stores_nothing_twice() -> anyhow::Result<()> {
    let _machine = turn::shared().await;
    let wait = [("RELAY_REDIS_WAIT_REPLICAS", "1"), ("RELAY_REDIS_WAIT_TIMEOUT_MS", "400")];
    let mut fleet = Fleet::joined(2, &wait).await?;
    let program = Program::plain(&fleet, TENANT, "program")?;
    let mut bob = Reliable::join(&fleet, 1, "bob").await?;
    let body = stored("agent/bob", None, "once");
    for instance in [0, 1] {
        let answer = program.call_with(&fleet, instance, PUBLISH, Some(body.clone()), KEY).await?;
        ensure!(answer.body == json!({"outcome": "unknown"}), "{answer:?}");
        ensure!(answer.response.header("idempotency-replayed").is_none(), "{answer:?}");
    }
    let replica = Redis::start().await?;
    replica.say(&format!("REPLICAOF 127.0.0.1 {}", fleet.redis()?.port())).await?;
    eventually("the replica has it", PATIENCE, async || {
        let answer = program.call_with(&fleet, 0, PUBLISH, Some(body.clone()), KEY).await?;
        Ok(["accepted", "delivered"].iter().any(|told| answer.body["outcome"] == *told).then_some(()))
    })
    .await?;
    let answer = program.call_with(&fleet, 1, PUBLISH, Some(body), KEY).await?;
    ensure!(answer.response.header("idempotency-replayed") == Some("true"), "{answer:?}");
    let other = stored("agent/bob", None, "another");
    // A replica that is late for once leaves this one in doubt too.
    eventually("the replica has another", PATIENCE, async || {
        let key = "idempotency-key: order-67\r\n";
        let answer = program.call_with(&fleet, 1, PUBLISH, Some(other.clone()), key).await?;
        Ok(["accepted", "delivered"].iter().any(|told| answer.body["outcome"] == *told).then_some(()))
    })
    .await?;
    bob.present(2).await?;
    ensure!(bob.book.presented == ["once", "another"], "{:?}", bob.book);
    Ok(())
}

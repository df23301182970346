//! Messages that programs send without a socket.

use anyhow::ensure;
use relay_tests::api::Program;
use relay_tests::fleet::{TENANT, join};
use relay_tests::turn;
use serde_json::json;

use super::pair;

#[tokio::test]
async fn a_program_sends_to_agents_sessions_and_topics_on_whatever_instance() -> anyhow::Result<()> {
    let _machine = turn::shared().await;
    let fleet = pair().await?;
    let mut bob = fleet.peer(1, "bob").await?;
    bob.subscribe("news").await?;
    join(&mut bob.agent, "work").await?;
    let program = Program::plain(&fleet, TENANT, "program")?;
    let session = bob.agent.greeting().session.as_str().to_owned();
    for (instance, to, outcome) in [
        (0, "agent/bob", "queued"),
        (1, "agent/bob", "queued"),
        (0, session.as_str(), "queued"),
        (0, "topic/news", "accepted"),
        (0, "group/work", "queued"),
        (1, "group/work", "queued"),
    ] {
        let body = json!({"to": to, "message": {"payload": {"n": 1}}});
        let answer = program.call(&fleet, instance, "POST", "/v1/publish", Some(body)).await?;
        ensure!(answer.status == 200 && answer.body == json!({"outcome": outcome}), "{to}: {answer:?}");
        let heard = bob.hear().await?;
        ensure!((heard.from.as_str(), heard.to.as_str()) == ("agent/program", to), "{heard:?}");
    }
    let nobody = json!({"to": "agent/nobody", "message": {}});
    let answer = program.call(&fleet, 0, "POST", "/v1/publish", Some(nobody)).await?;
    ensure!(answer.body == json!({"outcome": "failed", "reason": "no_recipient"}), "{answer:?}");

    let several = json!({"to": ["agent/bob", "agent/nobody", "topic/news"], "message": {"payload": 1}});
    let answer = program.call(&fleet, 0, "POST", "/v1/broadcast", Some(several)).await?;
    let expected = json!({"receipts": [
        {"to": "agent/bob", "outcome": "queued"},
        {"to": "agent/nobody", "outcome": "failed", "reason": "no_recipient"},
        {"to": "topic/news", "outcome": "accepted"},
    ]});
    ensure!(answer.body == expected, "{answer:?}");
    bob.hear().await?;
    bob.hear().await?;
    let metrics = fleet.all_metrics().await?;
    let [sends, outcomes, in_flight] =
        ["relay_sends_total", "relay_send_outcomes_total", "relay_sends_in_flight"]
            .map(|name| metrics.sum(name));
    ensure!(in_flight.abs() < 0.5 && (sends - outcomes).abs() < 0.5, "{sends} sends, {outcomes} outcomes");
    Ok(())
}

#[tokio::test]
async fn a_repeat_gets_the_first_answer_on_whatever_instance() -> anyhow::Result<()> {
    let _machine = turn::shared().await;
    let fleet = pair().await?;
    let mut bob = fleet.peer(1, "bob").await?;
    let program = Program::plain(&fleet, TENANT, "program")?;
    let body = json!({"to": "agent/bob", "message": {"payload": "once"}});
    let publish = ("POST", "/v1/publish");
    let key = "idempotency-key: order-66\r\n";
    for (instance, replayed) in [(0, None), (0, Some("true")), (1, Some("true"))] {
        let answer = program.call_with(&fleet, instance, publish, Some(body.clone()), key).await?;
        ensure!(answer.status == 200 && answer.body == json!({"outcome": "queued"}), "{answer:?}");
        ensure!(answer.response.header("idempotency-replayed") == replayed, "{answer:?}");
    }
    let other = json!({"to": "agent/bob", "message": {"payload": "twice"}});
    let answer = program.call_with(&fleet, 1, publish, Some(other), key).await?;
    ensure!(answer.refusal() == (422, "idempotency_mismatch"), "{answer:?}");
    // Another's key of the same name is another's.
    let stranger = Program::plain(&fleet, TENANT, "stranger")?;
    let answer = stranger.call_with(&fleet, 1, publish, Some(body), key).await?;
    ensure!(answer.response.header("idempotency-replayed").is_none(), "{answer:?}");
    let heard = [bob.hear().await?.from, bob.hear().await?.from];
    ensure!(heard == ["agent/program", "agent/stranger"], "{heard:?}: sent once each");
    Ok(())
}

#[tokio::test]
async fn what_a_token_does_not_grant_is_refused() -> anyhow::Result<()> {
    let _machine = turn::shared().await;
    let fleet = pair().await?;
    let minter = fleet.cluster.minter();
    let mut claims = minter.claims(TENANT, "narrow");
    claims.relay.send = vec!["agent/desk".to_owned()];
    claims.relay.publish = Vec::new();
    let narrow = Program { token: minter.sign(&claims)? };
    for (to, expected) in [("agent/desk", 200), ("agent/bob", 403), ("topic/news", 403)] {
        let body = json!({"to": to, "message": {}});
        let answer = narrow.call(&fleet, 0, "POST", "/v1/publish", Some(body)).await?;
        ensure!(answer.status == expected, "{to}: {answer:?}");
    }
    let strange = json!({"to": "agent/desk", "message": {"reply_to": "agent/bob"}});
    let answer = narrow.call(&fleet, 0, "POST", "/v1/publish", Some(strange)).await?;
    ensure!(answer.refusal() == (403, "forbidden"), "{answer:?}");
    let several = json!({"to": ["agent/bob", "agent/desk"], "message": {}});
    let answer = narrow.call(&fleet, 0, "POST", "/v1/broadcast", Some(several)).await?;
    let reasons = [&answer.body["receipts"][0]["reason"], &answer.body["receipts"][1]["reason"]];
    ensure!(reasons == ["forbidden", "no_recipient"], "{answer:?}");
    Ok(())
}

//! Messages to agents at `qos` 1: stored before they are accepted, presented, acknowledged.

use serde_json::json;

use super::rig::{Client, Rig};

pub(super) async fn send(client: &mut Client, to: &str, mid: &str, fields: &str) -> u64 {
    let send = format!(
        r#""type":"send","to":"{to}","qos":1,"mid":"{mid}","receipt":"all","payload":"{mid}"{fields}"#
    );
    client.command(&send).await
}

pub(super) async fn acknowledge(client: &mut Client, message: &serde_json::Value) {
    let (stream, epoch, seq) = (&message["stream"], &message["epoch"], &message["seq"]);
    client.say(&format!(r#"{{"type":"ack","stream":{stream},"epoch":{epoch},"seq":{seq}}}"#)).await;
}

#[tokio::test(start_paused = true)]
async fn a_message_is_accepted_presented_and_delivered() {
    let rig = Rig::new(&[]).await;
    let (mut alice, mut bob) = (rig.join("acme/alice").await, rig.join("acme/bob").await);
    let ids = [send(&mut alice, "agent/bob", "m1", "").await, send(&mut alice, "agent/bob", "m2", "").await];
    let heard = alice.hear_kind("receipt").await;
    assert_eq!(heard["accepted"][0][0], ids[0]);
    let mut last = json!(null);
    for (number, mid) in [(1, "m1"), (2, "m2")] {
        last = bob.next_frame("message").await;
        let told = (&last["payload"], &last["mid"], &last["stream"], &last["seq"]);
        assert_eq!(told, (&json!(mid), &json!(mid), &json!("agent/bob"), &json!(number)));
        assert!(last["redelivered"].is_null(), "{last}");
    }
    acknowledge(&mut bob, &last).await;
    loop {
        let heard = alice.next_frame("receipt").await;
        if heard["delivered"] == json!([[ids[0], ids[1]]]) {
            break;
        }
        assert!(heard["delivered"].is_null(), "{heard}");
    }
    // The same message again is no message, and its sender hears what became of the first.
    let again = send(&mut alice, "agent/bob", "m2", "").await;
    let heard = alice.next_frame("receipt").await;
    assert_eq!(heard["delivered"], json!([[again, again]]), "{heard}");
    let metrics = rig.context.metrics.render();
    assert!(metrics.contains("relay_sends_in_flight 0"), "{metrics}");
    assert!(metrics.contains(r#"relay_send_outcomes_total{outcome="accepted",reason=""} 2"#), "{metrics}");
}

#[tokio::test(start_paused = true)]
async fn nobody_is_no_recipient_and_a_full_stream_is_saturated() {
    let rig = Rig::new(&["--stream-messages", "2"]).await;
    let mut alice = rig.join("acme/alice").await;
    send(&mut alice, "agent/nobody", "m", "").await;
    assert_eq!(alice.next_frame("receipt").await["failed"][0]["reason"], "no_recipient");
    let bob = rig.join("acme/bob").await;
    for mid in ["m1", "m2", "m3"] {
        send(&mut alice, "agent/bob", mid, "").await;
    }
    let failed = loop {
        let heard = alice.next_frame("receipt").await;
        if !heard["failed"].is_null() {
            break heard["failed"][0].clone();
        }
    };
    assert_eq!(failed["reason"], "saturated");
    assert!(failed["retry_after_ms"].is_u64());
    drop(bob);
}

#[tokio::test(start_paused = true)]
async fn a_counter_out_of_turn_is_refused() {
    let rig = Rig::new(&[]).await;
    let (mut alice, _bob) = (rig.join("acme/alice").await, rig.join("acme/bob").await);
    send(&mut alice, "agent/bob", "m1", r#","counter":1"#).await;
    assert!(alice.next_frame("receipt").await["accepted"].is_array());
    send(&mut alice, "agent/bob", "m3", r#","counter":3"#).await;
    assert_eq!(alice.next_frame("receipt").await["failed"][0]["reason"], "out_of_order");
    send(&mut alice, "agent/bob", "m2", r#","counter":2"#).await;
    assert!(alice.next_frame("receipt").await["accepted"].is_array());
}

#[tokio::test(start_paused = true)]
async fn what_expires_unread_is_skipped_and_its_sender_hears() {
    let rig = Rig::new(&[]).await;
    let (mut alice, mut bob) = (rig.join("acme/alice").await, rig.join("acme/bob").await);
    bob.say(r#"{"type":"credit","messages":0,"bytes":1}"#).await;
    bob.command(r#""type":"ping""#).await;
    bob.next_frame("pong").await;
    let doomed = send(&mut alice, "agent/bob", "m1", r#","ttl_ms":1000"#).await;
    let kept = send(&mut alice, "agent/bob", "m2", "").await;
    alice.next_frame("receipt").await;
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    bob.say(r#"{"type":"credit","messages":9,"bytes":9999}"#).await;
    let skip = bob.next_frame("skip").await;
    assert_eq!((&skip["from"], &skip["to"], &skip["reason"]), (&json!(1), &json!(1), &json!("expired")));
    let message = bob.next_frame("message").await;
    assert_eq!(message["payload"], "m2");
    acknowledge(&mut bob, &message).await;
    let (mut delivered, mut expired) = (false, false);
    while !(delivered && expired) {
        let heard = alice.next_frame("receipt").await;
        delivered |= heard["delivered"] == json!([[kept, kept]]);
        expired |= heard["failed"] == json!([{"id": doomed, "reason": "expired"}]);
    }
}

#[tokio::test(start_paused = true)]
async fn credit_paces_what_is_pushed() {
    let rig = Rig::new(&[]).await;
    let (mut alice, mut bob) = (rig.join("acme/alice").await, rig.join("acme/bob").await);
    bob.say(r#"{"type":"credit","messages":2,"bytes":100000}"#).await;
    bob.command(r#""type":"ping""#).await;
    bob.next_frame("pong").await;
    for mid in ["m1", "m2", "m3", "m4"] {
        send(&mut alice, "agent/bob", mid, "").await;
        alice.next_frame("receipt").await;
    }
    let mut heard = Vec::new();
    for _ in 0..2 {
        heard.push(bob.next_frame("message").await["seq"].clone());
    }
    bob.command(r#""type":"ping""#).await;
    assert_eq!(bob.next_of(&["message", "pong"]).await["type"], "pong", "no credit is left");
    bob.say(r#"{"type":"credit","messages":1,"bytes":1000}"#).await;
    heard.push(bob.next_frame("message").await["seq"].clone());
    assert_eq!(heard, [json!(1), json!(2), json!(3)]);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_was_stored_gives_the_right_to_answer() {
    let rig = Rig::new(&[]).await;
    let (mut alice, mut bob) = (rig.join("acme/alice").await, rig.join("acme/bob/none").await);
    send(
        &mut alice,
        "agent/bob",
        "m1",
        r#","reply_to":"agent/alice","correlation_id":"c","deadline_ms":5000"#,
    )
    .await;
    let request = bob.next_frame("message").await;
    assert!(request["deadline_ms"].as_u64().unwrap() <= 5_000);
    bob.command(r#""type":"send","to":"agent/alice","correlation_id":"c","payload":7,"receipt":"all""#).await;
    assert_eq!(alice.next_frame("message").await["payload"], 7);
}

#[tokio::test(start_paused = true)]
async fn what_was_not_written_cannot_be_acknowledged() {
    let rig = Rig::new(&[]).await;
    let (mut alice, mut bob) = (rig.join("acme/alice").await, rig.join("acme/bob").await);
    let first = send(&mut alice, "agent/bob", "m1", "").await;
    let mut message = bob.next_frame("message").await;
    bob.say(r#"{"type":"credit","messages":0,"bytes":1}"#).await;
    let second = send(&mut alice, "agent/bob", "m2", "").await;
    message["seq"] = json!(u64::from(u32::MAX));
    acknowledge(&mut bob, &message).await;
    let mut delivered = Vec::new();
    while delivered.is_empty() {
        let heard = alice.next_frame("receipt").await;
        delivered.extend(heard["delivered"].as_array().cloned().unwrap_or_default());
    }
    assert_eq!(delivered, [json!([first, first])], "and not {second}");
}

#[tokio::test(start_paused = true)]
async fn a_sender_hears_that_nobody_came_back_for_its_message() {
    let rig = Rig::new(&["--stream-age-s", "60"]).await;
    let (mut alice, mut bob) = (rig.join("acme/alice").await, rig.join("acme/bob").await);
    bob.say(r#"{"type":"bye"}"#).await;
    bob.hear_close().await;
    let id = send(&mut alice, "agent/bob", "m1", "").await;
    assert_eq!(alice.next_frame("receipt").await["accepted"][0][0], id);
    let accepted_at = tokio::time::Instant::now();
    let failed = loop {
        // What she says is her sign of life.
        let heard = alice.next_of(&["receipt", "ping"]).await;
        if heard["type"] == "receipt" {
            break heard["failed"].clone();
        }
        alice.say(r#"{"type":"pong"}"#).await;
    };
    assert_eq!(failed, json!([{"id": id, "reason": "expired"}]));
    let waited = accepted_at.elapsed();
    assert!((60..=91).contains(&waited.as_secs()), "{waited:?}");
}

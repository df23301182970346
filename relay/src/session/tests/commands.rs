//! What a client may say, and what it hears.

use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

use super::rig::{Client, Rig, failures};

#[tokio::test(start_paused = true)]
async fn a_token_that_is_refused_is_told_so() {
    let rig = Rig::new(&[]).await;
    let mut client = rig.dial().await;
    client.say(r#"{"type":"hello","id":1,"token":"x"}"#).await;
    let (closing, code) = client.hear_close().await;
    assert_eq!((code, &closing["reason"]), (4002, &json!("token_invalid")));
}

#[tokio::test(start_paused = true)]
async fn the_first_frame_is_hello_and_frames_behind_it_are_carried_out() {
    let rig = Rig::new(&[]).await;
    let mut client = rig.dial().await;
    client.say(r#"{"type":"ping","id":1}"#).await;
    assert_eq!(client.hear_close().await.1, 4001);
    let mut client = rig.dial().await;
    client.say(r#"[{"type":"hello","id":1,"token":"acme/bob"},{"type":"ping","id":2}]"#).await;
    assert_eq!(client.hear_kind("welcome").await["agent"], "agent/bob");
    assert_eq!(client.hear_kind("pong").await["id"], 2);
}

#[tokio::test(start_paused = true)]
async fn before_welcome_sixteen_kib_are_enough() {
    let rig = Rig::new(&[]).await;
    let mut client = rig.dial().await;
    client.say(&format!(r#"{{"type":"hello","id":1,"x":"{}"}}"#, "x".repeat(16 * 1024))).await;
    assert_eq!(client.hear_close().await.1, 1009);
}

#[tokio::test(start_paused = true)]
async fn ids_rise_and_a_command_that_breaks_that_is_not_carried_out() {
    let rig = Rig::new(&[]).await;
    let mut client = rig.join("acme/bob").await;
    client
        .say(r#"[{"type":"ping","id":9},{"type":"ping","id":9},{"type":"send","id":8,"to":"agent/bob"}]"#)
        .await;
    let heard = client.hear().await;
    let kinds: Vec<_> =
        heard.as_array().unwrap().iter().map(|f| (f["type"].clone(), f["id"].clone())).collect();
    assert_eq!(kinds, [(json!("pong"), json!(9)), (json!("error"), json!(9)), (json!("error"), json!(8))]);
    assert_eq!(heard[1]["code"], "out_of_order");
}

#[tokio::test(start_paused = true)]
async fn what_is_not_offered_is_refused_by_name() {
    let rig = Rig::new(&[]).await;
    let mut client = rig.join("acme/bob").await;
    for (fields, what) in [
        (
            r#""type":"send","to":"session/bob~0123456789012345678901","qos":1,"mid":"m""#,
            "qos 1 to a session",
        ),
        (r#""type":"subscribe","topic":"a.*","qos":1"#, "wildcards at qos 1"),
        (r#""type":"subscribe","topic":"a","rewind":{"last":1}"#, "rewind or from at qos 0"),
    ] {
        let id = client.command(fields).await;
        let error = client.hear_kind("error").await;
        assert_eq!(
            (&error["code"], &error["message"], &error["id"]),
            (&json!("unsupported"), &json!(what), &json!(id))
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_to_a_group_goes_to_one_member_until_it_leaves() {
    let rig = Rig::new(&[]).await;
    let mut sender = rig.join("acme/sender").await;
    let mut worker = rig.join("acme/worker").await;
    let send = r#""type":"send","to":"group/work","receipt":"all""#;
    sender.command(send).await;
    assert_eq!(sender.hear_kind("receipt").await["failed"][0]["reason"], "no_recipient");
    let join = worker.command(r#""type":"join","group":"work""#).await;
    assert_eq!(worker.hear_kind("ok").await["id"], join);
    let again = worker.command(r#""type":"join","group":"work""#).await;
    assert_eq!(worker.hear_kind("ok").await["id"], again);
    sender.command(send).await;
    assert!(sender.hear_kind("receipt").await["queued"].is_array());
    assert_eq!(worker.hear_kind("message").await["to"], "group/work");
    let leave = worker.command(r#""type":"leave","group":"work""#).await;
    assert_eq!(worker.hear_kind("ok").await["id"], leave);
    sender.command(send).await;
    assert_eq!(sender.hear_kind("receipt").await["failed"][0]["reason"], "no_recipient");
}

#[tokio::test(start_paused = true)]
async fn a_group_needs_a_right_and_counts_as_a_subscription_and_is_the_tenants_own() {
    let rig = Rig::new(&["--subscriptions", "2"]).await;
    let mut other = rig.join("acme/other/none").await;
    other.command(r#""type":"join","group":"work""#).await;
    assert_eq!(other.hear_kind("error").await["code"], "forbidden");
    let mut stranger = rig.join("evil/worker").await;
    stranger.command(r#""type":"join","group":"work""#).await;
    stranger.hear_kind("ok").await;
    let mut worker = rig.join("acme/worker").await;
    worker.command(r#""type":"send","to":"group/work""#).await;
    assert_eq!(worker.hear_kind("receipt").await["failed"][0]["reason"], "no_recipient");
    worker.command(r#""type":"subscribe","topic":"a""#).await;
    worker.hear_kind("ok").await;
    worker.command(r#""type":"join","group":"work""#).await;
    worker.hear_kind("ok").await;
    for one_more in [r#""type":"join","group":"more""#, r#""type":"subscribe","topic":"b""#] {
        worker.command(one_more).await;
        let error = worker.hear_kind("error").await;
        assert_eq!((&error["code"], &error["limit"]), (&"limit_exceeded".into(), &"subscriptions".into()));
    }
    worker.command(r#""type":"leave","group":"work""#).await;
    worker.hear_kind("ok").await;
    worker.command(r#""type":"join","group":"more""#).await;
    worker.hear_kind("ok").await;
}

#[tokio::test(start_paused = true)]
async fn a_request_to_a_group_is_answered_by_its_member() {
    let rig = Rig::new(&[]).await;
    let mut sender = rig.join("acme/sender").await;
    let mut worker = rig.join("acme/worker").await;
    worker.command(r#""type":"join","group":"work""#).await;
    worker.hear_kind("ok").await;
    sender.command(r#""type":"send","to":"group/work","reply_to":"agent/sender","correlation_id":"c""#).await;
    let request = worker.hear_kind("message").await;
    assert_eq!(request["reply_to"], "agent/sender");
    worker.command(r#""type":"send","to":"agent/sender","correlation_id":"c","payload":1"#).await;
    assert_eq!(sender.hear_kind("message").await["correlation_id"], "c");
}

/// More than the buffers on the way to a socket take, at 4 KB each.
const JOBS: u64 = 20;

#[tokio::test(start_paused = true)]
async fn work_that_its_member_left_unwritten_goes_to_another_or_fails() {
    let rig = Rig::new(&[]).await;
    let mut sender = rig.join("acme/sender").await;
    // Its socket takes little and it never reads, so most of what it is given waits in the relay.
    let mut idle = rig.dial_through(512).await;
    idle.hello("acme/idle").await;
    idle.command(r#""type":"join","group":"work""#).await;
    idle.hear_kind("ok").await;
    let payload = "x".repeat(4_000);
    let send = format!(r#""type":"send","to":"group/work","receipt":"all","payload":"{payload}""#);
    for _ in 0..JOBS {
        sender.command(&send).await;
    }
    sender.command(r#""type":"ping""#).await;
    let mut outcomes = queued_before_pong(&mut sender).await;
    assert!(outcomes < JOBS / 2, "work that waits has no outcome yet");
    let mut worker = rig.join("acme/worker").await;
    worker.command(r#""type":"join","group":"work""#).await;
    worker.hear_kind("ok").await;
    drop(idle);
    // Some was written to the socket that is gone, the rest comes to the other.
    while outcomes < JOBS {
        let receipt = sender.hear_kind("receipt").await;
        assert!(receipt["failed"].is_null(), "{receipt}");
        outcomes += count(&receipt["queued"]);
    }
    let mut came = 0;
    while came < JOBS / 2 {
        let heard = worker.hear().await;
        let frames = heard.as_array().cloned().unwrap_or(vec![heard]);
        came += frames.iter().filter(|frame| frame["type"] == "message").count() as u64;
    }
    // Nobody is left: what waits fails.
    worker.command(r#""type":"leave","group":"work""#).await;
    worker.hear_kind("ok").await;
    let mut last = rig.dial_through(512).await;
    last.hello("acme/last").await;
    last.command(r#""type":"join","group":"work""#).await;
    last.hear_kind("ok").await;
    for _ in 0..JOBS {
        sender.command(&send).await;
    }
    sender.command(r#""type":"ping""#).await;
    queued_before_pong(&mut sender).await;
    drop(last);
    let mut failed = 0;
    while failed < 10 {
        let receipt = sender.hear_kind("receipt").await;
        for (_, one) in failures(&receipt) {
            assert_eq!(one["reason"], "no_recipient");
            failed += 1;
        }
    }
}

/// How many sends are told as queued until a `pong` comes.
async fn queued_before_pong(client: &mut Client) -> u64 {
    let mut queued = 0;
    loop {
        let heard = client.hear().await;
        let frames = heard.as_array().cloned().unwrap_or(vec![heard]);
        queued += frames.iter().map(|frame| count(&frame["queued"])).sum::<u64>();
        if frames.iter().any(|frame| frame["type"] == "pong") {
            return queued;
        }
    }
}

/// How many ids stand in ranges.
fn count(ranges: &serde_json::Value) -> u64 {
    let ends = |range: &serde_json::Value| (range[0].as_u64().unwrap(), range[1].as_u64().unwrap());
    ranges.as_array().into_iter().flatten().map(ends).map(|(first, last)| last - first + 1).sum()
}

#[tokio::test(start_paused = true)]
async fn rights_are_needed_and_a_request_gives_the_right_to_answer_it() {
    let rig = Rig::new(&[]).await;
    let mut asker = rig.join("acme/asker").await;
    let mut worker = rig.join("acme/worker/none").await;
    for fields in [r#""type":"send","to":"agent/asker""#, r#""type":"send","to":"topic/a""#] {
        worker.command(fields).await;
        assert_eq!(worker.hear_kind("receipt").await["failed"][0]["reason"], "forbidden");
    }
    worker.command(r#""type":"subscribe","topic":"a""#).await;
    assert_eq!(worker.hear_kind("error").await["code"], "forbidden");
    asker.command(r#""type":"send","to":"agent/worker","reply_to":"agent/asker","correlation_id":"c","deadline_ms":1000"#).await;
    let request = worker.hear_kind("message").await;
    assert_eq!((&request["reply_to"], &request["deadline_ms"]), (&json!("agent/asker"), &json!(1000)));
    worker
        .command(r#""type":"send","to":"agent/asker","correlation_id":"c","payload":7,"receipt":"all""#)
        .await;
    assert!(worker.hear_kind("receipt").await["queued"].is_array());
    assert_eq!(asker.hear_kind("message").await["payload"], 7);
    tokio::time::advance(std::time::Duration::from_secs(1)).await;
    worker.command(r#""type":"send","to":"agent/asker""#).await;
    assert_eq!(worker.hear_kind("receipt").await["failed"][0]["reason"], "forbidden");
}

#[tokio::test(start_paused = true)]
async fn nobody_can_be_made_to_answer_to_somebody_else() {
    let rig = Rig::new(&[]).await;
    let mut narrow = rig.join("acme/narrow/none").await;
    let mut peer = rig.join("acme/peer").await;
    peer.command(r#""type":"send","to":"agent/narrow","reply_to":"agent/peer","correlation_id":"c""#).await;
    narrow.hear_kind("message").await;
    narrow.command(r#""type":"send","to":"agent/peer","reply_to":"agent/victim""#).await;
    assert_eq!(narrow.hear_kind("receipt").await["failed"][0]["reason"], "forbidden");
}

#[tokio::test(start_paused = true)]
async fn tenants_do_not_meet() {
    let rig = Rig::new(&[]).await;
    let mut one = rig.join("acme/bob").await;
    let mut two = rig.join("other/eve").await;
    one.command(r#""type":"subscribe","topic":"*""#).await;
    assert_eq!(one.hear_kind("ok").await["id"], 2);
    two.command(r#""type":"send","to":"agent/bob""#).await;
    assert_eq!(two.hear_kind("receipt").await["failed"][0]["reason"], "no_recipient");
    two.command(r#""type":"send","to":"topic/a","receipt":"all""#).await;
    assert!(two.hear_kind("receipt").await["accepted"].is_array());
    one.command(r#""type":"ping""#).await;
    assert_eq!(one.hear().await["type"], "pong");
}

#[tokio::test(start_paused = true)]
async fn a_subscription_that_overlaps_brings_each_message_once() {
    let rig = Rig::new(&[]).await;
    let mut client = rig.join("acme/bob").await;
    for topic in ["a.b", "a.*", "*"] {
        client.command(&format!(r#""type":"subscribe","topic":"{topic}""#)).await;
        client.hear_kind("ok").await;
    }
    client.command(r#""type":"send","to":"topic/a.b","payload":1"#).await;
    assert_eq!(client.hear().await["payload"], 1);
    client.command(r#""type":"unsubscribe","topic":"*""#).await;
    client.hear_kind("ok").await;
    client.command(r#""type":"send","to":"topic/a.b","payload":2"#).await;
    assert_eq!(client.hear_kind("message").await["payload"], 2);
    client.command(r#""type":"ping""#).await;
    assert_eq!(client.hear().await["type"], "pong");
}

#[tokio::test(start_paused = true)]
async fn rates_are_told_and_going_on_ends_the_connection() {
    let rig = Rig::new(&["--rate-burst", "5", "--rate-messages", "1", "--rate-strikes", "20"]).await;
    let mut client = rig.join("acme/bob").await;
    for _ in 0..6 {
        client.command(r#""type":"send","to":"agent/nobody""#).await;
    }
    let mut reasons = Vec::new();
    while reasons.len() < 6 {
        for (_, failed) in failures(&client.hear_kind("receipt").await) {
            reasons.push((failed["reason"].clone(), failed["retry_after_ms"].is_u64()));
        }
    }
    assert_eq!(reasons[4], (json!("no_recipient"), false));
    assert_eq!(reasons[5], (json!("rate_limited"), true));
    for _ in 0..20 {
        client.command(r#""type":"ping""#).await;
    }
    assert_eq!(client.hear_close().await.1, 4102);
}

#[tokio::test(start_paused = true)]
async fn bounds_of_payload_headers_and_subscriptions_are_named() {
    let rig = Rig::new(&["--payload-bytes", "100", "--subscriptions", "2"]).await;
    let mut client = rig.join("acme/bob").await;
    client.command(&format!(r#""type":"send","to":"agent/bob","payload":"{}""#, "x".repeat(99))).await;
    assert_eq!(client.hear_kind("receipt").await["failed"][0]["reason"], "too_large");
    for topic in ["a", "b"] {
        client.command(&format!(r#""type":"subscribe","topic":"{topic}""#)).await;
        client.hear_kind("ok").await;
    }
    client.command(r#""type":"subscribe","topic":"c""#).await;
    let error = client.hear_kind("error").await;
    assert_eq!((&error["code"], &error["limit"]), (&json!("limit_exceeded"), &json!("subscriptions")));
}

#[tokio::test(start_paused = true)]
async fn what_is_no_frame_ends_the_connection() {
    for (message, code) in [
        (Message::text("nonsense"), 4005),
        (Message::text("[]"), 4005),
        (Message::binary(vec![0x80]), 1003),
        (Message::text(format!("[{}{{\"type\":\"pong\"}}]", "{\"type\":\"pong\"},".repeat(256))), 4005),
    ] {
        let rig = Rig::new(&[]).await;
        let mut client = rig.join("acme/bob").await;
        client.raw(message).await;
        assert_eq!(client.hear_close().await.1, code);
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_that_expires_in_line_is_not_written_and_told_as_a_gap() {
    let rig = Rig::new(&[]).await;
    let mut slow = rig.dial_through(64).await;
    slow.hello("acme/slow").await;
    let mut sender = rig.join("acme/sender").await;
    let large = "x".repeat(50_000);
    for _ in 0..2 {
        sender.command(&format!(r#""type":"send","to":"agent/slow","payload":"{large}""#)).await;
    }
    sender.command(r#""type":"send","to":"agent/slow","payload":"late","ttl_ms":500"#).await;
    sender.command(r#""type":"ping""#).await;
    sender.hear_kind("pong").await;
    tokio::time::advance(std::time::Duration::from_secs(1)).await;
    let gap = slow.hear_kind("gap").await;
    assert_eq!(
        (&gap["reason"], &gap["dropped"], &gap["direct"]),
        (&json!("expired"), &json!(1), &json!(true))
    );
}

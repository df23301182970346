//! Bounds of number and size, each with its answer.

use serde_json::json;

use super::rig::Rig;

#[tokio::test(start_paused = true)]
async fn sends_without_an_outcome_are_bounded() {
    let rig = Rig::new(&["--in-flight", "2"]).await;
    let mut client = rig.join("acme/bob").await;
    // What goes to a topic has its outcome after the turn at the earliest.
    let sends: Vec<String> =
        (2..6).map(|id| format!(r#"{{"type":"send","id":{id},"to":"topic/a","receipt":"all"}}"#)).collect();
    client.say(&format!("[{}]", sends.join(","))).await;
    let refused = client.hear_kind("receipt").await;
    let refused = refused["failed"].as_array().unwrap();
    assert_eq!(refused.len(), 1, "those in a row are one entry");
    let failed = &refused[0];
    assert_eq!(
        (&failed["id"], &failed["last"], &failed["reason"]),
        (&json!(4), &json!(5), &json!("saturated"))
    );
    assert!(failed["retry_after_ms"].is_u64());
    assert_eq!(client.hear_kind("receipt").await["accepted"], json!([[2, 3]]));
    client.say(r#"{"type":"send","id":6,"to":"topic/a","receipt":"all"}"#).await;
    assert_eq!(client.hear_kind("receipt").await["accepted"], json!([[6, 6]]));
}

#[tokio::test(start_paused = true)]
async fn of_what_waits_under_a_key_only_the_newest_comes() {
    let rig = Rig::new(&[]).await;
    let (mut alice, mut eve) = (rig.join("acme/alice").await, rig.join("acme/eve").await);
    // Its socket takes little, so most of what is sent to it waits.
    let mut bob = rig.dial_through(64).await;
    bob.hello("acme/bob").await;
    let large = "x".repeat(40_000);
    for _ in 0..3 {
        alice.command(&format!(r#""type":"send","to":"agent/bob","payload":"{large}""#)).await;
    }
    let send = |client: &str, number: usize| {
        format!(
            r#""type":"send","to":"agent/bob","key":"state","payload":"{client}{number}","receipt":"all""#
        )
    };
    for number in 0..50 {
        alice.command(&send("alice", number)).await;
        assert!(alice.hear_kind("receipt").await["queued"].is_array());
    }
    eve.command(&send("eve", 0)).await;
    assert!(eve.hear_kind("receipt").await["queued"].is_array());
    let mut came = Vec::new();
    while came.last().is_none_or(|payload| payload != "eve0") {
        let heard = bob.hear().await;
        let frames = heard.as_array().cloned().unwrap_or(vec![heard]);
        came.extend(frames.into_iter().filter_map(|frame| Some(frame["payload"].as_str()?.to_owned())));
    }
    assert!(came.len() < 10, "{came:?}");
    assert_eq!(came[came.len() - 2], "alice49", "nobody replaces what another sent: {came:?}");
    let page = rig.context.metrics.render();
    let conflated = format!(r#"relay_deliveries_dropped_total{{reason="conflated"}} {}"#, 54 - came.len());
    assert!(page.contains(&conflated), "{conflated}: {page}");
}

#[tokio::test(start_paused = true)]
async fn what_expires_in_line_is_told_by_what_it_was_sent_to() {
    let rig = Rig::new(&[]).await;
    let mut alice = rig.join("acme/alice").await;
    let large = "x".repeat(40_000);
    for (to, direct, topics) in
        [("topic/news.today", false, json!(["news.*"])), ("agent/bob", true, json!([]))]
    {
        let mut bob = rig.dial_through(64).await;
        bob.hello("acme/bob").await;
        bob.command(r#""type":"subscribe","topic":"news.*""#).await;
        bob.hear_kind("ok").await;
        for fields in
            [format!(r#""to":"agent/bob","payload":"{large}""#), format!(r#""to":"{to}","ttl_ms":50"#)]
        {
            alice.command(&format!(r#""type":"send",{fields},"receipt":"all""#)).await;
            alice.hear_kind("receipt").await;
        }
        tokio::time::advance(std::time::Duration::from_millis(60)).await;
        let gap = bob.hear_kind("gap").await;
        assert_eq!((&gap["reason"], &gap["dropped"]), (&json!("expired"), &json!(1)), "{gap}");
        assert_eq!((&gap["direct"], &gap["topics"]), (&json!(direct), &topics), "{gap}");
        drop(bob);
    }
}

#[tokio::test(start_paused = true)]
async fn the_latest_sixty_four_requests_may_be_answered() {
    let rig = Rig::new(&[]).await;
    let mut asker = rig.join("acme/asker").await;
    let mut worker = rig.join("acme/worker/none").await;
    for number in 0..65 {
        asker
            .command(&format!(r#""type":"send","to":"agent/worker","reply_to":"topic/answers.{number}""#))
            .await;
        while worker.hear_kind("message").await["reply_to"] != format!("topic/answers.{number}") {}
    }
    for (number, allowed) in [(0, false), (1, true), (64, true)] {
        worker.command(&format!(r#""type":"send","to":"topic/answers.{number}","receipt":"all""#)).await;
        let receipt = worker.hear_kind("receipt").await;
        assert_eq!(receipt["accepted"].is_array(), allowed, "{number}: {receipt}");
    }
}

#[tokio::test(start_paused = true)]
async fn headers_beyond_their_bounds_refuse_the_send_alone() {
    let rig = Rig::new(&[]).await;
    let mut client = rig.join("acme/bob").await;
    let many: Vec<String> = (0..17).map(|number| format!(r#""h{number}":"x""#)).collect();
    let long = format!(r#""h":"{}""#, "x".repeat(2_048));
    for (headers, code) in [(many.join(","), "limit_exceeded"), (long, "too_large")] {
        let id = client.command(&format!(r#""type":"send","to":"agent/bob","headers":{{{headers}}}"#)).await;
        let error = client.hear_kind("error").await;
        assert_eq!((&error["id"], &error["code"]), (&json!(id), &json!(code)));
        assert_eq!(error["limit"], "headers");
    }
    client.command(r#""type":"ping""#).await;
    assert_eq!(client.hear_kind("pong").await["type"], "pong");
}

#[tokio::test(start_paused = true)]
async fn a_payload_may_be_nested_as_deeply_as_it_fits() {
    let rig = Rig::new(&[]).await;
    let mut client = rig.join("acme/bob").await;
    let deep = format!("{}{}", "[".repeat(20_000), "]".repeat(20_000));
    client.command(&format!(r#""type":"send","to":"agent/bob","receipt":"all","payload":{deep}"#)).await;
    assert!(client.hear_text_with(&deep).await);
}

#[tokio::test(start_paused = true)]
async fn a_token_longer_than_any_is_refused_as_a_token() {
    let rig = Rig::new(&[]).await;
    let long = "x".repeat(8 * 1024 + 1);
    let mut client = rig.dial().await;
    client.say(&format!(r#"{{"type":"hello","id":1,"token":"{long}"}}"#)).await;
    let (closing, code) = client.hear_close().await;
    assert_eq!((code, &closing["message"]), (4002, &json!("too_long")));
    let mut client = rig.join("acme/bob").await;
    client.command(&format!(r#""type":"auth","token":"{long}""#)).await;
    assert_eq!(client.hear_kind("error").await["code"], "too_large");
    let mut client = rig.dial().await;
    client.say(&format!(r#"{{"type":"hello","id":1,"client":"{}"}}"#, "x".repeat(65))).await;
    assert_eq!(client.hear_close().await.1, 4005);
}

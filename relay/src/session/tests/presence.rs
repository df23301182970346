//! Watching who is present, and being seen.

use serde_json::json;

use super::rig::{Client, GRACE, Rig};

const WATCH: &str = r#""type":"watch","to":"agent/bob""#;

async fn watcher(rig: &Rig) -> Client {
    rig.join("acme/al").await
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_says_bye_is_gone_at_once_and_one_that_is_lost_after_its_grace() {
    let rig = Rig::new(&["--heartbeat-ms", "60000"]).await;
    let mut al = watcher(&rig).await;
    let id = al.command(WATCH).await;
    let expected = json!({
        "type": "presence", "id": id, "to": "agent/bob", "version": 1, "count": 0, "members": [],
    });
    assert_eq!(al.hear_kind("presence").await, expected);
    let mut bob = rig.join("acme/bob").await;
    assert_eq!(al.hear_kind("presence").await["joined"], json!(["bob"]));
    let begun = tokio::time::Instant::now();
    bob.say(r#"{"type":"bye"}"#).await;
    assert_eq!(al.hear_kind("presence").await["left"], json!(["bob"]));
    assert!(begun.elapsed() < GRACE / 5, "{:?}", begun.elapsed());
    let bob = rig.join("acme/bob").await;
    assert_eq!(al.hear_kind("presence").await["joined"], json!(["bob"]));
    let begun = tokio::time::Instant::now();
    drop(bob);
    let left = al.hear_kind("presence").await;
    assert_eq!((&left["left"], &left["version"]), (&json!(["bob"]), &json!(5)));
    assert!((GRACE..GRACE + GRACE / 5).contains(&begun.elapsed()), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn who_subscribes_to_be_seen_is_seen_in_the_topic_until_it_unsubscribes() {
    let rig = Rig::new(&[]).await;
    let mut al = watcher(&rig).await;
    let mut bob = rig.join("acme/bob").await;
    let mut carol = rig.join("acme/carol").await;
    let mut stranger = rig.join("evil/mallory").await;
    let seen = r#""type":"subscribe","topic":"room.1","present":true"#;
    for client in [&mut bob, &mut stranger] {
        client.command(seen).await;
        client.hear_kind("ok").await;
    }
    carol.command(r#""type":"subscribe","topic":"room.1""#).await;
    carol.hear_kind("ok").await;
    al.command(r#""type":"watch","to":"topic/room.1""#).await;
    assert_eq!(al.hear_kind("presence").await["members"], json!(["bob"]));
    carol.command(seen).await;
    assert_eq!(al.hear_kind("presence").await["joined"], json!(["carol"]));
    bob.command(r#""type":"unsubscribe","topic":"room.1""#).await;
    assert_eq!(al.hear_kind("presence").await["left"], json!(["bob"]));
    bob.command(r#""type":"subscribe","topic":"room.*","present":true"#).await;
    assert_eq!(bob.hear_kind("error").await["code"], "unsupported");
    carol.command(r#""type":"join","group":"work""#).await;
    carol.hear_kind("ok").await;
    al.command(r#""type":"watch","to":"group/work""#).await;
    assert_eq!(al.hear_kind("presence").await["members"], json!(["carol"]));
}

#[tokio::test(start_paused = true)]
async fn a_watch_needs_a_right_counts_as_a_subscription_and_ends() {
    let rig = Rig::new(&["--subscriptions", "1"]).await;
    let mut other = rig.join("acme/other/none").await;
    other.command(WATCH).await;
    assert_eq!(other.hear_kind("error").await["code"], "forbidden");
    let mut al = watcher(&rig).await;
    let session = format!("session/bob~{}", "A".repeat(22));
    al.command(&format!(r#""type":"watch","to":"{session}""#)).await;
    assert_eq!(al.hear_kind("error").await["code"], "invalid_address");
    for _ in 0..2 {
        let id = al.command(WATCH).await;
        let told = al.hear_kind("presence").await;
        assert_eq!((&told["id"], &told["version"]), (&json!(id), &json!(1)), "anew from the beginning");
    }
    al.command(r#""type":"subscribe","topic":"a""#).await;
    assert_eq!(al.hear_kind("error").await["limit"], "subscriptions");
    for _ in 0..2 {
        let id = al.command(r#""type":"unwatch","to":"agent/bob""#).await;
        assert_eq!(al.hear_kind("ok").await["id"], id);
    }
    assert!(rig.context.metrics.render().contains("relay_presence_watches 0"));
    al.command(r#""type":"subscribe","topic":"a""#).await;
    al.hear_kind("ok").await;
}

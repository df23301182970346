//! Tokens that run out, are replaced, and are withdrawn on a live connection.

use std::time::Duration;

use tokio::time::Instant;

use super::rig::Rig;
use crate::auth::AuthError;

#[tokio::test(start_paused = true)]
async fn a_token_that_runs_out_is_announced_and_then_ends_the_connection() {
    let rig = Rig::new(&["--heartbeat-ms", "300000"]).await;
    let mut client = rig.join("acme/bob?life=120").await;
    let begun = Instant::now();
    let expiring = client.hear_kind("token_expiring").await;
    assert!((58..=61).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
    let in_ms = expiring["in_ms"].as_u64().unwrap();
    assert!((88_000..=90_000).contains(&in_ms), "a minute, and the grace: {in_ms}");
    let (closing, code) = client.hear_close().await;
    assert_eq!((code, &closing["reconnect"]), (4202, &"now".into()));
    assert!((148..=151).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn another_token_lets_the_connection_live_on_with_its_rights() {
    let rig = Rig::new(&["--heartbeat-ms", "300000"]).await;
    let mut client = rig.join("acme/bob?life=120").await;
    client.command(r#""type":"subscribe","topic":"news""#).await;
    client.hear_kind("ok").await;
    client.hear_kind("token_expiring").await;
    let id = client.command(r#""type":"auth","token":"acme/bob/none?life=250""#).await;
    let lost = client.hear().await;
    let (lost, ok) = match lost.as_array() {
        Some(both) => (both[0].clone(), both[1].clone()),
        None => (lost, client.hear().await),
    };
    assert_eq!(
        (&lost["code"], &lost["message"]),
        (&"forbidden".into(), &"no longer subscribed to news".into())
    );
    assert_eq!((&ok["type"], &ok["id"]), (&"ok".into(), &id.into()));
    client.command(r#""type":"send","to":"agent/bob","payload":1"#).await;
    assert_eq!(client.hear_kind("receipt").await["failed"][0]["reason"], "forbidden");
    let renewed = Instant::now();
    client.hear_kind("token_expiring").await;
    assert!(renewed.elapsed() > Duration::from_mins(3), "{:?}", renewed.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_token_that_is_refused_changes_nothing() {
    let rig = Rig::new(&["--heartbeat-ms", "300000"]).await;
    let mut client = rig.join("acme/bob?life=120").await;
    for (token, code) in [
        ("acme/eve", "token_invalid"),
        ("other/bob", "token_invalid"),
        ("nonsense", "token_invalid"),
        ("expired/bob?refuse", "token_expired"),
    ] {
        let id = client.command(&format!(r#""type":"auth","token":"{token}""#)).await;
        let error = client.hear_kind("error").await;
        assert_eq!((&error["id"], &error["code"]), (&id.into(), &code.into()), "{token}");
    }
    client.command(r#""type":"auth","token":"away/bob?refuse""#).await;
    let error = client.hear_kind("error").await;
    assert_eq!((&error["code"], error["retry_after_ms"].as_u64()), (&"unavailable".into(), Some(1_000)));
    assert_eq!(client.hear_close().await.1, 4202, "the life of the first token");
}

#[tokio::test(start_paused = true)]
async fn a_token_that_takes_time_to_check_holds_nothing_up() {
    let rig = Rig::new(&[]).await;
    let mut client = rig.join("acme/bob").await;
    let slow = client.command(r#""type":"auth","token":"acme/bob?wait=2""#).await;
    let second = client.command(r#""type":"auth","token":"acme/bob""#).await;
    let refused = client.hear_kind("error").await;
    assert_eq!((&refused["id"], &refused["limit"]), (&second.into(), &"auth".into()));
    let begun = Instant::now();
    client.command(r#""type":"ping""#).await;
    client.hear_kind("pong").await;
    assert!(begun.elapsed() < Duration::from_secs(1));
    assert_eq!(client.hear_kind("ok").await["id"], slow);
    assert_eq!(begun.elapsed().as_secs(), 2);
}

#[tokio::test(start_paused = true)]
async fn who_is_asked_to_look_again_leaves_if_its_token_is_good_no_longer() {
    let rig = Rig::new(&[]).await;
    for (error, code, reconnect) in
        [(AuthError::Revoked, 4006, "never"), (AuthError::KeyWithdrawn, 4202, "now")]
    {
        let (mut bob, mut eve) = (rig.join("acme/bob").await, rig.join("acme/eve").await);
        rig.withdraw("bob", error);
        rig.recheck_all();
        let (closing, closed) = bob.hear_close().await;
        assert_eq!((closed, &closing["reconnect"]), (code, &reconnect.into()));
        eve.command(r#""type":"ping""#).await;
        eve.hear_kind("pong").await;
        let mut late = rig.dial().await;
        late.say(r#"{"type":"hello","id":1,"token":"acme/bob"}"#).await;
        assert_eq!(late.hear_close().await.1, code, "what came up before the welcome counts");
        rig.forgive();
    }
}

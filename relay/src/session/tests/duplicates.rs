//! An agent opens a session while it has another one.

use super::reliable::send;
use super::rig::Rig;

#[tokio::test(start_paused = true)]
async fn by_default_all_sessions_of_an_agent_live() {
    let rig = Rig::new(&[]).await;
    let mut sessions = [rig.join("acme/bob").await, rig.join("acme/bob").await];
    rig.join("acme/alice").await.command(r#""type":"send","to":"agent/bob","payload":1"#).await;
    for session in &mut sessions {
        assert_eq!(session.next_frame("message").await["payload"], 1);
    }
}

#[tokio::test(start_paused = true)]
async fn the_one_that_comes_takes_over() {
    let rig = Rig::new(&["--duplicate-agents", "take-over"]).await;
    let (mut first, mut second) = (rig.join("acme/bob").await, rig.join("acme/bob").await);
    let (closing, code) = first.hear_close().await;
    assert_eq!((code, &closing["reconnect"]), (4009, &"never".into()));
    let mut third = rig.join("acme/bob").await;
    assert_eq!(second.hear_close().await.1, 4009);
    // Neither another agent nor another tenant is concerned.
    let mut alice = rig.join("acme/alice").await;
    rig.join("other/bob").await;
    send(&mut alice, "agent/bob", "m1", "").await;
    assert_eq!(third.next_frame("message").await["payload"], "m1");
}

#[tokio::test(start_paused = true)]
async fn a_session_that_goes_on_does_not_take_over_itself() {
    for policy in ["take-over", "refuse"] {
        let rig = Rig::new(&["--duplicate-agents", policy]).await;
        let mut bob = rig.dial().await;
        let ticket = bob.hello("acme/bob").await["ticket"].as_str().unwrap().to_owned();
        let (mut bob, welcome) = rig.resume("acme/bob", &ticket, "").await;
        assert_eq!(welcome["resumed"], true, "{policy}");
        rig.join("acme/alice").await.command(r#""type":"send","to":"agent/bob","payload":1"#).await;
        assert_eq!(bob.next_frame("message").await["payload"], 1);
    }
}

#[tokio::test(start_paused = true)]
async fn the_one_that_comes_is_refused_while_another_is_there() {
    let rig = Rig::new(&["--duplicate-agents", "refuse"]).await;
    let mut first = rig.join("acme/bob").await;
    for _ in 0..100 {
        let mut second = rig.dial().await;
        second.say(r#"{"type":"hello","id":1,"token":"acme/bob"}"#).await;
        let (closing, code) = second.hear_close().await;
        assert_eq!((code, &closing["reconnect"]), (4103, &"back_off".into()));
    }
    first.say(r#"{"type":"bye"}"#).await;
    first.hear_close().await;
    // None of those that were refused has taken a place among the readers of the agent's stream.
    let mut next = rig.dial().await;
    assert!(next.hello("acme/bob").await["ticket"].is_string());
}

//! A session goes on over its connections.

use std::time::Duration;

use serde_json::{Value, json};

use super::reliable::{acknowledge, send};
use super::rig::Rig;
use crate::bus::InstanceId;
use crate::session::ticket::Ticket;
use crate::streams::{Opening, StreamKey};

#[tokio::test(start_paused = true)]
async fn what_came_meanwhile_is_presented_after_the_resume() {
    let rig = Rig::new(&[]).await;
    let mut alice = rig.join("acme/alice").await;
    let mut bob = rig.dial().await;
    let welcome = bob.hello("acme/bob").await;
    let ticket = welcome["ticket"].as_str().unwrap().to_owned();
    assert_eq!((&welcome["resumed"], &welcome["generation"]), (&json!(false), &json!(1)));
    for mid in ["m1", "m2"] {
        send(&mut alice, "agent/bob", mid, "").await;
    }
    let first = bob.next_frame("message").await;
    acknowledge(&mut bob, &first).await;
    let second = bob.next_frame("message").await;
    bob.command(r#""type":"ping""#).await;
    bob.next_frame("pong").await;
    drop(bob);
    send(&mut alice, "agent/bob", "m3", "").await;
    let epoch = first["epoch"].clone();
    let (mut bob, again) = rig.resume("acme/bob", &ticket, "").await;
    assert_eq!((&again["resumed"], &again["session"]), (&json!(true), &welcome["session"]));
    assert_eq!(again["generation"], 2);
    assert_ne!(again["ticket"], welcome["ticket"]);
    let resume = bob.next_frame("resume").await;
    assert_eq!((&resume["stream"], &resume["recovered"]), (&json!("agent/bob"), &json!(true)));
    assert_eq!((&resume["epoch"], &resume["seq"]), (&epoch, &json!(1)));
    let message = bob.next_frame("message").await;
    assert_eq!((&message["seq"], &message["redelivered"]), (&second["seq"], &json!(true)));
    assert_eq!(bob.next_frame("message").await["payload"], "m3");
    // What the client says it has presented is not sent again, though its acknowledgement was lost.
    let ticket = again["ticket"].as_str().unwrap().to_owned();
    drop(bob);
    let streams = format!(r#"{{"stream":"agent/bob","epoch":{epoch},"seq":2}}"#);
    let (mut bob, _) = rig.resume("acme/bob", &ticket, &streams).await;
    assert_eq!(bob.next_frame("message").await["seq"], 3);
}

#[tokio::test(start_paused = true)]
async fn what_a_client_says_it_has_presented_is_acknowledged_with_that() {
    let rig = Rig::new(&[]).await;
    let mut alice = rig.join("acme/alice").await;
    let mut bob = rig.dial().await;
    let ticket = bob.hello("acme/bob").await["ticket"].as_str().unwrap().to_owned();
    send(&mut alice, "agent/bob", "m1", "").await;
    assert!(alice.next_frame("receipt").await["accepted"].is_array());
    let epoch = bob.next_frame("message").await["epoch"].clone();
    // Its acknowledgement is lost with the connection, and the client knows no reason to say it again.
    drop(bob);
    let streams = format!(r#"{{"stream":"agent/bob","epoch":{epoch},"seq":1}}"#);
    let _bob = rig.resume("acme/bob", &ticket, &streams).await;
    assert!(alice.next_frame("receipt").await["delivered"].is_array());
}

#[tokio::test(start_paused = true)]
async fn a_ticket_of_another_agent_or_none_is_not_honoured() {
    let rig = Rig::new(&[]).await;
    let mut bob = rig.dial().await;
    let ticket = bob.hello("acme/bob").await["ticket"].as_str().unwrap().to_owned();
    for (token, ticket) in [("acme/eve", &*ticket), ("other/bob", &*ticket), ("acme/bob", "nonsense")] {
        let (mut client, welcome) = rig.resume(token, ticket, "").await;
        assert_eq!(welcome["resumed"], false, "{token}");
        let resume = client.next_frame("resume").await;
        assert_eq!((&resume["recovered"], &resume["reason"]), (&json!(false), &json!("unknown_ticket")));
    }
}

#[tokio::test(start_paused = true)]
async fn a_later_connection_replaces_the_former() {
    let rig = Rig::new(&[]).await;
    let mut bob = rig.dial().await;
    let ticket = bob.hello("acme/bob").await["ticket"].as_str().unwrap().to_owned();
    let (_bob, _) = rig.resume("acme/bob", &ticket, "").await;
    assert_eq!(bob.hear_close().await.1, 4009);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_moves_hears_each_message_on_one_of_its_connections() {
    let rig = Rig::new(&[]).await;
    let mut alice = rig.join("acme/alice").await;
    let mut former = rig.dial().await;
    let ticket = former.hello("acme/bob").await["ticket"].as_str().unwrap().to_owned();
    for number in 1..=20 {
        alice.command(&format!(r#""type":"send","to":"agent/bob","payload":{number}"#)).await;
    }
    let (mut later, _) = rig.resume("acme/bob", &ticket, "").await;
    for number in 21..=40 {
        alice.command(&format!(r#""type":"send","to":"agent/bob","payload":{number}"#)).await;
    }
    let mut heard = Vec::new();
    loop {
        let frame = former.next_of(&["message", "closing"]).await;
        if frame["type"] == "closing" {
            assert_eq!(frame["reason"], "replaced");
            break;
        }
        heard.push(frame["payload"].as_u64().unwrap());
    }
    while heard.len() < 40 {
        heard.push(later.next_frame("message").await["payload"].as_u64().unwrap());
    }
    assert_eq!(heard, (1..=40).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn the_grace_ends_a_session_and_bye_does_at_once() {
    let rig = Rig::new(&[]).await;
    for farewell in [Some(r#"{"type":"bye"}"#), None] {
        let mut bob = rig.dial().await;
        let ticket = bob.hello("acme/bob").await["ticket"].as_str().unwrap().to_owned();
        if let Some(farewell) = farewell {
            bob.say(farewell).await;
            bob.hear_close().await;
        }
        drop(bob);
        if farewell.is_none() {
            // Within the grace the session is there still.
            tokio::time::sleep(Duration::from_secs(100)).await;
            let (_, welcome) = rig.resume("acme/bob", &ticket, "").await;
            assert_eq!(welcome["resumed"], true);
            tokio::time::sleep(Duration::from_secs(130)).await;
        }
        let (_, welcome) = rig.resume("acme/bob", &ticket, "").await;
        assert_eq!(welcome["resumed"], false, "{farewell:?}");
    }
    // The agent's stream is there however long it is away.
    let mut alice = rig.join("acme/alice").await;
    send(&mut alice, "agent/bob", "m1", "").await;
    assert!(alice.next_frame("receipt").await["accepted"].is_array());
    let mut bob = rig.join("acme/bob").await;
    assert_eq!(bob.next_frame("message").await["payload"], "m1");
}

#[tokio::test(start_paused = true)]
async fn a_session_that_lives_is_not_forgotten() {
    let rig = Rig::new(&[]).await;
    let mut bob = rig.dial().await;
    let ticket = bob.hello("acme/bob").await["ticket"].as_str().unwrap().to_owned();
    for _ in 0..30 {
        tokio::time::sleep(Duration::from_secs(10)).await;
        bob.command(r#""type":"ping""#).await;
        bob.next_frame("pong").await;
    }
    drop(bob);
    let (_, welcome) = rig.resume("acme/bob", &ticket, "").await;
    assert_eq!(welcome["resumed"], true);
}

#[tokio::test(start_paused = true)]
async fn within_the_grace_what_cannot_wait_fails_with_a_delay() {
    let rig = Rig::new(&[]).await;
    let mut alice = rig.join("acme/alice").await;
    let mut bob = rig.join("acme/bob").await;
    bob.command(r#""type":"ping""#).await;
    bob.next_frame("pong").await;
    drop(bob);
    for (agent, may_return) in [("bob", true), ("nobody", false)] {
        alice.command(&format!(r#""type":"send","to":"agent/{agent}""#)).await;
        let failed = alice.next_frame("receipt").await["failed"][0].clone();
        assert_eq!(
            (&failed["reason"], failed["retry_after_ms"].is_u64()),
            (&json!("no_recipient"), may_return)
        );
    }
    send(&mut alice, "agent/bob", "m1", "").await;
    assert!(alice.next_frame("receipt").await["accepted"].is_array());
}

#[tokio::test(start_paused = true)]
async fn a_sender_that_comes_back_hears_what_became_of_what_it_sent() {
    let rig = Rig::new(&[]).await;
    let mut alice = rig.dial().await;
    let ticket = alice.hello("acme/alice").await["ticket"].as_str().unwrap().to_owned();
    let mut bob = rig.join("acme/bob").await;
    for (mid, fields) in [("m1", ""), ("m2", r#","ttl_ms":60000"#), ("m3", "")] {
        send(&mut alice, "agent/bob", mid, fields).await;
        alice.next_frame("receipt").await;
    }
    let first = bob.next_frame("message").await;
    drop(alice);
    tokio::time::sleep(Duration::from_millis(50)).await;
    acknowledge(&mut bob, &first).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    let (mut alice, welcome) = rig.resume("acme/alice", &ticket, "").await;
    assert_eq!(welcome["resumed"], true);
    let heard = alice.next_frame("receipt").await;
    assert_eq!(heard["earlier"], json!([{"mid": "m1", "outcome": "delivered"}]), "{heard}");
    // Also what becomes of the others by now, and what is sent now by its id.
    let last = [bob.next_frame("message").await, bob.next_frame("message").await];
    acknowledge(&mut bob, &last[1]).await;
    let mut earlier = Vec::new();
    while earlier.len() < 2 {
        let heard = alice.next_frame("receipt").await;
        earlier.extend(heard["earlier"].as_array().cloned().unwrap_or_default());
    }
    let delivered = |mid: &str| json!({"mid": mid, "outcome": "delivered"});
    assert_eq!(earlier, [delivered("m2"), delivered("m3")]);
    let id = send(&mut alice, "agent/bob", "m4", "").await;
    let message = bob.next_frame("message").await;
    acknowledge(&mut bob, &message).await;
    loop {
        let heard = alice.next_frame("receipt").await;
        assert!(heard["earlier"].is_null(), "{heard}");
        if heard["delivered"] == json!([[id, id]]) {
            break;
        }
    }
}

/// A `hello` that its client gave up is carried out when another connection has gone on with the session long since.
#[tokio::test(start_paused = true)]
async fn a_hello_that_is_carried_out_late_takes_the_session_from_nobody() {
    let rig = Rig::new(&[]).await;
    let mut alice = rig.join("acme/alice").await;
    let ticket = |welcome: &Value| welcome["ticket"].as_str().unwrap().to_owned();
    let come_late = async |shown: &str| {
        let shown = Ticket::shown(shown, "bob").unwrap();
        let late = Opening {
            inbox: StreamKey::agent(&"acme".into(), "bob"),
            session: "bob~late".into(),
            generation: 1,
            ticket: Ticket::random().hash(),
            resume: Some((shown.session, shown.hash)),
            instance: InstanceId::parse("elsewhere").unwrap(),
        };
        rig.context.router.streams().open(late).await.unwrap().resumed
    };
    let mut bob = rig.dial().await;
    let first = ticket(&bob.hello("acme/bob").await);
    drop(bob);
    let (bob, welcome) = rig.resume("acme/bob", &first, "").await;
    let second = ticket(&welcome);
    assert!(come_late(&first).await);
    drop(bob);
    let (mut bob, welcome) = rig.resume("acme/bob", &second, "").await;
    assert_eq!(welcome["resumed"], true);
    // With either ticket that is honoured, as when a client gives up moving.
    for (mid, shown) in [("m1", second), ("m2", ticket(&welcome))] {
        assert!(come_late(&shown).await, "{mid}");
        let id = send(&mut alice, "agent/bob", mid, "").await;
        let message = bob.next_frame("message").await;
        acknowledge(&mut bob, &message).await;
        while alice.next_frame("receipt").await["delivered"] != json!([[id, id]]) {}
    }
}

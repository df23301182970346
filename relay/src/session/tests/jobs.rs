//! Messages of groups at `qos` 1: one member gets each, acknowledges it, and loses it to another one.

use std::time::Duration;

use serde_json::{Value, json};

use super::reliable::{acknowledge, send};
use super::rig::{Client, Rig, failures};
use crate::streams::{GIVEN_MAX, HOLD};

const GROUP: &str = "group/work";

async fn worker(rig: &Rig, who: &str) -> Client {
    let mut worker = rig.join(who).await;
    let id = worker.command(r#""type":"join","group":"work""#).await;
    assert_eq!(worker.next_frame("ok").await["id"], id);
    worker
}

/// The outcomes of sends until `enough` of them: which, and of which send.
async fn outcomes(client: &mut Client, enough: usize) -> Vec<(String, u64)> {
    let mut told = Vec::new();
    while told.len() < enough {
        let heard = client.next_frame("receipt").await;
        for outcome in ["accepted", "delivered", "unknown"] {
            for range in heard[outcome].as_array().into_iter().flatten() {
                let ids = range[0].as_u64().unwrap()..=range[1].as_u64().unwrap();
                told.extend(ids.map(|id| (outcome.to_owned(), id)));
            }
        }
        for (id, failed) in failures(&heard) {
            told.push((failed["reason"].as_str().unwrap().to_owned(), id));
        }
    }
    told
}

/// Time passes, in which the clients show that they live.
async fn rest(clients: &mut [&mut Client], time: Duration) {
    for _ in 0..time.as_secs() {
        tokio::time::sleep(Duration::from_secs(1)).await;
        for client in &mut *clients {
            client.say(r#"{"type":"pong"}"#).await;
        }
    }
}

fn told(outcome: &str, id: u64) -> (String, u64) {
    (outcome.to_owned(), id)
}

#[tokio::test(start_paused = true)]
async fn a_job_is_accepted_given_to_one_member_and_delivered_when_that_acknowledges() {
    let rig = Rig::new(&[]).await;
    let mut alice = rig.join("acme/alice").await;
    let nobody = send(&mut alice, GROUP, "m0", "").await;
    assert_eq!(outcomes(&mut alice, 1).await, [told("no_recipient", nobody)]);
    let mut workers = [worker(&rig, "acme/w1").await, worker(&rig, "acme/w2").await];
    let id = send(&mut alice, GROUP, "m1", "").await;
    assert_eq!(outcomes(&mut alice, 1).await, [told("accepted", id)]);
    let [one, two] = &mut workers;
    let (message, other) = tokio::select! {
        message = one.next_frame("message") => (message, &mut workers[1]),
        message = two.next_frame("message") => (message, &mut workers[0]),
    };
    assert_eq!(
        (&message["stream"], &message["mid"], &message["redelivered"]),
        (&json!(GROUP), &json!("m1"), &Value::Null)
    );
    // Another one cannot acknowledge it.
    acknowledge(other, &message).await;
    other.command(r#""type":"ping""#).await;
    assert_eq!(other.next_of(&["message", "pong"]).await["type"], "pong");
    let again = send(&mut alice, GROUP, "m1", "").await;
    assert_eq!(outcomes(&mut alice, 1).await, [told("accepted", again)]);
    for worker in &mut workers {
        acknowledge(worker, &message).await;
    }
    assert_eq!(outcomes(&mut alice, 1).await, [told("delivered", id)]);
    let again = send(&mut alice, GROUP, "m1", "").await;
    assert_eq!(outcomes(&mut alice, 1).await, [told("delivered", again)]);
}

#[tokio::test(start_paused = true)]
async fn what_a_member_does_not_acknowledge_goes_to_another_after_its_time_or_its_end() {
    let rig = Rig::new(&[]).await;
    let mut alice = rig.join("acme/alice").await;
    let mut idle = worker(&rig, "acme/idle").await;
    let ids = [send(&mut alice, GROUP, "m1", "").await, send(&mut alice, GROUP, "m2", "").await];
    assert_eq!(outcomes(&mut alice, 2).await, ids.map(|id| told("accepted", id)));
    for _ in ids {
        assert!(idle.next_frame("message").await["redelivered"].is_null());
    }
    rest(&mut [&mut alice, &mut idle], HOLD / 2).await;
    let third = send(&mut alice, GROUP, "m3", "").await;
    outcomes(&mut alice, 1).await;
    assert_eq!(idle.next_frame("message").await["mid"], "m3");
    // One that takes no more of them.
    idle.say(r#"{"type":"credit","messages":0,"bytes":1}"#).await;
    let mut heir = worker(&rig, "acme/heir").await;
    rest(&mut [&mut alice, &mut idle, &mut heir], HOLD / 2 + Duration::from_secs(2)).await;
    for mid in ["m1", "m2"] {
        let message = heir.next_frame("message").await;
        assert_eq!((&message["mid"], &message["redelivered"]), (&json!(mid), &json!(true)));
        acknowledge(&mut heir, &message).await;
    }
    assert_eq!(outcomes(&mut alice, 2).await, ids.map(|id| told("delivered", id)));
    drop(idle);
    let message = tokio::time::timeout(Duration::from_secs(1), heir.next_frame("message")).await.unwrap();
    assert_eq!((&message["mid"], &message["redelivered"]), (&json!("m3"), &json!(true)));
    acknowledge(&mut heir, &message).await;
    assert_eq!(outcomes(&mut alice, 1).await, [told("delivered", third)]);
}

#[tokio::test(start_paused = true)]
async fn a_job_that_nobody_takes_expires_and_one_that_ends_every_worker_is_given_up() {
    let rig = Rig::new(&[]).await;
    let mut alice = rig.join("acme/alice").await;
    let mut first = worker(&rig, "acme/first").await;
    first.say(r#"{"type":"credit","messages":0,"bytes":1}"#).await;
    first.command(r#""type":"ping""#).await;
    first.next_frame("pong").await;
    let doomed = send(&mut alice, GROUP, "m1", r#","ttl_ms":3000"#).await;
    assert_eq!(outcomes(&mut alice, 2).await, [told("accepted", doomed), told("expired", doomed)]);
    let left = send(&mut alice, GROUP, "m2", r#","ttl_ms":9000"#).await;
    outcomes(&mut alice, 1).await;
    drop(first);
    // Nobody is a member any more: what was accepted fails in its time, and nothing more is.
    assert_eq!(outcomes(&mut alice, 1).await, [told("expired", left)]);
    let nobody = send(&mut alice, GROUP, "m3", "").await;
    assert_eq!(outcomes(&mut alice, 1).await, [told("no_recipient", nobody)]);

    let mut victim = worker(&rig, "acme/victim").await;
    let poison = send(&mut alice, GROUP, "m4", "").await;
    assert_eq!(outcomes(&mut alice, 1).await, [told("accepted", poison)]);
    for time in 0..GIVEN_MAX {
        let message = victim.next_frame("message").await;
        assert_eq!(message["redelivered"] == json!(true), time > 0, "{message}");
        let next = worker(&rig, "acme/victim").await;
        drop(std::mem::replace(&mut victim, next));
    }
    assert_eq!(outcomes(&mut alice, 1).await, [told("expired", poison)]);
    victim.command(r#""type":"ping""#).await;
    assert_eq!(victim.next_of(&["message", "pong"]).await["type"], "pong");
}

#[tokio::test(start_paused = true)]
async fn credit_paces_jobs_and_what_waits_comes_when_there_is_more() {
    let rig = Rig::new(&[]).await;
    let mut alice = rig.join("acme/alice").await;
    let mut bob = worker(&rig, "acme/bob").await;
    bob.say(r#"{"type":"credit","messages":2,"bytes":100000}"#).await;
    bob.command(r#""type":"ping""#).await;
    bob.next_frame("pong").await;
    for number in 0..5 {
        send(&mut alice, GROUP, &format!("m{number}"), "").await;
    }
    outcomes(&mut alice, 5).await;
    let mut heard = Vec::new();
    for _ in 0..2 {
        heard.push(bob.next_frame("message").await);
    }
    tokio::time::sleep(Duration::from_secs(3)).await;
    bob.command(r#""type":"ping""#).await;
    assert_eq!(bob.next_of(&["message", "pong"]).await["type"], "pong", "no credit is left");
    while let Some(message) = heard.pop() {
        acknowledge(&mut bob, &message).await;
        bob.say(r#"{"type":"credit","messages":1,"bytes":1}"#).await;
        if message["mid"] != "m4" && message["mid"] != "m3" {
            heard.push(
                tokio::time::timeout(Duration::from_millis(50), bob.next_frame("message")).await.unwrap(),
            );
        }
    }
    let delivered = outcomes(&mut alice, 5).await;
    assert!(delivered.iter().all(|(outcome, _)| outcome == "delivered"), "{delivered:?}");
}

//! What happens though nothing comes.

use std::time::Duration;

use tokio::time::{Instant, timeout};
use tokio_tungstenite::tungstenite::Message;

use super::rig::Rig;

#[tokio::test(start_paused = true)]
async fn a_silent_socket_is_told_after_five_seconds() {
    let rig = Rig::new(&[]).await;
    let mut client = rig.dial().await;
    let begun = Instant::now();
    let (closing, code) = client.hear_close().await;
    assert_eq!(
        (code, &closing["reason"], &closing["reconnect"]),
        (4001, &"hello_expected".into(), &"never".into())
    );
    assert_eq!(begun.elapsed().as_secs(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_heartbeat_goes_out_in_silence_and_a_client_that_does_not_answer_is_gone() {
    let rig = Rig::new(&[]).await;
    let mut client = rig.join("acme/bob").await;
    for _ in 0..3 {
        let begun = Instant::now();
        assert_eq!(client.hear().await["type"], "ping");
        assert!((19..=25).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
        client.say(r#"{"type":"pong"}"#).await;
    }
    assert_eq!(client.hear().await["type"], "ping");
    let begun = Instant::now();
    let (_, code) = client.hear_close().await;
    assert_eq!((code, begun.elapsed().as_secs()), (4201, 8));
}

#[tokio::test(start_paused = true)]
async fn any_frame_is_life() {
    let rig = Rig::new(&[]).await;
    let mut client = rig.join("acme/bob").await;
    assert_eq!(client.hear().await["type"], "ping");
    tokio::time::advance(Duration::from_secs(7)).await;
    client.raw(Message::Ping("x".into())).await;
    assert!(matches!(client.next().await, Message::Pong(_)));
    let quiet = timeout(Duration::from_secs(8), client.next()).await;
    assert!(quiet.is_err(), "{quiet:?}");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_takes_nothing_is_closed_as_slow_and_hurts_nobody() {
    let rig = Rig::new(&["--queue-messages", "10", "--rate-burst", "10000"]).await;
    let mut slow = rig.dial_through(256).await;
    slow.hello("acme/slow").await;
    let mut sender = rig.join("acme/sender").await;
    let payload = "x".repeat(20_000);
    let mut saturated = 0;
    for _ in 0..40 {
        let send = format!(r#""type":"send","to":"agent/slow","receipt":"all","payload":"{payload}""#);
        sender.command(&send).await;
        let receipt = sender.hear_kind("receipt").await;
        saturated += usize::from(receipt["failed"][0]["reason"] == "saturated");
    }
    assert!(saturated > 20, "{saturated}");
    tokio::time::advance(Duration::from_secs(11)).await;
    sender.command(r#""type":"send","to":"agent/slow","payload":1"#).await;
    assert_eq!(sender.hear_kind("receipt").await["failed"][0]["reason"], "no_recipient");
}

#[tokio::test(start_paused = true)]
async fn a_client_is_asked_to_move_before_its_lease_is_over() {
    let rig = Rig::new(&["--lease-ms", "10000", "--heartbeat-ms", "300000"]).await;
    let mut client = rig.dial().await;
    let begun = Instant::now();
    let lease_ms = client.hello("acme/bob").await["lease_ms"].as_u64().unwrap();
    assert!((9_000..=11_000).contains(&lease_ms), "{lease_ms}");
    let drain = client.hear_kind("drain").await;
    let asked = u64::try_from(begun.elapsed().as_millis()).unwrap();
    assert!(asked.abs_diff(lease_ms) <= 2, "{asked} for {lease_ms}");
    assert_eq!((&drain["reason"], &drain["reconnect_after_ms"]), (&"lease".into(), &0.into()));
    assert!(drain["ticket"].is_string());
    let (closing, code) = client.hear_close().await;
    assert_eq!((code, &closing["reason"], &closing["reconnect"]), (4204, &"lease".into(), &"now".into()));
    let patience = u64::try_from(begun.elapsed().as_millis()).unwrap() - asked;
    assert!(patience.abs_diff(drain["closes_in_ms"].as_u64().unwrap()) <= 2, "{patience}");
}

#[tokio::test(start_paused = true)]
async fn a_connection_without_a_lease_is_kept() {
    let rig = Rig::new(&["--lease-ms", "0", "--heartbeat-ms", "300000"]).await;
    let mut client = rig.dial().await;
    assert!(client.hello("acme/bob").await["lease_ms"].is_null());
    for _ in 0..20 {
        let heard = client.hear().await;
        assert_eq!(heard["type"], "ping");
        client.say(r#"{"type":"pong"}"#).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_leaving_instance_tells_each_client_its_own_moment_to_come_back() {
    let rig = Rig::new(&["--drain-spread-ms", "5000"]).await;
    let mut clients = Vec::new();
    for number in 0..40 {
        clients.push(rig.join(&format!("acme/a{number}")).await);
    }
    rig.context.router.close_all(|| rig.context.leave_signal());
    let mut moments = Vec::new();
    for client in &mut clients {
        let drain = client.hear_kind("drain").await;
        let (closing, code) = client.hear_close().await;
        assert_eq!((code, &closing["reconnect_after_ms"]), (1012, &drain["reconnect_after_ms"]));
        moments.push(closing["reconnect_after_ms"].as_u64().unwrap());
    }
    moments.sort_unstable();
    assert!(moments[0] < 1_500 && moments[39] > 3_500 && moments[39] <= 5_000, "{moments:?}");
}

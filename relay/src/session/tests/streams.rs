//! Topics at `qos` 1: one log, read from where a subscriber asks.

use serde_json::json;

use super::reliable::send;
use super::rig::Rig;

#[tokio::test(start_paused = true)]
async fn a_stored_message_has_a_place_and_comes_to_both_classes() {
    let rig = Rig::new(&[]).await;
    let mut publisher = rig.join("acme/publisher").await;
    let (mut stored, mut ephemeral) = (rig.join("acme/one").await, rig.join("acme/two").await);
    for (client, qos) in [(&mut stored, 1), (&mut ephemeral, 0)] {
        client.command(&format!(r#""type":"subscribe","topic":"a.b","qos":{qos}"#)).await;
        client.next_frame("ok").await;
    }
    let id = send(&mut publisher, "topic/a.b", "m1", "").await;
    let receipt = publisher.next_frame("receipt").await;
    assert_eq!(receipt["accepted"], json!([[id, id]]));
    let place = &receipt["positions"][0];
    assert_eq!((&place["id"], &place["stream"], &place["seq"]), (&json!(id), &json!("topic/a.b"), &json!(1)));
    let message = stored.next_frame("message").await;
    assert_eq!(
        (&message["stream"], &message["epoch"], &message["seq"]),
        (&place["stream"], &place["epoch"], &json!(1))
    );
    let copy = ephemeral.next_frame("message").await;
    assert_eq!((&copy["payload"], &copy["seq"]), (&json!("m1"), &json!(null)));
    // A publisher at qos 0 is not stored, so it does not come to those who read the log.
    publisher.command(r#""type":"send","to":"topic/a.b","payload":"m2""#).await;
    assert_eq!(ephemeral.next_frame("message").await["payload"], "m2");
    send(&mut publisher, "topic/a.b", "m3", "").await;
    let message = stored.next_frame("message").await;
    assert_eq!((&message["payload"], &message["seq"]), (&json!("m3"), &json!(2)));
}

#[tokio::test(start_paused = true)]
async fn a_topic_beyond_those_of_its_tenant_is_refused_by_name() {
    let rig = Rig::new(&["--stream-topics", "2"]).await;
    let mut publisher = rig.join("acme/publisher").await;
    for (topic, mid) in [("a", "m1"), ("b", "m2"), ("a", "m3")] {
        let id = send(&mut publisher, &format!("topic/{topic}"), mid, "").await;
        assert_eq!(publisher.next_frame("receipt").await["accepted"], json!([[id, id]]));
    }
    let id = send(&mut publisher, "topic/c", "m4", "").await;
    let limit = "tenant_topic_streams";
    assert_eq!(
        publisher.next_frame("receipt").await["failed"],
        json!([{ "id": id, "reason": "saturated", "retry_after_ms": 60_000, "limit": limit }])
    );
    let page = rig.context.metrics.render();
    assert!(page.contains(&format!(r#"relay_limited_total{{limit="{limit}",mode="enforced"}} 1"#)), "{page}");
    // Without a stream it is still a topic.
    publisher.command(r#""type":"send","to":"topic/c","payload":"m5","receipt":"all""#).await;
    assert!(publisher.next_frame("receipt").await["failed"].is_null());
}

#[tokio::test(start_paused = true)]
async fn a_subscription_begins_where_it_asks() {
    let rig = Rig::new(&["--stream-messages", "5"]).await;
    let mut publisher = rig.join("acme/publisher").await;
    let mut epoch = json!(null);
    for number in 1..=8 {
        send(&mut publisher, "topic/a", &format!("m{number}"), "").await;
        epoch = publisher.next_frame("receipt").await["positions"][0]["epoch"].clone();
    }
    let cases = [
        (r#""rewind":{"last":2}"#.to_owned(), 6, true, 7),
        (r#""rewind":{"last":99}"#.to_owned(), 3, true, 4),
        (r#""rewind":{"since_ms":0}"#.to_owned(), 3, true, 4),
        (format!(r#""from":{{"epoch":{epoch},"seq":5}}"#), 5, true, 6),
        (r#""from":{"epoch":"another","seq":5}"#.to_owned(), 3, false, 4),
        (r#""rewind":null"#.to_owned(), 8, true, 9),
    ];
    for (fields, begin, recovered, next) in cases {
        let mut reader = rig.join("acme/reader").await;
        reader.command(&format!(r#""type":"subscribe","topic":"a","qos":1,{fields}"#)).await;
        reader.next_frame("ok").await;
        let resume = reader.next_frame("resume").await;
        assert_eq!((&resume["seq"], &resume["recovered"]), (&json!(begin), &json!(recovered)), "{fields}");
        if next == 9 {
            send(&mut publisher, "topic/a", "m9", "").await;
        }
        assert_eq!(reader.next_frame("message").await["seq"], next, "{fields}");
    }
    // Part of what it asks for fell out.
    let mut reader = rig.join("acme/reader").await;
    let from = format!(r#""type":"subscribe","topic":"a","qos":1,"from":{{"epoch":{epoch},"seq":1}}"#);
    reader.command(&from).await;
    let resume = reader.next_frame("resume").await;
    assert_eq!((&resume["recovered"], &resume["reason"]), (&json!(false), &json!("trimmed")));
    let skip = reader.next_frame("skip").await;
    assert_eq!((&skip["from"], &skip["to"], &skip["reason"]), (&json!(2), &json!(4), &json!("trimmed")));
    assert_eq!(reader.next_frame("message").await["seq"], 5);
}

#[tokio::test(start_paused = true)]
async fn who_unsubscribes_reads_no_more_and_rights_are_needed() {
    let rig = Rig::new(&[]).await;
    let (mut publisher, mut reader) = (rig.join("acme/publisher").await, rig.join("acme/reader").await);
    let mut nobody = rig.join("acme/nobody/none").await;
    nobody.command(r#""type":"subscribe","topic":"a","qos":1"#).await;
    assert_eq!(nobody.next_frame("error").await["code"], "forbidden");
    reader.command(r#""type":"subscribe","topic":"a","qos":1"#).await;
    reader.next_frame("ok").await;
    reader.command(r#""type":"unsubscribe","topic":"a""#).await;
    reader.next_frame("ok").await;
    send(&mut publisher, "topic/a", "m1", "").await;
    publisher.next_frame("receipt").await;
    reader.command(r#""type":"ping""#).await;
    assert_eq!(reader.next_of(&["message", "pong"]).await["type"], "pong");
    assert!(rig.context.metrics.render().contains("relay_topic_channels 0"));
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_loses_nothing() {
    let rig = Rig::new(&["--rate-messages", "100000", "--rate-burst", "100000"]).await;
    let mut publisher = rig.join("acme/publisher").await;
    let mut slow = rig.dial_through(2_000).await;
    slow.hello("acme/slow").await;
    slow.command(r#""type":"subscribe","topic":"a","qos":1"#).await;
    slow.next_frame("ok").await;
    for number in 0..1_000 {
        send(&mut publisher, "topic/a", &format!("m{number}"), "").await;
        publisher.next_frame("receipt").await;
    }
    for number in 0..1_000 {
        assert_eq!(slow.next_frame("message").await["payload"], format!("m{number}"));
    }
}

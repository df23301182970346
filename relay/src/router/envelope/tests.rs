//! Batches read back as they were written, whatever stands behind them, and garbage is only garbage.

use proptest::prelude::*;

use super::*;

fn sender() -> InstanceId {
    InstanceId::parse("instance-1").unwrap()
}

fn direct(
    session: Option<&'static str>,
    reply_to: Option<&'static str>,
    frame: &[u8],
) -> Direct<&'static str> {
    Direct {
        tenant: "acme",
        agent: "bob",
        session,
        lane: Lane::High,
        expires_in_ms: 1_500,
        reply_to,
        key: session.map(|_| "agent/al k"),
        encoding: Encoding::Msgpack,
        frame: Bytes::copy_from_slice(frame),
    }
}

fn topic(frame: &[u8]) -> Topic<&'static str> {
    let frame = Bytes::copy_from_slice(frame);
    Topic {
        tenant: "acme",
        name: "a.b",
        lane: Lane::Normal,
        key: Some("topic/a.b k"),
        expires_in_ms: 0,
        encoding: Encoding::Json,
        frame,
    }
}

#[test]
fn every_item_reads_back() {
    let mut batch = begin(&sender());
    append_direct(&mut batch, 7, &direct(None, None, b"one"));
    append_direct(&mut batch, 8, &direct(Some("bob~x"), Some("session/al~y"), b""));
    append_topic(&mut batch, &topic(b"{}"));
    let ack =
        Ack { from: 3, upto: 9, failed: vec![(4, Nack::NotHere), (5, Nack::Held), (9, Nack::Saturated)] };
    append_ack(&mut batch, &ack);
    append_moved(&mut batch, "acme", "bob");
    append_disconnect(&mut batch, "acme", "bob", Some("bob~x"));
    append_disconnect(&mut batch, "acme", "bob", None);
    let settled = Settled { seq: 7, fate: Fate::Expired, room: 9 };
    append_settled(&mut batch, settled);
    append_held(&mut batch, &[(1, 3), (7, 7)]);
    let loads = vec![("bob~x", 0), ("bob~y", u32::MAX)];
    append_loads(&mut batch, "acme", &loads);
    append_jobs(&mut batch, "acme", "group/work", 7);
    let wake = Wake { tenant: "acme", stream: "topic/a.b", epoch: "e", head: u64::MAX, latest: Vec::new() };
    append_wake(&mut batch, &wake);
    let along = [(0, "one"), (u32::MAX, "")];
    let along = along.map(|(expires_in_ms, body)| Latest { expires_in_ms, body: body.into() });
    let full = Wake { stream: "agent/bob", latest: along.into(), ..wake.clone() };
    append_wake(&mut batch, &full);
    let delivered =
        Delivered { tenant: "acme", session: "bob~x", generation: 2, id: 9, expired: true, mid: "m1" };
    append_delivered(&mut batch, &delivered);
    append_replaced(&mut batch, "acme", "bob~x", 3);
    append_kept(&mut batch, "acme", "bob~x");
    let batch = Bytes::from(batch);
    let (from, items) = read(&batch).unwrap();
    let items: Vec<_> = items.collect();
    assert_eq!(from, sender());
    let expected = vec![
        Some(Item::Direct(7, direct(None, None, b"one"))),
        Some(Item::Direct(8, direct(Some("bob~x"), Some("session/al~y"), b""))),
        Some(Item::Topic(topic(b"{}"))),
        Some(Item::Ack(ack)),
        Some(Item::Moved { tenant: "acme", agent: "bob" }),
        Some(Item::Disconnect { tenant: "acme", agent: "bob", session: Some("bob~x") }),
        Some(Item::Disconnect { tenant: "acme", agent: "bob", session: None }),
        Some(Item::Settled(settled)),
        Some(Item::Held(vec![(1, 3), (7, 7)])),
        Some(Item::Loads { tenant: "acme", loads }),
        Some(Item::Jobs { tenant: "acme", group: "group/work", jobs: 7 }),
        Some(Item::Wake(wake)),
        Some(Item::Wake(full)),
        Some(Item::Delivered(delivered)),
        Some(Item::Replaced { tenant: "acme", session: "bob~x", generation: 3 }),
        Some(Item::Kept { tenant: "acme", session: "bob~x" }),
    ];
    assert_eq!(items, expected);
}

#[test]
fn text_that_is_not_utf8_reaches_no_recipient() {
    let mut batch = begin(&sender());
    append_topic(&mut batch, &topic(b"{\"payload\":\"\xff\"}"));
    append_direct(&mut batch, 7, &direct(None, None, b"\xff"));
    let batch = Bytes::from(batch);
    let items: Vec<_> = read(&batch).unwrap().1.collect();
    assert_eq!(
        items,
        [None, Some(Item::Direct(7, direct(None, None, b"\xff")))],
        "MessagePack may be any bytes"
    );
}

#[test]
fn what_a_later_release_adds_is_passed_over() {
    let mut batch = begin(&sender());
    // A kind that is not known, then a header that is longer than ours.
    item(&mut batch, |batch| header(batch, 200, |h| h.extend_from_slice(b"whatever")));
    item(&mut batch, |batch| {
        header(batch, MOVED, |h| {
            short(h, "acme");
            short(h, "bob");
            short(h, "a field of tomorrow");
        });
    });
    let batch = Bytes::from(batch);
    let items: Vec<_> = read(&batch).unwrap().1.collect();
    assert_eq!(items, [None, Some(Item::Moved { tenant: "acme", agent: "bob" })]);
    assert!(read(&Bytes::from_static(&[9, 1, b'x'])).is_none());
}

proptest! {
    #[test]
    fn damage_panics_never(
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut batch = begin(&sender());
        append_direct(&mut batch, 7, &direct(Some("bob~x"), None, b"frame"));
        append_topic(&mut batch, &topic(b"{}"));
        append_ack(&mut batch, &Ack { from: 1, upto: 2, failed: vec![(1, Nack::Lost)] });
        append_settled(&mut batch, Settled { seq: 7, fate: Fate::Queued, room: 9 });
        append_held(&mut batch, &[(1, 3)]);
        append_loads(&mut batch, "acme", &[("bob~x", 3)]);
        for (at, byte) in damage {
            let at = at.index(batch.len());
            batch[at] = byte;
        }
        batch.truncate(cut.index(batch.len() + 1));
        let batch = Bytes::from(batch);
        if let Some((_, items)) = read(&batch) {
            prop_assert!(items.count() <= batch.len());
        }
    }
}

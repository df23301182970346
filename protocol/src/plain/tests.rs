//! The short way against the long one: whatever is read as plain is what serde reads.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use crate::client::ClientFrame;
use crate::encoding::Encoding;
use crate::error::FrameError;
use crate::plain::{json_send, msgpack_send};
use crate::read_client::client_frame;
use crate::refused::msgpack_reader;
use crate::strict::Map;
use crate::wire::{JsonPayload, MsgpackPayload, WireClient};

const KEYS: [&str; 16] = [
    "type",
    "id",
    "to",
    "payload",
    "mid",
    "receipt",
    "reply_to",
    "correlation_id",
    "deadline_ms",
    "ttl_ms",
    "lane",
    "qos",
    "key",
    "headers",
    "payload_b64",
    "later",
];

/// Values, right and wrong, as they are written in JSON.
const VALUES: [&str; 32] = [
    "1",
    "0",
    "01",
    "-1",
    "1.0",
    "1e3",
    "9007199254740991",
    "9007199254740992",
    "18446744073709551615",
    "18446744073709551616",
    "99999999999999999999",
    "null",
    "true",
    r#""send""#,
    r#""ping""#,
    r#""agent/a""#,
    r#""agent/\u0061""#,
    r#""topic/a.b""#,
    r#""topic/a..b""#,
    r#""all""#,
    r#""high""#,
    r#""low""#,
    r#""m-1""#,
    r#""m 1""#,
    r#""""#,
    r#""ä€\n""#,
    r#""a\qb""#,
    r#"{"a":[1,2,{}]}"#,
    r#"{"a":}"#,
    "[]",
    "[1,]",
    r#""long enough to be looked at in blocks, with \"quotes\" and \\ behind the first of them, and more than that""#,
];

fn written(entries: &[(&str, &str)], space: &str, end: &str) -> String {
    let entries: Vec<String> = entries
        .iter()
        .map(|(key, value)| format!(r#"{space}"{key}"{space}:{space}{value}{space}"#))
        .collect();
    format!("{{{}}}{end}", entries.join(","))
}

/// Begins as a send does; sometimes the rest of one follows.
fn entries() -> impl Strategy<Value = Vec<(&'static str, &'static str)>> {
    let begun = select(vec![
        vec![("type", r#""send""#)],
        vec![("type", r#""send""#), ("id", "7"), ("to", r#""agent/a""#)],
        vec![("id", "7"), ("type", r#""send""#)],
        vec![],
    ]);
    (begun, vec((select(&KEYS), select(&VALUES)), 0..5)).prop_map(|(begun, more)| [begun, more].concat())
}

fn check_json(text: &str) {
    let mut frame = ClientFrame::Pong;
    let Some(behind) = json_send(text, &mut frame) else { return };
    let whole = &text[..text.len() - behind.len()];
    let wire: Map<WireClient<'_, JsonPayload<'_>>> = serde_json::from_str(whole).unwrap();
    assert_eq!(client_frame(wire.0), Ok::<_, FrameError<'_>>(frame), "{text}");
}

fn check_msgpack(data: &[u8]) {
    let mut frame = ClientFrame::Pong;
    let Some(behind) = msgpack_send(data, &mut frame) else { return };
    let whole = &data[..data.len() - behind.len()];
    assert_eq!(crate::extent::msgpack_extent(data), Some(whole.len()));
    let wire: Map<WireClient<'_, MsgpackPayload<'_>>> =
        serde::Deserialize::deserialize(&mut msgpack_reader(whole)).unwrap();
    assert_eq!(client_frame(wire.0), Ok::<_, FrameError<'_>>(frame), "{data:x?}");
}

fn plain_send(payload: &str) -> ClientFrame<'_> {
    let to = crate::Address::parse("agent/worker-17".into()).unwrap();
    let mut send = crate::Send::new(300, to, crate::Payload::Json(payload.into()));
    (send.mid, send.ttl_ms) = (Some("m-1".into()), Some(70_000));
    send.reply_to = crate::Address::parse("agent/b".into());
    ClientFrame::Send(send)
}

#[test]
fn what_clients_write_is_plain() {
    for payload in [r#""text""#, "17", "null", r#"{"a":[1,2]}"#, r#""with \" an escape""#] {
        let frame = plain_send(payload);
        let (mut json, mut msgpack, mut read) = (Vec::new(), Vec::new(), ClientFrame::Pong);
        frame.encode(Encoding::Json, &mut json);
        frame.encode(Encoding::Msgpack, &mut msgpack);
        json.extend(b",{}");
        assert_eq!(json_send(std::str::from_utf8(&json).unwrap(), &mut read), Some(",{}"));
        assert_eq!(read, frame);
        assert_eq!(msgpack_send(&msgpack, &mut read), Some(&[][..]));
        assert_eq!(read, frame);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_096, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn json_that_is_read_as_plain_is_what_serde_reads(
        entries in entries(),
        space in select(&["", "", " ", "\n\t", "\u{b}"]),
        end in select(&["", ",{}", "]", " "]),
    ) {
        check_json(&written(&entries, space, end));
    }

    #[test]
    fn msgpack_that_is_read_as_plain_is_what_serde_reads(
        payload in select(&VALUES),
        at in any::<Index>(),
        byte in any::<u8>(),
        cut in any::<Index>(),
    ) {
        let mut data = Vec::new();
        plain_send(payload).encode(Encoding::Msgpack, &mut data);
        check_msgpack(&data);
        let at = at.index(data.len());
        data[at] = byte;
        check_msgpack(&data);
        check_msgpack(&data[..cut.index(data.len())]);
    }

    #[test]
    fn mutilated_json_that_is_read_as_plain_is_what_serde_reads(
        payload in select(&VALUES),
        at in any::<Index>(),
        byte in 0u8..128,
    ) {
        let mut data = Vec::new();
        plain_send(payload).encode(Encoding::Json, &mut data);
        let at = at.index(data.len());
        data[at] = byte;
        if let Ok(text) = std::str::from_utf8(&data) {
            check_json(text);
        }
    }
}

//! The short way against the long one: whatever is read as plain is what serde reads.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use crate::client::ClientFrame;
use crate::encoding::Encoding;
use crate::error::FrameError;
use crate::plain::{Plain, plain_json, plain_msgpack};
use crate::read_client::client_frame;
use crate::read_server::server_frame;
use crate::refused::msgpack_reader;
use crate::server::ServerFrame;
use crate::strict::Map;
use crate::wire::{JsonPayload, MsgpackPayload};

const KEYS: [&str; 20] = [
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
    "from",
    "session",
    "ts",
    "seq",
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

const SESSION: &str = r#""session/a~0123456789abcdefghijkl""#;

/// Begins as plain frames do; sometimes the rest of one follows.
fn entries() -> impl Strategy<Value = Vec<(&'static str, &'static str)>> {
    let begun = select(vec![
        vec![("type", r#""send""#)],
        vec![("type", r#""send""#), ("id", "7"), ("to", r#""agent/a""#)],
        vec![("id", "7"), ("type", r#""send""#)],
        vec![
            ("type", r#""message""#),
            ("from", r#""agent/a""#),
            ("session", SESSION),
            ("to", r#""agent/b""#),
            ("ts", "7"),
        ],
        vec![("type", r#""message""#), ("from", r#""agent/a""#), ("session", SESSION)],
        vec![],
    ]);
    (begun, vec((select(&KEYS), select(&VALUES)), 0..5)).prop_map(|(begun, more)| [begun, more].concat())
}

fn check_json(text: &str) {
    fn check<'a, W: serde::Deserialize<'a>, F: Plain<'a> + PartialEq + std::fmt::Debug>(
        text: &'a str,
        mut frame: F,
        understand: impl Fn(W) -> Result<F, FrameError<'a>>,
    ) {
        let Some(behind) = plain_json(text, &mut frame) else { return };
        let wire: Map<W> = serde_json::from_str(&text[..text.len() - behind.len()]).unwrap();
        assert_eq!(understand(wire.0), Ok(frame), "{text}");
    }
    check(text, ClientFrame::Pong, client_frame::<JsonPayload<'_>>);
    check(text, ServerFrame::Ping, server_frame::<JsonPayload<'_>>);
}

fn check_msgpack(data: &[u8]) {
    fn check<'a, W: serde::Deserialize<'a>, F: Plain<'a> + PartialEq + std::fmt::Debug>(
        data: &'a [u8],
        mut frame: F,
        understand: impl Fn(W) -> Result<F, FrameError<'a>>,
    ) {
        let Some(behind) = plain_msgpack(data, &mut frame) else { return };
        let whole = &data[..data.len() - behind.len()];
        assert_eq!(crate::extent::msgpack_extent(data), Some(whole.len()));
        let wire: Map<W> = serde::Deserialize::deserialize(&mut msgpack_reader(whole)).unwrap();
        assert_eq!(understand(wire.0), Ok(frame), "{data:x?}");
    }
    check(data, ClientFrame::Pong, client_frame::<MsgpackPayload<'_>>);
    check(data, ServerFrame::Ping, server_frame::<MsgpackPayload<'_>>);
}

fn client(encoding: Encoding, frame: &ClientFrame<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    frame.encode(encoding, &mut bytes);
    bytes
}

fn server(encoding: Encoding, frame: &ServerFrame<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    frame.encode(encoding, &mut bytes);
    bytes
}

fn plain_send(payload: &str) -> ClientFrame<'_> {
    let to = crate::Address::parse("agent/worker-17".into()).unwrap();
    let mut send = crate::Send::new(300, to, crate::Payload::Json(payload.into()));
    (send.mid, send.ttl_ms) = (Some("m-1".into()), Some(70_000));
    send.reply_to = crate::Address::parse("agent/b".into());
    ClientFrame::Send(send)
}

fn plain_message(payload: &str) -> ServerFrame<'_> {
    let address = |text: &'static str| crate::Address::parse(text.into()).unwrap();
    let mut frame = ServerFrame::Ping;
    let message = frame.empty().unwrap();
    message.from = address("agent/worker-17");
    message.session = address("session/worker-17~0123456789abcdefghijkl");
    message.to = address("topic/a.b");
    (message.ts, message.deadline_ms) = (1_795_000_000_000, Some(300));
    message.payload = crate::Payload::Json(payload.into());
    message.correlation_id = Some("c-1".into());
    frame
}

#[test]
fn what_is_usually_written_is_plain() {
    for payload in [r#""text""#, "17", "null", r#"{"a":[1,2]}"#, r#""with \" an escape""#] {
        let frame = plain_send(payload);
        let (json, msgpack) = (client(Encoding::Json, &frame), client(Encoding::Msgpack, &frame));
        let (text, mut read) = (std::str::from_utf8(&json).unwrap(), ClientFrame::Pong);
        assert_eq!(
            (plain_json(&format!("{text},{{}}"), &mut read.clone()), plain_json(text, &mut read)),
            (Some(",{}"), Some(""))
        );
        assert_eq!(read, frame);
        assert_eq!(plain_msgpack(&msgpack, &mut read), Some(&[][..]));
        assert_eq!(read, frame);
        let frame = plain_message(payload);
        let (json, msgpack) = (server(Encoding::Json, &frame), server(Encoding::Msgpack, &frame));
        let (text, mut read) = (std::str::from_utf8(&json).unwrap(), ServerFrame::Ping);
        assert_eq!(plain_json(text, &mut read), Some(""));
        assert_eq!(read, frame);
        assert_eq!(plain_msgpack(&msgpack, &mut read), Some(&[][..]));
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
        let send = client(Encoding::Msgpack, &plain_send(payload));
        let message = server(Encoding::Msgpack, &plain_message(payload));
        for mut data in [send, message] {
            check_msgpack(&data);
            let at = at.index(data.len());
            data[at] = byte;
            check_msgpack(&data);
            check_msgpack(&data[..cut.index(data.len())]);
        }
    }

    #[test]
    fn mutilated_json_that_is_read_as_plain_is_what_serde_reads(
        payload in select(&VALUES),
        at in any::<Index>(),
        byte in 0u8..128,
    ) {
        let send = client(Encoding::Json, &plain_send(payload));
        for mut data in [send, server(Encoding::Json, &plain_message(payload))] {
            let at = at.index(data.len());
            data[at] = byte;
            if let Ok(text) = std::str::from_utf8(&data) {
                check_json(text);
            }
        }
    }
}

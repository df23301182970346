//! The golden vectors of `tests/vectors/`: what is written there is what the crate reads and writes.

#![expect(clippy::unwrap_used, reason = "support of tests stands outside of test functions")]

mod describe;

use std::collections::{BTreeMap, BTreeSet};

use relay_protocol::{ClientFrame, Data, DecodeError, Encoding, FrameError, ServerFrame};
use relay_protocol::{CloseCode, ErrorCode, decode_client, decode_server};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
struct Vector {
    name: String,
    /// Whether the relay itself writes these bytes.
    canonical: bool,
    frames: Vec<Value>,
    json: Option<String>,
    msgpack: Option<String>,
}

#[derive(Deserialize)]
struct Refused {
    name: String,
    encoding: String,
    input: String,
    #[serde(default = "sixty_four")]
    frames_max: usize,
    frames: Vec<Value>,
    close: Option<u16>,
}

fn sixty_four() -> usize {
    64
}

fn client_vectors() -> Vec<Vector> {
    serde_json::from_str(include_str!("vectors/client.json")).unwrap()
}

fn server_vectors() -> Vec<Vector> {
    serde_json::from_str(include_str!("vectors/server.json")).unwrap()
}

/// The frames of a WebSocket message as `describe` tells them, and as the crate writes them.
fn read_client(encoding: Encoding, data: &[u8]) -> (Vec<Value>, Vec<u8>) {
    let (mut described, mut written) = (Vec::new(), Vec::new());
    decode_client(Data::new(encoding, data).unwrap(), 64, |frame| {
        let frame: &ClientFrame<'_> = frame.unwrap();
        described.push(describe::client(frame));
        separate(encoding, &mut written);
        frame.encode(encoding, &mut written);
    })
    .unwrap();
    (described, written)
}

fn read_server(encoding: Encoding, data: &[u8]) -> (Vec<Value>, Vec<u8>) {
    let (mut described, mut written) = (Vec::new(), Vec::new());
    decode_server(Data::new(encoding, data).unwrap(), 64, |frame| {
        let frame: &ServerFrame<'_> = match frame {
            Ok(frame) => frame,
            Err(refusal) => return assert_eq!(refusal.code, ErrorCode::UnknownFrame),
        };
        described.push(describe::server(frame));
        separate(encoding, &mut written);
        frame.encode(encoding, &mut written);
    })
    .unwrap();
    (described, written)
}

fn separate(encoding: Encoding, written: &mut Vec<u8>) {
    if encoding == Encoding::Json && !written.is_empty() {
        written.push(b',');
    }
}

/// Reads and writes every vector in both encodings; answers every frame that was read.
fn check(vectors: &[Vector], read: impl Fn(Encoding, &[u8]) -> (Vec<Value>, Vec<u8>)) -> Vec<Value> {
    let mut all = Vec::new();
    for Vector { name, canonical, frames, json, msgpack } in vectors {
        assert!(json.is_some() || msgpack.is_some(), "{name}");
        let inputs = [
            json.as_ref().map(|text| (Encoding::Json, text.clone().into_bytes())),
            msgpack.as_ref().map(|text| (Encoding::Msgpack, unhex(text))),
        ];
        for (encoding, input) in inputs.into_iter().flatten() {
            let (described, mut written) = read(encoding, &input);
            let compact: Vec<Value> = described.iter().map(describe::compact).collect();
            assert_eq!(&compact, frames, "{name}, {encoding:?}");
            if *canonical {
                if encoding == Encoding::Json && input[0] == b'[' {
                    written = [b"[", written.as_slice(), b"]"].concat();
                }
                let shown = |bytes: &[u8]| match encoding {
                    Encoding::Json => String::from_utf8(bytes.to_vec()).unwrap(),
                    Encoding::Msgpack => describe::hex(bytes),
                };
                assert_eq!(shown(&written), shown(&input), "{name}, {encoding:?}");
            }
            all.extend(described);
        }
    }
    all
}

fn unhex(text: &str) -> Vec<u8> {
    let nibble = |byte: u8| u8::try_from(char::from(byte).to_digit(16).unwrap()).unwrap();
    text.as_bytes().chunks(2).map(|pair| nibble(pair[0]) << 4 | nibble(pair[1])).collect()
}

/// Each field of each frame type stands in some vector with a value of its own.
fn assert_covered(described: &[Value], types: &[&str]) {
    let mut fields: BTreeMap<&str, BTreeMap<&str, bool>> = BTreeMap::new();
    for frame in described {
        let of_type = fields.entry(frame["type"].as_str().unwrap()).or_default();
        for (key, value) in frame.as_object().unwrap() {
            *of_type.entry(key).or_default() |= !value.is_null();
        }
    }
    let seen: BTreeSet<&str> = fields.keys().copied().collect();
    assert_eq!(seen, types.iter().copied().collect());
    for (name, fields) in fields {
        assert!(fields.values().all(|set| *set), "{name} lacks a vector for one of {fields:?}");
    }
}

#[test]
fn client_frames_are_read_and_written_as_the_vectors_say() {
    let described = check(&client_vectors(), read_client);
    let types = [
        "hello",
        "auth",
        "send",
        "subscribe",
        "unsubscribe",
        "join",
        "leave",
        "watch",
        "unwatch",
        "ping",
        "pong",
        "ack",
        "credit",
        "bye",
    ];
    assert_covered(&described, &types);
}

#[test]
fn server_frames_are_read_and_written_as_the_vectors_say() {
    let described = check(&server_vectors(), read_server);
    let types = [
        "welcome",
        "ok",
        "error",
        "message",
        "receipt",
        "ping",
        "pong",
        "flow",
        "gap",
        "degraded",
        "presence",
        "skip",
        "resume",
        "token_expiring",
        "drain",
        "closing",
    ];
    assert_covered(&described, &types);
}

#[test]
fn every_code_has_a_vector() {
    let described = check(&server_vectors(), read_server);
    let field = |kind: &str, key: &str| -> BTreeSet<String> {
        described.iter().filter(|frame| frame["type"] == kind).map(|frame| frame[key].to_string()).collect()
    };
    assert_eq!(
        field("error", "code"),
        ErrorCode::ALL.iter().map(|code| json!(code.name()).to_string()).collect()
    );
    assert_eq!(
        field("closing", "code"),
        CloseCode::ALL.iter().map(|code| code.number().to_string()).collect()
    );
}

#[test]
fn what_is_refused_is_refused_as_the_vectors_say() {
    let vectors: Vec<Refused> = serde_json::from_str(include_str!("vectors/refused.json")).unwrap();
    for Refused { name, encoding, input, frames_max, frames, close } in vectors {
        let (encoding, input) = match encoding.as_str() {
            "json" => (Encoding::Json, input.into_bytes()),
            _ => (Encoding::Msgpack, unhex(&input)),
        };
        let mut seen = Vec::new();
        let result = Data::new(encoding, &input).and_then(|data| {
            decode_client(data, frames_max, |frame| {
                seen.push(match frame {
                    Ok(frame) => json!({ "accepted": describe::compact(&describe::client(frame)) }),
                    Err(refusal) => json!({ "refused": refused(&refusal) }),
                });
            })
        });
        assert_eq!(seen, frames, "{name}, {encoding:?}");
        let code = result.err().map(|error| match error {
            DecodeError::Malformed | DecodeError::TooManyFrames { .. } => CloseCode::BadFrame.number(),
            unexpected => panic!("{unexpected}"),
        });
        assert_eq!(code, close, "{name}, {encoding:?}");
    }
}

fn refused(refusal: &FrameError<'_>) -> Value {
    let FrameError { id, is_send, code, what } = refusal;
    describe::compact(&json!({ "code": code.name(), "what": &**what, "id": id, "send": is_send }))
}

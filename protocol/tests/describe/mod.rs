//! Frames as plain JSON, by hand and apart from the library's own writers: what the vectors call a description.
//!
//! Every field of every frame is named here without `..`, so a field that is added does not compile until it is
//! described. A field that is absent, or at its default, is `null`.

mod client;
mod server;

use relay_protocol::client::{Headers, Lane, Position};
use relay_protocol::{Payload, Text};
use serde_json::{Map, Value, json};

pub(crate) use client::client;
pub(crate) use server::server;

/// The description without its nulls, as it stands in the vectors.
pub(crate) fn compact(description: &Value) -> Value {
    let fields = description.as_object().into_iter().flatten();
    fields.filter(|(_, value)| !value.is_null()).map(|(key, value)| (key.clone(), value.clone())).collect()
}

fn payload(payload: &Payload<'_>) -> Value {
    match payload {
        Payload::Json(text) => json!({ "json": text }),
        Payload::Bytes(bytes) => json!({ "bytes": hex(bytes) }),
    }
}

fn headers(headers: &Headers<'_>) -> Value {
    if headers.is_empty() {
        return Value::Null;
    }
    let map: Map<String, Value> =
        headers.iter().map(|(name, value)| (name.to_string(), json!(&**value))).collect();
    Value::Object(map)
}

fn text(text: Option<&Text<'_>>) -> Value {
    json!(text.map(|text| &**text))
}

fn lane(lane: Lane) -> Value {
    match lane {
        Lane::Normal => Value::Null,
        Lane::High => json!("high"),
    }
}

fn position(position: &Position<'_>) -> Value {
    let Position { stream, epoch, seq } = position;
    json!({ "stream": &**stream, "epoch": &**epoch, "seq": seq })
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        text.extend(
            [byte >> 4, byte & 15].map(|nibble| char::from(b"0123456789abcdef"[usize::from(nibble)])),
        );
        text
    })
}

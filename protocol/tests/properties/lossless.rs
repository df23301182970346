//! A map read by serde alone, in which bytes stay apart from text.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use serde_json::{Map, Value, json};

/// The fields of a frame, its payload as descriptions have it.
pub(crate) struct Lossless(pub(crate) Map<String, Value>);

impl<'de> Deserialize<'de> for Lossless {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Lossless;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a frame")
            }
            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Lossless, M::Error> {
                let mut fields = Map::new();
                while let Some(key) = map.next_key::<String>()? {
                    let value = match key.as_str() {
                        "payload" => map.next_value::<AnyPayload>()?.0,
                        _ => map.next_value()?,
                    };
                    fields.insert(key, value);
                }
                Ok(Lossless(fields))
            }
        }
        deserializer.deserialize_map(Fields)
    }
}

struct AnyPayload(Value);

impl<'de> Deserialize<'de> for AnyPayload {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Kinds;
        impl Visitor<'_> for Kinds {
            type Value = AnyPayload;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("str or bin")
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<AnyPayload, E> {
                Ok(AnyPayload(json!({ "json": text })))
            }
            fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<AnyPayload, E> {
                Ok(AnyPayload(json!({ "bytes": crate::describe::hex(bytes) })))
            }
        }
        deserializer.deserialize_any(Kinds)
    }
}

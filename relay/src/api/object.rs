//! JSON objects read as objects: serde's own reading of a struct takes a list of its members too.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};

struct ObjectVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map))
    }
}

/// Reads an object, and nothing else, as `T`.
pub(super) fn object<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<T, D::Error> {
    from.deserialize_map(ObjectVisitor(PhantomData))
}

/// Reads a whole text that is an object.
pub(super) fn whole<T: for<'de> Deserialize<'de>>(text: &[u8]) -> Result<T, serde_json::Error> {
    let mut reader = serde_json::Deserializer::from_slice(text);
    let value = object(&mut reader)?;
    reader.end()?;
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::value::RawValue;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Pair {
        #[serde(deserialize_with = "object")]
        inner: Inner,
    }

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        raw: Box<RawValue>,
    }

    #[test]
    fn only_an_object_is_one() {
        let pair: Pair = whole(br#" {"inner": {"raw": [1,  2]}} "#).unwrap();
        assert_eq!(pair.inner.raw.get(), "[1,  2]");
        for bad in [
            r#"[{"raw":1}]"#,
            r#"{"inner":[1]}"#,
            r#"{"inner":{"raw":1}} x"#,
            r#"{"inner":{"raw":1,"more":1}}"#,
            r#"{"inner":{"raw":1},"inner":{"raw":1}}"#,
            r#"{"inner":null}"#,
            "null",
            "",
        ] {
            assert!(whole::<Pair>(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}

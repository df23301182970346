//! What can be told of a frame that cannot be read: which command it was, and the field at fault.

use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed as _, Deserializer as _, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::error::{ErrorCode, FrameError};
use crate::extent::msgpack_extent;
use crate::read_client::{is_command_id, shortened};
use crate::strict::FromMap;
use crate::text::Text;

/// How deep MessagePack may nest in fields we do not know; ours nest four deep.
const MSGPACK_DEPTH_MAX: usize = 32;

/// Why `text`, a well-formed JSON map, is no `F`.
#[cold]
pub(crate) fn json<'a, F: Deserialize<'a>>(text: &'a str) -> FrameError<'a> {
    let mut outline = Outline::default();
    let entries = Entries(|key: &str, value: &'a RawValue| {
        outline.see(
            key,
            || serde_json::from_str(value.get()).ok(),
            || serde_json::from_str(value.get()).ok(),
        );
    });
    // What could be seen is enough.
    let _ = serde_json::Deserializer::from_str(text).deserialize_map(entries);
    outline.refuse(blame::<F, _>(&mut serde_json::Deserializer::from_str(text)))
}

/// Why `frame`, a whole MessagePack map, is no `F`.
#[cold]
pub(crate) fn msgpack<'a, F: Deserialize<'a>>(frame: &'a [u8]) -> FrameError<'a> {
    let mut outline = Outline::default();
    let header = match frame.first() {
        Some(0xdf) => 5,
        Some(0xde) => 3,
        _ => 1,
    };
    let mut rest = frame.get(header..).unwrap_or_default();
    while let Some((key, behind)) = msgpack_extent(rest).map(|end| rest.split_at(end)) {
        let Some((value, behind)) = msgpack_extent(behind).map(|end| behind.split_at(end)) else { break };
        if let Ok(key) = Text::deserialize(&mut msgpack_reader(key)) {
            let (kind, id) = (&mut msgpack_reader(value), &mut msgpack_reader(value));
            outline.see(&key, || Text::deserialize(kind).ok(), || u64::deserialize(id).ok());
        }
        rest = behind;
    }
    outline.refuse(blame::<F, _>(&mut msgpack_reader(frame)))
}

/// Reads `data` with a bound on how deep it may nest.
#[inline]
pub(crate) fn msgpack_reader(
    data: &[u8],
) -> rmp_serde::Deserializer<rmp_serde::decode::ReadRefReader<'_, [u8]>> {
    let mut deserializer = rmp_serde::Deserializer::from_read_ref(data);
    deserializer.set_max_depth(MSGPACK_DEPTH_MAX);
    deserializer
}

/// The field at which an `F` cannot be read.
fn blame<'a, F: Deserialize<'a>, D: serde::Deserializer<'a>>(deserializer: D) -> Text<'static> {
    let mut last = "a field".to_owned();
    // Only the way to the failure matters.
    let _ = FromMap::<F, _>::new(|key: &str| key.clone_into(&mut last)).deserialize(deserializer);
    shortened(last.into())
}

/// The first `type` and `id` of a frame, where they are of the right form.
#[derive(Default)]
struct Outline {
    is_send: bool,
    id: Option<u64>,
}

impl Outline {
    fn see<'a>(
        &mut self,
        key: &str,
        kind: impl FnOnce() -> Option<Text<'a>>,
        id: impl FnOnce() -> Option<u64>,
    ) {
        match key {
            "type" => self.is_send |= kind().as_deref() == Some("send"),
            "id" => self.id = self.id.or_else(id),
            _ => {}
        }
    }

    fn refuse(self, what: Text<'_>) -> FrameError<'_> {
        FrameError {
            id: self.id.filter(|id| is_command_id(*id)),
            is_send: self.is_send,
            code: ErrorCode::InvalidFrame,
            what,
        }
    }
}

/// Hands over the entries of a JSON map.
struct Entries<C>(C);

impl<'de, C: FnMut(&str, &'de RawValue)> Visitor<'de> for Entries<C> {
    type Value = ();
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map")
    }
    fn visit_map<M: MapAccess<'de>>(mut self, mut map: M) -> Result<(), M::Error> {
        while let Some((key, value)) = map.next_entry::<Text<'de>, &'de RawValue>()? {
            (self.0)(&key, value);
        }
        Ok(())
    }
}

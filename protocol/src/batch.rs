//! Several frames in one WebSocket message: each byte is read once, each frame succeeds or is refused by itself.

use std::cell::Cell;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer as _, Error as _, SeqAccess, Visitor};
use serde_json::value::RawValue;
use thiserror::Error;

use crate::client::ClientFrame;
use crate::encoding::Encoding;
use crate::error::{ErrorCode, FrameError};
use crate::extent::msgpack_extent;
use crate::read_client::client_frame;
use crate::read_server::server_frame;
use crate::server::ServerFrame;
use crate::wire::{JsonPayload, MsgpackPayload, WireClient, WireName, WireServer};

/// A WebSocket message that is not frames. Frames before the fault have been handed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// Not JSON, or not MessagePack, or not maps.
    #[error("not a frame or a batch of frames")]
    Malformed,
    /// More frames than allowed.
    #[error("more than {max} frames in one WebSocket message")]
    TooManyFrames {
        /// The bound.
        max: usize,
    },
}

/// How deep MessagePack may nest in fields we do not know; ours nest four deep.
const MSGPACK_DEPTH_MAX: usize = 32;

/// Hands each client frame of a WebSocket message to `each`, in order.
pub fn decode_client<'a>(
    encoding: Encoding,
    data: &'a [u8],
    frames_max: usize,
    mut each: impl FnMut(Result<ClientFrame<'a>, FrameError<'a>>),
) -> Result<(), DecodeError> {
    match encoding {
        Encoding::Json => json(data, frames_max, |frame| {
            each(frame.and_then(|wire: WireClient<'a, JsonPayload<'a>>| client_frame(wire)));
        }),
        Encoding::Msgpack => msgpack(data, frames_max, |frame| {
            each(frame.and_then(|wire: WireClient<'a, MsgpackPayload<'a>>| client_frame(wire)));
        }),
    }
}

/// Hands each server frame of a WebSocket message to `each`, in order.
pub fn decode_server<'a>(
    encoding: Encoding,
    data: &'a [u8],
    frames_max: usize,
    mut each: impl FnMut(Result<ServerFrame<'a>, FrameError<'a>>),
) -> Result<(), DecodeError> {
    match encoding {
        Encoding::Json => json(data, frames_max, |frame| {
            each(frame.and_then(|wire: WireServer<'a, JsonPayload<'a>>| server_frame(wire)));
        }),
        Encoding::Msgpack => msgpack(data, frames_max, |frame| {
            each(frame.and_then(|wire: WireServer<'a, MsgpackPayload<'a>>| server_frame(wire)));
        }),
    }
}

fn json<'a, F: Deserialize<'a>>(
    data: &'a [u8],
    frames_max: usize,
    mut each: impl FnMut(Result<F, FrameError<'a>>),
) -> Result<(), DecodeError> {
    let text = std::str::from_utf8(data).map_err(|_| DecodeError::Malformed)?.trim_ascii();
    if !text.starts_with('[') {
        return each_json(text, &mut each);
    }
    let handed = Cell::new(0);
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let visitor =
        Each { handed: &handed, frames_max, each: |frame| each(Ok(frame)), frame: std::marker::PhantomData };
    let result = deserializer.deserialize_seq(visitor).and_then(|()| deserializer.end());
    match result {
        Ok(()) => Ok(()),
        Err(_) if handed.get() > frames_max => Err(DecodeError::TooManyFrames { max: frames_max }),
        // One frame has a field of the wrong type: take the batch apart and go on behind what was handed over.
        Err(error) if error.is_data() => {
            let frames: Vec<&'a RawValue> = serde_json::from_str(text).map_err(|_| DecodeError::Malformed)?;
            if frames.len() > frames_max {
                return Err(DecodeError::TooManyFrames { max: frames_max });
            }
            frames[handed.get()..].iter().try_for_each(|frame| each_json(frame.get(), &mut each))
        }
        Err(_) => Err(DecodeError::Malformed),
    }
}

fn each_json<'a, F: Deserialize<'a>>(
    text: &'a str,
    each: &mut impl FnMut(Result<F, FrameError<'a>>),
) -> Result<(), DecodeError> {
    if !text.starts_with('{') {
        return Err(DecodeError::Malformed);
    }
    match serde_json::from_str(text) {
        Ok(frame) => each(Ok(frame)),
        Err(error) if error.is_data() => {
            each(Err(unreadable(serde_json::from_str(text).unwrap_or_default())))
        }
        Err(_) => return Err(DecodeError::Malformed),
    }
    Ok(())
}

/// Hands over the elements of a JSON array while it is read.
struct Each<'c, F, C> {
    handed: &'c Cell<usize>,
    frames_max: usize,
    each: C,
    frame: std::marker::PhantomData<F>,
}

impl<'de, F: Deserialize<'de>, C: FnMut(F)> Visitor<'de> for Each<'_, F, C> {
    type Value = ();
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a batch of frames")
    }
    fn visit_seq<S: SeqAccess<'de>>(mut self, mut seq: S) -> Result<(), S::Error> {
        while let Some(frame) = seq.next_element_seed(OnlyMaps(self.frame))? {
            if self.handed.get() == self.frames_max {
                self.handed.set(self.frames_max + 1);
                return Err(S::Error::custom("too many frames"));
            }
            (self.each)(frame);
            self.handed.set(self.handed.get() + 1);
        }
        Ok(())
    }
}

/// Serde reads structs from arrays too; a frame is a map.
struct OnlyMaps<F>(std::marker::PhantomData<F>);

impl<'de, F: Deserialize<'de>> DeserializeSeed<'de> for OnlyMaps<F> {
    type Value = F;
    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<F, D::Error> {
        struct MapVisitor<F>(std::marker::PhantomData<F>);
        impl<'de, F: Deserialize<'de>> Visitor<'de> for MapVisitor<F> {
            type Value = F;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a frame")
            }
            fn visit_map<M: serde::de::MapAccess<'de>>(self, map: M) -> Result<F, M::Error> {
                F::deserialize(serde::de::value::MapAccessDeserializer::new(map))
            }
        }
        deserializer.deserialize_map(MapVisitor(self.0))
    }
}

fn msgpack<'a, F: Deserialize<'a>>(
    data: &'a [u8],
    frames_max: usize,
    mut each: impl FnMut(Result<F, FrameError<'a>>),
) -> Result<(), DecodeError> {
    let mut rest = data;
    let mut handed = 0;
    while !rest.is_empty() {
        if handed == frames_max {
            return Err(DecodeError::TooManyFrames { max: frames_max });
        }
        if !matches!(rest[0], 0x80..=0x8f | 0xde | 0xdf) {
            return Err(DecodeError::Malformed);
        }
        handed += 1;
        let (frame, behind) = rest.split_at(msgpack_extent(rest).ok_or(DecodeError::Malformed)?);
        each(one_msgpack(frame).ok_or_else(|| unreadable(one_msgpack(frame).unwrap_or_default())));
        rest = behind;
    }
    if handed == 0 { Err(DecodeError::Malformed) } else { Ok(()) }
}

/// The first `T` of `data`, which holds exactly one value.
fn one_msgpack<'a, T: Deserialize<'a>>(data: &'a [u8]) -> Option<T> {
    let mut deserializer = rmp_serde::Deserializer::from_read_ref(data);
    deserializer.set_max_depth(MSGPACK_DEPTH_MAX);
    T::deserialize(&mut deserializer).ok()
}

fn unreadable(name: WireName<'_>) -> FrameError<'_> {
    let is_send = name.kind.as_deref() == Some("send");
    FrameError {
        id: name.id,
        is_send,
        code: ErrorCode::InvalidFrame,
        what: "a field of the wrong type".into(),
    }
}

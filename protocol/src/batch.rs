//! Several frames in one WebSocket message: each byte is read once, each frame succeeds or is refused by itself.

use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{Deserializer as _, Error as _, SeqAccess, Visitor};
use serde_json::value::RawValue;
use thiserror::Error;

use crate::client::ClientFrame;
use crate::encoding::Encoding;
use crate::error::FrameError;
use crate::extent::msgpack_extent;
use crate::read_client::client_frame;
use crate::read_server::server_frame;
use crate::refused::{self, msgpack_reader};
use crate::server::ServerFrame;
use crate::strict::Map;
use crate::wire::{JsonPayload, MsgpackPayload, WireClient, WireServer};

/// A WebSocket message that is not frames. Frames before the fault have been handed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// Not JSON, or not MessagePack, or not maps, or none at all.
    #[error("not a frame or a batch of frames")]
    Malformed,
    /// More frames than allowed.
    #[error("more than {max} frames in one WebSocket message")]
    TooManyFrames {
        /// The bound.
        max: usize,
    },
}

/// The white space of JSON.
const JSON_SPACE: [char; 4] = [' ', '\t', '\n', '\r'];

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
    let text = std::str::from_utf8(data).map_err(|_| DecodeError::Malformed)?.trim_matches(JSON_SPACE);
    if !text.starts_with('[') {
        return one_json(text, &mut each);
    }
    let handed = Cell::new(0);
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let visitor = Each::new(&handed, frames_max, |Map(frame)| each(Ok(frame)));
    let result = deserializer.deserialize_seq(visitor).and_then(|()| deserializer.end());
    match result {
        Ok(()) if handed.get() == 0 => Err(DecodeError::Malformed),
        Ok(()) => Ok(()),
        Err(_) if handed.get() > frames_max => Err(DecodeError::TooManyFrames { max: frames_max }),
        // One frame cannot be read: take the batch apart and go on behind what was handed over.
        Err(_) => {
            apart(text, frames_max)?[handed.get()..].iter().try_for_each(|frame| one_json(frame, &mut each))
        }
    }
}

/// The text of each element of a JSON array.
fn apart(text: &str, frames_max: usize) -> Result<Vec<&str>, DecodeError> {
    let count = Cell::new(0);
    let mut frames = Vec::new();
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let visitor = Each::new(&count, frames_max, |frame: &RawValue| frames.push(frame.get()));
    match deserializer.deserialize_seq(visitor).and_then(|()| deserializer.end()) {
        Ok(()) => Ok(frames),
        Err(_) if count.get() > frames_max => Err(DecodeError::TooManyFrames { max: frames_max }),
        Err(_) => Err(DecodeError::Malformed),
    }
}

/// A frame of the wrong form is refused by itself; text that is not JSON ends the connection.
fn one_json<'a, F: Deserialize<'a>>(
    text: &'a str,
    each: &mut impl FnMut(Result<F, FrameError<'a>>),
) -> Result<(), DecodeError> {
    if !text.starts_with('{') {
        return Err(DecodeError::Malformed);
    }
    if let Ok(Map(frame)) = serde_json::from_str(text) {
        each(Ok(frame));
    } else {
        serde_json::from_str::<&RawValue>(text).map_err(|_| DecodeError::Malformed)?;
        each(Err(refused::json::<F>(text)));
    }
    Ok(())
}

/// Hands over the elements of a JSON array while it is read, and counts them up to one too many.
struct Each<'c, F, C> {
    count: &'c Cell<usize>,
    max: usize,
    hand_over: C,
    element: PhantomData<F>,
}

impl<'c, F, C: FnMut(F)> Each<'c, F, C> {
    fn new(count: &'c Cell<usize>, max: usize, hand_over: C) -> Self {
        Each { count, max, hand_over, element: PhantomData }
    }
}

impl<'de, F: Deserialize<'de>, C: FnMut(F)> Visitor<'de> for Each<'_, F, C> {
    type Value = ();
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a batch of frames")
    }
    fn visit_seq<S: SeqAccess<'de>>(mut self, mut seq: S) -> Result<(), S::Error> {
        while let Some(frame) = seq.next_element()? {
            if self.count.get() == self.max {
                self.count.set(self.max + 1);
                return Err(S::Error::custom("too many frames"));
            }
            (self.hand_over)(frame);
            self.count.set(self.count.get() + 1);
        }
        Ok(())
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
        let read = Map::deserialize(&mut msgpack_reader(frame));
        each(read.map(|Map(frame)| frame).map_err(|_| refused::msgpack::<F>(frame)));
        rest = behind;
    }
    if handed == 0 { Err(DecodeError::Malformed) } else { Ok(()) }
}

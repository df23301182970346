//! Several frames in one WebSocket message: each byte is read once, each frame succeeds or is refused by itself.

mod json;
mod msgpack;

use thiserror::Error;

use crate::client::ClientFrame;
use crate::encoding::Encoding;
use crate::error::FrameError;
use crate::read_client::client_frame;
use crate::read_server::server_frame;
use crate::server::ServerFrame;
use crate::wire::{JsonPayload, MsgpackPayload};

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

/// The data of a WebSocket message, of the kind that its encoding agreed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Data<'a> {
    /// A text message.
    Json(&'a str),
    /// A binary message.
    Msgpack(&'a [u8]),
}

impl<'a> Data<'a> {
    /// Bytes that are said to be in `encoding`.
    pub fn new(encoding: Encoding, bytes: &'a [u8]) -> Result<Data<'a>, DecodeError> {
        match encoding {
            Encoding::Json => std::str::from_utf8(bytes).map(Data::Json).map_err(|_| DecodeError::Malformed),
            Encoding::Msgpack => Ok(Data::Msgpack(bytes)),
        }
    }
}

/// Hands each client frame of a WebSocket message to `each`, in order, to take from it what it needs.
pub fn decode_client<'a>(
    data: Data<'a>,
    frames_max: usize,
    each: impl FnMut(Result<&mut ClientFrame<'a>, FrameError<'a>>),
) -> Result<(), DecodeError> {
    let mut frame = ClientFrame::Pong;
    match data {
        Data::Json(text) => json::decode(text, frames_max, client_frame::<JsonPayload<'a>>, &mut frame, each),
        Data::Msgpack(data) => {
            msgpack::decode(data, frames_max, client_frame::<MsgpackPayload<'a>>, &mut frame, each)
        }
    }
}

/// Hands each server frame of a WebSocket message to `each`, in order, to take from it what it needs.
pub fn decode_server<'a>(
    data: Data<'a>,
    frames_max: usize,
    each: impl FnMut(Result<&mut ServerFrame<'a>, FrameError<'a>>),
) -> Result<(), DecodeError> {
    let mut frame = ServerFrame::Ping;
    match data {
        Data::Json(text) => json::decode(text, frames_max, server_frame::<JsonPayload<'a>>, &mut frame, each),
        Data::Msgpack(data) => {
            msgpack::decode(data, frames_max, server_frame::<MsgpackPayload<'a>>, &mut frame, each)
        }
    }
}

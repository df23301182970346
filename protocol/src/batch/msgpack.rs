//! Frames in MessagePack: maps, one behind the other.

use serde::Deserialize;

use crate::batch::DecodeError;
use crate::error::FrameError;
use crate::extent::msgpack_extent;
use crate::plain::{Plain, plain_msgpack};
use crate::refused::{self, msgpack_reader};
use crate::strict::Map;

/// Hands each frame of `data` to `each`, in `frame`. `understand` is for what serde has read.
#[inline]
pub(super) fn decode<'a, W: Deserialize<'a>, F: Plain<'a>>(
    data: &'a [u8],
    frames_max: usize,
    understand: impl Fn(W) -> Result<F, FrameError<'a>> + Copy,
    frame: &mut F,
    mut each: impl FnMut(Result<&mut F, FrameError<'a>>),
) -> Result<(), DecodeError> {
    if data.is_empty() {
        return Err(DecodeError::Malformed);
    }
    let (mut rest, mut handed) = (data, 0);
    while !rest.is_empty() {
        if handed == frames_max {
            return Err(DecodeError::TooManyFrames { max: frames_max });
        }
        handed += 1;
        if let Some(behind) = plain_msgpack(rest, frame) {
            each(Ok(frame));
            rest = behind;
            continue;
        }
        if !matches!(rest[0], 0x80..=0x8f | 0xde | 0xdf) {
            return Err(DecodeError::Malformed);
        }
        let (one, behind) = rest.split_at(msgpack_extent(rest).ok_or(DecodeError::Malformed)?);
        let refused = match Map::deserialize(&mut msgpack_reader(one)) {
            Ok(Map(wire)) => understand(wire).map(|understood| *frame = understood).err(),
            Err(_) => Some(refused::msgpack::<W>(one)),
        };
        each(refused.map_or(Ok(&mut *frame), Err));
        rest = behind;
    }
    Ok(())
}

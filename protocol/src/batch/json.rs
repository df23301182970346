//! Frames in JSON: a map, or an array of maps.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::batch::DecodeError;
use crate::error::FrameError;
use crate::plain::{Plain, plain_json};
use crate::refused;
use crate::strict::Map;

/// The white space of JSON.
const SPACE: [char; 4] = [' ', '\t', '\n', '\r'];

/// Hands each frame of `text` to `each`, in `frame`. `understand` is for what serde has read.
#[inline]
pub(super) fn decode<'a, W: Deserialize<'a>, F: Plain<'a>>(
    text: &'a str,
    frames_max: usize,
    understand: impl Fn(W) -> Result<F, FrameError<'a>> + Copy,
    frame: &mut F,
    mut each: impl FnMut(Result<&mut F, FrameError<'a>>),
) -> Result<(), DecodeError> {
    let text = text.trim_matches(SPACE);
    let Some(mut rest) = text.strip_prefix('[') else {
        let (refused, behind) = first(text, understand, frame)?;
        if !behind.is_empty() {
            return Err(DecodeError::Malformed);
        }
        each(refused.map_or(Ok(frame), Err));
        return Ok(());
    };
    for _ in 0..frames_max {
        let (refused, behind) = first(rest.trim_start_matches(SPACE), understand, frame)?;
        each(refused.map_or(Ok(&mut *frame), Err));
        let behind = behind.trim_start_matches(SPACE);
        match behind.strip_prefix(',') {
            Some(behind) => rest = behind,
            None if behind == "]" => return Ok(()),
            None => return Err(DecodeError::Malformed),
        }
    }
    Err(DecodeError::TooManyFrames { max: frames_max })
}

/// Reads the frame that `text` begins with into `frame`; why it is refused, if it is, and what stands behind it.
#[inline]
fn first<'a, W: Deserialize<'a>, F: Plain<'a>>(
    text: &'a str,
    understand: impl Fn(W) -> Result<F, FrameError<'a>> + Copy,
    frame: &mut F,
) -> Result<(Option<FrameError<'a>>, &'a str), DecodeError> {
    if let Some(behind) = plain_json(text, frame) {
        return Ok((None, behind));
    }
    if !text.starts_with('{') {
        return Err(DecodeError::Malformed);
    }
    let mut maps = serde_json::Deserializer::from_str(text).into_iter::<Map<W>>();
    if let Some(Ok(Map(wire))) = maps.next() {
        let refused = understand(wire).map(|understood| *frame = understood).err();
        return Ok((refused, &text[maps.byte_offset()..]));
    }
    // A frame of the wrong form is refused by itself; text that is not JSON ends the connection.
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<&RawValue>();
    let Some(Ok(value)) = values.next() else { return Err(DecodeError::Malformed) };
    Ok((Some(refused::json::<W>(value.get())), &text[values.byte_offset()..]))
}

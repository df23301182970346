//! Plain frames in MessagePack.

use serde_json::value::RawValue;

use crate::payload::Payload;
use crate::plain::json::is_plain_string;
use crate::plain::{Plain, Seen, Values};

/// Reads the plain frame that `data` begins with into `frame`; what stands behind it.
#[inline]
pub(crate) fn plain_msgpack<'a, F: Plain<'a>>(data: &'a [u8], frame: &mut F) -> Option<&'a [u8]> {
    let mut cursor = Cursor(data);
    let entries = match cursor.byte()? {
        marker @ 0x80..=0x8f => u64::from(marker & 0x0f),
        0xde => cursor.uint(2)?,
        _ => return None,
    };
    if entries == 0 || cursor.text()? != "type" || cursor.text()? != F::TYPE {
        return None;
    }
    let (content, mut seen) = (frame.empty()?, Seen::default());
    for _ in 1..entries {
        let key = cursor.text()?;
        F::read(content, &mut seen, key, &mut cursor)?;
    }
    F::is_whole(&seen).then_some(cursor.0)
}

/// What is still to be read.
struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn byte(&mut self) -> Option<u8> {
        self.bytes(1).map(|bytes| bytes[0])
    }

    fn bytes(&mut self, length: u64) -> Option<&'a [u8]> {
        let (bytes, behind) = self.0.split_at_checked(usize::try_from(length).ok()?)?;
        self.0 = behind;
        Some(bytes)
    }

    /// A big-endian number of `bytes` bytes.
    fn uint(&mut self, bytes: u64) -> Option<u64> {
        Some(self.bytes(bytes)?.iter().fold(0, |value, byte| value << 8 | u64::from(*byte)))
    }
}

impl<'a> Values<'a> for Cursor<'a> {
    fn number(&mut self) -> Option<u64> {
        match self.byte()? {
            marker @ 0x00..=0x7f => Some(u64::from(marker)),
            0xcc => self.uint(1),
            0xcd => self.uint(2),
            0xce => self.uint(4),
            0xcf => self.uint(8),
            _ => None,
        }
    }

    fn text(&mut self) -> Option<&'a str> {
        let length = match self.byte()? {
            marker @ 0xa0..=0xbf => u64::from(marker & 0x1f),
            0xd9 => self.uint(1)?,
            0xda => self.uint(2)?,
            0xdb => self.uint(4)?,
            _ => return None,
        };
        std::str::from_utf8(self.bytes(length)?).ok()
    }

    fn payload(&mut self) -> Option<Payload<'a>> {
        let width = match self.0.first()? {
            0xc4 => 1,
            0xc5 => 2,
            0xc6 => 4,
            _ => {
                let json = self.text()?;
                return is_json(json).then(|| Payload::Json(json.into()));
            }
        };
        self.byte()?;
        let length = self.uint(width)?;
        Some(Payload::Bytes(self.bytes(length)?.into()))
    }
}

/// Whether `text` is one JSON value without space around it.
fn is_json(text: &str) -> bool {
    is_plain_string(text)
        || serde_json::from_str::<&RawValue>(text).is_ok_and(|value| value.get().len() == text.len())
}

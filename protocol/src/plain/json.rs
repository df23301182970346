//! Plain frames in JSON.

use serde_json::value::RawValue;

use crate::payload::Payload;
use crate::plain::{Plain, Seen, Values};

/// Reads the plain frame that `text` begins with into `frame`; what stands behind it.
#[inline]
pub(crate) fn plain_json<'a, F: Plain<'a>>(text: &'a str, frame: &mut F) -> Option<&'a str> {
    let mut cursor = Cursor { text, at: 0 };
    if text.starts_with(F::BEGINNING) {
        cursor.at = F::BEGINNING.len();
    } else {
        cursor.byte(b'{')?;
        if cursor.key()? != "type" || cursor.text()? != F::TYPE {
            return None;
        }
    }
    let (content, mut seen) = (frame.empty()?, Seen::default());
    while cursor.another()? {
        let key = match F::frequent(cursor.rest()) {
            Some((key, length)) => {
                cursor.at += length;
                key
            }
            None => cursor.key()?,
        };
        F::read(content, &mut seen, key, &mut cursor)?;
    }
    F::is_whole(&seen).then(|| &text[cursor.at..])
}

/// Whether `text` is a JSON string without an escape and nothing else.
pub(super) fn is_plain_string(text: &str) -> bool {
    let mut cursor = Cursor { text, at: 0 };
    cursor.text().is_some() && cursor.at == text.len()
}

/// A place in a text.
struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    #[inline]
    fn rest(&self) -> &'a [u8] {
        &self.text.as_bytes()[self.at..]
    }

    #[inline]
    fn space(&mut self) {
        while matches!(self.rest().first(), Some(b' ' | b'\n' | b'\t' | b'\r')) {
            self.at += 1;
        }
    }

    #[inline]
    fn byte(&mut self, byte: u8) -> Option<()> {
        self.space();
        (self.rest().first() == Some(&byte)).then(|| self.at += 1)
    }

    /// Whether there is another field, or the map ends.
    fn another(&mut self) -> Option<bool> {
        self.space();
        let more = match self.rest().first()? {
            b',' => true,
            b'}' => false,
            _ => return None,
        };
        self.at += 1;
        Some(more)
    }

    #[inline]
    fn key(&mut self) -> Option<&'a str> {
        let key = self.text()?;
        self.byte(b':')?;
        Some(key)
    }
}

impl<'a> Values<'a> for Cursor<'a> {
    /// Without sign, fraction or exponent, and of fewer digits than overflow.
    #[inline]
    fn number(&mut self) -> Option<u64> {
        const DIGITS_MAX: usize = 19;
        self.space();
        let rest = self.rest();
        let (mut digits, mut value) = (0, 0u64);
        while let Some(digit @ b'0'..=b'9') = rest.get(digits)
            && digits < DIGITS_MAX
        {
            value = value * 10 + u64::from(digit - b'0');
            digits += 1;
        }
        self.at += digits;
        let plain = digits == 1 || digits > 1 && rest[0] != b'0';
        let ended = matches!(rest.get(digits), Some(b',' | b'}' | b' ' | b'\n' | b'\t' | b'\r'));
        (plain && ended).then_some(value)
    }

    /// Without an escape.
    #[inline]
    fn text(&mut self) -> Option<&'a str> {
        self.byte(b'"')?;
        let from = self.at;
        self.at += plain_bytes(self.rest());
        let text = &self.text[from..self.at];
        (self.rest().first() == Some(&b'"')).then(|| self.at += 1)?;
        Some(text)
    }

    /// Any value, as it is written. All but strings without an escape are left to serde.
    #[inline]
    fn payload(&mut self) -> Option<Payload<'a>> {
        self.space();
        let from = self.at;
        if self.text().is_none() {
            let mut values = serde_json::Deserializer::from_str(&self.text[from..]).into_iter::<&RawValue>();
            values.next()?.ok()?;
            self.at = from + values.byte_offset();
        }
        Some(Payload::Json(self.text[from..self.at].into()))
    }
}

/// How many bytes stand before the first that is special in a JSON string.
#[inline]
fn plain_bytes(bytes: &[u8]) -> usize {
    /// Names end before it; what is longer is most likely much longer.
    const NAME: usize = 24;
    /// Looked at as a whole, which compilers turn into vector instructions.
    const BLOCK: usize = 32;
    let mut at = 0;
    while let Some(word) = bytes[at..].first_chunk() {
        let special = special_bytes(u64::from_le_bytes(*word));
        if special != 0 {
            return at + special.trailing_zeros() as usize / 8;
        }
        at += 8;
        if at == NAME {
            let blocks = bytes[at..].chunks_exact(BLOCK);
            let plain = |block: &&[u8]| !block.iter().fold(false, |found, byte| found | is_special(*byte));
            at += BLOCK * blocks.take_while(plain).count();
        }
    }
    bytes[at..].iter().position(|byte| is_special(*byte)).map_or(bytes.len(), |found| at + found)
}

fn is_special(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

/// The highest bit of the lowest special byte of `word`, and perhaps of ones above it ("Bit Twiddling Hacks", S. E.
/// Anderson: determine if a word has a byte less than n).
#[inline]
fn special_bytes(word: u64) -> u64 {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGH: u64 = ONES << 7;
    let below = |word: u64, bound: u64| word.wrapping_sub(ONES * bound) & !word & HIGH;
    let equal = |byte: u8| below(word ^ (ONES * u64::from(byte)), 1);
    below(word, 0x20) | equal(b'"') | equal(b'\\')
}

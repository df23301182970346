//! The frames that come by the million, `send` and `message`, read in one pass in the form in which they are usually
//! written.
//!
//! Only a shortcut: whatever is not plain (an escape in a name, a field that is seldom used or stands twice, a number of
//! another form, anything to be refused) is left to serde, which alone decides. What is read here is what serde reads,
//! several times as fast (`cargo bench --bench codec`); a property holds the two against each other.
//!
//! Such a frame fills several cache lines, so it is written where it stays: moving it costs as much as reading it.

mod json;
mod message;
mod msgpack;
mod send;

use crate::payload::Payload;

pub(crate) use json::plain_json;
pub(crate) use msgpack::plain_msgpack;

/// Frames of one direction, of which one type has a plain form.
pub(crate) trait Plain<'a> {
    /// The type that has.
    const TYPE: &'static str;
    /// How it begins in JSON without space.
    const BEGINNING: &'static str;
    /// Its content.
    type Content;

    /// The key that `json` begins with, and its length with quotes and colon, if it is one of the most frequent.
    fn frequent(json: &[u8]) -> Option<(&'static str, usize)>;
    /// Makes this frame one of the type, with nothing in it.
    fn empty(&mut self) -> Option<&mut Self::Content>;
    /// Reads the value of the field `key`.
    fn read(
        content: &mut Self::Content,
        seen: &mut Seen,
        key: &str,
        values: &mut impl Values<'a>,
    ) -> Option<()>;
    /// Whether every field that is needed was seen.
    fn is_whole(seen: &Seen) -> bool;
}

/// Values of one encoding, read in order.
pub(crate) trait Values<'a> {
    fn number(&mut self) -> Option<u64>;
    fn text(&mut self) -> Option<&'a str>;
    fn payload(&mut self) -> Option<Payload<'a>>;
}

/// The fields that were read, a bit each: a second one of a name is not plain.
#[derive(Default)]
pub(crate) struct Seen(u16);

impl Seen {
    fn once(&mut self, field: u16) -> Option<()> {
        let new = self.0 & field == 0;
        self.0 |= field;
        new.then_some(())
    }

    fn all(&self, fields: u16) -> bool {
        self.0 & fields == fields
    }
}

#[cfg(test)]
mod tests;

//! What agents say to each other. Never looked into.

use std::borrow::Cow;

/// A payload keeps its kind from end to end, whatever the encodings of the two ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Payload<'a> {
    /// Well-formed JSON text, kept byte for byte.
    Json(Cow<'a, str>),
    /// Bytes.
    Bytes(Cow<'a, [u8]>),
}

impl Payload<'_> {
    /// What an absent payload means.
    pub const NULL: Payload<'static> = Payload::Json(Cow::Borrowed("null"));

    /// Size in bytes: of the JSON text, or of the bytes before base64.
    pub fn len(&self) -> usize {
        match self {
            Payload::Json(text) => text.len(),
            Payload::Bytes(bytes) => bytes.len(),
        }
    }

    /// Whether it holds nothing at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The same payload, borrowing from this one.
    pub fn borrowed(&self) -> Payload<'_> {
        match self {
            Payload::Json(text) => Payload::Json(Cow::Borrowed(text)),
            Payload::Bytes(bytes) => Payload::Bytes(Cow::Borrowed(bytes)),
        }
    }

    /// The same payload, borrowing from nothing.
    pub fn into_owned(self) -> Payload<'static> {
        match self {
            Payload::Json(text) => Payload::Json(Cow::Owned(text.into_owned())),
            Payload::Bytes(bytes) => Payload::Bytes(Cow::Owned(bytes.into_owned())),
        }
    }
}

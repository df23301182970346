//! One way to write a frame down, two encodings: frames describe themselves to a [`Writer`].

use crate::base64_text;
use crate::payload::Payload;
use crate::text::Text;

/// Takes maps, lists and values in order.
pub(crate) trait Writer {
    fn open_map(&mut self);
    fn close_map(&mut self);
    fn open_list(&mut self);
    fn close_list(&mut self);
    /// Before each element of a list.
    fn item(&mut self);
    /// Before each value of a map. Keys of our own making need no escape.
    fn key(&mut self, key: &'static str);
    /// Text known to need no escape: names, codes, addresses.
    fn name(&mut self, text: &str);
    /// Any text.
    fn text(&mut self, text: &str);
    fn uint(&mut self, value: u64);
    fn boolean(&mut self, value: bool);
    /// The payload under the key of its kind.
    fn payload(&mut self, payload: &Payload<'_>);
    /// One entry of a map whose key comes from outside.
    fn entry(&mut self, key: &str, value: &str);

    fn name_field(&mut self, key: &'static str, text: &str) {
        self.key(key);
        self.name(text);
    }
    fn text_field(&mut self, key: &'static str, text: &str) {
        self.key(key);
        self.text(text);
    }
    fn uint_field(&mut self, key: &'static str, value: u64) {
        self.key(key);
        self.uint(value);
    }
    fn boolean_field(&mut self, key: &'static str, value: bool) {
        self.key(key);
        self.boolean(value);
    }
    fn optional_uint(&mut self, key: &'static str, value: Option<u64>) {
        if let Some(value) = value {
            self.uint_field(key, value);
        }
    }
    fn optional_name(&mut self, key: &'static str, value: Option<&str>) {
        if let Some(value) = value {
            self.name_field(key, value);
        }
    }
    fn optional_text(&mut self, key: &'static str, value: Option<&str>) {
        if let Some(value) = value {
            self.text_field(key, value);
        }
    }
}

/// Writes JSON.
pub(crate) struct JsonWriter<'b>(pub(crate) &'b mut Vec<u8>);

impl JsonWriter<'_> {
    /// A comma goes between two values, and no value of ours ends in an opening bracket.
    fn comma(&mut self) {
        if !matches!(self.0.last(), Some(b'{' | b'[') | None) {
            self.0.push(b',');
        }
    }
}

impl Writer for JsonWriter<'_> {
    fn open_map(&mut self) {
        self.0.push(b'{');
    }
    fn close_map(&mut self) {
        self.0.push(b'}');
    }
    fn open_list(&mut self) {
        self.0.push(b'[');
    }
    fn close_list(&mut self) {
        self.0.push(b']');
    }
    fn item(&mut self) {
        self.comma();
    }
    fn key(&mut self, key: &'static str) {
        self.comma();
        self.0.push(b'"');
        self.0.extend_from_slice(key.as_bytes());
        self.0.extend_from_slice(b"\":");
    }
    fn name(&mut self, text: &str) {
        debug_assert!(!text.bytes().any(|byte| byte < 0x20 || byte == b'"' || byte == b'\\'));
        self.0.push(b'"');
        self.0.extend_from_slice(text.as_bytes());
        self.0.push(b'"');
    }
    fn text(&mut self, text: &str) {
        // Writing text into a vector meets no error.
        let _ = serde_json::to_writer(&mut *self.0, text);
    }
    fn uint(&mut self, value: u64) {
        self.0.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
    }
    fn boolean(&mut self, value: bool) {
        self.0.extend_from_slice(if value { b"true" } else { b"false" });
    }
    fn entry(&mut self, key: &str, value: &str) {
        self.comma();
        self.text(key);
        self.0.push(b':');
        self.text(value);
    }
    fn payload(&mut self, payload: &Payload<'_>) {
        match payload {
            Payload::Json(text) => {
                self.key("payload");
                self.0.extend_from_slice(text.as_bytes());
            }
            Payload::Bytes(bytes) => {
                self.key("payload_b64");
                self.0.push(b'"');
                base64_text::append(bytes, self.0);
                self.0.push(b'"');
            }
        }
    }
}

/// Writes MessagePack. The length of a map or list stands before it, so a 16-bit one is left open and filled in at the end.
pub(crate) struct MsgpackWriter<'b> {
    out: &'b mut Vec<u8>,
    open: [(usize, u16); MsgpackWriter::DEPTH_MAX],
    depth: usize,
}

impl<'b> MsgpackWriter<'b> {
    /// No frame nests deeper: a frame, a list in it, a list or map in that.
    const DEPTH_MAX: usize = 4;

    pub(crate) fn new(out: &'b mut Vec<u8>) -> Self {
        MsgpackWriter { out, open: [(0, 0); MsgpackWriter::DEPTH_MAX], depth: 0 }
    }

    fn open(&mut self, marker: u8) {
        self.out.push(marker);
        self.open[self.depth] = (self.out.len(), 0);
        self.depth += 1;
        self.out.extend_from_slice(&[0, 0]);
    }

    fn close(&mut self) {
        self.depth -= 1;
        let (at, count) = self.open[self.depth];
        self.out[at..at + 2].copy_from_slice(&count.to_be_bytes());
    }

    fn count(&mut self) {
        self.open[self.depth - 1].1 += 1;
    }

    fn raw_text(&mut self, text: &str) {
        // Writing into a vector meets no error.
        let _ = rmp::encode::write_str(self.out, text);
    }
}

impl Writer for MsgpackWriter<'_> {
    fn open_map(&mut self) {
        self.open(0xde);
    }
    fn close_map(&mut self) {
        self.close();
    }
    fn open_list(&mut self) {
        self.open(0xdc);
    }
    fn close_list(&mut self) {
        self.close();
    }
    fn item(&mut self) {
        self.count();
    }
    fn key(&mut self, key: &'static str) {
        self.count();
        self.raw_text(key);
    }
    fn name(&mut self, text: &str) {
        self.raw_text(text);
    }
    fn text(&mut self, text: &str) {
        self.raw_text(text);
    }
    fn uint(&mut self, value: u64) {
        let _ = rmp::encode::write_uint(self.out, value);
    }
    fn boolean(&mut self, value: bool) {
        let _ = rmp::encode::write_bool(self.out, value);
    }
    fn entry(&mut self, key: &str, value: &str) {
        self.count();
        self.raw_text(key);
        self.raw_text(value);
    }
    fn payload(&mut self, payload: &Payload<'_>) {
        self.key("payload");
        match payload {
            Payload::Json(text) => self.raw_text(text),
            Payload::Bytes(bytes) => {
                let _ = rmp::encode::write_bin(self.out, bytes);
            }
        }
    }
}

/// Headers, where there are any.
pub(crate) fn headers<W: Writer>(writer: &mut W, headers: &[(Text<'_>, Text<'_>)]) {
    if headers.is_empty() {
        return;
    }
    writer.key("headers");
    writer.open_map();
    for (name, value) in headers {
        writer.entry(name, value);
    }
    writer.close_map();
}

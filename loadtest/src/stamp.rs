//! What each payload says about itself: who sent it where, which number it has there, and when it was meant to be sent.
//!
//! JSON connections carry it as a string of hexadecimal digits, MessagePack ones as bytes; the rest is padding whose
//! every byte is known, so that a payload changed on its way is noticed.

use relay_protocol::{Encoding, Payload};

/// The smallest payload that holds a stamp in either encoding.
pub const PAYLOAD_BYTES_MIN: usize = STAMP_BYTES * 2 + 2;

const STAMP_BYTES: usize = 28;
const PADDING: u8 = b'x';
const QUOTE: u8 = b'"';
const TOPIC_BIT: u32 = 1 << 31;

/// Where a message goes, by the numbers that the run gave out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Destination {
    /// The agent of that number.
    Agent(u32),
    /// The topic of that number.
    Topic(u32),
}

impl Destination {
    fn to_bits(self) -> u32 {
        match self {
            Destination::Agent(index) => index,
            Destination::Topic(index) => index | TOPIC_BIT,
        }
    }

    fn from_bits(bits: u32) -> Destination {
        if bits & TOPIC_BIT == 0 { Destination::Agent(bits) } else { Destination::Topic(bits & !TOPIC_BIT) }
    }
}

/// What a payload says about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// Which run; two that meet on one relay tell their messages apart by it.
    pub run: u32,
    /// The sender's number.
    pub sender: u32,
    /// Where it was sent.
    pub destination: Destination,
    /// Contiguous from 1 for each sender and destination.
    pub number: u64,
    /// When it was meant to be sent, on [`crate::clock`].
    pub at_ns: u64,
}

impl Stamp {
    fn to_bytes(self) -> [u8; STAMP_BYTES] {
        let mut bytes = [0; STAMP_BYTES];
        bytes[..4].copy_from_slice(&self.run.to_be_bytes());
        bytes[4..8].copy_from_slice(&self.sender.to_be_bytes());
        bytes[8..12].copy_from_slice(&self.destination.to_bits().to_be_bytes());
        bytes[12..20].copy_from_slice(&self.number.to_be_bytes());
        bytes[20..].copy_from_slice(&self.at_ns.to_be_bytes());
        bytes
    }

    fn from_bytes(bytes: &[u8; STAMP_BYTES]) -> Stamp {
        let word =
            |at: usize| bytes[at..at + 4].iter().fold(0, |value: u32, byte| value << 8 | u32::from(*byte));
        let long = |at: usize| u64::from(word(at)) << 32 | u64::from(word(at + 4));
        Stamp {
            run: word(0),
            sender: word(4),
            destination: Destination::from_bits(word(8)),
            number: long(12),
            at_ns: long(20),
        }
    }

    /// The stamp of a payload that was sent with `size` bytes, or nothing if it is not as it was sent.
    pub fn read(payload: &Payload<'_>, size: usize) -> Option<Stamp> {
        if payload.len() != size {
            return None;
        }
        let (bytes, padding) = match payload {
            Payload::Bytes(bytes) => {
                let (head, padding) = bytes.split_first_chunk::<STAMP_BYTES>()?;
                (*head, padding)
            }
            Payload::Json(text) => {
                let inner = text.as_bytes().strip_prefix(&[QUOTE])?.strip_suffix(&[QUOTE])?;
                let (digits, padding) = inner.split_at_checked(STAMP_BYTES * 2)?;
                (from_hex(digits)?, padding)
            }
        };
        padding.iter().all(|byte| *byte == PADDING).then(|| Stamp::from_bytes(&bytes))
    }
}

/// Makes stamped payloads of one size, in place.
#[derive(Debug)]
pub struct Stamper {
    encoding: Encoding,
    buffer: Vec<u8>,
}

impl Stamper {
    /// For payloads of `size` bytes, which is at least [`PAYLOAD_BYTES_MIN`].
    pub fn new(encoding: Encoding, size: usize) -> Stamper {
        let mut buffer = vec![PADDING; size.max(PAYLOAD_BYTES_MIN)];
        if encoding == Encoding::Json {
            let last = buffer.len() - 1;
            buffer[0] = QUOTE;
            buffer[last] = QUOTE;
        }
        Stamper { encoding, buffer }
    }

    /// The payload that carries `stamp`.
    pub fn payload(&mut self, stamp: Stamp) -> Payload<'_> {
        let bytes = stamp.to_bytes();
        match self.encoding {
            Encoding::Msgpack => {
                self.buffer[..STAMP_BYTES].copy_from_slice(&bytes);
                Payload::Bytes(self.buffer.as_slice().into())
            }
            Encoding::Json => {
                for (pair, byte) in self.buffer[1..].chunks_exact_mut(2).zip(bytes) {
                    pair[0] = digit(byte >> 4);
                    pair[1] = digit(byte & 0x0f);
                }
                Payload::Json(String::from_utf8_lossy(&self.buffer))
            }
        }
    }
}

const fn digit(nibble: u8) -> u8 {
    if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 }
}

fn from_hex(digits: &[u8]) -> Option<[u8; STAMP_BYTES]> {
    let mut bytes = [0; STAMP_BYTES];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
    }
    Some(bytes)
}

const fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAMP: Stamp = Stamp {
        run: 0xdead_beef,
        sender: 7,
        destination: Destination::Topic(3),
        number: u64::MAX - 1,
        at_ns: 12_345_678_901,
    };

    #[test]
    fn a_stamp_is_read_back_in_both_encodings_and_at_every_size() {
        for encoding in Encoding::ALL {
            for size in [PAYLOAD_BYTES_MIN, PAYLOAD_BYTES_MIN + 1, 4096] {
                let mut stamper = Stamper::new(encoding, size);
                let payload = stamper.payload(STAMP);
                assert_eq!(Stamp::read(&payload, size), Some(STAMP));
                assert_eq!(Stamp::read(&payload, size + 1), None, "cut off");
            }
        }
    }

    #[test]
    fn one_changed_byte_of_the_padding_is_noticed() {
        let mut stamper = Stamper::new(Encoding::Msgpack, 128);
        let Payload::Bytes(bytes) = stamper.payload(STAMP) else { unreachable!() };
        let mut changed = bytes.into_owned();
        changed[100] ^= 1;
        assert_eq!(Stamp::read(&Payload::Bytes(changed.into()), 128), None);
        assert_eq!(Stamp::read(&Payload::Json("\"hello\"".into()), 7), None);
    }
}

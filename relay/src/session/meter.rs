//! Watches WebSocket framing as bytes come in, for what the library does not bound: the number of fragments of a message,
//! the rate of control frames, and the size of a message while no token has been shown. It also knows when nothing is
//! half read, which is when buffers can be given back.

use relay_protocol::limit;
use thiserror::Error;
use tokio::time::Instant;

/// What a peer does to a socket that a well-meaning one does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub(super) enum Abuse {
    /// A message in more pieces than any client makes.
    #[error("more than {} fragments", limit::FRAGMENTS_MAX)]
    Fragments,
    /// More pings, pongs or closes than any client sends.
    #[error("more than {} control frames a second", limit::CONTROL_FRAMES_PER_S_MAX)]
    ControlFrames,
    /// A message over the limit in force.
    #[error("message over the limit")]
    TooLarge,
}

/// Follows the frame headers of one direction of one socket.
#[derive(Debug)]
pub(super) struct FrameMeter {
    header: [u8; 10],
    header_len: u8,
    payload_left: u64,
    message_bytes: u64,
    message_bytes_max: u64,
    fragments: u32,
    control_frames: u32,
    control_since: Option<Instant>,
    /// Messages that came whole and were not taken yet.
    whole: u32,
    /// The frame that comes in ends a message.
    ends_message: bool,
}

impl FrameMeter {
    /// A meter at the beginning of a socket.
    pub(super) fn new(message_bytes_max: usize) -> FrameMeter {
        FrameMeter {
            header: [0; 10],
            header_len: 0,
            payload_left: 0,
            message_bytes: 0,
            message_bytes_max: message_bytes_max as u64,
            fragments: 0,
            control_frames: 0,
            control_since: None,
            whole: 0,
            ends_message: false,
        }
    }

    /// Changes the limit of a message, from now on.
    pub(super) fn allow(&mut self, message_bytes_max: usize) {
        self.message_bytes_max = message_bytes_max as u64;
    }

    /// Whether the bytes so far end where a message ends.
    pub(super) fn is_between_messages(&self) -> bool {
        self.payload_left == 0 && self.header_len == 0 && self.fragments == 0
    }

    /// Whether a message has come whole that was not taken.
    pub(super) fn has_message(&self) -> bool {
        self.whole > 0
    }

    /// A message was taken out; control frames are messages too.
    pub(super) fn take_message(&mut self) {
        self.whole = self.whole.saturating_sub(1);
    }

    /// Follows more bytes.
    pub(super) fn feed(&mut self, mut bytes: &[u8]) -> Result<(), Abuse> {
        while !bytes.is_empty() {
            if self.payload_left > 0 {
                let skipped = usize::try_from(self.payload_left).unwrap_or(usize::MAX).min(bytes.len());
                self.payload_left -= skipped as u64;
                bytes = &bytes[skipped..];
                self.whole += u32::from(self.ends_message && self.payload_left == 0);
                continue;
            }
            // Most headers come whole.
            if self.header_len == 0
                && let Some(whole) = bytes.first_chunk()
            {
                self.header = *whole;
                self.header_len = 2;
                bytes = &bytes[self.header_needed()..];
                self.frame()?;
                self.header_len = 0;
                continue;
            }
            self.header[usize::from(self.header_len)] = bytes[0];
            self.header_len += 1;
            bytes = &bytes[1..];
            if usize::from(self.header_len) == self.header_needed() {
                self.frame()?;
                self.header_len = 0;
            }
        }
        Ok(())
    }

    /// Two bytes, and the extended length that they announce. The mask counts with the payload.
    fn header_needed(&self) -> usize {
        match self.header[1] & 0x7f {
            _ if self.header_len < 2 => 2,
            126 => 4,
            127 => 10,
            _ => 2,
        }
    }

    fn frame(&mut self) -> Result<(), Abuse> {
        let [first, second, ref extended @ ..] = self.header;
        let length = match second & 0x7f {
            126 => u64::from(u16::from_be_bytes([extended[0], extended[1]])),
            127 => u64::from_be_bytes(*extended),
            short => u64::from(short),
        };
        let mask = if second & 0x80 == 0 { 0 } else { 4 };
        self.payload_left = length.saturating_add(mask);
        let (fin, opcode) = (first & 0x80 != 0, first & 0x0f);
        self.ends_message = fin;
        // An empty frame without a mask, which is refused when it is taken.
        self.whole += u32::from(fin && self.payload_left == 0);
        if opcode >= 8 {
            return self.control_frame();
        }
        self.message_bytes = self.message_bytes.saturating_add(length);
        if self.message_bytes > self.message_bytes_max {
            return Err(Abuse::TooLarge);
        }
        self.fragments += 1;
        if self.fragments > limit::FRAGMENTS_MAX {
            return Err(Abuse::Fragments);
        }
        if fin {
            (self.fragments, self.message_bytes) = (0, 0);
        }
        Ok(())
    }

    fn control_frame(&mut self) -> Result<(), Abuse> {
        let now = Instant::now();
        match self.control_since {
            Some(since) if (now - since).as_secs() < 1 => self.control_frames += 1,
            _ => (self.control_since, self.control_frames) = (Some(now), 1),
        }
        if self.control_frames > limit::CONTROL_FRAMES_PER_S_MAX { Err(Abuse::ControlFrames) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(first: u8, length: usize) -> Vec<u8> {
        let mut frame = vec![first];
        match length {
            0..=125 => frame.push(0x80 | u8::try_from(length).unwrap()),
            126..=65_535 => {
                frame.push(0xfe);
                frame.extend(u16::try_from(length).unwrap().to_be_bytes());
            }
            _ => {
                frame.push(0xff);
                frame.extend((length as u64).to_be_bytes());
            }
        }
        frame.extend(vec![0; 4 + length]);
        frame
    }

    #[test]
    fn boundaries_are_found_however_the_bytes_are_cut() {
        for length in [0, 1, 125, 126, 65_535, 65_536] {
            let bytes = frame(0x82, length);
            for cut in [1, 2, 3, 7, 1_000] {
                let mut meter = FrameMeter::new(100_000);
                for (index, piece) in bytes.chunks(cut).enumerate() {
                    assert_eq!(meter.feed(piece), Ok(()));
                    let end = (index + 1) * cut >= bytes.len();
                    assert_eq!(meter.is_between_messages(), end, "{length} in pieces of {cut}");
                    assert_eq!(meter.has_message(), end, "{length} in pieces of {cut}");
                }
                meter.take_message();
                assert!(!meter.has_message());
            }
        }
    }

    #[test]
    fn fragments_sizes_and_control_frames_are_bounded() {
        let mut meter = FrameMeter::new(1_000);
        assert_eq!(meter.feed(&frame(0x82, 1_000)), Ok(()));
        assert_eq!(meter.feed(&frame(0x82, 1_001)), Err(Abuse::TooLarge));
        let mut meter = FrameMeter::new(1_000);
        assert_eq!(meter.feed(&frame(0x02, 600)), Ok(()));
        assert!(!meter.is_between_messages() && !meter.has_message());
        assert_eq!(meter.feed(&frame(0x80, 600)), Err(Abuse::TooLarge));
        let mut meter = FrameMeter::new(1_000);
        assert_eq!(meter.feed(&frame(0x02, 0)), Ok(()));
        let fed = (1..200).map(|_| meter.feed(&frame(0x00, 0))).take_while(Result::is_ok).count();
        assert_eq!(fed, 63);
        let mut meter = FrameMeter::new(1_000);
        let fed = (0..200).map(|_| meter.feed(&frame(0x89, 0))).take_while(Result::is_ok).count();
        assert_eq!(fed, 10);
    }

    #[test]
    fn a_claimed_length_of_all_there_is_overflows_nothing() {
        let mut meter = FrameMeter::new(1_000);
        let mut bytes = vec![0x82, 0xff];
        bytes.extend(u64::MAX.to_be_bytes());
        assert_eq!(meter.feed(&bytes), Err(Abuse::TooLarge));
    }
}

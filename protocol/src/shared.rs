//! Frames written once for all their recipients.

use std::cell::RefCell;
use std::sync::OnceLock;

use bytes::Bytes;

use crate::batch::{Data, decode_server};
use crate::encoding::Encoding;
use crate::server::ServerFrame;

/// What a thread keeps for the next frame.
const SCRATCH_BYTES_MAX: usize = 64 * 1024;

thread_local! {
    /// Frames are written here first: their size is not known before, and bytes of exactly their size take one
    /// allocation where bytes with room to spare take two.
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// One or several frames as they go into a WebSocket message; cloning shares the bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    /// A frame, or a batch of frames.
    pub bytes: Bytes,
    /// How many frames.
    pub frames: u32,
}

impl Chunk {
    /// A frame, written down.
    pub fn of(frame: &ServerFrame<'_>, encoding: Encoding) -> Chunk {
        SCRATCH.with_borrow_mut(|scratch| {
            scratch.clear();
            frame.encode(encoding, scratch);
            let chunk = Chunk::one(Bytes::copy_from_slice(scratch));
            if scratch.capacity() > SCRATCH_BYTES_MAX {
                *scratch = Vec::new();
            }
            chunk
        })
    }

    /// One frame, written down already.
    pub fn one(bytes: impl Into<Bytes>) -> Chunk {
        Chunk { bytes: bytes.into(), frames: 1 }
    }

    /// The frames without the brackets that a JSON batch stands in.
    fn inner(&self, encoding: Encoding) -> &[u8] {
        match encoding {
            Encoding::Json if self.frames > 1 => &self.bytes[1..self.bytes.len() - 1],
            Encoding::Json | Encoding::Msgpack => &self.bytes,
        }
    }

    /// All of `chunks` as one, in order. A single one is returned as it is, without a copy; of none, or of none with a
    /// frame, there is nothing to send.
    pub fn join(encoding: Encoding, chunks: &[Chunk]) -> Chunk {
        let mut full = chunks.iter().filter(|chunk| chunk.frames > 0);
        match (full.next(), full.next()) {
            (None, _) => return Chunk { bytes: Bytes::new(), frames: 0 },
            (Some(only), None) => return only.clone(),
            (Some(_), Some(_)) => {}
        }
        let mut joined =
            Vec::with_capacity(chunks.iter().map(|chunk| chunk.bytes.len() + 1).sum::<usize>() + 1);
        match encoding {
            Encoding::Json => {
                joined.push(b'[');
                for chunk in chunks.iter().filter(|chunk| chunk.frames > 0) {
                    if joined.len() > 1 {
                        joined.push(b',');
                    }
                    joined.extend_from_slice(chunk.inner(encoding));
                }
                joined.push(b']');
            }
            Encoding::Msgpack => chunks.iter().for_each(|chunk| joined.extend_from_slice(&chunk.bytes)),
        }
        Chunk { bytes: joined.into(), frames: chunks.iter().map(|chunk| chunk.frames).sum() }
    }
}

/// Frames in the encoding they came in, and in the other one as soon as somebody needs it.
#[derive(Debug)]
pub struct SharedFrame {
    native: Encoding,
    chunk: Chunk,
    other: OnceLock<Chunk>,
}

impl SharedFrame {
    /// Frames written in `native`.
    pub fn new(native: Encoding, chunk: Chunk) -> SharedFrame {
        SharedFrame { native, chunk, other: OnceLock::new() }
    }

    /// The frames for a recipient.
    pub fn get(&self, encoding: Encoding) -> &Chunk {
        if encoding == self.native {
            &self.chunk
        } else {
            self.other.get_or_init(|| self.transcoded(encoding))
        }
    }

    /// The encoding they were written in.
    pub fn native(&self) -> Encoding {
        self.native
    }

    /// Frames that cannot be read, which only a foreign publisher on the bus could make, become no frame.
    fn transcoded(&self, encoding: Encoding) -> Chunk {
        let mut chunks = Vec::with_capacity(self.chunk.frames as usize);
        let frames_max = self.chunk.frames as usize;
        let _ = Data::new(self.native, &self.chunk.bytes).and_then(|data| {
            decode_server(data, frames_max, |frame| {
                if let Ok(frame) = frame {
                    chunks.push(Chunk::of(frame, encoding));
                }
            })
        });
        Chunk::join(encoding, &chunks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(encoding: Encoding, id: u64) -> Chunk {
        Chunk::of(&ServerFrame::Pong { id }, encoding)
    }

    #[test]
    fn joined_chunks_read_as_their_frames_in_order_in_both_encodings() {
        for encoding in Encoding::ALL {
            let pair = Chunk::join(encoding, &[frame(encoding, 1), frame(encoding, 2)]);
            let all = Chunk::join(encoding, &[pair, frame(encoding, 3)]);
            for target in Encoding::ALL {
                let shared = SharedFrame::new(encoding, all.clone());
                let mut seen = Vec::new();
                let data = Data::new(target, &shared.get(target).bytes).unwrap();
                let read = decode_server(data, 3, |frame| {
                    if let Ok(&mut ServerFrame::Pong { id }) = frame {
                        seen.push(id);
                    }
                });
                assert_eq!((read, seen, all.frames), (Ok(()), vec![1, 2, 3], 3));
            }
        }
    }
}

//! Frames for one recipient, written one behind the other as they come.

use crate::encoding::Encoding;
use crate::server::ServerFrame;
use crate::shared::Chunk;

/// The least room that a first frame gets, so that a few of usual size need no growing.
const FIRST_BYTES: usize = 512;
/// Above what was said to come: numbers in frames get longer, and a batch has brackets.
const SPARE_BYTES: usize = 64;

/// Collects frames into one [`Chunk`], each written in its place: no allocation and no copy for each.
#[derive(Debug, Default)]
pub struct ChunkWriter {
    /// In JSON the frames of a batch, from its opening bracket on.
    bytes: Vec<u8>,
    frames: u32,
    /// What the first frame reserves.
    room: usize,
}

impl ChunkWriter {
    /// One that expects so many bytes.
    pub fn with_room(bytes: usize) -> ChunkWriter {
        ChunkWriter { room: bytes + SPARE_BYTES, ..ChunkWriter::default() }
    }

    /// Writes a frame behind the others; says by how many bytes the chunk is longer for it. All frames of a chunk are in
    /// one encoding.
    pub fn push(&mut self, frame: &ServerFrame<'_>, encoding: Encoding) -> usize {
        let before = self.len(encoding);
        if self.bytes.capacity() == 0 {
            self.bytes.reserve(self.room.max(FIRST_BYTES));
        }
        if encoding == Encoding::Json {
            self.bytes.push(if self.frames == 0 { b'[' } else { b',' });
        }
        frame.encode(encoding, &mut self.bytes);
        self.frames += 1;
        self.len(encoding) - before
    }

    /// Takes back the frame pushed last, by which the chunk became so much longer.
    pub fn take_back(&mut self, pushed: usize, encoding: Encoding) {
        self.frames -= 1;
        let length = match (encoding, self.frames) {
            (_, 0) => 0,
            // Without the bracket that is not written yet.
            (Encoding::Json, 1) => self.bytes.len() + 2 - pushed,
            (Encoding::Json | Encoding::Msgpack, _) => self.bytes.len() - pushed,
        };
        self.bytes.truncate(length);
    }

    /// Frames in it.
    pub fn frames(&self) -> u32 {
        self.frames
    }

    /// Bytes of the chunk as it stands.
    pub fn len(&self, encoding: Encoding) -> usize {
        match (encoding, self.frames) {
            (_, 0) => 0,
            // A single frame stands without brackets; the closing one of several is not written yet.
            (Encoding::Json, 1) => self.bytes.len() - 1,
            (Encoding::Json, _) => self.bytes.len() + 1,
            (Encoding::Msgpack, _) => self.bytes.len(),
        }
    }

    /// Whether there is no frame in it.
    pub fn is_empty(&self) -> bool {
        self.frames == 0
    }

    /// Gives back the room that growing left over. For frames that wait: those that are written at once are gone sooner.
    pub fn fit(&mut self) {
        // With room for the closing bracket.
        self.bytes.shrink_to(self.bytes.len() + 1);
    }

    /// The chunk, if there is a frame in it.
    pub fn finish(self, encoding: Encoding) -> Option<Chunk> {
        let ChunkWriter { mut bytes, frames, .. } = self;
        let chunk = |bytes| Chunk { bytes, frames };
        match (encoding, frames) {
            (_, 0) => None,
            (Encoding::Json, 1) => Some(chunk(bytes::Bytes::from(bytes).slice(1..))),
            (Encoding::Json, _) => {
                bytes.push(b']');
                Some(chunk(bytes.into()))
            }
            (Encoding::Msgpack, _) => Some(chunk(bytes.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(encoding: Encoding, count: u64) -> (ChunkWriter, usize) {
        let mut writer = ChunkWriter::default();
        let bytes = (1..=count).map(|id| writer.push(&ServerFrame::Pong { id }, encoding)).sum();
        (writer, bytes)
    }

    #[test]
    fn frames_stand_as_if_they_had_been_joined_and_their_bytes_add_up() {
        for encoding in Encoding::ALL {
            for count in 0..4 {
                let (writer, bytes) = written(encoding, count);
                let chunks: Vec<_> =
                    (1..=count).map(|id| Chunk::of(&ServerFrame::Pong { id }, encoding)).collect();
                let joined = Chunk::join(encoding, &chunks);
                assert_eq!((writer.len(encoding), bytes), (joined.bytes.len(), joined.bytes.len()));
                assert_eq!(writer.finish(encoding), (count > 0).then_some(joined), "{count} in {encoding:?}");
            }
        }
    }

    #[test]
    fn what_is_taken_back_leaves_no_trace() {
        for encoding in Encoding::ALL {
            for count in 0..4 {
                let (mut writer, bytes) = written(encoding, count);
                let pushed = writer.push(&ServerFrame::Pong { id: 1_000_000 }, encoding);
                writer.take_back(pushed, encoding);
                assert_eq!((writer.frames(), writer.len(encoding)), (u32::try_from(count).unwrap(), bytes));
                let (same, _) = written(encoding, count);
                assert_eq!(writer.finish(encoding), same.finish(encoding), "{count} in {encoding:?}");
            }
        }
    }
}

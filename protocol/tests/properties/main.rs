//! What holds for every frame, and for all bytes. A failure tells the seed and the smallest input found.

#![expect(clippy::expect_used, reason = "support of tests stands outside of test functions")]

#[path = "../describe/mod.rs"]
mod describe;
mod frames;
mod hostile;
mod lossless;
mod round_trip;

use proptest::strategy::Strategy;
use relay_protocol::{Chunk, ClientFrame, Data, Encoding, ServerFrame, decode_client, decode_server};

const FRAMES_MAX: usize = 64;

fn encoding() -> impl Strategy<Value = Encoding> {
    proptest::sample::select(&Encoding::ALL)
}

fn client_message(encoding: Encoding, frames: &[ClientFrame<'_>]) -> Vec<u8> {
    let chunks = frames.iter().map(|frame| chunk(|out| frame.encode(encoding, out))).collect::<Vec<_>>();
    Chunk::join(encoding, &chunks).bytes.to_vec()
}

fn server_message(encoding: Encoding, frames: &[ServerFrame<'_>]) -> Chunk {
    let chunks = frames.iter().map(|frame| chunk(|out| frame.encode(encoding, out))).collect::<Vec<_>>();
    Chunk::join(encoding, &chunks)
}

fn chunk(write: impl FnOnce(&mut Vec<u8>)) -> Chunk {
    let mut bytes = Vec::new();
    write(&mut bytes);
    Chunk::one(bytes)
}

fn whole(encoding: Encoding, data: &[u8]) -> Data<'_> {
    Data::new(encoding, data).expect("text of ours")
}

fn read_client(encoding: Encoding, data: &[u8]) -> Vec<ClientFrame<'_>> {
    let mut frames = Vec::new();
    let result = decode_client(whole(encoding, data), FRAMES_MAX, |frame| {
        frames.push(frame.expect("a frame of ours").clone());
    });
    assert_eq!(result, Ok(()));
    frames
}

fn read_server(encoding: Encoding, data: &[u8]) -> Vec<ServerFrame<'_>> {
    let mut frames = Vec::new();
    let result = decode_server(whole(encoding, data), FRAMES_MAX, |frame| {
        frames.push(frame.expect("a frame of ours").clone());
    });
    assert_eq!(result, Ok(()));
    frames
}

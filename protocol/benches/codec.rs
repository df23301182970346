//! What reading and writing a frame costs, in the forms that come by the million.

#![expect(clippy::unwrap_used, reason = "a benchmark has no one to tell")]

use divan::{Bencher, black_box};
use relay_protocol::client::Lane;
use relay_protocol::{Address, ClientFrame, Data, Encoding, Message, Payload, Send, ServerFrame};
use relay_protocol::{decode_client, decode_server};

fn main() {
    divan::main();
}

const SMALL: usize = 128;
const FRAMES_MAX: usize = 64;

fn text(bytes: usize) -> String {
    format!("\"{}\"", "x".repeat(bytes))
}

fn object(bytes: usize) -> String {
    format!(r#"{{"task":"summarise","text":"{}","tags":["a","b"],"n":17}}"#, "x".repeat(bytes))
}

fn address(text: &str) -> Address<'_> {
    Address::parse(text.into()).unwrap()
}

fn send(encoding: Encoding, payload: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let frame = Send::new(123_456, address("agent/worker-17"), Payload::Json(payload.into()));
    ClientFrame::Send(frame).encode(encoding, &mut out);
    out
}

fn decode(bencher: Bencher<'_, '_>, encoding: Encoding, data: &[u8]) {
    let data = Data::new(encoding, data).unwrap();
    bencher.bench_local(|| {
        decode_client(black_box(data), FRAMES_MAX, |frame| {
            black_box(&frame);
        })
    });
}

#[divan::bench(args = Encoding::ALL)]
fn decode_send_of_text(bencher: Bencher<'_, '_>, encoding: Encoding) {
    decode(bencher, encoding, &send(encoding, &text(SMALL)));
}

#[divan::bench(args = Encoding::ALL)]
fn decode_send_of_object(bencher: Bencher<'_, '_>, encoding: Encoding) {
    decode(bencher, encoding, &send(encoding, &object(SMALL)));
}

#[divan::bench(args = Encoding::ALL)]
fn decode_pong(bencher: Bencher<'_, '_>, encoding: Encoding) {
    let mut out = Vec::new();
    ClientFrame::Pong.encode(encoding, &mut out);
    decode(bencher, encoding, &out);
}

fn message(payload: &str) -> ServerFrame<'_> {
    ServerFrame::Message(Message {
        from: address("agent/worker-16"),
        session: address("session/worker-16~0123456789abcdefghijkl"),
        to: address("agent/worker-17"),
        ts: 1_795_000_000_000,
        payload: Payload::Json(payload.into()),
        mid: None,
        reply_to: None,
        correlation_id: None,
        deadline_ms: None,
        lane: Lane::Normal,
        key: None,
        headers: Vec::new(),
        position: None,
        redelivered: false,
    })
}

#[divan::bench(args = Encoding::ALL)]
fn encode_message(bencher: Bencher<'_, '_>, encoding: Encoding) {
    let payload = text(SMALL);
    let (message, mut out) = (message(&payload), Vec::with_capacity(1024));
    bencher.bench_local(|| {
        out.clear();
        black_box(&message).encode(encoding, &mut out);
    });
}

#[divan::bench(args = Encoding::ALL)]
fn decode_message(bencher: Bencher<'_, '_>, encoding: Encoding) {
    let (payload, mut out) = (text(SMALL), Vec::new());
    message(&payload).encode(encoding, &mut out);
    let data = Data::new(encoding, &out).unwrap();
    bencher.bench_local(|| {
        decode_server(black_box(data), FRAMES_MAX, |frame| {
            black_box(&frame);
        })
    });
}

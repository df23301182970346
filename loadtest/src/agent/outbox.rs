//! Frames on their way out of one agent: encoded at once, numbered, and optionally several to a WebSocket message.

use bytes::Bytes;
use relay_protocol::client::ReceiptMode;
use relay_protocol::{Address, Chunk, ClientFrame, Encoding, Payload, Send};
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

use crate::agent::dialect::Writer;
use crate::agent::socket::Socket;

/// The most frames that may wait; a sender that is behind goes on when the relay has taken some.
const WAITING_MAX: usize = 16_384;

/// What waits to be sent.
#[derive(Debug)]
pub struct Outbox {
    encoding: Encoding,
    /// At a server that speaks something else.
    writer: Option<Box<dyn Writer>>,
    batch: usize,
    message_bytes_max: usize,
    last_id: u64,
    waiting: Vec<Chunk>,
}

impl Outbox {
    pub(crate) fn new(encoding: Encoding, batch: usize) -> Outbox {
        Outbox {
            encoding,
            writer: None,
            batch: batch.max(1),
            message_bytes_max: usize::MAX,
            last_id: 0,
            waiting: Vec::new(),
        }
    }

    /// For a server that speaks something else.
    pub(crate) fn foreign(writer: Box<dyn Writer>, batch: usize) -> Outbox {
        let batch = batch.min(writer.batch_max());
        Outbox { writer: Some(writer), ..Outbox::new(Encoding::Json, batch) }
    }

    /// Keeps batches within what the relay takes.
    pub(crate) fn limit(&mut self, frames: usize, bytes: usize) {
        self.batch = self.batch.min(frames).max(1);
        self.message_bytes_max = bytes;
    }

    /// The id of the next command.
    pub fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    /// Queues a frame.
    pub fn push(&mut self, frame: &ClientFrame<'_>) {
        let mut bytes = Vec::with_capacity(128);
        match &mut self.writer {
            None => frame.encode(self.encoding, &mut bytes),
            Some(writer) => writer.write(frame, &mut bytes),
        }
        if !bytes.is_empty() {
            self.waiting.push(Chunk::one(bytes));
        }
    }

    /// Queues a `send`, to which `refine` may add.
    pub fn send<'a>(
        &mut self,
        id: u64,
        to: Address<'a>,
        payload: Payload<'a>,
        receipt: ReceiptMode,
        refine: impl FnOnce(&mut Send<'a>),
    ) {
        let mut send = Send::new(id, to, payload);
        send.receipt = receipt;
        refine(&mut send);
        self.push(&ClientFrame::Send(send));
    }

    /// Whether the relay has to take some before more is sent.
    pub fn is_full(&self) -> bool {
        self.waiting.len() >= WAITING_MAX
    }

    /// Hands what waits to the socket, `batch` frames to a message.
    pub(crate) fn hand_over(&mut self, socket: &mut Socket) {
        let mut rest = self.waiting.as_slice();
        while !rest.is_empty() {
            let (now, later) = rest.split_at(self.fitting(rest));
            socket.push(match &self.writer {
                None => message(self.encoding, Chunk::join(self.encoding, now).bytes),
                Some(writer) => writer.message(now),
            });
            rest = later;
        }
        self.waiting.clear();
    }

    /// How many of `chunks` go into the next message: at least one.
    fn fitting(&self, chunks: &[Chunk]) -> usize {
        let mut bytes = 2;
        let fits = |chunk: &&Chunk| {
            bytes += chunk.bytes.len() + 1;
            bytes <= self.message_bytes_max
        };
        chunks.iter().take(self.batch).take_while(fits).count().max(1)
    }
}

fn message(encoding: Encoding, bytes: Bytes) -> Message {
    match encoding {
        Encoding::Msgpack => Message::Binary(bytes),
        Encoding::Json => match Utf8Bytes::try_from(bytes.clone()) {
            Ok(text) => Message::Text(text),
            // Text that is none is sent as it is, for the relay to refuse.
            Err(_) => Message::Binary(bytes),
        },
    }
}

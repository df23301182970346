//! Frames over a socket: the WebSocket library with our limits, and every fault mapped to what the peer is told.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Sink as _, SinkExt as _, Stream as _};
use relay_protocol::{Chunk, CloseCode, Data, Encoding, limit};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::protocol::frame::FrameHeader;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode as WireCode;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data as OpData, OpCode};
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message, Utf8Bytes};

use crate::session::meter::{Abuse, FrameMeter};
use crate::session::wire::{Socket, Wire};

/// What the library may have of its own to write, a pong and a close: ours go past it.
const CONTROL_BYTES_MAX: usize = 1024;
/// A frame's header at its longest, without a mask.
const HEADER_BYTES_MAX: usize = 10;
/// A message from which on the buffers that held it are given back.
const LARGE_BYTES: usize = 8 * 1024;
/// The read buffer of a connection on which little comes: it holds the frames that an idle client sends.
const QUIET_READ_BUFFER_BYTES: usize = 512;
/// How long a peer may take to hear that it is over. Then the socket goes, heard or not.
const LINGER: Duration = Duration::from_secs(1);
/// What is read, to be thrown away, from a peer that goes on talking.
const LINGER_BYTES_MAX: usize = 1024 * 1024;

/// A WebSocket whose frames are in one encoding.
#[derive(Debug)]
pub(super) struct Transport<S> {
    socket: WebSocketStream<Wire<S>>,
    encoding: Encoding,
    busy_read_buffer_bytes: usize,
    message_bytes_max: usize,
    /// Buffers are larger than they are to be.
    had_large: bool,
    /// The read buffer is the small one.
    quiet: bool,
    /// The library may have a pong to write.
    answered: bool,
}

/// The frames of a WebSocket message.
#[derive(Debug)]
pub(super) enum Frames {
    Json(Utf8Bytes),
    Msgpack(Bytes),
}

impl Frames {
    /// To be decoded.
    pub(super) fn data(&self) -> Data<'_> {
        match self {
            Frames::Json(text) => Data::Json(text),
            Frames::Msgpack(bytes) => Data::Msgpack(bytes),
        }
    }

    /// Bytes.
    pub(super) fn len(&self) -> usize {
        match self {
            Frames::Json(text) => text.len(),
            Frames::Msgpack(bytes) => bytes.len(),
        }
    }
}

/// What came in.
#[derive(Debug)]
pub(super) enum Inbound {
    /// Frames.
    Frames(Frames),
    /// Something that only shows life.
    Life,
}

/// Why nothing more comes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// The peer closed, or went away.
    Gone,
    /// The peer broke a rule, and is to be told.
    Fault(CloseCode, &'static str),
}

impl<S: Socket> Transport<S> {
    /// A socket fresh from its upgrade: until [`Transport::allow`] it takes messages of a `hello`'s size.
    pub(super) async fn new(
        socket: S,
        encoding: Encoding,
        busy_read_buffer_bytes: usize,
        message_bytes_max: usize,
    ) -> Self {
        let meter = FrameMeter::new(limit::HELLO_BYTES_MAX);
        let config = config(busy_read_buffer_bytes, message_bytes_max);
        let wire = Wire::new(socket, meter, busy_read_buffer_bytes);
        let socket = WebSocketStream::from_raw_socket(wire, Role::Server, Some(config)).await;
        // What carried the `hello` and the `welcome` is given back like any large message.
        Transport {
            socket,
            encoding,
            busy_read_buffer_bytes,
            message_bytes_max,
            had_large: true,
            quiet: true,
            answered: false,
        }
    }

    /// Takes messages of full size from now on.
    pub(super) fn allow(&mut self) {
        self.socket.get_mut().meter.allow(self.message_bytes_max);
    }

    /// What the client speaks.
    pub(super) fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// The next thing that came in.
    pub(super) fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Result<Inbound, End>> {
        let wire = self.socket.get_mut();
        // The library clears its whole buffer before it finds that nothing is there to be read.
        if !wire.meter.has_message() && wire.socket.poll_read_ready(cx).is_pending() {
            return Poll::Pending;
        }
        let next = ready!(Pin::new(&mut self.socket).poll_next(cx));
        self.socket.get_mut().meter.take_message();
        let message = match next {
            None => return Poll::Ready(Err(End::Gone)),
            Some(Err(error)) => return Poll::Ready(Err(end_of(&error))),
            Some(Ok(message)) => message,
        };
        let frames = match (message, self.encoding) {
            (Message::Text(text), Encoding::Json) => Frames::Json(text),
            (Message::Binary(bytes), Encoding::Msgpack) => Frames::Msgpack(bytes),
            (Message::Text(_), Encoding::Msgpack) => {
                return Poll::Ready(Err(End::Fault(
                    CloseCode::WrongKind,
                    "text where MessagePack was agreed",
                )));
            }
            (Message::Binary(_), Encoding::Json) => {
                return Poll::Ready(Err(End::Fault(CloseCode::WrongKind, "binary where JSON was agreed")));
            }
            (Message::Close(_), _) => return Poll::Ready(Err(End::Gone)),
            (Message::Ping(_) | Message::Pong(_) | Message::Frame(_), _) => {
                self.answered = true;
                return Poll::Ready(Ok(Inbound::Life));
            }
        };
        self.had_large |= frames.len() > LARGE_BYTES;
        Poll::Ready(Ok(Inbound::Frames(frames)))
    }

    /// Whether something can be written; pending while the peer does not take what was written before.
    pub(super) fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), End>> {
        let wire = self.socket.get_mut();
        ready!(wire.poll_drain(cx)).map_err(|_| End::Gone)?;
        if wire.library_waits() {
            return Pin::new(&mut self.socket).poll_flush(cx).map_err(|_| End::Gone);
        }
        Poll::Ready(Ok(()))
    }

    /// Writes frames as one WebSocket message, and keeps what the socket does not take. To be called when ready.
    pub(super) fn write(&mut self, cx: &mut Context<'_>, chunk: Chunk) -> Result<(), End> {
        let kind = match self.encoding {
            Encoding::Json => OpData::Text,
            Encoding::Msgpack => OpData::Binary,
        };
        let header = FrameHeader { opcode: OpCode::Data(kind), ..FrameHeader::default() };
        let (mut room, length) = ([0; HEADER_BYTES_MAX], chunk.bytes.len() as u64);
        let mut left = &mut room[..];
        header.format(length, &mut left).map_err(|_| End::Gone)?;
        let header_bytes = HEADER_BYTES_MAX - left.len();
        self.socket.get_mut().write(cx, &room[..header_bytes], chunk.bytes).map_err(|_| End::Gone)
    }

    /// Writes frames as soon as it can.
    pub(super) async fn send(&mut self, chunk: Chunk) -> Result<(), End> {
        let mut chunk = Some(chunk);
        poll_fn(|cx| {
            ready!(self.poll_ready(cx))?;
            Poll::Ready(chunk.take().map_or(Ok(()), |chunk| self.write(cx, chunk)))
        })
        .await
    }

    /// Hands everything written to the socket.
    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), End>> {
        ready!(self.poll_ready(cx))?;
        if std::mem::take(&mut self.answered) {
            return Pin::new(&mut self.socket).poll_flush(cx).map_err(|_| End::Gone);
        }
        Poll::Ready(Ok(()))
    }

    /// To be called at each heartbeat: a connection that said no more than pongs since the last one is quiet.
    pub(super) fn rest(&mut self) {
        let read_bytes = std::mem::take(&mut self.socket.get_mut().read_bytes);
        if read_bytes <= QUIET_READ_BUFFER_BYTES && !self.quiet {
            (self.quiet, self.had_large) = (true, true);
        }
    }

    /// Whether buffers have another size than they should, and nothing is in them.
    pub(super) fn wants_refit(&mut self) -> bool {
        let wire = self.socket.get_mut();
        if !wire.meter.is_between_messages() {
            return false;
        }
        // More waited than the small buffer took at once, and that not for one large message.
        if std::mem::take(&mut wire.filled) && self.quiet && !self.had_large {
            (self.quiet, self.had_large) = (false, true);
        }
        self.had_large
    }

    /// Gives back the buffers that a large message left behind, as the library's never shrink, and takes some that fit
    /// what comes. To be called only when everything has been read and written that could be.
    pub(super) async fn refit(self) -> Self {
        let read_buffer_bytes = if self.quiet {
            QUIET_READ_BUFFER_BYTES.min(self.busy_read_buffer_bytes)
        } else {
            self.busy_read_buffer_bytes
        };
        let config = config(read_buffer_bytes, self.message_bytes_max);
        let socket =
            WebSocketStream::from_raw_socket(self.socket.into_inner(), Role::Server, Some(config)).await;
        Transport { socket, had_large: false, ..self }
    }

    /// Ends the connection: a last frame, the close code, and time to read them, within a bound.
    pub(super) async fn close(mut self, last: Chunk, code: CloseCode) {
        let farewell = async {
            if self.send(last).await.is_err() {
                return;
            }
            let frame = CloseFrame { code: WireCode::from(code.number()), reason: code.name().into() };
            if self.socket.send(Message::Close(Some(frame))).await.is_err() {
                return;
            }
            // Closed with unread bytes, the socket would be reset and the peer might never see the code.
            let mut socket = self.socket.into_inner().socket;
            let _ = socket.shutdown().await;
            let mut scratch = vec![0; 4 * 1024];
            let mut left = LINGER_BYTES_MAX;
            while let Ok(read @ 1..) = socket.read(&mut scratch).await {
                left = left.saturating_sub(read);
                if left == 0 {
                    break;
                }
            }
        };
        let _ = tokio::time::timeout(LINGER, farewell).await;
    }
}

fn config(read_buffer_bytes: usize, message_bytes_max: usize) -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(read_buffer_bytes)
        .write_buffer_size(0)
        .max_write_buffer_size(CONTROL_BYTES_MAX)
        .max_message_size(Some(message_bytes_max))
        .max_frame_size(Some(message_bytes_max))
}

fn end_of(error: &Error) -> End {
    match error {
        Error::Capacity(_) => End::Fault(CloseCode::TooLarge, "WebSocket message over the limit"),
        Error::Utf8(_) => End::Fault(CloseCode::InvalidUtf8, "text that is not UTF-8"),
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => End::Gone,
        Error::Protocol(_) => End::Fault(CloseCode::ProtocolError, "WebSocket framing is broken"),
        Error::Io(error) => match error.get_ref().and_then(|inner| inner.downcast_ref::<Abuse>()) {
            Some(Abuse::ControlFrames) => {
                End::Fault(CloseCode::RateLimited, "too many WebSocket control frames")
            }
            Some(Abuse::Fragments) => End::Fault(CloseCode::TooLarge, "too many fragments"),
            Some(Abuse::TooLarge) => End::Fault(CloseCode::TooLarge, "WebSocket message over the limit"),
            None => End::Gone,
        },
        _ => End::Gone,
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use futures_util::{FutureExt as _, SinkExt as _, StreamExt as _};
    use tokio::io::{DuplexStream, duplex};

    use super::*;
    use crate::session::wire::COPIED_BYTES_MAX;

    /// What the pipe holds: less than any frame here.
    const PIPE_BYTES: usize = 100;
    /// What is never heard fails a test after this.
    const PATIENCE: Duration = Duration::from_secs(10);
    const READ_BUFFER_BYTES: usize = 512;

    async fn pair() -> (Transport<DuplexStream>, WebSocketStream<DuplexStream>) {
        let (here, there) = duplex(PIPE_BYTES);
        let mut transport = Transport::new(here, Encoding::Json, READ_BUFFER_BYTES, 1 << 20).await;
        transport.allow();
        (transport, WebSocketStream::from_raw_socket(there, Role::Client, None).await)
    }

    fn chunk(bytes: usize) -> Chunk {
        Chunk::one("x".repeat(bytes))
    }

    #[tokio::test]
    async fn a_pong_stands_behind_the_frames_that_the_socket_did_not_take_and_before_later_ones() {
        let sizes = [200, 2 * COPIED_BYTES_MAX, 0, 126, 70_000];
        for first in sizes {
            let (mut transport, mut client) = pair().await;
            for bytes in [first, 300] {
                poll_fn(|cx| Poll::Ready(transport.write(cx, chunk(bytes)))).await.unwrap();
            }
            client.send(Message::Ping(Bytes::from_static(b"now"))).await.unwrap();
            // There is room again when the library wants to answer.
            let early = client.next().now_or_never().map(|heard| heard.unwrap().unwrap());
            let came = poll_fn(|cx| transport.poll_read(cx)).await;
            assert!(matches!(came, Ok(Inbound::Life)), "{came:?}");
            poll_fn(|cx| Poll::Ready(transport.poll_read(cx).is_pending())).await;
            let served = async {
                transport.send(chunk(400)).await.unwrap();
                poll_fn(|cx| transport.poll_flush(cx)).await.unwrap();
            };
            let heard = async {
                let mut heard: Vec<_> = early.into_iter().collect();
                while heard.len() < 4 {
                    heard.push(client.next().await.unwrap().unwrap());
                }
                heard
            };
            let ((), heard) = tokio::join!(served, heard);
            let lengths: Vec<usize> =
                heard.iter().filter(|message| message.is_text()).map(Message::len).collect();
            assert_eq!(lengths, [first, 300, 400]);
            assert_eq!(heard.iter().filter(|message| message.is_pong()).count(), 1);
        }
    }

    #[tokio::test]
    async fn a_frame_waits_for_a_pong_that_is_half_written() {
        let (mut transport, mut client) = pair().await;
        // With its header of two bytes, all but two of the pipe's.
        poll_fn(|cx| Poll::Ready(transport.write(cx, chunk(PIPE_BYTES - 4)))).await.unwrap();
        client.send(Message::Ping(Bytes::from_static(b"now"))).await.unwrap();
        poll_fn(|cx| transport.poll_read(cx)).await.unwrap();
        poll_fn(|cx| Poll::Ready(transport.poll_read(cx).is_pending())).await;
        let heard = async {
            let mut heard = Vec::new();
            while heard.len() < 3 {
                heard.push(client.next().await.unwrap().unwrap());
            }
            heard
        };
        let both = async { tokio::join!(transport.send(chunk(50)), heard) };
        let (sent, heard) = tokio::time::timeout(PATIENCE, both).await.unwrap();
        sent.unwrap();
        let kinds: Vec<_> = heard.iter().map(|message| (message.is_pong(), message.len())).collect();
        assert_eq!(kinds, [(false, PIPE_BYTES - 4), (true, 3), (false, 50)]);
    }

    #[tokio::test]
    async fn what_came_at_once_is_read_whole_however_small_the_buffer() {
        let (here, mut there) = duplex(1 << 20);
        let mut transport = Transport::new(here, Encoding::Json, 4_096, 1 << 20).await;
        transport.allow();
        let mut client = WebSocketStream::from_raw_socket(&mut there, Role::Client, None).await;
        let sizes = [10, 3_000, 1, 5_000, 70_000, 20, 4_096, 600];
        for bytes in sizes {
            client.send(Message::text("y".repeat(bytes))).await.unwrap();
        }
        for bytes in sizes {
            let came = poll_fn(|cx| transport.poll_read(cx)).await;
            let Ok(Inbound::Frames(frames)) = came else { panic!("{came:?}") };
            assert_eq!(frames.len(), bytes);
        }
    }
}

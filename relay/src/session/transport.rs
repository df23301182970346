//! Frames over a socket: the WebSocket library with our limits, and every fault mapped to what the peer is told.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Sink as _, SinkExt as _, Stream as _};
use relay_protocol::{Chunk, CloseCode, Data, Encoding, limit};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode as WireCode;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data as OpData, OpCode};
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message, Utf8Bytes};

use crate::session::meter::{Abuse, FrameMeter};

/// What a socket is.
pub trait Socket: AsyncRead + AsyncWrite + Unpin + Send + 'static {
    /// Pending where a read would be, for less. Ready where that is not known.
    fn poll_read_ready(&mut self, cx: &mut Context<'_>) -> Poll<()>;
}

/// Lazily grown, so it costs nothing while idle; bursts of small messages run four times as fast as with 2 KiB.
const WRITE_BUFFER_BYTES: usize = 16 * 1024;
/// Above the largest message that is ever written: at or below the write buffer the library panics.
const WRITE_BUFFER_BYTES_MAX: usize = 2 * limit::message_bytes_max(limit::PAYLOAD_BYTES_MAX);
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
    socket: WebSocketStream<Metered<S>>,
    encoding: Encoding,
    busy_read_buffer_bytes: usize,
    message_bytes_max: usize,
    /// Buffers are larger than they are to be.
    had_large: bool,
    /// The read buffer is the small one.
    quiet: bool,
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
        let metered = Metered { socket, meter, filled: false, read_bytes: 0 };
        let config = config(busy_read_buffer_bytes, message_bytes_max);
        let socket = WebSocketStream::from_raw_socket(metered, Role::Server, Some(config)).await;
        // What carried the `hello` and the `welcome` is given back like any large message.
        Transport {
            socket,
            encoding,
            busy_read_buffer_bytes,
            message_bytes_max,
            had_large: true,
            quiet: true,
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
        let metered = self.socket.get_mut();
        // The library clears its whole buffer before it finds that nothing is there to be read.
        if !metered.meter.has_message() && metered.socket.poll_read_ready(cx).is_pending() {
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
                return Poll::Ready(Ok(Inbound::Life));
            }
        };
        self.had_large |= frames.len() > LARGE_BYTES;
        Poll::Ready(Ok(Inbound::Frames(frames)))
    }

    /// Whether something can be written; pending while the peer does not take what was written before.
    pub(super) fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), End>> {
        Pin::new(&mut self.socket).poll_ready(cx).map_err(|_| End::Gone)
    }

    /// Writes frames as one WebSocket message. To be called when ready.
    pub(super) fn write(&mut self, chunk: Chunk) -> Result<(), End> {
        self.had_large |= chunk.bytes.len() > LARGE_BYTES;
        // A frame and not a text: that text is UTF-8 was seen to where it came in, and is not looked at for each recipient.
        let kind = match self.encoding {
            Encoding::Json => OpData::Text,
            Encoding::Msgpack => OpData::Binary,
        };
        let frame = Frame::message(chunk.bytes, OpCode::Data(kind), true);
        Pin::new(&mut self.socket).start_send(Message::Frame(frame)).map_err(|_| End::Gone)
    }

    /// Hands everything written to the socket.
    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), End>> {
        Pin::new(&mut self.socket).poll_flush(cx).map_err(|_| End::Gone)
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
        let metered = self.socket.get_mut();
        // More waited than the small buffer took at once.
        if std::mem::take(&mut metered.filled) && self.quiet {
            (self.quiet, self.had_large) = (false, true);
        }
        self.had_large && self.socket.get_ref().meter.is_between_messages()
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
            if std::future::poll_fn(|cx| self.poll_ready(cx)).await.is_err() || self.write(last).is_err() {
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
        .write_buffer_size(WRITE_BUFFER_BYTES)
        .max_write_buffer_size(WRITE_BUFFER_BYTES_MAX)
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

/// A socket whose incoming framing is watched.
#[derive(Debug)]
struct Metered<S> {
    socket: S,
    meter: FrameMeter,
    /// A read took all that the buffer could hold.
    filled: bool,
    /// Read since the last heartbeat.
    read_bytes: usize,
}

impl<S: Socket> AsyncRead for Metered<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        ready!(Pin::new(&mut this.socket).poll_read(cx, buf))?;
        this.filled |= buf.remaining() == 0;
        let read = &buf.filled()[before..];
        this.read_bytes += read.len();
        let fed = this.meter.feed(read);
        Poll::Ready(fed.map_err(|abuse| io::Error::new(io::ErrorKind::InvalidData, abuse)))
    }
}

impl<S: Socket> AsyncWrite for Metered<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().socket).poll_write(cx, data)
    }
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_flush(cx)
    }
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_shutdown(cx)
    }
}

//! A WebSocket of which many messages are fed before one flush, and which is read while it cannot be written.
//!
//! Sends are queued first and written by polling, so that no message is lost when a caller stops waiting in the middle,
//! and a peer that stops reading until it is read from cannot lock both ends.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::net::{IpAddr, SocketAddr};
use std::task::{Context, Poll, ready};

use futures_util::{SinkExt, StreamExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::tungstenite::handshake::client::{Request, Response};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use crate::agent::ended::{ConnectError, Ended};

/// The smallest read buffer that serves small messages well; thousands of agents share a process.
const READ_BUFFER_BYTES: usize = 4 * 1024;
/// Written when full or flushed; it costs nothing while idle.
const WRITE_BUFFER_BYTES: usize = 16 * 1024;
/// The largest message taken or sent: 64 frames of 1 MiB in base64.
const MESSAGE_BYTES_MAX: usize = 96 * 1024 * 1024;

/// The most messages read before what they caused is flushed.
pub(crate) const READ_MAX: usize = 64;

/// A client's WebSocket.
#[derive(Debug)]
pub struct Socket {
    stream: WebSocketStream<TcpStream>,
    waiting: VecDeque<Message>,
    unflushed: bool,
}

impl Socket {
    /// Connects to `address`, from `source` if one is given, with a receive buffer of that size, and upgrades.
    pub async fn open(
        address: SocketAddr,
        source: Option<IpAddr>,
        receive_buffer: Option<u32>,
        request: Request,
    ) -> Result<(Socket, Response), ConnectError> {
        let tcp = connect(address, source, receive_buffer).await.map_err(ConnectError::Tcp)?;
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER_BYTES)
            .write_buffer_size(WRITE_BUFFER_BYTES)
            .max_write_buffer_size(WRITE_BUFFER_BYTES + MESSAGE_BYTES_MAX)
            .max_message_size(Some(MESSAGE_BYTES_MAX))
            .max_frame_size(Some(MESSAGE_BYTES_MAX));
        let (stream, response) =
            client_async_with_config(request, tcp, Some(config)).await.map_err(refusal)?;
        Ok((Socket { stream, waiting: VecDeque::new(), unflushed: false }, response))
    }

    /// Queues a message; [`Socket::poll_write`] writes it.
    pub fn push(&mut self, message: Message) {
        self.waiting.push_back(message);
    }

    /// Feeds what waits and flushes once; pending while the peer does not take it.
    pub fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Ended>> {
        while !self.waiting.is_empty() {
            ready!(self.stream.poll_ready_unpin(cx))?;
            if let Some(message) = self.waiting.pop_front() {
                self.stream.start_send_unpin(message)?;
                self.unflushed = true;
            }
        }
        if self.unflushed {
            ready!(self.stream.poll_flush_unpin(cx))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    /// The next message, a close frame among them.
    pub fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Result<Message, Ended>> {
        match ready!(self.stream.poll_next_unpin(cx)) {
            Some(message) => Poll::Ready(message.map_err(Ended::from)),
            None => Poll::Ready(Err(Ended::broken("closed"))),
        }
    }

    /// Writes what waits, until something comes; `each` is called for every message that can be read.
    pub async fn receive(&mut self, mut each: impl FnMut()) -> Result<(), Ended> {
        poll_fn(|cx| {
            // What cannot be written is written later; a broken socket shows in reading.
            let _ = self.poll_write(cx);
            let mut received = 0;
            while received < READ_MAX {
                match self.poll_read(cx) {
                    Poll::Ready(Ok(_)) => {
                        received += 1;
                        each();
                    }
                    Poll::Ready(Err(ended)) => return Poll::Ready(Err(ended)),
                    Poll::Pending if received == 0 => return Poll::Pending,
                    Poll::Pending => break,
                }
            }
            Poll::Ready(Ok(()))
        })
        .await
    }
}

/// Many sources get past the ephemeral ports of one; `SO_REUSEADDR` past those still in `TIME_WAIT`.
async fn connect(
    address: SocketAddr,
    source: Option<IpAddr>,
    receive_buffer: Option<u32>,
) -> std::io::Result<TcpStream> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    if let Some(bytes) = receive_buffer {
        socket.set_recv_buffer_size(bytes)?;
    }
    if let Some(source) = source {
        socket.set_reuseaddr(true)?;
        socket.bind(SocketAddr::new(source, 0))?;
    }
    let stream = socket.connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

fn refusal(error: tungstenite::Error) -> ConnectError {
    match error {
        tungstenite::Error::Http(response) => {
            let retry_after = response.headers().get("retry-after").and_then(|value| value.to_str().ok());
            ConnectError::Refused {
                status: response.status().as_u16(),
                retry_after_s: retry_after.and_then(|text| text.parse().ok()),
            }
        }
        error => ConnectError::Upgrade(error),
    }
}

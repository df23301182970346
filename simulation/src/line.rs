//! A client's connection: frames over a socket that never leaves the process.

use futures_util::{SinkExt as _, StreamExt as _};
use relay_protocol::{ClientFrame, Data, Encoding, ServerFrame, decode_server};
use tokio::io::DuplexStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;

/// More than a relay puts into one WebSocket message.
const FRAMES_MAX: usize = 100_000;

/// A connection.
#[derive(Debug)]
pub(crate) struct Line {
    socket: WebSocketStream<DuplexStream>,
    encoding: Encoding,
    last_id: u64,
}

/// What came in one WebSocket message.
#[derive(Debug)]
pub(crate) struct Heard {
    encoding: Encoding,
    bytes: bytes::Bytes,
}

/// The connection is over, by this close code if by any.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Over(pub(crate) Option<u16>);

impl Heard {
    /// Hands over each frame.
    pub(crate) fn each(&self, mut each: impl FnMut(&ServerFrame<'_>)) {
        let data = match Data::new(self.encoding, &self.bytes) {
            Ok(data) => data,
            Err(error) => panic!("the relay wrote what is no text: {error:?}"),
        };
        let mut wrong = None;
        let decoded = decode_server(data, FRAMES_MAX, |frame| match frame {
            Ok(frame) => each(frame),
            Err(error) => wrong = Some(format!("{error:?}")),
        });
        assert!(decoded.is_ok() && wrong.is_none(), "the relay wrote {wrong:?} {decoded:?}");
    }
}

impl Line {
    pub(crate) async fn new(socket: DuplexStream, encoding: Encoding) -> Line {
        let socket = WebSocketStream::from_raw_socket(socket, Role::Client, None).await;
        Line { socket, encoding, last_id: 0 }
    }

    pub(crate) fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    /// Writes frames in one WebSocket message each. A relay that reads nothing is waited for.
    pub(crate) async fn write(&mut self, frames: &[ClientFrame<'_>]) -> Result<(), Over> {
        for frame in frames {
            let mut bytes = Vec::new();
            frame.encode(self.encoding, &mut bytes);
            let message = match self.encoding {
                Encoding::Json => Message::text(String::from_utf8_lossy(&bytes).into_owned()),
                Encoding::Msgpack => Message::binary(bytes),
            };
            self.socket.feed(message).await.map_err(|_| Over(None))?;
        }
        self.socket.flush().await.map_err(|_| Over(None))
    }

    /// The next frames. Dropped, nothing is lost.
    pub(crate) async fn read(&mut self) -> Result<Heard, Over> {
        loop {
            let bytes = match self.socket.next().await {
                Some(Ok(Message::Text(text))) => text.into(),
                Some(Ok(Message::Binary(bytes))) => bytes,
                Some(Ok(Message::Close(frame))) => return Err(Over(frame.map(|frame| frame.code.into()))),
                Some(Ok(_)) => continue,
                Some(Err(_)) | None => return Err(Over(None)),
            };
            return Ok(Heard { encoding: self.encoding, bytes });
        }
    }
}

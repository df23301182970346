//! The floor of fan-out: what one socket sends is framed once and written to all others, a write for each with all that came
//! together. It knows no topics, no queues and no slow sockets: whoever does not read holds up all.

use std::sync::Arc;

use bytes::{BufMut, BytesMut};
use futures_util::{FutureExt, StreamExt};
use parking_lot::Mutex;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};

use crate::floor::raw::{self, Upgraded};

/// Where the publisher connects; all others listen.
pub(super) const PUBLISH_PATH: &str = "/publish";
/// Messages of one write, as many as the relay's sessions take at a time at most.
const BATCH_MAX: usize = 256;

/// A final text message.
const TEXT: u8 = 0x81;
const LENGTH_OF_16_BITS: u8 = 126;
const LENGTH_OF_64_BITS: u8 = 127;

/// Those who listen and have not been written to yet.
type Room = Arc<Mutex<Vec<TcpStream>>>;

/// Accepts until the process ends.
pub(super) async fn serve(listener: TcpListener) -> anyhow::Result<()> {
    let room = Room::default();
    let talk = move |upgraded: Upgraded| {
        let room = Arc::clone(&room);
        async move {
            if upgraded.path == PUBLISH_PATH {
                publish(upgraded, &room).await;
            } else {
                room.lock().push(upgraded.stream);
            }
        }
    };
    raw::serve(listener, talk).await
}

async fn publish(upgraded: Upgraded, room: &Room) {
    let mut publisher = upgraded.socket(None).await;
    let (mut listeners, mut batch) = (Vec::new(), BytesMut::new());
    while let Some(Ok(message)) = publisher.next().await {
        frame(&message.into_data(), &mut batch);
        let mut framed = 1;
        while framed < BATCH_MAX
            && let Some(Some(Ok(message))) = publisher.next().now_or_never()
        {
            frame(&message.into_data(), &mut batch);
            framed += 1;
        }
        listeners.append(&mut room.lock());
        for listener in &mut listeners {
            // One that left is no concern of the floor.
            let _ = listener.write_all(&batch).await;
        }
        batch.clear();
    }
}

fn frame(payload: &[u8], out: &mut BytesMut) {
    out.put_u8(TEXT);
    if let Ok(length @ 0..LENGTH_OF_16_BITS) = u8::try_from(payload.len()) {
        out.put_u8(length);
    } else if let Ok(length) = u16::try_from(payload.len()) {
        out.put_u8(LENGTH_OF_16_BITS);
        out.put_u16(length);
    } else {
        out.put_u8(LENGTH_OF_64_BITS);
        out.put_u64(payload.len() as u64);
    }
    out.put_slice(payload);
}

#[cfg(test)]
mod tests {
    use tokio_tungstenite::WebSocketStream;
    use tokio_tungstenite::tungstenite::protocol::Role;

    use super::*;

    #[tokio::test]
    async fn frames_are_read_as_they_were_written_at_every_size() {
        let (mut written, read) = tokio::io::duplex(1 << 20);
        let mut socket = WebSocketStream::from_raw_socket(read, Role::Client, None).await;
        for bytes in [0, 125, 126, 65_535, 65_536] {
            let (text, mut out) = ("x".repeat(bytes), BytesMut::new());
            frame(text.as_bytes(), &mut out);
            written.write_all(&out).await.unwrap();
            assert_eq!(socket.next().await.unwrap().unwrap().into_text().unwrap(), text);
        }
    }
}

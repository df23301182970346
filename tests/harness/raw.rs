//! A WebSocket client that sends whatever bytes it is told, and reports how the relay ended it.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::http::{self, Response};

/// Longer than any time-out of the relay that a test waits for.
const END_TIMEOUT: Duration = Duration::from_secs(30);
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
const CLOSE: u8 = 8;

/// The first byte of a whole text message.
pub const TEXT: u8 = 0x81;
/// The first byte of a whole binary message.
pub const BINARY: u8 = 0x82;
/// The first byte of a ping.
pub const PING: u8 = 0x89;

/// A connection, upgraded or not.
#[derive(Debug)]
pub struct Raw {
    /// The socket.
    pub stream: TcpStream,
    unread: Vec<u8>,
}

/// How the relay ended a connection.
#[derive(Debug, Default)]
pub struct Farewell {
    /// The number in its close frame.
    pub code: Option<u16>,
    /// All text and binary messages, one after another.
    pub said: String,
    /// Messages in it.
    pub messages: usize,
}

impl Raw {
    /// Connects and asks for an upgrade with further header lines, each ending in CRLF.
    pub async fn ask(address: SocketAddr, headers: &str) -> anyhow::Result<(Raw, Response)> {
        let mut stream = TcpStream::connect(address).await?;
        let request = format!("{}{headers}\r\n", upgrade_head(address));
        stream.write_all(request.as_bytes()).await?;
        let mut unread = Vec::new();
        let answer = tokio::time::timeout(END_TIMEOUT, http::read(&mut stream, &mut unread)).await;
        let answer = answer.context("no answer")?.context("closed without an answer")?;
        Ok((Raw { stream, unread }, answer))
    }

    /// An upgraded connection that speaks `subprotocol`.
    pub async fn upgraded(address: SocketAddr, subprotocol: &str) -> anyhow::Result<Raw> {
        let (raw, answer) = Raw::ask(address, &format!("Sec-WebSocket-Protocol: {subprotocol}\r\n")).await?;
        ensure!(answer.status == 101, "not upgraded: {answer:?}");
        ensure!(answer.header("sec-websocket-protocol") == Some(subprotocol), "{answer:?}");
        Ok(raw)
    }

    /// An upgraded JSON connection that has been welcomed.
    pub async fn welcomed(address: SocketAddr, token: &str) -> anyhow::Result<Raw> {
        let mut raw = Raw::upgraded(address, "agent-relay.v1.json").await?;
        raw.send(&frame(TEXT, hello(token).as_bytes())).await?;
        let (_, welcome) = raw.next().await?.context("no welcome")?;
        let welcome = String::from_utf8_lossy(&welcome).into_owned();
        ensure!(welcome.contains("\"welcome\""), "not welcomed: {welcome}");
        Ok(raw)
    }

    /// Writes bytes; that the relay has closed already shows in what it says.
    pub async fn send(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        let written = tokio::time::timeout(END_TIMEOUT, self.stream.write_all(bytes)).await;
        drop(written.context("the relay neither reads nor closes")?);
        Ok(())
    }

    /// The next frame: its opcode and payload. Nothing once the relay has closed.
    pub async fn next(&mut self) -> anyhow::Result<Option<(u8, Vec<u8>)>> {
        loop {
            if let Some((opcode, from, to)) = extent(&self.unread) {
                let payload = self.unread[from..to].to_vec();
                self.unread.drain(..to);
                return Ok(Some((opcode, payload)));
            }
            let read = tokio::time::timeout(END_TIMEOUT, self.stream.read_buf(&mut self.unread)).await;
            match read.context("the relay neither speaks nor closes")? {
                Ok(1..) => {}
                Ok(0) | Err(_) => return Ok(None),
            }
        }
    }

    /// Reads until the relay has ended the connection.
    pub async fn farewell(mut self) -> anyhow::Result<Farewell> {
        let mut farewell = Farewell::default();
        while let Some((opcode, payload)) = self.next().await? {
            match opcode {
                CLOSE => farewell.code = payload.first_chunk().map(|code| u16::from_be_bytes(*code)),
                1 | 2 => {
                    farewell.messages += 1;
                    farewell.said.push_str(&String::from_utf8_lossy(&payload));
                }
                _ => {}
            }
        }
        Ok(farewell)
    }
}

/// The head of an upgrade but for its end.
pub fn upgrade_head(address: SocketAddr) -> String {
    format!(
        "GET /ws HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    )
}

/// A `hello`.
pub fn hello(token: &str) -> String {
    format!(r#"{{"type":"hello","id":1,"token":"{token}"}}"#)
}

/// A masked frame with this first byte.
pub fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    match payload.len() {
        length @ 0..=125 => bytes.push(0x80 | u8::try_from(length).unwrap_or_default()),
        length @ 126..=65_535 => {
            bytes.push(0xfe);
            bytes.extend(u16::try_from(length).unwrap_or_default().to_be_bytes());
        }
        length => {
            bytes.push(0xff);
            bytes.extend((length as u64).to_be_bytes());
        }
    }
    bytes.extend(MASK);
    bytes.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    bytes
}

/// The opcode of the first frame, and where its payload is, if all of it is there.
fn extent(bytes: &[u8]) -> Option<(u8, usize, usize)> {
    let (first, second) = (*bytes.first()?, *bytes.get(1)?);
    let (from, length) = match second & 0x7f {
        126 => (4, u64::from(u16::from_be_bytes(*bytes.get(2..)?.first_chunk()?))),
        127 => (10, u64::from_be_bytes(*bytes.get(2..)?.first_chunk()?)),
        short => (2, u64::from(short)),
    };
    let to = from + usize::try_from(length).ok()?;
    (bytes.len() >= to).then_some((first & 0x0f, from, to))
}

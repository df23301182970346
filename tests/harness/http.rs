//! Plain requests and their answers, written and read by hand: a client library would hide what is tested.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Longer than the relay takes for anything before an upgrade.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The status.
    pub status: u16,
    /// Status line and headers.
    pub head: String,
    /// The body.
    pub body: String,
}

impl Response {
    /// A header, by its name in small letters.
    pub fn header(&self, name: &str) -> Option<&str> {
        let headers = self.head.lines().filter_map(|line| line.split_once(':'));
        headers.into_iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }
}

/// Asks for a path.
pub async fn get(address: SocketAddr, path: &str) -> anyhow::Result<Response> {
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    let answer = ask(address, request.as_bytes()).await?;
    answer.with_context(|| format!("{path}: closed without an answer"))
}

/// Sends bytes and reads the answer, if the peer gives one before it closes.
pub async fn ask(address: SocketAddr, request: &[u8]) -> anyhow::Result<Option<Response>> {
    let mut stream = TcpStream::connect(address).await?;
    // What refuses a request may close before it has read all of it.
    let _ = stream.write_all(request).await;
    let mut rest = Vec::new();
    let response = tokio::time::timeout(ANSWER_TIMEOUT, read(&mut stream, &mut rest)).await;
    response.context("no answer, and not closed either")
}

/// Reads an answer; what comes behind it stays in `buffer`.
pub async fn read(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<Response> {
    let end = loop {
        if let Some(at) = find(buffer, b"\r\n\r\n") {
            break at + 4;
        }
        more(stream, buffer).await?;
    };
    let head = String::from_utf8_lossy(&buffer[..end]).into_owned();
    let status = head.split_ascii_whitespace().nth(1)?.parse().ok()?;
    let mut response = Response { status, head, body: String::new() };
    buffer.drain(..end);
    let length = response.header("content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
    while buffer.len() < length {
        more(stream, buffer).await?;
    }
    response.body = String::from_utf8_lossy(&buffer[..length]).into_owned();
    buffer.drain(..length);
    Some(response)
}

async fn more(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<()> {
    match stream.read_buf(buffer).await {
        Ok(1..) => Some(()),
        Ok(0) | Err(_) => None,
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

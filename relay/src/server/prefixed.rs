//! A socket of which something has been read already.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf as _, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::session::Socket;

/// First the bytes that were read with the request's head, then the socket.
#[derive(Debug)]
pub(super) struct Prefixed {
    // Kept when it has been read, hyper's 8 KiB would stay for the connection's life; boxed, as it is rarely there.
    prefix: Option<Box<Bytes>>,
    socket: TcpStream,
}

impl Prefixed {
    pub(super) fn new(prefix: Bytes, socket: TcpStream) -> Prefixed {
        Prefixed { prefix: (!prefix.is_empty()).then(|| Box::new(prefix)), socket }
    }
}

impl AsyncRead for Prefixed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Some(prefix) = &mut self.prefix else {
            return Pin::new(&mut self.socket).poll_read(cx, buf);
        };
        let taken = prefix.len().min(buf.remaining());
        buf.put_slice(&prefix[..taken]);
        prefix.advance(taken);
        if prefix.is_empty() {
            self.prefix = None;
        }
        Poll::Ready(Ok(()))
    }
}

impl Socket for Prefixed {
    fn poll_read_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.prefix.is_some() {
            return Poll::Ready(());
        }
        // An error shows itself to the read that follows.
        self.socket.poll_read_ready(cx).map(drop)
    }
}

impl AsyncWrite for Prefixed {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(cx, data)
    }
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write_vectored(cx, parts)
    }
    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

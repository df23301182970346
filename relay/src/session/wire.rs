//! The bytes under a WebSocket: what comes in is watched, and frames go out from where they lie, shared by all their
//! recipients, without a copy for each. The library's own frames, pongs and closes, never stand inside of one.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::session::meter::FrameMeter;

/// A frame up to this size is copied behind its header: a write of one part costs less than one of two.
pub(super) const COPIED_BYTES_MAX: usize = 8 * 1024;

thread_local! {
    /// Where a thread reads for all its sockets: memory in its cache, and none for each socket.
    static COMING: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    /// Where it writes.
    static GOING: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// What a socket is.
pub trait Socket: AsyncRead + AsyncWrite + Unpin + Send + 'static {
    /// Pending where a read would be, for less. Ready where that is not known.
    fn poll_read_ready(&mut self, cx: &mut Context<'_>) -> Poll<()>;
}

/// A socket, in between.
#[derive(Debug)]
pub(super) struct Wire<S> {
    pub(super) socket: S,
    pub(super) meter: FrameMeter,
    /// More came at once than there was room for.
    pub(super) filled: bool,
    /// Read since the last heartbeat.
    pub(super) read_bytes: usize,
    /// At most so much is read at once, however little the library has room for: it asks for what its buffer has left.
    read_bytes_max: usize,
    /// What it had no room for.
    unread: Bytes,
    /// What the socket did not take yet.
    unwritten: VecDeque<Bytes>,
    /// The library has begun a frame that the socket did not take whole.
    library_waits: bool,
}

impl<S: Socket> Wire<S> {
    pub(super) fn new(socket: S, meter: FrameMeter, read_bytes_max: usize) -> Wire<S> {
        Wire {
            socket,
            meter,
            filled: false,
            read_bytes: 0,
            read_bytes_max,
            unread: Bytes::new(),
            unwritten: VecDeque::new(),
            library_waits: false,
        }
    }

    /// Whether the library has to finish a frame before another can begin.
    pub(super) fn library_waits(&self) -> bool {
        self.library_waits
    }

    /// Writes a frame; what the socket does not take is kept. Not to be called while the library waits.
    pub(super) fn write(&mut self, cx: &mut Context<'_>, header: &[u8], payload: Bytes) -> io::Result<()> {
        let (mut header, mut payload) = (header, payload);
        while self.unwritten.is_empty() {
            let Poll::Ready(written) = self.poll_write_both(cx, header, &payload) else { break };
            let written = some(written?)?;
            let of_header = written.min(header.len());
            header = &header[of_header..];
            payload.advance(written - of_header);
            if header.is_empty() && payload.is_empty() {
                return Ok(());
            }
        }
        if !header.is_empty() {
            self.unwritten.push_back(Bytes::copy_from_slice(header));
        }
        self.unwritten.push_back(payload);
        Ok(())
    }

    fn poll_write_both(
        &mut self,
        cx: &mut Context<'_>,
        header: &[u8],
        payload: &[u8],
    ) -> Poll<io::Result<usize>> {
        let socket = Pin::new(&mut self.socket);
        if payload.len() > COPIED_BYTES_MAX {
            return socket.poll_write_vectored(cx, &[IoSlice::new(header), IoSlice::new(payload)]);
        }
        GOING.with_borrow_mut(|scratch| {
            scratch.clear();
            scratch.extend_from_slice(header);
            scratch.extend_from_slice(payload);
            socket.poll_write(cx, scratch)
        })
    }

    /// Writes what is kept.
    pub(super) fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(first) = self.unwritten.front_mut() {
            if !first.is_empty() {
                let written = ready!(Pin::new(&mut self.socket).poll_write(cx, first))?;
                first.advance(some(written)?);
            }
            if first.is_empty() {
                self.unwritten.pop_front();
            }
        }
        if self.unwritten.capacity() > 0 {
            self.unwritten = VecDeque::new();
        }
        Poll::Ready(Ok(()))
    }
}

/// A socket that takes nothing for good would be asked for ever.
fn some(written: usize) -> io::Result<usize> {
    if written == 0 { Err(io::ErrorKind::WriteZero.into()) } else { Ok(written) }
}

impl<S: Socket> AsyncRead for Wire<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.unread.is_empty() {
            let length = this.unread.len().min(buf.remaining());
            buf.put_slice(&this.unread.split_to(length));
            if this.unread.is_empty() {
                this.unread = Bytes::new();
            }
            return Poll::Ready(Ok(()));
        }
        COMING.with_borrow_mut(|scratch| {
            if scratch.len() < this.read_bytes_max {
                scratch.resize(this.read_bytes_max, 0);
            }
            let mut all = ReadBuf::new(&mut scratch[..this.read_bytes_max]);
            ready!(Pin::new(&mut this.socket).poll_read(cx, &mut all))?;
            let read = all.filled();
            this.read_bytes += read.len();
            let fed = this.meter.feed(read);
            let (first, rest) = read.split_at(read.len().min(buf.remaining()));
            buf.put_slice(first);
            if !rest.is_empty() {
                this.unread = Bytes::copy_from_slice(rest);
                this.filled = true;
            }
            Poll::Ready(fed.map_err(|abuse| io::Error::new(io::ErrorKind::InvalidData, abuse)))
        })
    }
}

/// For the library: all that it has waits for what is kept, and what it has begun for nothing else.
impl<S: Socket> AsyncWrite for Wire<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        ready!(this.poll_drain(cx))?;
        let written = Pin::new(&mut this.socket).poll_write(cx, data);
        this.library_waits = !matches!(&written, Poll::Ready(Ok(written)) if *written == data.len());
        written
    }
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_drain(cx))?;
        Pin::new(&mut this.socket).poll_flush(cx)
    }
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_shutdown(cx)
    }
}

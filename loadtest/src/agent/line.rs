//! A socket that speaks frames: what waits is written, what can be read is handed over, heartbeats are answered.

use std::future::poll_fn;
use std::task::{Context, Poll};

use relay_protocol::{ClientFrame, Data, Encoding, ErrorCode, ServerFrame, decode_server};
use tokio_tungstenite::tungstenite::Message;

use crate::agent::dialect::{Dialect, Reader};
use crate::agent::ended::Ended;
use crate::agent::outbox::Outbox;
use crate::agent::socket::{READ_MAX, Socket};
use crate::clock;

/// A connection that may not be welcomed yet.
#[derive(Debug)]
pub(crate) struct Line {
    socket: Socket,
    pub(crate) outbox: Outbox,
    encoding: Encoding,
    /// At a server that speaks something else.
    reader: Option<Box<dyn Reader>>,
    frames_max: usize,
    /// The name of the last `closing`, which says more than the close frame behind it.
    closing: Option<String>,
    close_code: Option<u16>,
}

impl Line {
    pub(crate) fn new(socket: Socket, encoding: Encoding, batch: usize) -> Line {
        // Before `welcome` says otherwise, frames come alone.
        let outbox = Outbox::new(encoding, batch);
        Line { socket, outbox, encoding, reader: None, frames_max: 1, closing: None, close_code: None }
    }

    /// At a server that speaks something else.
    pub(crate) fn foreign(socket: Socket, dialect: Dialect, batch: usize) -> Line {
        let outbox = Outbox::foreign(dialect.writer, batch);
        Line { outbox, reader: Some(dialect.reader), ..Line::new(socket, Encoding::Json, batch) }
    }

    /// The last word, behind what waits; a close where there is none.
    pub(crate) fn say_bye(&mut self) {
        self.outbox.push(&ClientFrame::Bye);
        if self.reader.is_some() {
            self.outbox.hand_over(&mut self.socket);
            self.socket.push(Message::Close(None));
        }
    }

    /// Keeps to what `welcome` allows, and the relay too.
    pub(crate) fn limit(&mut self, frames: u64, message_bytes: u64) {
        self.frames_max = usize::try_from(frames).unwrap_or(usize::MAX);
        self.outbox.limit(self.frames_max, usize::try_from(message_bytes).unwrap_or(usize::MAX));
    }

    pub(crate) async fn receive(
        &mut self,
        mut each: impl FnMut(&ServerFrame<'_>, u64, &mut Outbox),
    ) -> Result<usize, Ended> {
        poll_fn(|cx| self.poll_receive(cx, &mut each)).await
    }

    pub(crate) async fn flush(&mut self) -> Result<(), Ended> {
        poll_fn(|cx| {
            self.outbox.hand_over(&mut self.socket);
            self.socket.poll_write(cx)
        })
        .await
    }

    /// Reads until `pick` finds something; frames that come with it are handed to `pick` too, and the first find counts.
    pub(crate) async fn wait_for<T>(
        &mut self,
        mut pick: impl FnMut(&ServerFrame<'_>) -> Option<T>,
    ) -> Result<T, Ended> {
        let mut found = None;
        loop {
            let received = self
                .receive(|frame, _, _| {
                    let picked = pick(frame);
                    found = found.take().or(picked);
                })
                .await;
            match (found.take(), received) {
                (Some(found), _) => return Ok(found),
                (None, Err(ended)) => return Err(ended),
                (None, Ok(_)) => {}
            }
        }
    }

    fn poll_receive(
        &mut self,
        cx: &mut Context<'_>,
        each: &mut impl FnMut(&ServerFrame<'_>, u64, &mut Outbox),
    ) -> Poll<Result<usize, Ended>> {
        self.write_some(cx);
        let mut frames = 0;
        for _ in 0..READ_MAX {
            match self.socket.poll_read(cx) {
                Poll::Ready(Ok(message)) => frames += self.understand(&message, each)?,
                Poll::Ready(Err(ended)) => return Poll::Ready(Err(self.farewell(ended))),
                Poll::Pending if frames == 0 => return Poll::Pending,
                Poll::Pending => break,
            }
        }
        self.write_some(cx);
        Poll::Ready(Ok(frames))
    }

    /// What cannot be written is written later; a broken socket shows in reading, behind what can still be read.
    fn write_some(&mut self, cx: &mut Context<'_>) {
        self.outbox.hand_over(&mut self.socket);
        let _ = self.socket.poll_write(cx);
    }

    fn understand(
        &mut self,
        message: &Message,
        each: &mut impl FnMut(&ServerFrame<'_>, u64, &mut Outbox),
    ) -> Result<usize, Ended> {
        let data = match (self.encoding, message) {
            (_, Message::Text(_) | Message::Binary(_)) if self.reader.is_some() => {
                return self.understand_foreign(message, each);
            }
            (Encoding::Json, Message::Text(text)) => Data::Json(text),
            (Encoding::Msgpack, Message::Binary(bytes)) => Data::Msgpack(bytes),
            (_, Message::Text(_) | Message::Binary(_)) => return Err(Ended::broken("protocol: wrong kind")),
            (_, Message::Close(frame)) => {
                self.close_code = frame.as_ref().map(|frame| u16::from(frame.code));
                return Ok(0);
            }
            (_, Message::Ping(_) | Message::Pong(_) | Message::Frame(_)) => return Ok(0),
        };
        let read_ns = clock::now_ns();
        let (mut frames, mut fault) = (0, None);
        let decoded = decode_server(data, self.frames_max, |frame| match frame {
            Ok(frame) => {
                frames += 1;
                match &*frame {
                    // What comes right behind it may be a batch.
                    ServerFrame::Welcome(welcome) => {
                        self.frames_max = usize::try_from(welcome.limits.frames).unwrap_or(usize::MAX);
                    }
                    ServerFrame::Ping => self.outbox.push(&ClientFrame::Pong),
                    ServerFrame::Closing { reason, .. } => self.closing = Some(reason.to_string()),
                    _ => {}
                }
                each(frame, read_ns, &mut self.outbox);
            }
            // Frames of a type that is not known here are a later release's.
            Err(error) if error.code == ErrorCode::UnknownFrame => frames += 1,
            Err(error) => fault = Some(format!("protocol: {} {}", error.code, error.what)),
        });
        match (decoded, fault) {
            (Ok(()), None) => Ok(frames),
            (Ok(()), Some(fault)) => Err(Ended::broken(fault)),
            (Err(error), _) => Err(Ended::broken(format!("protocol: {error}"))),
        }
    }

    fn understand_foreign(
        &mut self,
        message: &Message,
        each: &mut impl FnMut(&ServerFrame<'_>, u64, &mut Outbox),
    ) -> Result<usize, Ended> {
        let Line { reader: Some(reader), outbox, .. } = self else { return Ok(0) };
        let data: &[u8] = match message {
            Message::Text(text) => text.as_bytes(),
            Message::Binary(bytes) => bytes,
            _ => return Ok(0),
        };
        let (read_ns, mut frames) = (clock::now_ns(), 0);
        reader.read(data, &mut |frame| {
            frames += 1;
            if matches!(frame, ServerFrame::Ping) {
                outbox.push(&ClientFrame::Pong);
            }
            each(frame, read_ns, outbox);
        })?;
        Ok(frames)
    }

    /// The end as the relay explained it.
    fn farewell(&mut self, ended: Ended) -> Ended {
        let code = self.close_code.or(ended.code);
        match (self.closing.take(), code) {
            (Some(reason), code) => Ended { code, reason },
            (None, Some(number)) => Ended { code, reason: format!("closed with {number}") },
            (None, None) => ended,
        }
    }
}

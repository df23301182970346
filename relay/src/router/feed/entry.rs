//! A message of a stream on its way to sessions: written once for each encoding.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use relay_protocol::client::Position;
use relay_protocol::{Chunk, Data, Encoding, ServerFrame, decode_server};
use tokio::time::Instant;

use crate::outbound::ReplyRight;
use crate::router::delivery::REPLY_RIGHT;
use crate::streams::StoredMessage;

/// A message of a stream.
#[derive(Debug)]
pub struct Entry {
    /// Its number.
    pub seq: u64,
    /// When it is worth nothing any more.
    pub expires_at: Option<Instant>,
    read_at: Instant,
    /// How long it had been stored then.
    waited: Duration,
    body: Bytes,
    written: [OnceLock<Option<Written>>; 2],
}

/// A message as its reader gets it.
#[derive(Debug, Clone)]
pub struct Written {
    /// The frame.
    pub chunk: Chunk,
    /// The right that it gives, if it is a request.
    pub reply_right: Option<Box<ReplyRight>>,
}

/// What is stored of a frame: a byte for its encoding, and the frame.
pub(in crate::router) fn stored_body(frame: &ServerFrame<'_>, encoding: Encoding) -> Bytes {
    let mut body = vec![match encoding {
        Encoding::Json => 0,
        Encoding::Msgpack => 1,
    }];
    frame.encode(encoding, &mut body);
    body.into()
}

impl Entry {
    /// A message that was read at `now`, by the store's clock at `now_ms`.
    pub fn new(message: StoredMessage, now: Instant, now_ms: u64) -> Entry {
        let StoredMessage { seq, at_ms, expires_at_ms, body } = message;
        let left = Duration::from_millis(expires_at_ms.saturating_sub(now_ms));
        Entry {
            seq,
            expires_at: (expires_at_ms > 0).then(|| now + left),
            read_at: now,
            waited: Duration::from_millis(now_ms.saturating_sub(at_ms)),
            body,
            written: Default::default(),
        }
    }

    pub(super) fn weight(&self) -> usize {
        self.body.len()
    }

    /// The frame for a reader; nothing if what is stored cannot be read, which only somebody else could have written.
    pub fn written(
        &self,
        encoding: Encoding,
        stream: &str,
        epoch: &Arc<str>,
        redelivered: bool,
    ) -> Option<Written> {
        if redelivered {
            return self.write(encoding, stream, epoch, true);
        }
        let at = usize::from(encoding == Encoding::Msgpack);
        self.written[at].get_or_init(|| self.write(encoding, stream, epoch, false)).clone()
    }

    fn write(&self, encoding: Encoding, stream: &str, epoch: &str, redelivered: bool) -> Option<Written> {
        let (native, frame) = self.body.split_first()?;
        let native = if *native == 0 { Encoding::Json } else { Encoding::Msgpack };
        let mut written = None;
        let data = Data::new(native, frame).ok()?;
        let read = decode_server(data, 1, |frame| {
            let Ok(frame) = frame else { return };
            let ServerFrame::Message(message) = &mut *frame else { return };
            let position = Position { stream: stream.into(), epoch: epoch.into(), seq: self.seq };
            message.position = Some(position);
            message.redelivered = redelivered;
            let waited = u64::try_from(self.waited.as_millis()).unwrap_or(u64::MAX);
            message.deadline_ms = message.deadline_ms.map(|left| left.saturating_sub(waited));
            let reply_right = message.reply_to.as_ref().map(|reply_to| {
                let until = self.expires_at.unwrap_or(self.read_at + REPLY_RIGHT);
                Box::new(ReplyRight { reply_to: reply_to.as_str().to_owned(), until })
            });
            written = Some(Written { chunk: Chunk::of(frame, encoding), reply_right });
        });
        read.ok().and(written)
    }
}

//! Subscriptions at `qos` 1: from where in its stream a topic is read.

use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use relay_protocol::client::{Point, Rewind};
use relay_protocol::{ErrorCode, ServerFrame};

use crate::router::Seat;
use crate::session::Session;
use crate::session::Socket;
use crate::session::answer::refusal;
use crate::session::inbound::SUBSCRIBE_RETRY_MS;
use crate::session::reading::Reading;
use crate::streams::{Marks, SharedStreams, StreamKey, is_unmade};

/// A subscription whose beginning is looked up.
pub(super) struct Beginning {
    pub(super) topic: Arc<str>,
    id: u64,
    /// Taken first, so that what comes from now on is read here.
    seat: Option<Seat>,
    from: Option<(Arc<str>, u64)>,
    found: BoxFuture<'static, Result<Begin, ()>>,
}

/// How the stream stands, and after which message to begin.
type Begin = (Marks, u64);

impl<S: Socket> Session<S> {
    /// Subscribes to the stream of a topic.
    pub(super) fn subscribe_stream(
        &mut self,
        id: u64,
        topic: &str,
        rewind: Option<Rewind>,
        from: Option<&Point<'_>>,
    ) {
        if topic.ends_with('*') {
            return self.refuse(Some(id), ErrorCode::Unsupported, "wildcards at qos 1");
        }
        let known = self.reliable.topic_names().any(|own| *own == *topic);
        if !self.may_subscribe(id, topic, known) {
            return;
        }
        if known {
            return self.answer(&ServerFrame::Ok { id });
        }
        // Else each message would come by both.
        self.unsubscribe(topic);
        let topic: Arc<str> = topic.into();
        let stream = StreamKey::topic(self.principal.tenant(), &topic);
        let unknown = Marks { epoch: "".into(), former: None, first: 1, head: 0 };
        let seat = self.registration.seat(&stream, &unknown);
        let held = self.registration.hold_channel(&topic);
        let streams = Arc::clone(self.context.router.streams());
        let found = async move {
            held.await.map_err(|_| ())?;
            begin(&streams, stream, rewind).await
        };
        let from = from.map(|point| (Arc::from(&*point.epoch.0), point.seq));
        let beginning = Beginning { topic, id, seat: Some(seat), from, found: found.boxed() };
        self.reliable.beginnings.push(beginning);
        self.outbound.wake();
    }

    pub(super) fn poll_beginnings(&mut self, cx: &mut Context<'_>) {
        let mut at = 0;
        while let Some(beginning) = self.reliable.beginnings.get_mut(at) {
            let Poll::Ready(found) = beginning.found.poll_unpin(cx) else {
                at += 1;
                continue;
            };
            let beginning = self.reliable.beginnings.swap_remove(at);
            self.begun(beginning, found);
        }
    }

    fn begun(&mut self, beginning: Beginning, found: Result<Begin, ()>) {
        let Beginning { id, seat: Some(seat), from, .. } = beginning else { return };
        let Ok((marks, begin)) = found else {
            self.limits.unsubscribe();
            let mut frame = refusal(Some(id), ErrorCode::Unavailable, "the store of streams is away");
            if let ServerFrame::Error { retry_after_ms, .. } = &mut frame {
                *retry_after_ms = Some(SUBSCRIBE_RETRY_MS);
            }
            self.context.metrics.command_error(ErrorCode::Unavailable);
            return self.answer(&frame);
        };
        seat.look();
        self.answer(&ServerFrame::Ok { id });
        let (cursor, seen, reason) = match &from {
            None => (begin, 0, None),
            Some((epoch, seq)) => {
                let least = marks.first - 1;
                let (cursor, reason) = match marks.translate(epoch, *seq) {
                    Some(seq) if seq < least => (seq, Some("trimmed")),
                    Some(seq) if marks.epoch == *epoch || is_unmade(epoch) => (seq, None),
                    Some(seq) => (seq, Some("epoch")),
                    None => (least, Some("epoch")),
                };
                let seen = if reason.is_none() { cursor } else { marks.head };
                (cursor, seen, reason)
            }
        };
        let is_news = !marks.is_unmade() || reason.is_some();
        let reading = Reading::new(seat, marks.epoch, cursor, seen);
        if is_news {
            self.answer(&reading.resume(reason));
        }
        self.read_topic(reading);
    }
}

/// Finds where to begin.
async fn begin(streams: &SharedStreams, stream: StreamKey, rewind: Option<Rewind>) -> Result<Begin, ()> {
    let marks = streams.marks(stream.clone()).await.map_err(|_| ())?;
    let begin = match rewind {
        _ if marks.is_unmade() => 0,
        None => marks.head,
        Some(Rewind::Last(count)) => marks.head.saturating_sub(count).max(marks.first - 1),
        Some(Rewind::SinceMs(unix_ms)) => streams.before(stream, unix_ms).await.map_err(|_| ())?,
    };
    Ok((marks, begin))
}

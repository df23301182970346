//! The life of a connection's task.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use relay_protocol::{Chunk, CloseCode, ServerFrame};

use crate::outbound::{Beginning, CloseSignal};
use crate::session::Socket;
use crate::session::context::{SessionContext, Upgraded};
use crate::session::handshake::open;
use crate::session::moment::Moment;
use crate::session::pulse::Due;
use crate::session::transport::{End, Frames, Inbound, Transport};
use crate::session::{Over, Session};
use crate::telemetry::metrics::{Drop, Metrics};

/// WebSocket messages read in one turn, before what they caused is written and others get theirs.
const READ_BUDGET: usize = 64;
/// Answers to a client that it does not take. Above it the client is no longer read from, so that it waits for itself.
const CONTROL_BACKLOG_MAX: usize = 256 * 1024;
/// The same for answers to what the client itself asked, of which each takes some 200 bytes.
const ANSWERS_MAX: usize = 1_024;
/// How long a session that is told to end may take to write what waits and hear of its sends.
const FLUSH_PATIENCE: Duration = Duration::from_secs(2);

/// Serves an upgraded connection to its end.
pub async fn serve<S: Socket, P>(context: Arc<SessionContext>, upgraded: Box<Upgraded<S, P>>) {
    let metrics = Arc::clone(&context.metrics);
    // Phases that pass are boxed, and so is what they leave, so that the connection does not carry their size for its life.
    match Box::pin(open(&context, *upgraded)).await.map_err(Box::new) {
        Ok((session, first)) => {
            metrics.sessions.increment(1.0);
            session.run(first).await;
            metrics.sessions.decrement(1.0);
        }
        Err(refused) => Box::pin(refuse(*refused, &metrics)).await,
    }
}

async fn refuse<S: Socket>((transport, over): (Transport<S>, Over), metrics: &Metrics) {
    end(transport, &over, metrics).await;
}

/// Something the task does between two turns.
enum Step {
    Refit,
    Over(Over),
}

impl<S: Socket> Session<S> {
    /// Boxed, so that the task carries no more than a pointer through its phases.
    async fn run(mut self: Box<Self>, first: Frames) {
        // Frames that came together with `hello` stand behind it.
        let mut step = self.take_frames(&first, 1).err().map(Step::Over);
        self.end_turn();
        drop(first);
        if self.context.drain.is_cancelled() {
            step = Some(Step::Over(Over::Close(self.context.leave_signal())));
        }
        let over = loop {
            let next = match step.take() {
                Some(step) => step,
                None => std::future::poll_fn(|cx| self.poll(cx)).await,
            };
            match next {
                Step::Over(over) => break over,
                Step::Refit => self.transport = Box::pin(self.transport.refit()).await,
            }
        };
        Box::pin(self.finish(over)).await;
    }

    /// One turn: read, see to the clocks, write.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Step> {
        // Registered before looking, so that nothing pushed meanwhile is missed.
        self.outbound.register(cx);
        match self.try_poll(cx) {
            // Messages that were received and not read yet are in the buffer that would be given back.
            Ok(true) if self.transport.wants_refit() && !self.needs_flush => Poll::Ready(Step::Refit),
            Ok(_) => Poll::Pending,
            Err(over) => Poll::Ready(Step::Over(over)),
        }
    }

    /// Says whether everything was read that has come.
    fn try_poll(&mut self, cx: &mut Context<'_>) -> Result<bool, Over> {
        self.moment = Moment::now();
        self.shed.turn();
        let Beginning { close, recheck, news, control_backlog } = self.outbound.begin_turn();
        let paused = control_backlog > CONTROL_BACKLOG_MAX || self.answers.len() > ANSWERS_MAX;
        let read = if paused { Ok(false) } else { self.poll_read(cx) };
        self.end_turn();
        let more = read?;
        // Who does not take its answers waits for itself.
        self.shed.read(self.moment.at, more && !paused);
        if recheck {
            self.recheck()?;
        }
        self.poll_renewal(cx);
        if let Some(news) = news {
            self.hear_news(news);
        }
        self.poll_reliable(cx);
        self.see_to_clocks()?;
        if let Some(signal) = close {
            return Err(Over::Close(signal));
        }
        self.poll_write(cx)?;
        let was_paused = paused
            && self.outbound.control_backlog() <= CONTROL_BACKLOG_MAX
            && self.answers.len() <= ANSWERS_MAX;
        if self.poll_timer(cx) || more || was_paused {
            cx.waker().wake_by_ref();
        }
        Ok(!paused && !more)
    }

    /// What was read has been carried out: others may see to it, and counters know.
    fn end_turn(&mut self) {
        self.turn.end(&self.context.metrics);
        self.tally.flush(&self.context.metrics);
    }

    /// Reads as far as the budget goes; says whether there may be more.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Result<bool, Over> {
        let mut metered = false;
        for _ in 0..READ_BUDGET {
            if self.answers.len() > ANSWERS_MAX {
                return Ok(true);
            }
            match self.transport.poll_read(cx) {
                Poll::Pending => return Ok(false),
                Poll::Ready(Ok(Inbound::Frames(frames))) => {
                    // Most turns only write, and of a thousand sessions in turn nothing is in the cache any more.
                    if !std::mem::replace(&mut metered, true) {
                        self.limits.at(self.moment.at);
                    }
                    self.take_frames(&frames, 0)?;
                }
                Poll::Ready(Ok(Inbound::Life)) => {
                    self.pulse.heard(self.moment.at);
                    // The library has put a pong in its buffer.
                    self.needs_flush = true;
                }
                Poll::Ready(Err(End::Gone)) => return Err(Over::Left),
                Poll::Ready(Err(End::Fault(code, message))) => return Err(close(code, message)),
            }
        }
        Ok(true)
    }

    fn see_to_clocks(&mut self) -> Result<(), Over> {
        let now = self.moment.at;
        while let Some(due) = self.pulse.due(now) {
            match due {
                Due::Beat => {
                    self.transport.rest();
                    self.answer(&ServerFrame::Ping);
                }
                Due::TokenExpiring(left) => {
                    let in_ms = u64::try_from(left.as_millis()).unwrap_or(u64::MAX);
                    self.answer(&ServerFrame::TokenExpiring { in_ms });
                }
                Due::Move(patience) => self.ask_to_move("lease", 0, patience),
                Due::LeaseOver => {
                    return Err(close(CloseCode::Lease, "this connection has lived long enough"));
                }
                Due::Dead => {
                    return Err(close(CloseCode::HeartbeatTimeout, "no sign of life after a heartbeat"));
                }
                Due::TokenExpired => return Err(close(CloseCode::TokenExpired, "the token expired")),
                Due::Slow => return Err(close(CloseCode::SlowConsumer, "what waits was not taken in time")),
            }
        }
        Ok(())
    }

    /// Sets the timer to the next thing due; says whether that is now.
    fn poll_timer(&mut self, cx: &mut Context<'_>) -> bool {
        let next = self.pulse.next();
        if self.timer.is_elapsed() || next < self.timer.deadline() {
            self.timer.as_mut().reset(next);
        }
        std::future::Future::poll(self.timer.as_mut(), cx).is_ready()
    }

    /// Ends the session: out of the router first, so that nobody counts on it any more.
    async fn finish(mut self: Box<Self>, over: Over) {
        // What was not presented stays in the streams.
        self.stop_reading();
        if let Over::Close(signal) = &over
            && signal.code == CloseCode::Normal
        {
            self.end_for_good();
        }
        if let Over::Close(signal) = &over
            && signal.code != CloseCode::SlowConsumer
        {
            // Before the last look into the queue: what came after it would be told as queued and never be written.
            self.registration.withdraw();
            if signal.code == CloseCode::Drain {
                self.ask_to_move("shutdown", signal.reconnect_after_ms.unwrap_or(0), FLUSH_PATIENCE);
            }
            let _ =
                tokio::time::timeout(FLUSH_PATIENCE, std::future::poll_fn(|cx| self.poll_empty(cx))).await;
        }
        self.part(&over);
        let metrics = Arc::clone(&self.context.metrics);
        let Session { transport, outbound, registration, subscriptions, .. } = *self;
        for pattern in subscriptions.patterns() {
            registration.unsubscribe(pattern);
        }
        registration.withdraw();
        let left = outbound.abandon();
        registration.hand_on(left.jobs);
        drop(registration);
        metrics.drop_delivery(Drop::SessionEnded, left.messages);
        metrics.drop_delivery(Drop::Conflated, left.conflated);
        metrics.dequeue_bytes(left.bytes);
        end(transport, &over, &metrics).await;
    }

    /// Tells the client to open another connection, after so many milliseconds, before this one is closed.
    fn ask_to_move(&mut self, reason: &'static str, reconnect_after_ms: u64, patience: Duration) {
        self.answer(&ServerFrame::Drain {
            reason: reason.into(),
            reconnect_after_ms,
            closes_in_ms: u64::try_from(patience.as_millis()).unwrap_or(u64::MAX),
            ticket: self.ticket_text().map(Into::into),
        });
    }

    /// Ready when nothing waits and every send has its outcome.
    fn poll_empty(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.outbound.register(cx);
        match self.poll_write(cx) {
            Ok(_) if self.needs_flush || self.outbound.in_flight() > 0 => Poll::Pending,
            Ok(_) | Err(_) => Poll::Ready(()),
        }
    }
}

/// Tells the peer why, if it can be told, and closes.
async fn end<S: Socket>(transport: Transport<S>, over: &Over, metrics: &Metrics) {
    match over {
        Over::Left => metrics.close(CloseCode::Normal),
        Over::Close(CloseSignal { code, message, reconnect_after_ms }) => {
            metrics.close(*code);
            if *code == CloseCode::SlowConsumer {
                // Its socket does not take anything, so nobody waits for it.
                return;
            }
            tracing::debug!(code = code.number(), reason = code.name(), "closing");
            let last = ServerFrame::closing(*code, *message, *reconnect_after_ms);
            let last = Chunk::of(&last, transport.encoding());
            transport.close(last, *code).await;
        }
    }
}

fn close(code: CloseCode, message: &'static str) -> Over {
    Over::Close(CloseSignal { code, message, reconnect_after_ms: None })
}

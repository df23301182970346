//! What the relay says to a client about its own commands.

use relay_protocol::{Chunk, ErrorCode, ServerFrame, Text};

use crate::limits::Limited;
use crate::session::Session;
use crate::session::Socket;

/// A refusal of a command; `what` is the field at fault, or the limit.
pub(super) fn refusal<'a>(id: Option<u64>, code: ErrorCode, what: impl Into<Text<'a>>) -> ServerFrame<'a> {
    let what = what.into();
    let is_limit = matches!(code, ErrorCode::TooLarge | ErrorCode::LimitExceeded);
    let limit = is_limit.then(|| what.clone());
    ServerFrame::Error { id, code, message: what, retry_after_ms: None, limit }
}

/// A refusal by a rate.
pub(super) fn limited(id: Option<u64>, limited: &Limited) -> ServerFrame<'static> {
    ServerFrame::Error {
        id,
        code: ErrorCode::RateLimited,
        message: "over a rate".into(),
        retry_after_ms: Some(retry_after_ms(limited)),
        limit: Some(limited.limit.name().into()),
    }
}

/// A refusal by a limit of number.
pub(super) fn exceeded(id: u64, limit: &'static str) -> ServerFrame<'static> {
    let message = format!("over {limit}").into();
    let (id, code) = (Some(id), ErrorCode::LimitExceeded);
    ServerFrame::Error { id, code, message, retry_after_ms: None, limit: Some(limit.into()) }
}

/// When to come back after a rate was met; never at once.
pub(super) fn retry_after_ms(limited: &Limited) -> u64 {
    u64::try_from(limited.retry_after.as_millis()).unwrap_or(u64::MAX).saturating_add(1)
}

impl<S: Socket> Session<S> {
    /// Answers a command.
    pub(super) fn answer(&mut self, frame: &ServerFrame<'_>) {
        self.answers.push(Chunk::of(frame, self.transport.encoding()));
    }

    /// Refuses a command that is no send.
    pub(super) fn refuse<'a>(&mut self, id: Option<u64>, code: ErrorCode, what: impl Into<Text<'a>>) {
        self.context.metrics.command_error(code);
        self.answer(&refusal(id, code, what));
    }
}

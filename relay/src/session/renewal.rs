//! Who the client is, after its `hello`: another token on the live connection, and news that may end it.

use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use relay_protocol::{CloseCode, ErrorCode, ServerFrame, Text};

use crate::auth::{AuthError, Principal};
use crate::clock;
use crate::outbound::CloseSignal;
use crate::session::Socket;
use crate::session::answer::refusal;
use crate::session::{Over, Session};

/// When a token may be shown again while it cannot be checked, in milliseconds: attempts at what is away are as often.
const UNCHECKED_RETRY_MS: u64 = 1_000;

/// A token that is being checked, and the command that showed it.
pub(super) struct Renewal {
    id: u64,
    checked: BoxFuture<'static, Result<Principal, AuthError>>,
}

impl<S: Socket> Session<S> {
    /// Begins to check another token. One at a time.
    pub(super) fn renew(&mut self, id: u64, token: Text<'_>) {
        if self.renewal.is_some() {
            return self.answer(&ServerFrame::Error {
                id: Some(id),
                code: ErrorCode::LimitExceeded,
                message: "another token is being checked".into(),
                retry_after_ms: None,
                limit: Some("auth".into()),
            });
        }
        let (authenticator, token) = (Arc::clone(&self.context.authenticator), token.0.into_owned());
        let checked = async move { authenticator.authenticate(&token, clock::now()).await };
        let mut checked = checked.boxed();
        // Almost always at hand: then it holds for the very next frame.
        match (&mut checked).now_or_never() {
            Some(checked) => self.renewed(id, checked),
            None => self.renewal = Some(Renewal { id, checked }),
        }
    }

    /// Goes on checking, if there is something to check.
    pub(super) fn poll_renewal(&mut self, cx: &mut Context<'_>) {
        let Some(renewal) = &mut self.renewal else { return };
        let Poll::Ready(checked) = renewal.checked.poll_unpin(cx) else { return };
        let id = renewal.id;
        self.renewal = None;
        self.renewed(id, checked);
    }

    fn renewed(&mut self, id: u64, checked: Result<Principal, AuthError>) {
        match checked {
            Ok(principal) => self.take_over(id, principal),
            Err(error) => self.refuse_token(id, error),
        }
    }

    /// The token is refused; the client goes on with the one it has.
    fn refuse_token(&mut self, id: u64, error: AuthError) {
        let code = match error.close_code() {
            CloseCode::TokenExpired => ErrorCode::TokenExpired,
            CloseCode::Unavailable => ErrorCode::Unavailable,
            _ => ErrorCode::TokenInvalid,
        };
        let mut frame = refusal(Some(id), code, error.label());
        if let ServerFrame::Error { retry_after_ms, .. } = &mut frame
            && code == ErrorCode::Unavailable
        {
            *retry_after_ms = Some(UNCHECKED_RETRY_MS);
        }
        self.context.metrics.command_error(code);
        self.answer(&frame);
    }

    /// The rights of another token hold from now on.
    fn take_over(&mut self, id: u64, principal: Principal) {
        if principal.tenant() != self.principal.tenant() || principal.agent() != self.principal.agent() {
            return self.refuse(Some(id), ErrorCode::TokenInvalid, "another tenant or agent");
        }
        let left = principal.expires_at().duration_since(clock::now()).unwrap_or_default();
        self.pulse.renew(&self.context.settings, left, self.moment.at);
        self.registration.renew(principal.token_key());
        self.principal = principal;
        let lost: Vec<Arc<str>> = self
            .subscriptions
            .patterns()
            .cloned()
            .chain(self.reliable.topic_names())
            .filter(|pattern| !self.principal.rights().may_subscribe(pattern))
            .collect();
        for pattern in lost {
            self.unsubscribe(&pattern);
            self.leave_topic(&pattern);
            self.refuse(None, ErrorCode::Forbidden, format!("no longer subscribed to {pattern}"));
        }
        self.leave_forbidden_groups();
        self.end_forbidden_watches();
        self.answer(&ServerFrame::Ok { id });
        // News that came between the check and the registration found nobody.
        self.outbound.ask_recheck();
    }

    /// Whether the client may stay.
    pub(super) fn recheck(&self) -> Result<(), Over> {
        let still_good = self.context.authenticator.recheck(&self.principal);
        still_good.map_err(|error| Over::Close(refused(error)))
    }
}

/// How a connection ends whose token is refused.
pub(super) fn refused(error: AuthError) -> CloseSignal {
    tracing::debug!(reason = error.label(), "token refused");
    CloseSignal { code: error.close_code(), message: error.label(), reconnect_after_ms: None }
}

//! Somebody without a session who sends: a program that calls the HTTP API. A guard, like a session's place: while it
//! lives its tenant does.

use std::sync::Arc;

use bytes::Bytes;
use relay_protocol::{ErrorCode, ServerFrame};

use crate::outbound::Settlement;
use crate::router::Router;
use crate::router::direct::{Outgoing, Routed};
use crate::router::tenant::Tenant;
use crate::router::turn::Turn;
use crate::streams::Append;
use crate::telemetry::outcome::Outcome;

/// Somebody without a session who sends. Nobody can send to it.
#[derive(Debug)]
pub struct Caller {
    router: Arc<Router>,
    tenant: Arc<Tenant>,
}

impl Caller {
    /// Somebody of this tenant.
    pub fn enter(router: &Arc<Router>, tenant: &Arc<str>) -> Caller {
        Caller { router: Arc::clone(router), tenant: router.tenant(tenant) }
    }

    /// Routes a message, as for a session. To be kept until the message has its outcome.
    pub fn route(&self, outgoing: &Outgoing<'_>, settlement: impl FnOnce() -> Settlement) -> Routed {
        let mut turn = Turn::default();
        let routed = self.router.route(&self.tenant, outgoing, &mut turn, settlement);
        turn.end(&self.router.metrics);
        routed
    }

    /// Stores a message under its `mid`, as for a session. Nobody is there to hear what becomes of it after that.
    pub fn store(&self, outgoing: &Outgoing<'_>, settlement: impl FnOnce() -> Settlement) -> Routed {
        let ServerFrame::Message(message) = outgoing.frame else {
            return Routed::Settled(Outcome::failed(ErrorCode::Internal));
        };
        let keeping = Append {
            from: message.from.name().into(),
            mid: message.mid.as_deref().unwrap_or_default().into(),
            session: message.session.name().into(),
            generation: 1,
            counter: None,
            settled: None,
            expires_in_ms: outgoing.expires_in_ms,
            return_to: None,
            body: Bytes::new(),
        };
        self.router.store(&self.tenant, outgoing, keeping, settlement)
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        self.router.leave_tenant(&self.tenant);
    }
}

//! Somebody without a session who sends: a program that calls the HTTP API. A guard, like a session's place: while it
//! lives its tenant does.

use std::sync::Arc;

use crate::outbound::Settlement;
use crate::router::Router;
use crate::router::direct::{Outgoing, Routed};
use crate::router::tenant::Tenant;
use crate::router::turn::Turn;

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
}

impl Drop for Caller {
    fn drop(&mut self) {
        self.router.leave_tenant(&self.tenant);
    }
}

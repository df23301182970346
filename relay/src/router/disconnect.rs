//! Connections that an administrator ends, on whatever instance they are.

use std::sync::Arc;

use relay_protocol::CloseCode;

use crate::outbound::CloseSignal;
use crate::router::Router;
use crate::router::envelope;

impl Router {
    /// Asks the sessions of an agent, or one of them, to end their connections, here and on every other instance. Says
    /// whether the others could be asked; whether they were reached shows in the directory.
    pub fn disconnect(self: &Arc<Self>, tenant: &str, agent: &str, session: Option<&str>) -> bool {
        self.disconnect_here(tenant, agent, session);
        self.announce(|batch| envelope::append_disconnect(batch, tenant, agent, session))
    }

    pub(super) fn disconnect_here(&self, tenant: &str, agent: &str, session: Option<&str>) {
        let Some(tenant) = self.tenants.get(tenant).map(|tenant| Arc::clone(&tenant)) else { return };
        let Some(local) = tenant.agents.get(agent) else { return };
        for member in &local.members {
            if session.is_none_or(|session| *member.session == *session) {
                member.outbound.close(CloseSignal {
                    code: CloseCode::Disconnected,
                    message: "an administrator ended the connection",
                    reconnect_after_ms: None,
                });
            }
        }
    }
}

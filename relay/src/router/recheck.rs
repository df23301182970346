//! Which sessions are to look again at whether their clients may stay. They look themselves: the router knows nothing of
//! what is wrong.

use std::sync::Arc;

use crate::auth::TokenKey;
use crate::router::Router;
use crate::router::tenant::Agent;

/// Whom something concerns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Concerned {
    /// Everybody.
    All,
    /// A tenant.
    Tenant(Arc<str>),
    /// An agent of a tenant.
    Agent(Arc<str>, Arc<str>),
    /// Who connected with this token of a tenant.
    Token(Arc<str>, TokenKey),
}

impl Router {
    /// Asks the sessions here that are concerned to look.
    pub fn recheck(&self, concerned: &Concerned) {
        match concerned {
            Concerned::All => {
                for tenant in &self.tenants {
                    tenant.agents.iter().for_each(|agent| ask(&agent, None));
                }
            }
            Concerned::Tenant(name) => {
                let Some(tenant) = self.tenants.get(name).map(|tenant| Arc::clone(&tenant)) else { return };
                tenant.agents.iter().for_each(|agent| ask(&agent, None));
            }
            Concerned::Agent(name, agent) => {
                let Some(tenant) = self.tenants.get(name).map(|tenant| Arc::clone(&tenant)) else { return };
                if let Some(agent) = tenant.agents.get(agent) {
                    ask(&agent, None);
                }
            }
            Concerned::Token(name, token) => {
                let Some(tenant) = self.tenants.get(name).map(|tenant| Arc::clone(&tenant)) else { return };
                tenant.agents.iter().for_each(|agent| ask(&agent, Some(*token)));
            }
        }
    }
}

/// Asks the sessions of an agent, or those with this token.
fn ask(agent: &Agent, token: Option<TokenKey>) {
    for member in &agent.members {
        if token.is_none() || member.token == token {
            member.outbound.ask_recheck();
        }
    }
}

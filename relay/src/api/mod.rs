//! The HTTP API: what programs on servers and administrators do without a socket, with the tokens that a socket takes.
//!
//! Every call goes the same way: `conduct` gives it a name, a place among so many at once and a time; `caller` looks at
//! the token and the rate; `body` reads what it says, bounded; one file for each resource does it. What goes wrong is a
//! `Problem`. What acts on others is written down by `audit`.

mod agents;
mod audit;
mod body;
mod broadcast;
mod caller;
mod conduct;
mod disconnect;
mod document;
mod info;
mod keys;
mod message;
mod object;
mod once;
mod presence;
mod problem;
mod publish;
mod rates;
mod receipt;
mod revoke;
mod tenants;

use std::sync::Arc;

use axum::Router as Routes;
use axum::http::HeaderValue;
use relay_protocol::server::Limits;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use crate::api_keys::ApiKeys;
use crate::auth::Authenticator;
use crate::config::Config;
use crate::config::limits::LimitsConfig;
use crate::directory::SharedDirectory;
use crate::idempotency::IdempotencyStore;
use crate::limits;
use crate::presence::Presence;
use crate::revocation::Revocations;
use crate::router::Router;
use crate::telemetry::metrics::Metrics;
use crate::tenants::Tenants;

pub use document::document;

use rates::Rates;

/// What calls are carried out with.
#[derive(Debug)]
pub struct ApiParts {
    /// Decides who gets a message.
    pub router: Arc<Router>,
    /// Who is where.
    pub directory: SharedDirectory,
    /// Who is present.
    pub presence: Arc<Presence>,
    /// Tells who presents a token.
    pub authenticator: Arc<dyn Authenticator>,
    /// Ends tokens.
    pub revocations: Arc<Revocations>,
    /// Makes and ends API keys.
    pub api_keys: Arc<ApiKeys>,
    /// Suspends tenants.
    pub tenants: Arc<Tenants>,
    /// How much an agent and a tenant may send.
    pub limits: Arc<limits::Limits>,
    /// Remembers answers.
    pub idempotency: Arc<dyn IdempotencyStore>,
    /// Counts.
    pub metrics: Arc<Metrics>,
    /// Carries calls that are finished though their caller has gone.
    pub tracker: TaskTracker,
}

/// What every call needs.
#[derive(Debug)]
struct ApiState {
    parts: ApiParts,
    rates: Rates,
    calls: Semaphore,
    operator_tenant: Option<Arc<str>>,
    limits: LimitsConfig,
    announced: Limits,
    since: Instant,
}

/// The routes under `/v1`.
pub fn routes(config: &Config, announced: Limits, parts: ApiParts) -> Routes {
    let api = &config.api;
    let state = Arc::new(ApiState {
        parts,
        rates: Rates::new(api, &config.limits),
        calls: Semaphore::new(api.api_calls),
        operator_tenant: api.operator_tenant.as_deref().map(Arc::from),
        limits: config.limits.clone(),
        announced,
        since: Instant::now(),
    });
    let origins = api.api_allowed_origins.iter().filter_map(|origin| HeaderValue::from_str(origin).ok());
    conduct::conducted(document::paths().split_for_parts().0, state, origins.collect())
}

#[cfg(test)]
mod tests;

//! Lets connections in: the accept loop, the routes, and everything that is refused before an upgrade.

mod accept;
mod admission;
mod client_address;
mod console;
mod headers;
mod health;
mod listen;
mod memory;
mod origin;
mod prefixed;
mod pressure;
mod rejection;
mod route;
mod trace;
mod upgrade;

use std::net::SocketAddr;
use std::sync::Arc;

use tokio_util::task::TaskTracker;

use crate::auth::Minter;
use crate::config::proxies::TrustedProxies;
use crate::lifecycle::Phase;
use crate::resilience::Dependencies;
use crate::router::Router;
use crate::session::SessionContext;
use crate::telemetry::metrics::Metrics;

pub use accept::{AcceptSettings, accept};
pub use admission::{Admission, AdmissionBounds};
pub use listen::listen;
pub use origin::Origins;
pub use pressure::Pressure;
pub use route::{metrics_routes, routes};

/// What every request needs.
#[derive(Debug)]
pub struct ServerState {
    /// What sessions share.
    pub context: Arc<SessionContext>,
    /// Lets in or not.
    pub admission: Arc<Admission>,
    /// Which pages may connect.
    pub origins: Origins,
    /// Hops that are believed about the client's address.
    pub trusted_proxies: Option<TrustedProxies>,
    /// Where the instance is in its life.
    pub phase: Arc<Phase>,
    /// Counts.
    pub metrics: Arc<Metrics>,
    /// For health.
    pub router: Arc<Router>,
    /// For health.
    pub dependencies: Dependencies,
    /// Carries the tasks of sessions.
    pub tracker: TaskTracker,
    /// Makes tokens for the console, in development mode.
    pub minter: Option<Minter>,
    /// Whether `/metrics` has a listener of its own.
    pub metrics_elsewhere: bool,
}

/// The peer of a connection.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub SocketAddr);

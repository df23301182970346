//! What an operator may choose. Each setting is a flag and an environment variable, declared once, from which the help,
//! the reference and the parsing are made. Validated as a whole before a port opens.

pub mod admission;
pub mod api;
pub mod auth;
pub mod bus;
pub mod key_servers;
pub mod limits;
pub mod proxies;
mod reference;
pub mod resilience;
pub mod scopes;
pub mod secret;
pub mod server;
pub mod session;
pub mod streams;
pub mod telemetry;
pub mod tenant_limits;

use clap::Args;
use thiserror::Error;

pub use reference::{markdown, text};
pub use secret::Secret;

use admission::AdmissionConfig;
use api::ApiConfig;
use auth::AuthConfig;
use bus::BusConfig;
use key_servers::KeyServersConfig;
use limits::LimitsConfig;
use resilience::ResilienceConfig;
use scopes::ScopesConfig;
use server::ServerConfig;
use session::SessionConfig;
use streams::StreamsConfig;
use telemetry::TelemetryConfig;

/// Everything `agent-relay serve` is told.
#[derive(Debug, Clone, Args)]
pub struct Config {
    /// Where it listens.
    #[command(flatten, next_help_heading = "Server")]
    pub server: ServerConfig,
    /// When no more connections are let in.
    #[command(flatten, next_help_heading = "Admission")]
    pub admission: AdmissionConfig,
    /// Whom it believes.
    #[command(flatten, next_help_heading = "Authentication")]
    pub auth: AuthConfig,
    /// Whose keys it fetches.
    #[command(flatten, next_help_heading = "Key servers")]
    pub key_servers: KeyServersConfig,
    /// How connections live.
    #[command(flatten, next_help_heading = "Sessions")]
    pub session: SessionConfig,
    /// What it keeps for reliable delivery.
    #[command(flatten, next_help_heading = "Reliable delivery")]
    pub streams: StreamsConfig,
    /// How instances reach each other.
    #[command(flatten, next_help_heading = "Bus")]
    pub bus: BusConfig,
    /// What it does while what it leans on fails.
    #[command(flatten, next_help_heading = "Resilience")]
    pub resilience: ResilienceConfig,
    /// What one connection may do.
    #[command(flatten, next_help_heading = "Limits")]
    pub limits: LimitsConfig,
    /// What an agent, a source address and a tenant may do.
    #[command(flatten, next_help_heading = "Limits of agents, addresses and tenants")]
    pub scopes: ScopesConfig,
    /// Who may call its HTTP API, and how often.
    #[command(flatten, next_help_heading = "HTTP API")]
    pub api: ApiConfig,
    /// What it shows.
    #[command(flatten, next_help_heading = "Telemetry")]
    pub telemetry: TelemetryConfig,
}

/// What is wrong with a configuration. Never holds a secret.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{setting}: {problem}")]
pub struct ConfigError {
    /// The setting, as its environment variable is called.
    pub setting: &'static str,
    /// What is wrong with it.
    pub problem: String,
}

impl ConfigError {
    pub(crate) fn new(setting: &'static str, problem: impl Into<String>) -> ConfigError {
        ConfigError { setting, problem: problem.into() }
    }
}

impl Config {
    /// Every problem at once, so that an operator need not find them one by one.
    pub fn validate(&self) -> Result<(), Vec<ConfigError>> {
        let mut problems = Vec::new();
        self.server.validate(&mut problems);
        self.auth.validate(self.server.dev || self.key_servers.is_used(), &mut problems);
        self.key_servers.validate(&mut problems);
        self.admission.validate(&mut problems);
        self.session.validate(&mut problems);
        self.streams.validate(&mut problems);
        self.bus.validate(&mut problems);
        self.resilience.validate(&mut problems);
        self.limits.validate(&mut problems);
        self.api.validate(&mut problems);
        self.scopes.validate(self.limits.message_bytes(), &mut problems);
        self.telemetry.validate(&mut problems);
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }
}

#[cfg(test)]
mod tests;

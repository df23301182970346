//! Where the relay listens, and how many it lets in.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use clap::Args;

use crate::config::ConfigError;
use crate::config::proxies::TrustedProxies;

/// Settings of the listener.
#[derive(Debug, Clone, Args)]
pub struct ServerConfig {
    /// Development mode: listens on loopback only, makes its own signing key, and serves a console that hands out
    /// tokens. Never for others.
    #[arg(long, env = "RELAY_DEV")]
    pub dev: bool,
    /// Address to listen on. `0.0.0.0:PORT` unless set; `127.0.0.1:PORT` in development mode.
    #[arg(long, env = "RELAY_LISTEN", value_name = "ADDRESS:PORT")]
    pub listen: Option<SocketAddr>,
    /// Port, where the platform chooses it.
    #[arg(long, env = "PORT", default_value_t = 8080, value_name = "PORT")]
    pub port: u16,
    /// Address of a listener of its own for `/metrics`. Without it `/metrics` is served on the main port to loopback
    /// addresses only.
    #[arg(long, env = "RELAY_METRICS_LISTEN", value_name = "ADDRESS:PORT")]
    pub metrics_listen: Option<SocketAddr>,
    /// Origins of pages that may connect, separated by commas, compared exactly; `*` allows every one. Programs send no
    /// origin and are not concerned. Without it only the page's own host may.
    #[arg(long, env = "RELAY_ALLOWED_ORIGINS", value_delimiter = ',', value_name = "ORIGIN")]
    pub allowed_origins: Vec<String>,
    /// Hops that are believed about the client's address (`X-Forwarded-For`, read from the right): networks separated by
    /// commas, like `10.0.0.0/8,192.0.2.1`, or a count of hops. Without it only the peer's own address counts.
    #[arg(long, env = "RELAY_TRUSTED_PROXIES", value_name = "NETWORKS|HOPS")]
    pub trusted_proxies: Option<TrustedProxies>,
    /// Connections at once. 0: as many as the limit of descriptors allows, less a reserve.
    #[arg(long, env = "RELAY_MAX_CONNECTIONS", default_value_t = 0, value_name = "COUNT")]
    pub max_connections: usize,
    /// Connections at once that have not shown a token yet. 0: half of all. A storm of reconnects passes through here,
    /// so too low a bound prolongs it; an attack fills it for at most 5 s a connection.
    #[arg(long, env = "RELAY_MAX_UNAUTHENTICATED", default_value_t = 0, value_name = "COUNT")]
    pub max_unauthenticated: usize,
    /// Time for the head of an HTTP request, in milliseconds.
    #[arg(long, env = "RELAY_HEADER_TIMEOUT_MS", default_value_t = 5_000, value_name = "MS")]
    pub header_timeout_ms: u64,
    /// Time for leaving after SIGTERM, in milliseconds. Cloud Run kills after 10 s.
    #[arg(long, env = "RELAY_DRAIN_MS", default_value_t = 8_000, value_name = "MS")]
    pub drain_ms: u64,
    /// Over how long the clients of a leaving instance are told to come back, in milliseconds.
    #[arg(long, env = "RELAY_DRAIN_SPREAD_MS", default_value_t = 5_000, value_name = "MS")]
    pub drain_spread_ms: u64,
}

impl ServerConfig {
    /// The address to listen on.
    pub fn address(&self) -> SocketAddr {
        let host = if self.dev { Ipv4Addr::LOCALHOST } else { Ipv4Addr::UNSPECIFIED };
        self.listen.unwrap_or(SocketAddr::new(IpAddr::V4(host), self.port))
    }

    pub(super) fn validate(&self, problems: &mut Vec<ConfigError>) {
        if self.dev && !self.address().ip().is_loopback() {
            let problem = format!(
                "development mode hands out tokens, so it listens on loopback only, not {}",
                self.address()
            );
            problems.push(ConfigError::new("RELAY_LISTEN", problem));
        }
        for origin in &self.allowed_origins {
            let bare = origin
                .split_once("://")
                .is_some_and(|(scheme, host)| !scheme.is_empty() && !host.is_empty() && !host.contains('/'));
            if origin != "*" && !bare {
                let problem = format!("`{origin}` is not an origin; write it like https://app.example.com");
                problems.push(ConfigError::new("RELAY_ALLOWED_ORIGINS", problem));
            }
        }
        if !(100..=60_000).contains(&self.header_timeout_ms) {
            problems.push(ConfigError::new("RELAY_HEADER_TIMEOUT_MS", "must be 100 to 60000"));
        }
        if self.drain_ms < 1_000 {
            problems.push(ConfigError::new(
                "RELAY_DRAIN_MS",
                "must be at least 1000, or queues cannot be written",
            ));
        }
    }
}

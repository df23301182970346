//! How instances reach each other.

use std::path::PathBuf;

use clap::Args;

use crate::config::ConfigError;
use crate::config::secret::Secret;

const SCHEMES: [&str; 6] = [
    "redis://",
    "rediss://",
    "redis-sentinel://",
    "rediss-sentinel://",
    "redis-cluster://",
    "rediss-cluster://",
];

/// Settings of the bus and the directory.
#[derive(Debug, Clone, Args)]
pub struct BusConfig {
    /// Redis 6.2 or later that joins instances: `redis://[user:password@]host:port[/database]`, or through its Sentinels
    /// `redis-sentinel://[user:password@]host:port?node=host:port&sentinelServiceName=NAME`, which may hold
    /// `sentinelUsername` and `sentinelPassword`, or a Cluster of Redis 7.0.3 or later by some of its nodes,
    /// `redis-cluster://[user:password@]host:port,host:port`; `rediss` for TLS. Without it everything stays in this one
    /// process.
    #[arg(long, env = "RELAY_REDIS_URL", hide_env_values = true, value_name = "URL")]
    pub redis_url: Option<Secret>,
    /// PEM file with certificates that those of Redis and its Sentinels may lead to, besides the public ones.
    #[arg(long, env = "RELAY_REDIS_CA_FILE", value_name = "FILE")]
    pub redis_ca_file: Option<PathBuf>,
    /// Replicas of Redis that must have a message of `qos` 1 before it is `accepted`, by `WAIT`; one that too few have in
    /// time is `unknown`, as it is stored and may be lost by a fail-over. On a Cluster they are those of the message's own
    /// primary, so each needs as many. 0 asks for none.
    #[arg(long, env = "RELAY_REDIS_WAIT_REPLICAS", default_value_t = 0, value_name = "N")]
    pub redis_wait_replicas: u32,
    /// How long they are waited for, in milliseconds.
    #[arg(long, env = "RELAY_REDIS_WAIT_TIMEOUT_MS", default_value_t = 300, value_name = "MS")]
    pub redis_wait_timeout_ms: u64,
    /// How long the outcome of a send to another instance is waited for before it is `unknown`, in milliseconds.
    #[arg(long, env = "RELAY_OUTCOME_TIMEOUT_MS", default_value_t = 5_000, value_name = "MS")]
    pub outcome_timeout_ms: u64,
    /// How long a route to an agent may be used without asking again, in milliseconds. Changes are announced, so this
    /// only bounds how long a lost announcement matters.
    #[arg(long, env = "RELAY_ROUTE_TTL_MS", default_value_t = 10_000, value_name = "MS")]
    pub route_ttl_ms: u64,
}

impl BusConfig {
    pub(super) fn validate(&self, problems: &mut Vec<ConfigError>) {
        if let Some(url) = &self.redis_url
            && !SCHEMES.iter().any(|scheme| url.expose_text().starts_with(scheme))
        {
            let problem = "must begin with redis://, redis-sentinel:// or redis-cluster://, or one of these with rediss";
            problems.push(ConfigError::new("RELAY_REDIS_URL", problem));
        }
        if self.redis_wait_replicas > 16 {
            problems.push(ConfigError::new("RELAY_REDIS_WAIT_REPLICAS", "must be 0 to 16"));
        }
        // An append may stand behind one wait and then have its own, within the second that a question may take.
        if !(10..=400).contains(&self.redis_wait_timeout_ms) {
            problems.push(ConfigError::new("RELAY_REDIS_WAIT_TIMEOUT_MS", "must be 10 to 400"));
        }
        if !(500..=60_000).contains(&self.outcome_timeout_ms) {
            problems.push(ConfigError::new("RELAY_OUTCOME_TIMEOUT_MS", "must be 500 to 60000"));
        }
        if !(100..=300_000).contains(&self.route_ttl_ms) {
            problems.push(ConfigError::new("RELAY_ROUTE_TTL_MS", "must be 100 to 300000"));
        }
    }
}

//! What an agent, a source address and a tenant may do, over all of their connections. All of it is off unless set: what is
//! right depends on what agents do, and for addresses on what stands before the relay.

use clap::Args;

use crate::config::ConfigError;

/// Limits of agents, source addresses and tenants. 0 is no limit.
#[derive(Debug, Clone, Args)]
pub struct ScopesConfig {
    /// Frames a second of an agent on this instance; the burst of this and of those below is five times that. 0: no limit.
    #[arg(long, env = "RELAY_AGENT_RATE_MESSAGES", default_value_t = 0, value_name = "COUNT")]
    pub agent_rate_messages: u32,
    /// Bytes a second of an agent on this instance; the burst of this and of those below is four times that. 0: no limit.
    #[arg(long, env = "RELAY_AGENT_RATE_BYTES", default_value_t = 0, value_name = "BYTES")]
    pub agent_rate_bytes: u32,
    /// Connections of an agent on this instance. 0: no limit.
    #[arg(long, env = "RELAY_AGENT_CONNECTIONS", default_value_t = 0, value_name = "COUNT")]
    pub agent_connections: u32,
    /// Subscriptions of an agent on this instance. 0: no limit.
    #[arg(long, env = "RELAY_AGENT_SUBSCRIPTIONS", default_value_t = 0, value_name = "COUNT")]
    pub agent_subscriptions: u32,
    /// Frames a second of a source address on this instance; for IPv6 of its /64. 0: no limit.
    #[arg(long, env = "RELAY_ADDRESS_RATE_MESSAGES", default_value_t = 0, value_name = "COUNT")]
    pub address_rate_messages: u32,
    /// Bytes a second of a source address on this instance. 0: no limit.
    #[arg(long, env = "RELAY_ADDRESS_RATE_BYTES", default_value_t = 0, value_name = "BYTES")]
    pub address_rate_bytes: u32,
    /// Connections of a source address on this instance, with a token or without. 0: no limit.
    #[arg(long, env = "RELAY_ADDRESS_CONNECTIONS", default_value_t = 0, value_name = "COUNT")]
    pub address_connections: u32,
    /// Subscriptions of a source address on this instance. 0: no limit.
    #[arg(long, env = "RELAY_ADDRESS_SUBSCRIPTIONS", default_value_t = 0, value_name = "COUNT")]
    pub address_subscriptions: u32,
    /// Frames a second of a tenant on this instance. 0: no limit.
    #[arg(long, env = "RELAY_TENANT_RATE_MESSAGES", default_value_t = 0, value_name = "COUNT")]
    pub tenant_rate_messages: u32,
    /// Bytes a second of a tenant on this instance. 0: no limit.
    #[arg(long, env = "RELAY_TENANT_RATE_BYTES", default_value_t = 0, value_name = "BYTES")]
    pub tenant_rate_bytes: u32,
    /// Connections of a tenant on this instance. 0: no limit.
    #[arg(long, env = "RELAY_TENANT_CONNECTIONS", default_value_t = 0, value_name = "COUNT")]
    pub tenant_connections: u32,
    /// Subscriptions of a tenant on this instance. 0: no limit.
    #[arg(long, env = "RELAY_TENANT_SUBSCRIPTIONS", default_value_t = 0, value_name = "COUNT")]
    pub tenant_subscriptions: u32,
    /// Frames a second of a tenant on all instances together, leased in slices; the burst is five times that. 0: no limit.
    #[arg(long, env = "RELAY_TENANT_QUOTA_MESSAGES", default_value_t = 0, value_name = "COUNT")]
    pub tenant_quota_messages: u32,
    /// Bytes a second of a tenant on all instances together; the burst is five times that. 0: no limit.
    #[arg(long, env = "RELAY_TENANT_QUOTA_BYTES", default_value_t = 0, value_name = "BYTES")]
    pub tenant_quota_bytes: u32,
    /// How often slices of quotas are leased, in milliseconds.
    #[arg(long, env = "RELAY_QUOTA_LEASE_MS", default_value_t = 250, value_name = "MS")]
    pub quota_lease_ms: u64,
    /// What an instance gives a tenant while Redis is away, in percent of its quota. 100 divided by the number of instances
    /// keeps the sum.
    #[arg(long, env = "RELAY_QUOTA_LOCAL_PERCENT", default_value_t = 25, value_name = "PERCENT")]
    pub quota_local_percent: u32,
    /// Agents, and source addresses, and tenants whose limits are held at a time, some 300 bytes each. Those beyond share
    /// the limits of one until there is room.
    #[arg(long, env = "RELAY_LIMIT_KEYS_MAX", default_value_t = 100_000, value_name = "COUNT")]
    pub limit_keys_max: usize,
    /// Refuse nothing by rates, quotas and numbers of connections and subscriptions; count and log what would have been
    /// refused (`relay_limited_total`). Bounds that protect the instance stay.
    #[arg(long, env = "RELAY_LIMITS_DRY_RUN")]
    pub limits_dry_run: bool,
}

impl ScopesConfig {
    pub(super) fn validate(&self, message_bytes: usize, problems: &mut Vec<ConfigError>) {
        let rates = [
            ("RELAY_AGENT_RATE_BYTES", self.agent_rate_bytes),
            ("RELAY_ADDRESS_RATE_BYTES", self.address_rate_bytes),
            ("RELAY_TENANT_RATE_BYTES", self.tenant_rate_bytes),
            ("RELAY_TENANT_QUOTA_BYTES", self.tenant_quota_bytes),
        ];
        for (name, rate) in rates {
            if rate > 0 && (rate as usize) * 4 < message_bytes {
                let problem = format!("four times this must hold a message of {message_bytes} bytes, or 0");
                problems.push(ConfigError::new(name, problem));
            }
        }
        if !(100..=1_000).contains(&self.quota_lease_ms) {
            problems.push(ConfigError::new("RELAY_QUOTA_LEASE_MS", "must be 100 to 1000"));
        }
        if !(1..=100).contains(&self.quota_local_percent) {
            problems.push(ConfigError::new("RELAY_QUOTA_LOCAL_PERCENT", "must be 1 to 100"));
        }
        if self.limit_keys_max == 0 {
            problems.push(ConfigError::new("RELAY_LIMIT_KEYS_MAX", "must be at least 1"));
        }
    }
}

//! When no more connections are let in, so that those that are there are served.

use clap::Args;

use crate::config::ConfigError;

/// Settings of admission.
#[derive(Debug, Clone, Args)]
pub struct AdmissionConfig {
    /// Descriptors kept for other things than clients: Redis, logs, listeners, refusals under way.
    #[arg(long, env = "RELAY_DESCRIPTOR_RESERVE", default_value_t = 256, value_name = "COUNT")]
    pub descriptor_reserve: usize,
    /// Memory this process may use, in bytes. 0: what its control group allows, else what the machine has.
    #[arg(long, env = "RELAY_MEMORY_BYTES", default_value_t = 0, value_name = "BYTES")]
    pub memory_bytes: u64,
    /// Share of that memory from which on connections are refused, in percent; they are let in again five points below.
    /// 0: never refused for it.
    #[arg(long, env = "RELAY_SHED_MEMORY_PERCENT", default_value_t = 80, value_name = "PERCENT")]
    pub shed_memory_percent: u32,
    /// How late timers may be, in milliseconds, at best within a second, before connections are refused, as the processor
    /// does not keep up; they are let in again below half of it. 0: never refused for it.
    #[arg(long, env = "RELAY_SHED_DELAY_MS", default_value_t = 250, value_name = "MS")]
    pub shed_delay_ms: u64,
    /// How late work may be, in milliseconds, before a part of sends is refused with `saturated`, as the processor does not
    /// keep up; those in lane `high` last. Late is how late tasks run at best within 100 ms, or for how long more sockets than
    /// keep the processors busy have had something unread. 0: never refused for it.
    #[arg(long, env = "RELAY_SHED_SENDS_DELAY_MS", default_value_t = 200, value_name = "MS")]
    pub shed_sends_delay_ms: u64,
    /// Upgrades a second, twice that at once. A storm of reconnects passes through here, so too low a rate prolongs it.
    /// 0: no limit.
    #[arg(long, env = "RELAY_CONNECT_RATE", default_value_t = 5_000, value_name = "COUNT")]
    pub connect_rate: u32,
}

impl AdmissionConfig {
    pub(super) fn validate(&self, problems: &mut Vec<ConfigError>) {
        if self.shed_memory_percent > 100 || (1..=5).contains(&self.shed_memory_percent) {
            problems.push(ConfigError::new("RELAY_SHED_MEMORY_PERCENT", "must be 6 to 100, or 0"));
        }
        if self.memory_bytes > 0 && self.memory_bytes < 16 << 20 {
            problems.push(ConfigError::new("RELAY_MEMORY_BYTES", "must be at least 16 MiB, or 0"));
        }
        if self.shed_sends_delay_ms > 60_000 {
            problems.push(ConfigError::new("RELAY_SHED_SENDS_DELAY_MS", "must be at most 60000"));
        }
        if self.shed_delay_ms > 60_000 {
            problems.push(ConfigError::new("RELAY_SHED_DELAY_MS", "must be at most 60000"));
        }
    }
}

//! What is done while something that the relay leans on does not do its part.

use clap::Args;

use crate::config::ConfigError;

/// Settings of circuit breakers and degradation levels.
#[derive(Debug, Clone, Args)]
pub struct ResilienceConfig {
    /// Failures in a row after which nothing more is asked of a dependency.
    #[arg(long, env = "RELAY_BREAKER_FAILURES", default_value_t = 5, value_name = "N")]
    pub breaker_failures: u32,
    /// How long nothing is asked then, in milliseconds. A dependency that was only silent is tried again as soon as it
    /// gives a sign of life.
    #[arg(long, env = "RELAY_BREAKER_OPEN_MS", default_value_t = 30_000, value_name = "MS")]
    pub breaker_open_ms: u64,
    /// Successes in a row after which it is trusted again.
    #[arg(long, env = "RELAY_BREAKER_SUCCESSES", default_value_t = 3, value_name = "N")]
    pub breaker_successes: u32,
    /// An answer that takes longer than this makes a dependency slow (level L1), in milliseconds.
    #[arg(long, env = "RELAY_DEPENDENCY_SLOW_MS", default_value_t = 250, value_name = "MS")]
    pub dependency_slow_ms: u64,
}

impl ResilienceConfig {
    pub(super) fn validate(&self, problems: &mut Vec<ConfigError>) {
        let checks = [
            ((1..=1_000).contains(&self.breaker_failures), "RELAY_BREAKER_FAILURES", "must be 1 to 1000"),
            (
                (100..=600_000).contains(&self.breaker_open_ms),
                "RELAY_BREAKER_OPEN_MS",
                "must be 100 to 600000",
            ),
            ((1..=1_000).contains(&self.breaker_successes), "RELAY_BREAKER_SUCCESSES", "must be 1 to 1000"),
            (
                (1..=60_000).contains(&self.dependency_slow_ms),
                "RELAY_DEPENDENCY_SLOW_MS",
                "must be 1 to 60000",
            ),
        ];
        for (_, setting, problem) in checks.into_iter().filter(|(fits, ..)| !fits) {
            problems.push(ConfigError::new(setting, problem));
        }
    }
}

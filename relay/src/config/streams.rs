//! What is kept for reliable delivery.

use std::time::Duration;

use clap::Args;

use crate::config::ConfigError;

/// Settings of streams.
#[derive(Debug, Clone, Args)]
pub struct StreamsConfig {
    /// Messages that one stream keeps: those an agent has not presented, or the latest of a topic.
    #[arg(long, env = "RELAY_STREAM_MESSAGES", default_value_t = 10_000, value_name = "COUNT")]
    pub stream_messages: usize,
    /// Bytes that one stream keeps.
    #[arg(long, env = "RELAY_STREAM_BYTES", default_value_t = 16 * 1024 * 1024, value_name = "BYTES")]
    pub stream_bytes: usize,
    /// How long a stream keeps a message, in seconds; also how long an agent that is away has an inbox.
    #[arg(long, env = "RELAY_STREAM_AGE_S", default_value_t = 86_400, value_name = "S")]
    pub stream_age_s: u64,
    /// Topics of one tenant that have a stream at a time: each is a few keys of Redis until it has its age.
    #[arg(long, env = "RELAY_STREAM_TOPICS", default_value_t = 10_000, value_name = "COUNT")]
    pub stream_topics: usize,
    /// How long a session outlives its connection, in milliseconds: what Ably grants too.
    #[arg(long, env = "RELAY_RESUME_GRACE_MS", default_value_t = 120_000, value_name = "MS")]
    pub resume_grace_ms: u64,
}

impl StreamsConfig {
    /// How long a session outlives its connection.
    pub fn grace(&self) -> Duration {
        Duration::from_millis(self.resume_grace_ms)
    }

    pub(super) fn validate(&self, problems: &mut Vec<ConfigError>) {
        if !(1..=1_000_000).contains(&self.stream_messages) {
            problems.push(ConfigError::new("RELAY_STREAM_MESSAGES", "must be 1 to 1000000"));
        }
        if !(1_024..=512 * 1024 * 1024).contains(&self.stream_bytes) {
            problems.push(ConfigError::new("RELAY_STREAM_BYTES", "must be 1024 to 536870912"));
        }
        if !(60..=30 * 86_400).contains(&self.stream_age_s) {
            problems.push(ConfigError::new("RELAY_STREAM_AGE_S", "must be 60 to 2592000"));
        }
        if !(1..=1_000_000).contains(&self.stream_topics) {
            problems.push(ConfigError::new("RELAY_STREAM_TOPICS", "must be 1 to 1000000"));
        }
        if !(4_000..=3_600_000).contains(&self.resume_grace_ms) {
            problems.push(ConfigError::new("RELAY_RESUME_GRACE_MS", "must be 4000 to 3600000"));
        }
    }
}

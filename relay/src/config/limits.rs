//! What one connection may do.

use clap::Args;
use relay_protocol::limit;

use crate::config::ConfigError;

/// Settings of limits.
#[derive(Debug, Clone, Args)]
pub struct LimitsConfig {
    /// Bytes of a payload.
    #[arg(long, env = "RELAY_PAYLOAD_BYTES", default_value_t = limit::PAYLOAD_BYTES_DEFAULT, value_name = "BYTES")]
    pub payload_bytes: usize,
    /// Frames in a WebSocket message.
    #[arg(long, env = "RELAY_FRAMES_PER_MESSAGE", default_value_t = 256, value_name = "COUNT")]
    pub frames_per_message: usize,
    /// Subscriptions of a connection.
    #[arg(long, env = "RELAY_SUBSCRIPTIONS", default_value_t = 256, value_name = "COUNT")]
    pub subscriptions: usize,
    /// Sends of a connection without an outcome yet. Each holds some 200 bytes and its message.
    #[arg(long, env = "RELAY_IN_FLIGHT", default_value_t = 4_096, value_name = "COUNT")]
    pub in_flight: u32,
    /// Frames a second of a connection, sustained.
    #[arg(long, env = "RELAY_RATE_MESSAGES", default_value_t = 200, value_name = "COUNT")]
    pub rate_messages: u32,
    /// Frames of a connection at once: language models produce in bursts.
    #[arg(long, env = "RELAY_RATE_BURST", default_value_t = 1_000, value_name = "COUNT")]
    pub rate_burst: u32,
    /// Bytes a second of a connection, sustained; the burst is four times that.
    #[arg(long, env = "RELAY_RATE_BYTES", default_value_t = 1024 * 1024, value_name = "BYTES")]
    pub rate_bytes: u32,
    /// Frames refused one after another by a rate before the connection is closed.
    #[arg(long, env = "RELAY_RATE_STRIKES", default_value_t = 1_000, value_name = "COUNT")]
    pub rate_strikes: u32,
}

impl LimitsConfig {
    pub(super) fn validate(&self, problems: &mut Vec<ConfigError>) {
        if !(1..=limit::PAYLOAD_BYTES_MAX).contains(&self.payload_bytes) {
            problems.push(ConfigError::new("RELAY_PAYLOAD_BYTES", "must be 1 to 1048576"));
        }
        if !(1..=4_096).contains(&self.frames_per_message) {
            problems.push(ConfigError::new("RELAY_FRAMES_PER_MESSAGE", "must be 1 to 4096"));
        }
        let positive = [
            ("RELAY_RATE_MESSAGES", self.rate_messages),
            ("RELAY_RATE_BURST", self.rate_burst),
            ("RELAY_RATE_STRIKES", self.rate_strikes),
            ("RELAY_IN_FLIGHT", self.in_flight),
        ];
        for (name, value) in positive {
            if value == 0 {
                problems.push(ConfigError::new(name, "must be at least 1"));
            }
        }
        if (self.rate_bytes as usize) * 4 < self.message_bytes() {
            let problem = format!("four times this must hold a message of {} bytes", self.message_bytes());
            problems.push(ConfigError::new("RELAY_RATE_BYTES", problem));
        }
    }

    /// Bytes of a WebSocket message.
    pub fn message_bytes(&self) -> usize {
        limit::message_bytes_max(self.payload_bytes)
    }
}

//! How connections live.

use clap::{Args, ValueEnum};

use crate::config::ConfigError;

/// Settings of sessions.
#[derive(Debug, Clone, Args)]
pub struct SessionConfig {
    /// The longest silence towards a client, in milliseconds; jittered by a fifth. Load balancers cut after 30 to 60 s.
    #[arg(long, env = "RELAY_HEARTBEAT_MS", default_value_t = 25_000, value_name = "MS")]
    pub heartbeat_ms: u64,
    /// Messages that may wait for a session.
    #[arg(long, env = "RELAY_QUEUE_MESSAGES", default_value_t = 4_096, value_name = "COUNT")]
    pub queue_messages: usize,
    /// Bytes that may wait for a session. Times the connections, this bounds the memory of an instance.
    #[arg(long, env = "RELAY_QUEUE_BYTES", default_value_t = 1024 * 1024, value_name = "BYTES")]
    pub queue_bytes: usize,
    /// How long a queue may stay full, or a socket refuse to be written to, before the session is closed as slow, in
    /// milliseconds.
    #[arg(long, env = "RELAY_SLOW_MS", default_value_t = 10_000, value_name = "MS")]
    pub slow_ms: u64,
    /// How long a connection is kept before its client is asked to move to another one, in milliseconds; jittered by a
    /// tenth, with a minute to move after that. Cloud Run cuts a connection at 60 minutes. 0 for ever.
    #[arg(long, env = "RELAY_LEASE_MS", default_value_t = 3_000_000, value_name = "MS")]
    pub lease_ms: u64,
    /// What becomes of an agent's sessions when it opens another one: all live and each gets what is sent to the agent, or
    /// the one that comes takes over and the others are closed with 4009, or it is refused with 4103. Where Redis cannot
    /// be asked all live.
    #[arg(
        long,
        env = "RELAY_DUPLICATE_AGENTS",
        value_enum,
        default_value_t = DuplicateAgents::FanOut,
        value_name = "POLICY"
    )]
    pub duplicate_agents: DuplicateAgents,
    /// How long an agent that was lost without a goodbye stays present, in milliseconds; 0 for not at all.
    #[arg(long, env = "RELAY_PRESENCE_GRACE_MS", default_value_t = 15_000, value_name = "MS")]
    pub presence_grace_ms: u64,
    /// Buffer for reading from a socket, in bytes. Measured: 4 KiB is faster than the library's 128 KiB and costs a
    /// thirtieth of the memory (ARCHITECTURE.md, decisions).
    #[arg(long, env = "RELAY_READ_BUFFER_BYTES", default_value_t = 4_096, value_name = "BYTES")]
    pub read_buffer_bytes: usize,
}

/// What becomes of an agent's sessions when it opens another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DuplicateAgents {
    /// All live.
    FanOut,
    /// The one that comes is the only one.
    TakeOver,
    /// The one that is there stays the only one.
    Refuse,
}

impl SessionConfig {
    pub(super) fn validate(&self, problems: &mut Vec<ConfigError>) {
        if !(100..=300_000).contains(&self.heartbeat_ms) {
            problems.push(ConfigError::new("RELAY_HEARTBEAT_MS", "must be 100 to 300000"));
        }
        if self.queue_messages == 0 || self.queue_bytes < 1024 {
            problems.push(ConfigError::new(
                "RELAY_QUEUE_MESSAGES",
                "queues must hold a message and 1024 bytes at least",
            ));
        }
        if !(100..=300_000).contains(&self.slow_ms) {
            problems.push(ConfigError::new("RELAY_SLOW_MS", "must be 100 to 300000"));
        }
        if self.lease_ms != 0 && !(1_000..=604_800_000).contains(&self.lease_ms) {
            problems.push(ConfigError::new("RELAY_LEASE_MS", "must be 1000 to 604800000, or 0 for no lease"));
        }
        if self.presence_grace_ms > 300_000 {
            problems.push(ConfigError::new("RELAY_PRESENCE_GRACE_MS", "must be 300000 at most"));
        }
        if !(512..=1024 * 1024).contains(&self.read_buffer_bytes) {
            problems.push(ConfigError::new("RELAY_READ_BUFFER_BYTES", "must be 512 to 1048576"));
        }
    }
}

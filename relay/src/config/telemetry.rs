//! What the relay shows.

use clap::{Args, ValueEnum};
use tracing_subscriber::EnvFilter;

use crate::config::ConfigError;

/// Settings of logs.
#[derive(Debug, Clone, Args)]
pub struct TelemetryConfig {
    /// Which log lines: a level, or levels by module as `tracing` filters write them. Payloads, tokens and addresses are
    /// in none.
    #[arg(long, env = "RELAY_LOG", default_value = "info", value_name = "FILTER")]
    pub log: String,
    /// How log lines look: text for a terminal, JSON for a collector; by default as standard error is one or not.
    #[arg(long, env = "RELAY_LOG_FORMAT", value_enum, default_value_t = LogFormat::Auto, value_name = "FORMAT")]
    pub log_format: LogFormat,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Text on a terminal, else JSON.
    Auto,
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

impl TelemetryConfig {
    pub(super) fn validate(&self, problems: &mut Vec<ConfigError>) {
        if EnvFilter::try_new(&self.log).is_err() {
            problems.push(ConfigError::new("RELAY_LOG", format!("`{}` is not a log filter", self.log)));
        }
    }
}

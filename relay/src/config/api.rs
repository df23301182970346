//! Who may call the HTTP API, and how often.

use clap::Args;
use relay_protocol::address::is_tenant;

use crate::config::ConfigError;

/// Settings of the HTTP API.
#[derive(Debug, Clone, Args)]
pub struct ApiConfig {
    /// The tenant whose administrators may act on every tenant and suspend them. Without it nobody reaches beyond the
    /// own tenant. Whoever can sign a token for this tenant is an operator of the whole relay.
    #[arg(long, env = "RELAY_OPERATOR_TENANT", value_name = "TENANT")]
    pub operator_tenant: Option<String>,
    /// Origins of pages that may call the HTTP API, separated by commas, compared exactly. Without it none may: tokens
    /// that administrate do not belong into pages.
    #[arg(long, env = "RELAY_API_ALLOWED_ORIGINS", value_delimiter = ',', value_name = "ORIGIN")]
    pub api_allowed_origins: Vec<String>,
    /// Calls a second of one principal, sustained.
    #[arg(long, env = "RELAY_API_RATE", default_value_t = 50, value_name = "COUNT")]
    pub api_rate: u32,
    /// Calls of one principal at once.
    #[arg(long, env = "RELAY_API_BURST", default_value_t = 100, value_name = "COUNT")]
    pub api_burst: u32,
    /// Calls at once of this instance. One more is refused with 503.
    #[arg(long, env = "RELAY_API_CALLS", default_value_t = 256, value_name = "COUNT")]
    pub api_calls: usize,
}

impl ApiConfig {
    pub(super) fn validate(&self, problems: &mut Vec<ConfigError>) {
        if self.operator_tenant.as_deref().is_some_and(|tenant| !is_tenant(tenant)) {
            problems.push(ConfigError::new("RELAY_OPERATOR_TENANT", "must be 1 to 64 of A-Z a-z 0-9 _ -"));
        }
        for origin in &self.api_allowed_origins {
            let bare = origin.split_once("://").is_some_and(|(scheme, host)| {
                matches!(scheme, "http" | "https")
                    && !host.is_empty()
                    && !host.contains('/')
                    && host.is_ascii()
            });
            if !bare {
                let problem = format!("`{origin}` is not an origin; write it like https://app.example.com");
                problems.push(ConfigError::new("RELAY_API_ALLOWED_ORIGINS", problem));
            }
        }
        if self.api_rate == 0 {
            problems.push(ConfigError::new("RELAY_API_RATE", "must be at least 1"));
        }
        if self.api_burst == 0 {
            problems.push(ConfigError::new("RELAY_API_BURST", "must be at least 1"));
        }
        if !(1..=65_536).contains(&self.api_calls) {
            problems.push(ConfigError::new("RELAY_API_CALLS", "must be 1 to 65536"));
        }
    }
}

//! Whose tokens are believed.

use std::path::PathBuf;

use clap::Args;

use crate::config::ConfigError;
use crate::config::secret::Secret;

/// Settings of authentication.
#[derive(Debug, Clone, Args)]
pub struct AuthConfig {
    /// `iss` that tokens must have.
    #[arg(long, env = "RELAY_AUTH_ISSUER", default_value = "agent-relay", value_name = "TEXT")]
    pub auth_issuer: String,
    /// `aud` that tokens must have, alone or among others.
    #[arg(long, env = "RELAY_AUTH_AUDIENCE", default_value = "agent-relay", value_name = "TEXT")]
    pub auth_audience: String,
    /// File with a JSON Web Key Set: `oct`, `RSA`, `EC` P-256 and `OKP` Ed25519 keys, each with its `alg`.
    #[arg(long, env = "RELAY_AUTH_JWKS_FILE", value_name = "FILE")]
    pub auth_jwks_file: Option<PathBuf>,
    /// Public keys in PEM files, separated by commas: `KID:ALGORITHM:FILE`, the algorithm one of RS256, ES256, EdDSA.
    #[arg(long, env = "RELAY_AUTH_PEM_KEYS", value_delimiter = ',', value_name = "KID:ALG:FILE")]
    pub auth_pem_keys: Vec<String>,
    /// Secret of HS256 tokens, at least 32 bytes. Better in the environment: flags can be seen by others.
    #[arg(
        long,
        env = "RELAY_AUTH_HMAC_SECRET",
        hide_env_values = true,
        hide_short_help = true,
        value_name = "SECRET"
    )]
    pub auth_hmac_secret: Option<Secret>,
    /// How far clocks may differ, in seconds.
    #[arg(long, env = "RELAY_AUTH_LEEWAY_S", default_value_t = 5, value_name = "S")]
    pub auth_leeway_s: u64,
    /// The longest life of a token (`exp` − `iat`), in seconds.
    #[arg(long, env = "RELAY_AUTH_MAX_LIFETIME_S", default_value_t = 86_400, value_name = "S")]
    pub auth_max_lifetime_s: u64,
    /// How long a connection lives on after its token, in seconds, so that a refresh under way can arrive.
    #[arg(long, env = "RELAY_AUTH_GRACE_S", default_value_t = 30, value_name = "S")]
    pub auth_grace_s: u64,
    /// While Redis is away: how old the list of revocations may be before only tokens younger than this are let in, in
    /// seconds. Connections that live stay.
    #[arg(long, env = "RELAY_AUTH_REVOCATION_STALE_S", default_value_t = 300, value_name = "S")]
    pub auth_revocation_stale_s: u64,
    /// How long before its end a client is told that its token expires, in seconds.
    #[arg(long, env = "RELAY_AUTH_WARN_S", default_value_t = 60, value_name = "S")]
    pub auth_warn_s: u64,
}

impl AuthConfig {
    /// `keyed` where keys come from elsewhere.
    pub(super) fn validate(&self, keyed: bool, problems: &mut Vec<ConfigError>) {
        let keys = self.auth_jwks_file.is_some()
            || !self.auth_pem_keys.is_empty()
            || self.auth_hmac_secret.is_some();
        if !keys && !keyed {
            problems.push(ConfigError::new(
                "RELAY_AUTH_JWKS_FILE",
                "no key is configured, so no token could be checked; set it, RELAY_AUTH_JWKS_URL, RELAY_AUTH_FIREBASE_PROJECT, RELAY_AUTH_PEM_KEYS or RELAY_AUTH_HMAC_SECRET, or use --dev",
            ));
        }
        if self.auth_leeway_s > 60 {
            problems.push(ConfigError::new("RELAY_AUTH_LEEWAY_S", "must be at most 60"));
        }
        if !(60..=30 * 86_400).contains(&self.auth_max_lifetime_s) {
            problems.push(ConfigError::new("RELAY_AUTH_MAX_LIFETIME_S", "must be 60 to 2592000"));
        }
        if !(5..=86_400).contains(&self.auth_revocation_stale_s) {
            problems.push(ConfigError::new("RELAY_AUTH_REVOCATION_STALE_S", "must be 5 to 86400"));
        }
        for (name, value) in
            [("RELAY_AUTH_ISSUER", &self.auth_issuer), ("RELAY_AUTH_AUDIENCE", &self.auth_audience)]
        {
            if value.is_empty() {
                problems.push(ConfigError::new(name, "must not be empty"));
            }
        }
    }
}

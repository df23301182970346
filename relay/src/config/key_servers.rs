//! Whose keys are fetched.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::Args;
use hyper::Uri;
use relay_protocol::address::is_tenant;

use crate::config::ConfigError;

/// Settings of key servers.
#[derive(Debug, Clone, Args)]
pub struct KeyServersConfig {
    /// Where the issuer publishes its JSON Web Key Set: `https://…`, or `http://` to this machine. Its tokens must have the
    /// `iss` and `aud` configured above. `oct` and private keys in it are passed over, redirects not followed.
    #[arg(long, env = "RELAY_AUTH_JWKS_URL", value_name = "URL")]
    pub auth_jwks_url: Option<String>,
    /// PEM file with certificates that a key server's may lead to, besides the public ones.
    #[arg(long, env = "RELAY_AUTH_JWKS_CA_FILE", value_name = "FILE")]
    pub auth_jwks_ca_file: Option<PathBuf>,
    /// The least time between two fetches of the keys, whatever `Cache-Control` says, in seconds.
    #[arg(long, env = "RELAY_AUTH_JWKS_AGE_MIN_S", default_value_t = 60, value_name = "S")]
    pub auth_jwks_age_min_s: u64,
    /// The most, in seconds. A withdrawn key is noticed this late at worst, plus two questions to make sure.
    #[arg(long, env = "RELAY_AUTH_JWKS_AGE_MAX_S", default_value_t = 3_600, value_name = "S")]
    pub auth_jwks_age_max_s: u64,
    /// How long keys stay good while their server fails, in seconds.
    #[arg(long, env = "RELAY_AUTH_JWKS_STALE_S", default_value_t = 86_400, value_name = "S")]
    pub auth_jwks_stale_s: u64,
    /// Firebase project whose users are agents: all that Firebase Authentication needs. The user id is the agent.
    #[arg(long, env = "RELAY_AUTH_FIREBASE_PROJECT", value_name = "ID")]
    pub auth_firebase_project: Option<String>,
    /// Tenant of Firebase users without a tenant of Firebase's own. The project's id unless set.
    #[arg(long, env = "RELAY_AUTH_FIREBASE_TENANT", value_name = "NAME")]
    pub auth_firebase_tenant: Option<String>,
    /// What Firebase users may do whose token has no custom claim `relay`, as that claim is written (PROTOCOL.md §11).
    /// Everything in their tenant but to administrate it, unless set. Where strangers can sign up, set it.
    #[arg(long, env = "RELAY_AUTH_FIREBASE_RIGHTS", value_name = "JSON")]
    pub auth_firebase_rights: Option<String>,
    /// Where the keys of Firebase's tokens are, for tests. Google's address unless set.
    #[arg(long, env = "RELAY_AUTH_FIREBASE_KEYS_URL", value_name = "URL")]
    pub auth_firebase_keys_url: Option<String>,
}

impl KeyServersConfig {
    /// Whether any keys are fetched.
    pub(super) fn is_used(&self) -> bool {
        self.auth_jwks_url.is_some() || self.auth_firebase_project.is_some()
    }

    pub(super) fn validate(&self, problems: &mut Vec<ConfigError>) {
        if !(1..=3_600).contains(&self.auth_jwks_age_min_s) {
            problems.push(ConfigError::new("RELAY_AUTH_JWKS_AGE_MIN_S", "must be 1 to 3600"));
        }
        if !(self.auth_jwks_age_min_s..=86_400).contains(&self.auth_jwks_age_max_s) {
            let problem = "must be RELAY_AUTH_JWKS_AGE_MIN_S to 86400";
            problems.push(ConfigError::new("RELAY_AUTH_JWKS_AGE_MAX_S", problem));
        }
        if !(self.auth_jwks_age_max_s..=7 * 86_400).contains(&self.auth_jwks_stale_s) {
            let problem = "must be RELAY_AUTH_JWKS_AGE_MAX_S to 604800";
            problems.push(ConfigError::new("RELAY_AUTH_JWKS_STALE_S", problem));
        }
        for (name, url) in [
            ("RELAY_AUTH_JWKS_URL", &self.auth_jwks_url),
            ("RELAY_AUTH_FIREBASE_KEYS_URL", &self.auth_firebase_keys_url),
        ] {
            if url.as_ref().is_some_and(|url| key_server_url(url).is_none()) {
                let problem =
                    "not an https:// URL (http:// only to a loopback address), without user and fragment";
                problems.push(ConfigError::new(name, problem));
            }
        }
        if self.auth_firebase_tenant.as_ref().is_some_and(|tenant| !is_tenant(tenant)) {
            let problem = "not a tenant: 1 to 64 of A-Z a-z 0-9 _ -";
            problems.push(ConfigError::new("RELAY_AUTH_FIREBASE_TENANT", problem));
        }
        self.validate_firebase(problems);
    }

    fn validate_firebase(&self, problems: &mut Vec<ConfigError>) {
        let Some(project) = &self.auth_firebase_project else {
            for (name, value) in [
                ("RELAY_AUTH_FIREBASE_TENANT", &self.auth_firebase_tenant),
                ("RELAY_AUTH_FIREBASE_RIGHTS", &self.auth_firebase_rights),
                ("RELAY_AUTH_FIREBASE_KEYS_URL", &self.auth_firebase_keys_url),
            ] {
                if value.is_some() {
                    problems
                        .push(ConfigError::new(name, "means nothing without RELAY_AUTH_FIREBASE_PROJECT"));
                }
            }
            return;
        };
        // As Google makes them; it also keeps what is put into the issuer's URL from being anything else.
        let is_project = (6..=30).contains(&project.len())
            && project.starts_with(|first: char| first.is_ascii_lowercase())
            && project.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        if !is_project {
            let problem = "must be a project's id: 6 to 30 of a-z 0-9 -, beginning with a letter";
            problems.push(ConfigError::new("RELAY_AUTH_FIREBASE_PROJECT", problem));
        }
    }
}

/// The URL that `text` is, if a key server may be asked there: over TLS, or on this machine.
pub fn key_server_url(text: &str) -> Option<Uri> {
    let url: Uri = text.parse().ok()?;
    let authority = url.authority()?;
    let host = authority.host().trim_matches(['[', ']']);
    let is_loopback = host == "localhost" || host.parse().is_ok_and(|address: IpAddr| address.is_loopback());
    let may_be_asked = match url.scheme_str() {
        Some("https") => true,
        Some("http") => is_loopback,
        _ => false,
    };
    // A fragment is cut off by the parser, so it is looked for in the text.
    (may_be_asked && !authority.as_str().contains('@') && !text.contains('#')).then_some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_tls_or_this_machine_is_asked() {
        for good in [
            "https://keys.test/jwks",
            "http://127.0.0.1:1/",
            "http://[::1]:80/jwks",
            "http://localhost/x?y=z",
        ] {
            assert!(key_server_url(good).is_some(), "{good}");
        }
        for bad in [
            "http://keys.test/jwks",
            "http://127.0.0.1.keys.test/",
            "http://localhost.keys.test/",
            "https://user:secret@keys.test/",
            "https://keys.test/#x",
            "ftp://keys.test/",
            "/jwks",
            "keys.test",
            "",
        ] {
            assert_eq!(key_server_url(bad), None, "{bad}");
        }
    }
}

//! The keys that a configuration names.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow};

use crate::auth::mint::random_secret;
use crate::auth::{Algorithm, Authenticator, JwtAuthenticator, JwtRules, KeySet, Minter};
use crate::config::Config;
use crate::config::ConfigError;
use crate::config::Secret;
use crate::config::auth::AuthConfig;

/// The authenticator, and in development mode what makes tokens for it.
pub(super) fn build(config: &Config) -> anyhow::Result<(Arc<dyn Authenticator>, Option<Minter>)> {
    let auth = &config.auth;
    let (mut keys, problems) = keys(auth);
    if let Some(problem) = problems.into_iter().next() {
        return Err(problem.into());
    }
    let minter = if config.server.dev { Some(development(auth, &mut keys)?) } else { None };
    let rules = JwtRules {
        issuers: vec![auth.auth_issuer.clone()],
        audience: auth.auth_audience.clone(),
        leeway: Duration::from_secs(auth.auth_leeway_s),
        lifetime_max: Duration::from_secs(auth.auth_max_lifetime_s),
    };
    let authenticator = JwtAuthenticator::new(keys, rules).context("authentication")?;
    Ok((Arc::new(authenticator), minter))
}

/// The keys that can be used, and what is wrong with the others.
pub(super) fn keys(auth: &AuthConfig) -> (KeySet, Vec<ConfigError>) {
    let (mut keys, mut problems) = (KeySet::new(), Vec::new());
    let mut note = |setting, added: anyhow::Result<()>| {
        problems.extend(added.err().map(|error| ConfigError::new(setting, format!("{error:#}"))));
    };
    if let Some(path) = &auth.auth_jwks_file {
        let added = read(path)
            .and_then(|set| keys.add_jwks(&set).with_context(|| path.display().to_string()).map(drop));
        note("RELAY_AUTH_JWKS_FILE", added);
    }
    for entry in &auth.auth_pem_keys {
        let added = pem_entry(entry).and_then(|(kid, algorithm, path)| {
            keys.add_pem(Some(kid), algorithm, &read(path)?).with_context(|| entry.clone()).map(drop)
        });
        note("RELAY_AUTH_PEM_KEYS", added);
    }
    if let Some(secret) = &auth.auth_hmac_secret {
        let kid = (!keys.is_empty()).then_some("hmac");
        let added = keys.add_secret(kid, secret).map(drop);
        note("RELAY_AUTH_HMAC_SECRET", added.map_err(Into::into));
    }
    (keys, problems)
}

/// A key that lives as long as the process, for the console.
fn development(auth: &AuthConfig, keys: &mut KeySet) -> anyhow::Result<Minter> {
    let secret = if let Some(secret) = &auth.auth_hmac_secret {
        secret.clone()
    } else {
        let secret = random_secret();
        keys.add_secret((!keys.is_empty()).then_some("dev"), &secret)?;
        secret
    };
    let kid = match (keys.len(), &auth.auth_hmac_secret) {
        (1, _) => None,
        (_, Some(_)) => Some("hmac"),
        (_, None) => Some("dev"),
    };
    Ok(Minter::hs256(&secret, kid, &auth.auth_issuer, &auth.auth_audience)?)
}

/// What `agent-relay token` signs with: a private key in PEM, its type saying the algorithm, or the HMAC secret.
pub fn minter(auth: &AuthConfig, key: Option<&Path>, kid: Option<&str>) -> anyhow::Result<Minter> {
    if let Some(path) = key {
        let pem = Secret::from(read(path)?);
        return Ok(Minter::from_pem(&pem, kid, &auth.auth_issuer, &auth.auth_audience)?);
    }
    let secret = auth
        .auth_hmac_secret
        .as_ref()
        .ok_or_else(|| anyhow!("give a private key with --key, or set RELAY_AUTH_HMAC_SECRET"))?;
    Ok(Minter::hs256(secret, kid, &auth.auth_issuer, &auth.auth_audience)?)
}

/// `KID:ALGORITHM:FILE`.
fn pem_entry(entry: &str) -> anyhow::Result<(&str, Algorithm, &Path)> {
    let mut parts = entry.splitn(3, ':');
    let (Some(kid), Some(algorithm), Some(path)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(anyhow!("`{entry}` is not of the form KID:ALGORITHM:FILE"));
    };
    let algorithm =
        algorithm.parse().map_err(|_| anyhow!("`{algorithm}` is not one of RS256, ES256, EdDSA"))?;
    Ok((kid, algorithm, Path::new(path)))
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

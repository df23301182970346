//! The keys that a configuration names.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use futures_util::future::join_all;
use tokio_util::sync::CancellationToken;

use crate::api_keys::{ApiKeyStore, ApiKeys, TokensAndApiKeys};
use crate::auth::mint::random_secret;
use crate::auth::{Algorithm, Authenticator, Gated, JwtAuthenticator, JwtRules, KeySet, Minter};
use crate::auth::{FIREBASE_KEYS_URL, FirebaseRules, Issuer, KeyServer, KeyServerSettings, RightsClaim};
use crate::config::Config;
use crate::config::ConfigError;
use crate::config::Secret;
use crate::config::auth::AuthConfig;
use crate::config::key_servers::KeyServersConfig;
use crate::lifecycle::Lifecycle;
use crate::limits::Limits;
use crate::resilience::Health;
use crate::revocation::{Revocation, RevocationSettings, RevocationStore, Revocations, Target};
use crate::router::{Concerned, Router};
use crate::telemetry::metrics::Metrics;
use crate::tenants::{News, TenantStore, Tenants};

/// The least time between two questions to a key server for the sake of an unknown `kid`: made-up ones cost it no more
/// than that.
const ASK_EVERY: Duration = Duration::from_secs(5);

/// How long a start waits for the list of revocations: as long as for Redis itself.
const FIRST_READ: Duration = Duration::from_secs(2);

/// What instances share about identity.
pub(super) struct Stores {
    pub(super) revocations: Arc<dyn RevocationStore>,
    pub(super) api_keys: Arc<dyn ApiKeyStore>,
    pub(super) tenants: Arc<dyn TenantStore>,
}

/// Who tells who presents a token.
pub(super) struct Identity {
    /// The authenticator.
    pub(super) authenticator: Arc<dyn Authenticator>,
    /// The key servers it looks at.
    servers: Vec<Arc<KeyServer>>,
    /// What it does not believe, whoever signed it.
    pub(super) revocations: Arc<Revocations>,
    /// Keys of programs.
    pub(super) api_keys: Arc<ApiKeys>,
    /// Which tenants are suspended, and which have limits of their own.
    pub(super) tenants: Arc<Tenants>,
    /// In development mode, what makes tokens for it.
    pub(super) minter: Option<Minter>,
}

/// Everything about identity that a configuration names.
pub(super) fn build(
    config: &Config,
    stores: Stores,
    router: &Arc<Router>,
    limits: &Arc<Limits>,
    metrics: &Arc<Metrics>,
) -> anyhow::Result<Identity> {
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
    let (mut issuers, mut servers) = (Vec::new(), Vec::new());
    if let Some(url) = &config.key_servers.auth_jwks_url {
        let server = key_server(&config.key_servers, url, metrics).context("RELAY_AUTH_JWKS_URL")?;
        issuers.push(Issuer::published(Arc::clone(&server), rules.clone()).context("authentication")?);
        servers.push(server);
    }
    if let Some(project) = &config.key_servers.auth_firebase_project {
        let (server, rules) = firebase(config, project, metrics)?;
        issuers.push(Issuer::firebase(Arc::clone(&server), rules));
        servers.push(server);
    }
    if !keys.is_empty() {
        issuers.push(Issuer::fixed(keys, rules).context("authentication")?);
    }
    let tokens = Arc::new(JwtAuthenticator::new(issuers).context("authentication")?);
    let settings = RevocationSettings {
        life: longest_life(config),
        stale_for: Duration::from_secs(auth.auth_revocation_stale_s),
    };
    let concerned = Arc::clone(router);
    let tell = move |revocation: &Revocation| concerned.recheck(&concerns(revocation));
    let revocations = Revocations::new(stores.revocations, settings, tell, Arc::clone(metrics));
    let life_max = Duration::from_secs(auth.auth_max_lifetime_s);
    let believed = Arc::new(TokensAndApiKeys::new(tokens, Arc::clone(&stores.api_keys), life_max));
    let checked = Arc::new(Gated::new(believed, Arc::<Revocations>::clone(&revocations)));
    let (concerned, limits) = (Arc::clone(router), Arc::clone(limits));
    let tell = move |tenant: &Arc<str>, news| match news {
        News::Suspended => concerned.recheck(&Concerned::Tenant(Arc::clone(tenant))),
        News::Limits(own) => limits.change_tenant(tenant, own),
    };
    let tenants = Tenants::new(stores.tenants, tell);
    let authenticator = Arc::new(Gated::new(checked, Arc::<Tenants>::clone(&tenants)));
    let api_keys = Arc::new(ApiKeys::new(stores.api_keys, Arc::clone(&revocations)));
    Ok(Identity { authenticator, servers, revocations, api_keys, tenants, minter })
}

/// The longest that a connection can live by one token.
pub(super) fn longest_life(config: &Config) -> Duration {
    let auth = &config.auth;
    Duration::from_secs(auth.auth_max_lifetime_s + 2 * auth.auth_leeway_s + auth.auth_grace_s)
}

impl Identity {
    /// Tells how the key servers do, if there are any.
    pub(super) fn probe(&self) -> Option<impl Fn() -> Health + Send + Sync + 'static> {
        let servers = self.servers.clone();
        let worst = move || servers.iter().map(|server| server.health()).max().unwrap_or(Health::Well);
        (!self.servers.is_empty()).then_some(worst)
    }

    /// Begins to fetch keys and to read revocations, and waits a little for the first of both: a relay that starts while
    /// they are away serves whom it can.
    pub(super) async fn start(&self, router: &Arc<Router>, lifecycle: &Lifecycle) {
        let (services, stop) = (&lifecycle.services, &lifecycle.stop);
        services.spawn(Arc::clone(&self.revocations).run(stop.clone()));
        services.spawn(Arc::clone(&self.tenants).run(stop.clone()));
        for server in &self.servers {
            services.spawn(Arc::clone(server).run(stop.clone()));
            services.spawn(watch_keys(Arc::clone(server), Arc::clone(router), stop.clone()));
        }
        if tokio::time::timeout(FIRST_READ, self.revocations.first_read()).await.is_err() {
            tracing::warn!("the list of revocations cannot be read yet; trying on");
        }
        if tokio::time::timeout(FIRST_READ, self.tenants.first_read()).await.is_err() {
            tracing::warn!("the standing of tenants cannot be read yet; trying on");
        }
        let answers = join_all(self.servers.iter().map(|server| server.first_answer())).await;
        if answers.contains(&false) {
            tracing::warn!("a key server gives no keys yet; trying on");
        }
    }
}

/// Whose sessions are to look.
fn concerns(revocation: &Revocation) -> Concerned {
    let tenant = Arc::clone(revocation.tenant());
    match revocation.target() {
        Target::Tenant => Concerned::Tenant(tenant),
        Target::Agent(agent) => Concerned::Agent(tenant, Arc::clone(agent)),
        Target::Token(key) => Concerned::Token(tenant, *key),
    }
}

/// Whoever was let in by a key that is withdrawn is to leave.
async fn watch_keys(server: Arc<KeyServer>, router: Arc<Router>, stop: CancellationToken) {
    let mut withdrawals = server.withdrawals();
    while let Some(Ok(())) = stop.run_until_cancelled(withdrawals.changed()).await {
        router.recheck(&Concerned::All);
    }
}

fn key_server(
    config: &KeyServersConfig,
    url: &str,
    metrics: &Arc<Metrics>,
) -> anyhow::Result<Arc<KeyServer>> {
    let age_min = Duration::from_secs(config.auth_jwks_age_min_s);
    let settings = KeyServerSettings {
        url: url.to_owned(),
        authorities: config.auth_jwks_ca_file.as_deref().map(read).transpose()?,
        age_min,
        age_max: Duration::from_secs(config.auth_jwks_age_max_s),
        stale_for: Duration::from_secs(config.auth_jwks_stale_s),
        ask_every: ASK_EVERY.min(age_min),
    };
    Ok(KeyServer::new(settings, Arc::clone(metrics))?)
}

/// The key server and the rules that follow from a project's id.
fn firebase(
    config: &Config,
    project: &str,
    metrics: &Arc<Metrics>,
) -> anyhow::Result<(Arc<KeyServer>, FirebaseRules)> {
    let servers = &config.key_servers;
    let url = servers.auth_firebase_keys_url.as_deref().unwrap_or(FIREBASE_KEYS_URL);
    let server = key_server(servers, url, metrics).context("RELAY_AUTH_FIREBASE_KEYS_URL")?;
    let tenant = servers.auth_firebase_tenant.as_deref().unwrap_or(project);
    let rights = match &servers.auth_firebase_rights {
        Some(text) => RightsClaim::parse(text).context("RELAY_AUTH_FIREBASE_RIGHTS")?,
        None => RightsClaim::everything(),
    };
    let rules = FirebaseRules {
        project: project.to_owned(),
        tenant: tenant.to_owned(),
        rights,
        leeway: Duration::from_secs(config.auth.auth_leeway_s),
        lifetime_max: Duration::from_secs(config.auth.auth_max_lifetime_s),
    };
    Ok((server, rules))
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

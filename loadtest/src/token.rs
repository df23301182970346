//! Tokens for simulated agents.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::{Deserialize, Serialize};

/// A run of a day has to reconnect; shorter ones never meet the end of their tokens.
const LIFETIME: Duration = Duration::from_hours(12);

/// Who an agent is, and what proves it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Identity {
    /// The tenant.
    pub tenant: String,
    /// The agent's name in it.
    pub agent: String,
    /// The token.
    pub token: String,
}

impl Identity {
    /// Its address.
    pub fn address(&self) -> String {
        format!("agent/{}", self.agent)
    }
}

/// Signs tokens with HS256.
#[derive(Clone, Serialize, Deserialize)]
#[serde(from = "Signing", into = "Signing")]
pub struct Minter {
    signing: Signing,
    key: EncodingKey,
}

/// What a minter is made of; it goes to nobody but a process of this program's own.
#[derive(Clone, Serialize, Deserialize)]
struct Signing {
    secret: String,
    issuer: String,
    audience: String,
}

impl std::fmt::Debug for Minter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Minter").field("issuer", &self.signing.issuer).finish_non_exhaustive()
    }
}

impl From<Signing> for Minter {
    fn from(signing: Signing) -> Minter {
        Minter { key: EncodingKey::from_secret(signing.secret.as_bytes()), signing }
    }
}

impl From<Minter> for Signing {
    fn from(minter: Minter) -> Signing {
        minter.signing
    }
}

/// What a token says.
#[derive(Debug, Clone, Serialize)]
pub struct Claims {
    /// Issuer.
    pub iss: String,
    /// Audience.
    pub aud: String,
    /// The agent.
    pub sub: String,
    /// The tenant.
    pub tid: String,
    /// Issued at, in seconds of Unix time.
    pub iat: u64,
    /// Expires at, in seconds of Unix time.
    pub exp: u64,
    /// What the agent may do.
    pub relay: Grants,
}

/// What an agent may do.
#[derive(Debug, Clone, Serialize)]
pub struct Grants {
    /// Topic patterns it may publish to.
    pub publish: Vec<String>,
    /// Topic patterns it may subscribe to.
    pub subscribe: Vec<String>,
    /// Addresses it may send to.
    pub send: Vec<String>,
    /// Patterns of groups it may join.
    pub join: Vec<String>,
    /// Addresses whose presence it may watch.
    pub watch: Vec<String>,
    /// Whether it may act on others.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub admin: bool,
}

impl Grants {
    /// Everything but administration.
    pub fn all() -> Grants {
        let any = || vec!["*".to_owned()];
        let send = ["agent/*", "session/*", "group/*"].map(str::to_owned).to_vec();
        let watch = ["agent/*", "group/*", "topic/*"].map(str::to_owned).to_vec();
        Grants { publish: any(), subscribe: any(), send, join: any(), watch, admin: false }
    }
}

impl Minter {
    /// Signs with `secret` in the name of `issuer` for `audience`.
    pub fn new(secret: &str, issuer: impl Into<String>, audience: impl Into<String>) -> Minter {
        Signing { secret: secret.to_owned(), issuer: issuer.into(), audience: audience.into() }.into()
    }

    /// An agent that may do everything but administration.
    pub fn identity(&self, tenant: &str, agent: &str) -> Result<Identity, jsonwebtoken::errors::Error> {
        let token = self.sign(&self.claims(tenant, agent))?;
        Ok(Identity { tenant: tenant.to_owned(), agent: agent.to_owned(), token })
    }

    /// The claims of such an agent, to be changed by who wants others.
    pub fn claims(&self, tenant: &str, agent: &str) -> Claims {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        Claims {
            iss: self.signing.issuer.clone(),
            aud: self.signing.audience.clone(),
            sub: agent.to_owned(),
            tid: tenant.to_owned(),
            iat: now,
            exp: now + LIFETIME.as_secs(),
            relay: Grants::all(),
        }
    }

    /// Signs any claims.
    pub fn sign(&self, claims: &Claims) -> Result<String, jsonwebtoken::errors::Error> {
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), claims, &self.key)
    }
}

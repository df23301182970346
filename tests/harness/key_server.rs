//! A key server on this machine, and tokens that its keys sign.

use std::fs;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;

use anyhow::Context;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header};
use relay_loadtest::token::Claims;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::program;

/// A key with both halves, under a name of its own.
pub struct IssuerKey {
    name: String,
    private: EncodingKey,
    public: Value,
    algorithm: Algorithm,
}

impl std::fmt::Debug for IssuerKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IssuerKey").field("name", &self.name).finish_non_exhaustive()
    }
}

impl IssuerKey {
    /// An RSA key for RS256.
    pub fn rsa(name: &str) -> anyhow::Result<IssuerKey> {
        let (private, public) = pems("test-only-rsa-2048")?;
        let public = DecodingKey::from_rsa_pem(&public)?;
        IssuerKey::of(name, EncodingKey::from_rsa_pem(&private)?, &public, Algorithm::RS256)
    }

    /// A key on P-256 for ES256.
    pub fn p256(name: &str) -> anyhow::Result<IssuerKey> {
        let (private, public) = pems("test-only-p256")?;
        let public = DecodingKey::from_ec_pem(&public)?;
        IssuerKey::of(name, EncodingKey::from_ec_pem(&private)?, &public, Algorithm::ES256)
    }

    fn of(
        name: &str,
        private: EncodingKey,
        public: &DecodingKey,
        algorithm: Algorithm,
    ) -> anyhow::Result<IssuerKey> {
        let mut public = serde_json::to_value(Jwk::from_decoding_key(public, None)?)?;
        public["kid"] = json!(name);
        Ok(IssuerKey { name: name.to_owned(), private, public, algorithm })
    }

    /// A token that says `claims`.
    pub fn sign(&self, claims: &Claims) -> anyhow::Result<String> {
        let header = Header { kid: Some(self.name.clone()), ..Header::new(self.algorithm) };
        Ok(jsonwebtoken::encode(&header, claims, &self.private)?)
    }
}

fn pems(name: &str) -> anyhow::Result<(Vec<u8>, Vec<u8>)> {
    let folder = program::root().join("relay/tests/keys");
    let read = |half: &str| fs::read(folder.join(format!("{name}.{half}.pem"))).context("a key of the tests");
    Ok((read("private")?, read("public")?))
}

/// What the server publishes; nothing is a failure.
type Document = Arc<Mutex<Option<Value>>>;

/// A key server. Dropped, it is gone.
#[derive(Debug)]
pub struct KeyServer {
    document: Document,
    url: String,
    _serving: JoinSet<()>,
}

impl KeyServer {
    /// A server that publishes these keys.
    pub async fn start(keys: &[&IssuerKey]) -> anyhow::Result<KeyServer> {
        let document = Document::default();
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}/jwks", listener.local_addr()?);
        let routes = axum::Router::new().route("/jwks", get(serve)).with_state(Arc::clone(&document));
        let mut serving = JoinSet::new();
        serving.spawn(async move { drop(axum::serve(listener, routes).await) });
        let server = KeyServer { document, url, _serving: serving };
        server.publish(keys);
        Ok(server)
    }

    /// Where the keys are.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Publishes these keys and no others from now on.
    pub fn publish(&self, keys: &[&IssuerKey]) {
        let keys: Vec<&Value> = keys.iter().map(|key| &key.public).collect();
        self.answer(Some(json!({ "keys": keys })));
    }

    /// Answers with status 500 from now on.
    pub fn fail(&self) {
        self.answer(None);
    }

    fn answer(&self, document: Option<Value>) {
        *self.document.lock().unwrap_or_else(PoisonError::into_inner) = document;
    }
}

async fn serve(State(document): State<Document>) -> Response {
    let document = document.lock().unwrap_or_else(PoisonError::into_inner).clone();
    match document {
        Some(document) => {
            ([(header::CONTENT_TYPE, "application/json")], document.to_string()).into_response()
        }
        None => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

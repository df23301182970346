//! Asks a key server for its document. The server is not trusted with our memory, our time or our way: what it sends is
//! bounded in bytes and seconds, and no redirect is followed, as one could lead to where an operator did not point.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::header::{ACCEPT, CONTENT_TYPE, USER_AGENT};
use hyper::{Request, StatusCode, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use thiserror::Error;

use crate::auth::key_server::freshness::fresh_for;
use crate::auth::keyset::{JWKS_BYTES_MAX, JwksError, KeySet};
use crate::config::key_servers::key_server_url;
use crate::tls;
use crate::tls::NotCertificates;

/// From the first packet to the last byte: a key server answers in tenths of a second, from another continent in one.
const FETCH_TIMEOUT: Duration = Duration::from_secs(5);
/// A connection alone; the rest is for TLS and the answer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// The head of an answer.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// Asks one key server.
pub(super) struct KeyClient {
    client: Client<HttpsConnector<HttpConnector>, Empty<Bytes>>,
    url: Uri,
    age_min: Duration,
    age_max: Duration,
}

/// What a key server answered.
#[derive(Debug)]
pub(super) struct Published {
    pub(super) keys: KeySet,
    pub(super) passed_over: usize,
    pub(super) fresh_for: Duration,
}

/// Why there is no answer that can be used. Nothing of the answer is in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(super) enum FetchError {
    #[error("no answer in time")]
    TimedOut,
    #[error("no connection, or it broke")]
    Connection,
    #[error("status {0}; redirects are not followed")]
    Status(StatusCode),
    #[error("not `application/json` or `application/jwk-set+json`")]
    ContentType,
    #[error("the body is larger than {JWKS_BYTES_MAX} bytes, or broke off")]
    Body,
    #[error(transparent)]
    Document(#[from] JwksError),
}

/// Why a key server cannot be asked at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum KeyServerError {
    /// Not a URL, or one that may not be used.
    #[error("not an https:// URL (http:// only to a loopback address), without user and fragment")]
    Url,
    /// The certificates that were given cannot be read.
    #[error(transparent)]
    Certificates(#[from] NotCertificates),
}

impl KeyClient {
    /// A client of the key server at `url`, whose certificate must lead to a public root or to one of `authorities`,
    /// which is PEM.
    pub(super) fn new(
        url: &str,
        authorities: Option<&[u8]>,
        age_min: Duration,
        age_max: Duration,
    ) -> Result<KeyClient, KeyServerError> {
        let url = key_server_url(url).ok_or(KeyServerError::Url)?;
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        http.set_connect_timeout(Some(CONNECT_TIMEOUT));
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls::client(authorities)?)
            .https_or_http()
            .enable_http1()
            .wrap_connector(http);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            // Asked once in minutes: a connection kept for that would only be found broken.
            .pool_max_idle_per_host(0)
            .http1_max_buf_size(HEAD_BYTES_MAX)
            .build(connector);
        Ok(KeyClient { client, url, age_min, age_max })
    }

    /// What the key server publishes now.
    pub(super) async fn fetch(&self) -> Result<Published, FetchError> {
        tokio::time::timeout(FETCH_TIMEOUT, self.ask()).await.map_err(|_| FetchError::TimedOut)?
    }

    async fn ask(&self) -> Result<Published, FetchError> {
        let request = Request::get(&self.url)
            .header(ACCEPT, "application/json, application/jwk-set+json")
            .header(USER_AGENT, concat!("agent-relay/", env!("CARGO_PKG_VERSION")))
            .body(Empty::new())
            .map_err(|_| FetchError::Connection)?;
        let answer = self.client.request(request).await.map_err(|_| FetchError::Connection)?;
        let (head, body) = answer.into_parts();
        if head.status != StatusCode::OK {
            return Err(FetchError::Status(head.status));
        }
        let kind = head.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        if kind != "application/json" && kind != "application/jwk-set+json" {
            return Err(FetchError::ContentType);
        }
        let fresh_for = fresh_for(&head.headers, self.age_min, self.age_max);
        let body = Limited::new(body, JWKS_BYTES_MAX).collect().await.map_err(|_| FetchError::Body)?;
        let (keys, passed_over) = KeySet::published(&body.to_bytes())?;
        Ok(Published { keys, passed_over, fresh_for })
    }
}

impl fmt::Debug for KeyClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The path may hold what identifies an account.
        f.debug_struct("KeyClient").field("host", &self.url.host()).finish_non_exhaustive()
    }
}

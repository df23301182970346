//! Where agents connect: a WebSocket URL, resolved once, and refused when it is somebody else's machine.

use std::net::SocketAddr;

use anyhow::{Context, bail};
use tokio_tungstenite::tungstenite::http::Uri;

/// Where a relay listens for WebSockets.
pub const RELAY_PATH: &str = "/ws";

/// A relay's address.
#[derive(Debug, Clone)]
pub struct Target {
    /// As a client would write it.
    pub uri: Uri,
    /// Where that is.
    pub address: SocketAddr,
}

impl Target {
    /// Resolves `url`; one without a path means `path`. Anything but loopback is refused unless `allow_remote`.
    pub async fn resolve(url: &str, path: &str, allow_remote: bool) -> anyhow::Result<Target> {
        let uri: Uri = url.parse().with_context(|| format!("{url} is not a URL"))?;
        if uri.scheme_str() != Some("ws") {
            bail!("{url}: only ws:// is spoken; put what ends TLS in front of the generator");
        }
        let authority = uri.authority().with_context(|| format!("{url} names no host"))?.clone();
        let port = authority.port_u16().unwrap_or(80);
        let host = authority.host().trim_matches(['[', ']']).to_owned();
        let address = tokio::net::lookup_host((host.as_str(), port))
            .await
            .with_context(|| format!("cannot resolve {host}"))?
            .next()
            .with_context(|| format!("{host} has no address"))?;
        if !allow_remote && !address.ip().is_loopback() {
            bail!("{url} is not on this machine; --allow-remote if it is yours to load");
        }
        let path = match uri.path_and_query() {
            Some(given) if given.path() != "/" => given.as_str(),
            _ => path,
        };
        let uri = Uri::builder().scheme("ws").authority(authority).path_and_query(path).build()?;
        Ok(Target { uri, address })
    }

    /// The relay on a loopback port.
    pub fn local(port: u16) -> anyhow::Result<Target> {
        Target::local_at(port, RELAY_PATH)
    }

    /// What listens on a loopback port.
    pub fn local_at(port: u16, path: &str) -> anyhow::Result<Target> {
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let uri = Uri::builder().scheme("ws").authority(address.to_string()).path_and_query(path).build()?;
        Ok(Target { uri, address })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_this_machine_is_loaded_unless_asked() {
        let local = Target::resolve("ws://127.0.0.1:9000", RELAY_PATH, false).await.unwrap();
        assert_eq!(local.uri, "ws://127.0.0.1:9000/ws");
        assert!(Target::resolve("ws://[::1]:9000/ws", RELAY_PATH, false).await.is_ok());
        for remote in ["ws://192.0.2.1:80/ws", "ws://0.0.0.0:80/ws"] {
            assert!(Target::resolve(remote, RELAY_PATH, false).await.is_err(), "{remote}");
            assert!(Target::resolve(remote, RELAY_PATH, true).await.is_ok(), "{remote}");
        }
        assert!(Target::resolve("http://127.0.0.1/", RELAY_PATH, false).await.is_err());
    }
    #[tokio::test]
    async fn a_path_and_a_query_that_are_given_stand() {
        let path = "/socket.io/?EIO=4&transport=websocket";
        for url in ["ws://127.0.0.1:9000", "ws://127.0.0.1:9000/socket.io/?EIO=4&transport=websocket"] {
            let target = Target::resolve(url, path, false).await.unwrap();
            assert_eq!(target.uri.to_string(), format!("ws://127.0.0.1:9000{path}"));
        }
    }
}

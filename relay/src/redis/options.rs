//! The options every client of Redis is built with, in one place: each line that differs from fred's own default says
//! what that default does.

use std::time::Duration;

use fred::clients::Client;
use fred::types::RespVersion;
use fred::types::config::{
    Config, ConnectionConfig, Options, PerformanceConfig, ReconnectPolicy, TcpConfig, TlsConfig, TlsConnector,
};
use socket2_of_fred::TcpKeepalive;

use crate::redis::RedisError;
use crate::tls;

/// How long a command may take. By default fred waits for ever: eight seconds of a stopped Redis were eight seconds
/// without an answer or an error.
pub(crate) const COMMAND_TIMEOUT: Duration = Duration::from_secs(1);

/// How long connecting may take, and then its handshake. By default ten seconds each, which a Redis that accepts and
/// says nothing would cost at every attempt.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// How long the kernel may wait for a sign that what was written arrived. It ends a write to a full socket, in which fred
/// neither reads nor obeys.
const USER_TIMEOUT: Duration = Duration::from_secs(4);

/// A silent connection is asked for a sign of life after this, then each second, and given up at the third silence.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(5);

/// Messages that may wait between the socket and the read loop. By default 32, and what is over is lost.
const SUBSCRIBER_BROADCAST: usize = 8192;

/// Commands that may wait inside fred. [`Commands::begin`](crate::redis::Commands::begin) keeps far below it, since fred
/// miscounts once this is reached: every refusal leaves its counter of queued commands one too high, so that it believes
/// more will follow and flushes each 200 commands only. By default there is no bound.
const COMMANDS_QUEUED_MAX: usize = 1 << 18;

/// How often a script follows its slot: to a node that takes the slot over at this moment, and to the one that it was moved
/// to meanwhile.
const REDIRECTIONS_MAX: u32 = 2;

/// What a client is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Publishing, and everything else that is asked and answered.
    Commands,
    /// Receiving what is published.
    Subscriber,
}

/// The server that `url` names; where that asks for TLS, its certificate may lead to one of `authorities`, in PEM.
pub(crate) fn server(url: &str, authorities: Option<&[u8]>) -> Result<Config, RedisError> {
    let (scheme, _) = url.split_once("://").ok_or(RedisError::Scheme)?;
    let config = match scheme {
        "redis" | "rediss" => Config::from_url_centralized(url),
        "redis-sentinel" | "rediss-sentinel" => Config::from_url_sentinel(url),
        "redis-cluster" | "rediss-cluster" => {
            Config::from_url_clustered(&cluster_url(url).ok_or(RedisError::Url)?)
        }
        _ => return Err(RedisError::Scheme),
    };
    let mut config = config.map_err(|_| RedisError::Url)?;
    if scheme.starts_with("rediss") {
        // By default fred asks the machine for its roots.
        config.tls = Some(TlsConfig::from(TlsConnector::from(tls::client(authorities)?)));
    }
    // By default the first failed attempt to connect is the last.
    config.fail_fast = false;
    // By default RESP2, in which a subscribed connection cannot be asked what it is subscribed to.
    config.version = RespVersion::RESP3;
    Ok(config)
}

/// As fred writes the nodes of a Cluster: the first as the host, the others as parameters.
fn cluster_url(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let (credentials, nodes) = rest.rsplit_once('@').map_or(("", rest), |(before, nodes)| (before, nodes));
    if nodes.is_empty() || nodes.contains(['/', '?', '#']) {
        // A Cluster has one database.
        return None;
    }
    let at = if credentials.is_empty() { "" } else { "@" };
    let nodes: Vec<&str> = nodes.split(',').collect();
    if nodes.iter().any(|node| node.split_once(':').is_none_or(|(host, _)| host.is_empty())) {
        return None;
    }
    let further: Vec<String> = nodes[1..].iter().map(|node| format!("node={node}")).collect();
    Some(format!("{scheme}://{credentials}{at}{}?{}", nodes[0], further.join("&")))
}

/// A client of that server that is not connected yet.
pub(crate) fn client(server: &Config, purpose: Purpose) -> Client {
    let performance = PerformanceConfig {
        default_command_timeout: COMMAND_TIMEOUT,
        broadcast_channel_capacity: match purpose {
            Purpose::Commands => 32,
            Purpose::Subscriber => SUBSCRIBER_BROADCAST,
        },
        ..PerformanceConfig::default()
    };
    Client::new(server.clone(), Some(performance), Some(connection()), Some(reconnecting()))
}

/// What every command is sent with.
pub(crate) fn at_most_once() -> Options {
    // By default a command whose answer was cut off is sent again, up to three times: a publish would arrive twice.
    Options { max_attempts: Some(1), timeout: Some(COMMAND_TIMEOUT), ..Options::default() }
}

/// The same, but refused at once while there is no connection, instead of waiting for one. In a Cluster it is not sent on
/// by itself when its slot has moved either: fred would send on with it what was only not answered yet.
pub(crate) fn at_most_once_at_once() -> Options {
    Options { fail_fast: true, max_redirections: Some(0), ..at_most_once() }
}

/// What a script is sent with: it may be carried out twice, which changes nothing, and follows its slot in a Cluster.
pub(crate) fn repeatable_at_once() -> Options {
    Options {
        max_attempts: Some(1 + REDIRECTIONS_MAX),
        max_redirections: Some(REDIRECTIONS_MAX),
        ..at_most_once_at_once()
    }
}

fn connection() -> ConnectionConfig {
    ConnectionConfig {
        connection_timeout: CONNECT_TIMEOUT,
        internal_command_timeout: CONNECT_TIMEOUT,
        max_command_attempts: 1,
        max_command_buffer_len: COMMANDS_QUEUED_MAX,
        // Shown by CLIENT LIST.
        auto_client_setname: true,
        tcp: TcpConfig {
            // By default Nagle's algorithm holds small commands back.
            nodelay: Some(true),
            keepalive: Some(
                TcpKeepalive::new()
                    .with_time(KEEPALIVE_IDLE)
                    .with_interval(Duration::from_secs(1))
                    .with_retries(3),
            ),
            user_timeout: Some(USER_TIMEOUT),
            ..TcpConfig::default()
        },
        // `unresponsive` stays off. It measures from the last command written, so that a hung server is never noticed
        // while commands keep being written, be they heartbeats. `Link` and `Probe` measure from the last answer.
        ..ConnectionConfig::default()
    }
}

/// By default fred does not reconnect at all, and goes on saying that it is connected. Without a bound on attempts; at
/// first nearly at once, then doubling up to a second, the first steps jittered so that instances spread out.
fn reconnecting() -> ReconnectPolicy {
    let mut policy = ReconnectPolicy::new_exponential(0, 25, 1_000, 2);
    policy.set_jitter(100);
    policy
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::NotCertificates;

    #[test]
    fn only_a_server_that_can_be_kept_is_accepted() {
        for url in [
            "redis://127.0.0.1:6379/0",
            "redis://user:secret@redis.internal",
            "rediss://user:secret@redis.internal",
            "redis-sentinel://a:1?node=b:2&sentinelServiceName=relay&sentinelPassword=secret",
            "rediss-sentinel://a:1?sentinelServiceName=relay",
            "redis-cluster://a:1",
            "rediss-cluster://user:secret@a:1,b:2,c:3",
        ] {
            let server = server(url, None).unwrap();
            assert_eq!(server.tls.is_some(), url.starts_with("rediss"), "{url}");
            assert_eq!(server.server.is_sentinel(), url.contains("-sentinel"), "{url}");
            assert_eq!(server.server.is_clustered(), url.contains("-cluster"), "{url}");
        }
        for url in ["redis-clusters://a:1", "http://a", ""] {
            assert_eq!(server(url, None).err(), Some(RedisError::Scheme), "{url}");
        }
        for url in [
            "redis://",
            "redis-sentinel://a:1",
            "redis-cluster://",
            "redis-cluster://a",
            "redis-cluster://a:1/2",
            "redis-cluster://a:1,",
        ] {
            assert_eq!(server(url, None).err(), Some(RedisError::Url), "{url}");
        }
        let cluster = server("redis-cluster://u:p@a:1,b:2,c:3", None).unwrap();
        let mut nodes: Vec<String> = cluster.server.hosts().iter().map(ToString::to_string).collect();
        nodes.sort();
        assert_eq!(nodes, ["a:1", "b:2", "c:3"]);
        assert_eq!((cluster.username.as_deref(), cluster.password.as_deref()), (Some("u"), Some("p")));
        let none = server("rediss://redis.internal", Some(b"nothing")).err();
        assert_eq!(none, Some(RedisError::Certificates(NotCertificates)));
    }
}

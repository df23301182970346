//! Connections to Redis, as the bus and the directory share them: one client for everything that is asked and answered,
//! further ones for what must have a connection of its own.
//!
//! Invariant: whoever asks gets an answer in about a second, at once while Redis is away.

mod commands;
mod connections;
mod eviction;
mod link;
mod options;
mod replicas;
#[cfg(test)]
pub(crate) mod swallowing_proxy;
#[cfg(test)]
pub(crate) mod test_cluster;
#[cfg(test)]
pub(crate) mod test_server;
#[cfg(test)]
mod tests;
mod topology;

use std::sync::Arc;
use std::time::Duration;

use fred::interfaces::ClientLike as _;
use thiserror::Error;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub(crate) use commands::{Commands, Question, Script, was_refused};
pub(crate) use connections::Connections;
pub(crate) use link::Link;
pub(crate) use options::COMMAND_TIMEOUT;
pub use replicas::ReplicaSettings;
pub(crate) use replicas::Replicas;
pub(crate) use topology::{Slots, Topology};

use eviction::Eviction;
use options::Purpose;

use crate::resilience::{BreakerSettings, Health};
use crate::tls::NotCertificates;

/// How long [`Redis::open`] waits for a first answer before it goes on without.
const FIRST_ANSWER: Duration = Duration::from_secs(2);

/// What an operator chose.
#[derive(Debug, Clone)]
pub struct RedisSettings {
    /// When nothing more is asked.
    pub breaker: BreakerSettings,
    /// An answer that takes longer is slow.
    pub slow: Duration,
    /// Replicas that are to have what is promised to be kept, if any.
    pub replicas: Option<ReplicaSettings>,
    /// Certificates, in PEM, that those of Redis may lead to besides the public ones.
    pub authorities: Option<Vec<u8>>,
}

impl Default for RedisSettings {
    fn default() -> RedisSettings {
        RedisSettings {
            breaker: BreakerSettings::default(),
            slow: Duration::from_millis(250),
            replicas: None,
            authorities: None,
        }
    }
}

/// A Redis that bus and directory work with.
#[derive(Debug)]
pub struct Redis {
    connections: Connections,
    commands: Commands,
    eviction: Eviction,
    replicas: Option<Arc<Replicas>>,
}

impl Redis {
    /// Opens the Redis of `url`. What is wrong with the URL is an error; that Redis does not answer yet is not, the
    /// connection is then tried for until `token` ends it.
    pub async fn open(
        url: &str,
        settings: RedisSettings,
        tracker: TaskTracker,
        token: CancellationToken,
    ) -> Result<Redis, RedisError> {
        let server = options::server(url, settings.authorities.as_deref())?;
        let client = options::client(&server, Purpose::Commands);
        let topology = Topology::new(client.clone());
        let link =
            Arc::new(Link::new(client.with_options(&options::at_most_once()), topology.clone(), &settings));
        let commands = Commands::new(&client, link.clone());
        let watch = link.clone().watch();
        tracker.spawn(token.clone().run_until_cancelled_owned(watch));
        let eviction = Eviction::default();
        tracker.spawn(eviction.clone().watch(&link, topology, token.clone()));
        let connections = Connections::new(server, tracker, token.clone());
        let replicas = settings.replicas.map(|replicas| {
            let client = options::client(connections.server(), Purpose::Commands);
            let replicas = Replicas::new(client.clone(), &commands, replicas);
            connections.tracker().spawn(token.clone().run_until_cancelled_owned(Arc::clone(&replicas).run()));
            connections.keep_for(client, token.clone(), commands.clone().end());
            replicas
        });
        let redis = Redis { connections, commands, eviction, replicas };
        redis.connections.keep_for(client, token, redis.commands.clone().end());
        if tokio::time::timeout(FIRST_ANSWER, link.up()).await.is_err() {
            tracing::warn!("Redis does not answer; trying on");
        }
        Ok(redis)
    }

    /// Whether Redis answers.
    pub fn reachable(&self) -> bool {
        self.commands.link().reachable()
    }

    /// Tells how it does, whenever asked.
    pub fn probe(&self) -> impl Fn() -> Health + Send + Sync + 'static {
        let link = Arc::clone(self.commands.link());
        move || link.health()
    }

    /// Tells whether it forgets what is stored when its memory is full, whenever asked.
    pub fn evicts(&self) -> impl Fn() -> bool + Send + Sync + 'static {
        let eviction = self.eviction.clone();
        move || eviction.is_on()
    }

    /// How often the connection for commands came back after it was lost.
    pub fn reconnects(&self) -> u64 {
        self.commands.link().reconnects()
    }

    /// The client for what is asked and answered.
    pub(crate) fn commands(&self) -> &Commands {
        &self.commands
    }

    /// For what is promised to be kept, if replicas are to have it.
    pub(crate) fn replicas(&self) -> Option<&Arc<Replicas>> {
        self.replicas.as_ref()
    }

    /// What further connections are made with.
    pub(crate) fn connections(&self) -> &Connections {
        &self.connections
    }

    /// Which servers there are.
    pub(crate) fn topology(&self) -> &Topology {
        self.commands.link().topology()
    }

    /// Where tasks of this Redis are spawned.
    pub(crate) fn tracker(&self) -> &TaskTracker {
        self.connections.tracker()
    }

    /// What ends them.
    pub(crate) fn token(&self) -> &CancellationToken {
        self.connections.token()
    }
}

/// What a URL looks like.
const REDIS_URL_FORMS: &str = "redis[s]://[user:password@]host[:port][/database] or \
     redis[s]-sentinel://[user:password@]host[:port]?sentinelServiceName=NAME[&node=host:port…] or \
     redis[s]-cluster://[user:password@]host:port[,host:port…]";

/// Why a Redis cannot be worked with. None of these shows the URL, which may hold a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RedisError {
    /// It is no URL of a Redis.
    #[error("not a URL of the form {REDIS_URL_FORMS}")]
    Url,
    /// Another scheme.
    #[error("the scheme must be redis, redis-sentinel or redis-cluster, or one of these with rediss")]
    Scheme,
    /// The authorities.
    #[error(transparent)]
    Certificates(#[from] NotCertificates),
}

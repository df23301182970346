//! Starts relays, and Redis where they need one, and stops them whatever happens; and servers to compare them with.

pub mod child;
pub mod peer;
pub mod ready;
pub mod redis;
pub mod relay;

use std::path::{Path, PathBuf};

use anyhow::Context;
use tempfile::TempDir;

pub use child::Child;
pub use peer::PeerServer;
pub use redis::RedisServer;
pub use relay::{Relay, RelayOptions};

use crate::process::Process;
use crate::target::Target;
use crate::token::Minter;

/// The name of the relay's program.
pub const RELAY_PROGRAM: &str = "agent-relay";

const ISSUER: &str = "relay-loadtest";
const AUDIENCE: &str = "agent-relay";

/// What to start.
#[derive(Debug, Clone)]
pub struct ClusterOptions {
    /// The relay's program.
    pub binary: PathBuf,
    /// How many relays.
    pub instances: u32,
    /// What is between them.
    pub redis: RedisChoice,
    /// Arguments of each relay behind `serve`.
    pub arguments: Vec<String>,
    /// Variables of each relay's environment, stronger than those set here.
    pub environment: Vec<(String, String)>,
}

/// What is between relays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RedisChoice {
    /// Nothing: one relay alone.
    None,
    /// One that runs already.
    Url(String),
    /// One started here.
    Own,
}

/// Relays that run. Dropped, they are killed; [`Cluster::stop`] lets them drain.
#[derive(Debug)]
pub struct Cluster {
    /// The relays.
    pub relays: Vec<Relay>,
    /// Redis, if it was started here.
    pub redis: Option<RedisServer>,
    options: RelayOptions,
    minter: Minter,
    started: usize,
    // Last, so that it outlives what writes into it.
    folder: TempDir,
}

impl Cluster {
    /// Starts all of it and waits until it is ready.
    pub async fn start(options: ClusterOptions) -> anyhow::Result<Cluster> {
        let folder = TempDir::with_prefix("relay-loadtest-")?;
        let redis = match options.redis {
            RedisChoice::Own => Some(RedisServer::start(folder.path(), &[]).await?),
            RedisChoice::None | RedisChoice::Url(_) => None,
        };
        let secret = format!("{:032x}{:032x}", rand::random::<u128>(), rand::random::<u128>());
        let mut environment: Vec<(String, String)> = [
            ("RELAY_AUTH_HMAC_SECRET", secret.as_str()),
            ("RELAY_AUTH_ISSUER", ISSUER),
            ("RELAY_AUTH_AUDIENCE", AUDIENCE),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec();
        let url = match (&redis, options.redis) {
            (Some(redis), _) => Some(redis.url()),
            (None, RedisChoice::Url(url)) => Some(url),
            (None, RedisChoice::None | RedisChoice::Own) => None,
        };
        environment.extend(url.map(|url| ("RELAY_REDIS_URL".to_owned(), url)));
        environment.extend(options.environment);
        let relay = RelayOptions { binary: options.binary, arguments: options.arguments, environment };
        let minter = Minter::new(&secret, ISSUER, AUDIENCE);
        let mut cluster = Cluster { relays: Vec::new(), redis, options: relay, minter, started: 0, folder };
        for _ in 0..options.instances {
            cluster.add_relay().await?;
        }
        Ok(cluster)
    }

    /// Starts one more relay; returns its index.
    pub async fn add_relay(&mut self) -> anyhow::Result<usize> {
        let name = format!("relay-{}", self.started);
        self.started += 1;
        self.relays.push(Relay::start(&name, &self.options, self.folder.path()).await?);
        Ok(self.relays.len() - 1)
    }

    /// Lets a relay drain and starts another where it was. An error also if it did not leave cleanly.
    pub async fn restart(&mut self, index: usize) -> anyhow::Result<()> {
        let leaving = self.relays.remove(index);
        let end = leaving.child.log_end();
        let status = leaving.child.stop().await?;
        anyhow::ensure!(status.success(), "a relay ended with {status}:\n{end}");
        let (port, name) = (leaving.target.address.port(), format!("relay-{}", self.started));
        self.started += 1;
        self.relays.insert(index, Relay::start_on(port, &name, &self.options, self.folder.path()).await?);
        Ok(())
    }

    /// Where agents connect.
    pub fn targets(&self) -> Vec<Target> {
        self.relays.iter().map(|relay| relay.target.clone()).collect()
    }

    /// The relays' processes.
    pub fn processes(&self) -> Vec<Process> {
        self.relays.iter().map(|relay| relay.child.process()).collect()
    }

    /// Signs tokens that the relays accept.
    pub fn minter(&self) -> &Minter {
        &self.minter
    }

    /// Where logs and Redis's files are.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Lets every relay drain, then stops Redis. An error is that of a relay that did not leave cleanly.
    pub async fn stop(self) -> anyhow::Result<()> {
        let leaving = self.relays.into_iter().map(|relay| async {
            let end = relay.child.log_end();
            let status = relay.child.stop().await?;
            anyhow::ensure!(status.success(), "a relay ended with {status}:\n{end}");
            Ok(())
        });
        let left = futures_util::future::join_all(leaving).await;
        if let Some(redis) = self.redis {
            redis.child.stop().await?;
        }
        left.into_iter().collect()
    }
}

/// The relay's program where cargo and packages put it: beside this one.
pub fn relay_beside_this_program() -> anyhow::Result<PathBuf> {
    let path = std::env::current_exe()?.with_file_name(RELAY_PROGRAM);
    let missing = || {
        format!(
            "{} is not there: build it (`cargo build -p {RELAY_PROGRAM}`) or name it by --relay-binary",
            path.display()
        )
    };
    path.canonicalize().with_context(missing)
}

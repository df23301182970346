//! What is broken: three relays and what joins them, real processes with a proxy on each way.

use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use relay_loadtest::launch::ready::free_port;
use relay_loadtest::launch::{Relay, RelayOptions};
use relay_loadtest::target::Target;
use relay_loadtest::token::Minter;
use relay_tests::eventually;
use relay_tests::fleet::UNLIMITED;
use relay_tests::history::{History, What};
use relay_tests::http;
use relay_tests::program;
use relay_tests::proxy::Proxy;
use relay_tests::redis::Redis;
use relay_tests::sentinel::Watched;
use tempfile::TempDir;

use crate::fault::clock;

pub(crate) const RELAYS: u32 = 3;
const SECRET: &str = "a-secret-of-tests-that-is-long-enough-for-hs256";
const PARTIES: [&str; 2] = ["relay-chaos", "agent-relay"];
/// So that a timeline is short: dead connections are found in 4 s, an open circuit is tried again after one, a relay that
/// leaves takes two, and a session is spoken for each 3 s, when it is found that Redis forgot it.
const HASTE: [(&str, &str); 5] = [
    ("RELAY_HEARTBEAT_MS", "2000"),
    ("RELAY_RESUME_GRACE_MS", "12000"),
    ("RELAY_BREAKER_OPEN_MS", "1000"),
    ("RELAY_DRAIN_SPREAD_MS", "1000"),
    ("RELAY_DRAIN_MS", "3000"),
];

/// A debug build beside other timelines.
const READY_WITHIN: Duration = Duration::from_secs(30);

/// How to build one.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Form {
    /// A primary with a replica under Sentinels in place of one Redis; the relays find it by themselves, without a proxy.
    pub(crate) is_watched: bool,
    /// The clocks of relays can be moved.
    pub(crate) has_clocks: bool,
    /// Every setting of the relays is its default, but for rates.
    pub(crate) is_patient: bool,
    /// How many replicas an accepted message has to be on.
    pub(crate) wait_replicas: u32,
}

/// What joins the relays.
pub(crate) enum Store {
    Single(Box<Redis>),
    Watched(Box<Watched>),
}

/// A relay, and the ways to and from it.
pub(crate) struct Node {
    /// Nothing while it is dead.
    pub(crate) relay: Option<Relay>,
    port: u16,
    options: RelayOptions,
    /// The way from clients.
    pub(crate) entrance: Proxy,
    /// The way to Redis.
    pub(crate) to_redis: Option<Proxy>,
    /// What moves its clock, where it can be moved.
    pub(crate) clock: Option<PathBuf>,
    lives: usize,
}

/// All of it. Dropped, it is killed.
pub(crate) struct World {
    pub(crate) nodes: Vec<Node>,
    pub(crate) store: Store,
    pub(crate) minter: Minter,
    /// Fail-overs that nobody asked for.
    pub(crate) further_fail_overs: u32,
    // Last, so that it outlives what writes into it.
    pub(crate) folder: TempDir,
}

impl World {
    pub(crate) async fn start(form: Form) -> anyhow::Result<World> {
        let folder = TempDir::with_prefix("relay-chaos-")?;
        let store = if form.is_watched {
            Store::Watched(Box::new(Watched::start().await?))
        } else {
            Store::Single(Box::new(Redis::start().await?))
        };
        let minter = Minter::new(SECRET, PARTIES[0], PARTIES[1]);
        let mut world = World { nodes: Vec::new(), store, minter, further_fail_overs: 0, folder };
        for number in 0..RELAYS as usize {
            let node = world.node(number, form).await?;
            world.nodes.push(node);
        }
        for number in 0..RELAYS as usize {
            world.revive(number)?;
        }
        for number in 0..RELAYS as usize {
            eventually("a relay is ready", READY_WITHIN, async || {
                let address = world.nodes[number].alive()?.target.address;
                let health = http::get(address, "/health/ready").await;
                Ok(health.ok().filter(|answer| answer.status == 200).map(drop))
            })
            .await?;
        }
        Ok(world)
    }

    async fn node(&self, number: usize, form: Form) -> anyhow::Result<Node> {
        let (url, to_redis) = match &self.store {
            Store::Single(redis) => {
                let proxy = Proxy::before(redis.port()).await?;
                (format!("redis://127.0.0.1:{}", proxy.port()), Some(proxy))
            }
            Store::Watched(watched) => (watched.url(), None),
        };
        let own = [
            ("RELAY_AUTH_HMAC_SECRET", SECRET),
            ("RELAY_AUTH_ISSUER", PARTIES[0]),
            ("RELAY_AUTH_AUDIENCE", PARTIES[1]),
            ("RELAY_REDIS_URL", &url),
        ];
        let haste = HASTE.iter().filter(|_| !form.is_patient);
        let all = own.iter().chain(&UNLIMITED).chain(haste);
        let mut environment: Vec<(String, String)> =
            all.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        if form.wait_replicas > 0 {
            environment.push((WAIT.to_owned(), form.wait_replicas.to_string()));
        }
        let clock = form.has_clocks.then(|| self.folder.path().join(format!("clock-{number}")));
        if let Some(file) = &clock {
            environment.extend(clock::environment(file)?);
        }
        let port = free_port().await?;
        let options = RelayOptions { binary: program::relay()?, arguments: Vec::new(), environment };
        let entrance = Proxy::before(port).await?;
        Ok(Node { relay: None, port, options, entrance, to_redis, clock, lives: 0 })
    }

    /// Where clients connect.
    pub(crate) fn targets(&self) -> anyhow::Result<Arc<[Target]>> {
        self.nodes.iter().map(|node| Target::local(node.entrance.port())).collect()
    }

    /// Starts the relay of that number again, if it is dead.
    pub(crate) fn revive(&mut self, number: usize) -> anyhow::Result<()> {
        let node = &mut self.nodes[number];
        if node.relay.is_none() {
            node.lives += 1;
            let name = format!("relay-{number}.{}", node.lives);
            node.relay = Some(Relay::spawn_on(node.port, &name, &node.options, self.folder.path())?);
        }
        Ok(())
    }

    /// Sentinels fail over by themselves on a machine that is too busy, at worst to a server that has just been started.
    pub(crate) async fn note_fail_overs(&mut self, history: &History) -> anyhow::Result<()> {
        if let Store::Watched(watched) = &mut self.store
            && watched.has_changed().await?
        {
            self.further_fail_overs += 1;
            history.record(What::Fault("the Sentinels failed over once more".to_owned()));
            history.record(What::Forgotten);
        }
        Ok(())
    }

    /// Everything dies at once and is there again, without a memory.
    pub(crate) async fn burn_down(&mut self) -> anyhow::Result<()> {
        for node in &mut self.nodes {
            if let Some(relay) = node.relay.take() {
                relay.child.kill().await?;
            }
        }
        if let Store::Single(redis) = &mut self.store {
            redis.kill().await?;
            redis.begin().await?;
        }
        for number in 0..RELAYS as usize {
            self.revive(number)?;
        }
        Ok(())
    }
}

impl Node {
    /// The relay.
    pub(crate) fn alive(&self) -> anyhow::Result<&Relay> {
        self.relay.as_ref().context("the relay is dead")
    }
}

/// Names the setting by which `accepted` waits for replicas.
const WAIT: &str = "RELAY_REDIS_WAIT_REPLICAS";

/// Whether the relay has the setting.
pub(crate) fn knows_wait() -> anyhow::Result<bool> {
    let mut command = std::process::Command::new(program::relay()?);
    let told = command.arg("config").env_clear().stderr(Stdio::null()).output()?;
    Ok(String::from_utf8_lossy(&told.stdout).contains(WAIT))
}

//! Relays that serve, and agents that connect to them.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context;
use relay_loadtest::agent::{Agent, ConnectError, ConnectOptions};
use relay_loadtest::launch::{Child, Cluster, ClusterOptions, RedisChoice};
use relay_protocol::client::{Qos, ReceiptMode, Resume};
use relay_protocol::{Address, ClientFrame, Encoding, Payload, ServerFrame};

use crate::http::{self, Response};
use crate::metrics::Metrics;
use crate::peer::Peer;
use crate::program;
use crate::redis::Redis;

/// The tenant of [`Fleet::agent`].
pub const TENANT: &str = "acme";
/// How long a message may take on a machine that is busy.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Rates high enough not to be met by a load.
pub const UNLIMITED: [(&str, &str); 3] =
    [("RELAY_RATE_MESSAGES", "1000000"), ("RELAY_RATE_BURST", "1000000"), ("RELAY_RATE_BYTES", "1000000000")];

/// Some relays, joined by a Redis or one alone. Dropped, all of it is killed.
#[derive(Debug)]
pub struct Fleet {
    /// The relays.
    pub cluster: Cluster,
    /// What joins them.
    pub redis: Option<Redis>,
}

impl Fleet {
    /// One relay without Redis.
    pub async fn single(environment: &[(&str, &str)]) -> anyhow::Result<Fleet> {
        Fleet::start(1, None, environment).await
    }

    /// Relays that a Redis joins.
    pub async fn joined(instances: u32, environment: &[(&str, &str)]) -> anyhow::Result<Fleet> {
        Fleet::start(instances, Some(Redis::start().await?), environment).await
    }

    /// Relays that a Redis joins which somebody else looks after.
    pub async fn over(url: String, instances: u32, environment: &[(&str, &str)]) -> anyhow::Result<Fleet> {
        let cluster = Fleet::cluster(instances, RedisChoice::Url(url), environment).await?;
        Ok(Fleet { cluster, redis: None })
    }

    async fn start(
        instances: u32,
        redis: Option<Redis>,
        environment: &[(&str, &str)],
    ) -> anyhow::Result<Fleet> {
        let choice = redis.as_ref().map_or(RedisChoice::None, |redis| RedisChoice::Url(redis.url()));
        Ok(Fleet { cluster: Fleet::cluster(instances, choice, environment).await?, redis })
    }

    async fn cluster(
        instances: u32,
        redis: RedisChoice,
        environment: &[(&str, &str)],
    ) -> anyhow::Result<Cluster> {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let options = ClusterOptions {
            binary: program::relay()?,
            instances,
            redis,
            arguments: Vec::new(),
            environment: environment.iter().map(own).collect(),
        };
        Cluster::start(options).await
    }

    /// Redis.
    pub fn redis(&mut self) -> anyhow::Result<&mut Redis> {
        self.redis.as_mut().context("this fleet has no Redis")
    }

    /// Where the relay of that number listens.
    pub fn address(&self, instance: usize) -> SocketAddr {
        self.cluster.relays[instance].target.address
    }

    /// The relay's process.
    pub fn child(&self, instance: usize) -> &Child {
        &self.cluster.relays[instance].child
    }

    /// Takes a relay out of the fleet, to be stopped or killed.
    pub fn take(&mut self, instance: usize) -> Child {
        self.cluster.relays.remove(instance).child
    }

    /// A token for `agent`, who may do everything but administrate.
    pub fn token(&self, agent: &str) -> anyhow::Result<String> {
        Ok(self.cluster.minter().identity(TENANT, agent)?.token)
    }

    /// `agent`, connected to the relay of that number.
    pub async fn agent(&self, instance: usize, agent: &str) -> anyhow::Result<Agent> {
        self.agent_speaking(instance, agent, Encoding::Json).await
    }

    /// `agent`, connected to the relay of that number, for one message at a time.
    pub async fn peer(&self, instance: usize, agent: &str) -> anyhow::Result<Peer> {
        Ok(self.agent(instance, agent).await?.into())
    }

    /// `agent`, connected to the relay of that number and speaking `encoding`.
    pub async fn agent_speaking(
        &self,
        instance: usize,
        agent: &str,
        encoding: Encoding,
    ) -> anyhow::Result<Agent> {
        let token = self.token(agent)?;
        self.connect(instance, &token, encoding).await.with_context(|| format!("{agent} cannot connect"))
    }

    /// Whoever `token` says, connected to the relay of that number.
    pub async fn connect(
        &self,
        instance: usize,
        token: &str,
        encoding: Encoding,
    ) -> Result<Agent, ConnectError> {
        let target = &self.cluster.relays[instance].target;
        let options = ConnectOptions { encoding, ..ConnectOptions::default() };
        Agent::connect(target.address, &target.uri, token, &options).await
    }

    /// `agent`, connected to the relay of that number, where it may go on with a session; `each` hears what comes with the
    /// welcome.
    pub async fn enter(
        &self,
        instance: usize,
        agent: &str,
        resume: Option<Resume<'_>>,
        each: impl FnMut(&ServerFrame<'_>),
    ) -> anyhow::Result<Agent> {
        let target = &self.cluster.relays[instance].target;
        let (token, options) = (self.token(agent)?, ConnectOptions::default());
        let entered = Agent::resume(target.address, &target.uri, &token, &options, resume, each).await;
        entered.with_context(|| format!("{agent} cannot connect"))
    }

    /// What the relay of that number answers to a plain request.
    pub async fn get(&self, instance: usize, path: &str) -> anyhow::Result<Response> {
        http::get(self.address(instance), path).await
    }

    /// The figures of the relay of that number.
    pub async fn metrics(&self, instance: usize) -> anyhow::Result<Metrics> {
        Ok(Metrics::read(&self.get(instance, "/metrics").await?.body))
    }

    /// The figures of all relays together.
    pub async fn all_metrics(&self) -> anyhow::Result<Metrics> {
        let mut all = Metrics::default();
        for instance in 0..self.cluster.relays.len() {
            all.add(&self.metrics(instance).await?);
        }
        Ok(all)
    }

    /// Resident memory of the largest relay.
    pub fn rss_bytes_max(&self) -> anyhow::Result<u64> {
        let sizes = self.cluster.processes().into_iter().map(relay_loadtest::process::Process::rss_bytes);
        Ok(sizes.collect::<anyhow::Result<Vec<_>>>()?.into_iter().max().unwrap_or(0))
    }

    /// Whether the relay of that number still serves: a new agent sends to itself and hears it.
    pub async fn assert_serves(&self, instance: usize) -> anyhow::Result<()> {
        let mut agent = self.agent(instance, "canary").await?;
        let me = agent.greeting().session.clone();
        tell(&mut agent, &me, "\"well?\"").await?;
        let heard = agent.wait_for(|frame| match frame {
            ServerFrame::Message(message) => Some(message.payload.clone().into_owned()),
            _ => None,
        });
        let heard = tokio::time::timeout(PATIENCE, heard).await.context("the relay does not deliver")??;
        anyhow::ensure!(heard == Payload::Json("\"well?\"".into()), "something else came: {heard:?}");
        agent.leave().await;
        Ok(())
    }
}

/// Sends JSON text to `to` with every outcome told, and returns the command's id.
pub async fn tell(agent: &mut Agent, to: &Address<'_>, json: &str) -> anyhow::Result<u64> {
    let id = agent.outbox().next_id();
    agent.outbox().send(id, to.clone(), Payload::Json(json.into()), ReceiptMode::All, |_| {});
    agent.flush().await?;
    Ok(id)
}

/// Makes an agent a member of a group, and waits until others can find it.
pub async fn join(agent: &mut Agent, group: &str) -> Result<(), ConnectError> {
    let id = agent.outbox().next_id();
    agent.outbox().push(&ClientFrame::Join { id, group: group.into() });
    done(agent, id, "join").await
}

/// Subscribes an agent to a topic so that it is seen there.
pub async fn be_seen(agent: &mut Agent, topic: &str) -> Result<(), ConnectError> {
    let id = agent.outbox().next_id();
    let (topic, qos) = (topic.into(), Qos::AtMostOnce);
    agent.outbox().push(&ClientFrame::Subscribe { id, topic, qos, rewind: None, from: None, present: true });
    done(agent, id, "subscribe").await
}

/// Waits for the answer to a command.
async fn done(agent: &mut Agent, id: u64, command: &'static str) -> Result<(), ConnectError> {
    let answer = agent.wait_for(|frame| match frame {
        ServerFrame::Ok { id: answered } if *answered == id => Some(Ok(())),
        ServerFrame::Error { id: Some(answered), code, .. } if *answered == id => Some(Err(*code)),
        _ => None,
    });
    answer.await?.map_err(|code| ConnectError::Command { command, code })
}

/// An address, as text.
pub fn address(text: &str) -> anyhow::Result<Address<'static>> {
    Address::parse(text.to_owned().into()).with_context(|| format!("{text} is no address"))
}

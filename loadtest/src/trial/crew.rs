//! Connects the agents of a trial, each driven from the moment it is welcomed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context;
use hdrhistogram::Histogram;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::task::JoinSet;

use crate::agent::{Agent, ConnectError, ConnectOptions, Dialect, Ended};
use crate::checker::Books;
use crate::clock::{self, SECOND_NS};
use crate::peer::Peer;
use crate::target::Target;
use crate::token::Identity;
use crate::trial::Trial;
use crate::trial::drive::{Role, drive};
use crate::trial::live::{Live, add, empty};
use crate::trial::stage::Stage;

/// Connections being made at a time: enough to keep a relay busy, below any backlog.
const CONNECTING_MAX: usize = 128;

/// The agents of a trial, gathered.
#[derive(Debug)]
pub struct Crew {
    /// Told where the trial stands.
    pub stage: watch::Sender<Stage>,
    /// Their tasks.
    pub tasks: JoinSet<Books>,
    /// How connecting went.
    pub connecting: Connecting,
    /// Resident bytes of the relays before, where they are known.
    rss_bytes_before: Option<u64>,
}

/// How connecting went.
#[derive(Debug, Clone)]
pub struct Connecting {
    /// From the first connect to the last welcome.
    pub took_ns: u64,
    /// From the connect of each to its welcome and subscriptions.
    pub latency: Histogram<u64>,
}

impl Connecting {
    /// Connections made a second.
    #[expect(clippy::cast_precision_loss, reason = "exact up to 2^53")]
    pub fn per_second(&self) -> f64 {
        self.latency.len() as f64 / clock::seconds(self.took_ns.max(1))
    }
}

/// One who is to connect.
#[derive(Debug)]
pub struct Member<R> {
    /// Who it is.
    pub identity: Identity,
    /// What it does.
    pub role: R,
    /// Topic patterns that it subscribes to first.
    pub topics: Vec<String>,
    /// Wakes it.
    pub wake: Arc<Notify>,
}

impl Crew {
    /// Connects all members; the first failure ends it.
    pub async fn gather<R: Role>(trial: &Trial<'_>, members: Vec<Member<R>>) -> anyhow::Result<Crew> {
        let rss_bytes_before = trial.bench.rss_bytes()?;
        let (stage, follow) = watch::channel(Stage::Gather);
        let count = members.len();
        // Room for all: an agent does not wait to be noted.
        let (report, mut reports) = mpsc::channel(count.max(1));
        let permits = Arc::new(Semaphore::new(CONNECTING_MAX));
        let mut tasks = JoinSet::new();
        let begun_ns = clock::now_ns();
        for (member, number) in members.into_iter().zip(0..) {
            if let Some(rate) = trial.plan().connect_rate {
                let at_ns = begun_ns + u64::from(number) * SECOND_NS / u64::from(rate);
                tokio::time::sleep_until(clock::instant(at_ns)).await;
            }
            let permit = Arc::clone(&permits).acquire_owned().await?;
            if reports.is_closed() {
                break;
            }
            let way = Way {
                target: trial.target(number).clone(),
                options: trial.connect_options(number),
                dialect: dialect(trial, &member.identity)?,
                report: report.clone(),
                follow: follow.clone(),
                live: Arc::clone(&trial.live),
            };
            tasks.spawn(enlist(number, member, way, permit));
        }
        drop(report);
        let mut latency = empty()?;
        for _ in 0..count {
            let took_ns = reports.recv().await.context("an agent's task ended while it connected")??;
            latency.saturating_record(took_ns);
        }
        let connecting = Connecting { took_ns: clock::now_ns() - begun_ns, latency };
        Ok(Crew { stage, tasks, connecting, rss_bytes_before })
    }

    /// How much more the relays hold than before the crew came, for each connection.
    #[expect(clippy::cast_precision_loss, reason = "exact up to 2^53")]
    pub fn rss_bytes_per_connection(&self, trial: &Trial<'_>) -> anyhow::Result<Option<f64>> {
        let held = self.rss_bytes_before.zip(trial.bench.rss_bytes()?);
        let connected = self.tasks.len().max(1) as f64;
        Ok(held.map(|(before, now)| (now as f64 - before as f64) / connected))
    }
}

/// What an agent speaks, if not as to a relay.
fn dialect(trial: &Trial<'_>, identity: &Identity) -> anyhow::Result<Option<Dialect>> {
    let dialect =
        |peer: Peer| peer.dialect(identity).with_context(|| format!("{} is no agent", identity.agent));
    trial.bench.peer.map(dialect).transpose()
}

/// What an agent needs to connect and be driven.
struct Way {
    target: Target,
    options: ConnectOptions,
    dialect: Option<Dialect>,
    report: mpsc::Sender<anyhow::Result<u64>>,
    follow: watch::Receiver<Stage>,
    live: Arc<Live>,
}

async fn enlist<R: Role>(number: u32, member: Member<R>, way: Way, permit: OwnedSemaphorePermit) -> Books {
    let Member { identity, role, topics, wake } = member;
    let begun_ns = clock::now_ns();
    let connected = connect(&identity, &topics, &way.target, &way.options, way.dialect).await;
    drop(permit);
    match connected {
        Ok(agent) => {
            let _connected = Present::new(&way.live, number);
            let _ = way.report.send(Ok(clock::now_ns() - begun_ns)).await;
            drop(way.report);
            drive(agent, role, way.follow, wake).await
        }
        Err(error) => {
            let error = anyhow::Error::new(error).context(format!("agent {number} could not connect"));
            let _ = way.report.send(Err(error)).await;
            role.finish(Some(Ended::broken("not connected")))
        }
    }
}

async fn connect(
    identity: &Identity,
    topics: &[String],
    target: &Target,
    options: &ConnectOptions,
    dialect: Option<Dialect>,
) -> Result<Agent, ConnectError> {
    let (address, uri, token) = (target.address, &target.uri, &identity.token);
    let mut agent = match dialect {
        None => Agent::connect(address, uri, token, options).await?,
        Some(dialect) => Agent::connect_in(dialect, address, uri, token, options).await?,
    };
    for topic in topics {
        agent.subscribe(topic, |_| {}).await?;
    }
    Ok(agent)
}

/// Counts an agent while it is connected.
struct Present<'l>(&'l AtomicU64);

impl<'l> Present<'l> {
    fn new(live: &'l Live, number: u32) -> Present<'l> {
        let connected = &live.shard(number).connected;
        add(connected, 1);
        Present(connected)
    }
}

impl Drop for Present<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

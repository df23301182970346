//! What scenarios run on: relays to connect to, tokens to connect with, and the processes to watch.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail};
use jsonwebtoken::dangerous::insecure_decode;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::launch::{Cluster, PeerServer};
use crate::peer::Peer;
use crate::plan::Plan;
use crate::process::{self, Process};
use crate::target::Target;
use crate::token::{Identity, Minter};
use crate::trial::performance::Cpu;
use crate::workers::Workers;

/// What scenarios run on.
#[derive(Debug, Clone)]
pub struct Bench {
    /// The load.
    pub plan: Plan,
    /// The relays.
    pub targets: Vec<Target>,
    /// Where identities come from.
    pub tokens: Tokens,
    /// The relays' processes, where they are on this machine and known.
    pub relays: Vec<Process>,
    /// Redis, where it was started here.
    pub redis: Option<Process>,
    /// What was started for the run.
    pub cluster: Option<Arc<Mutex<Cluster>>>,
    /// What is there instead of relays.
    pub peer: Option<Peer>,
    /// It, if it was started for the run.
    pub peer_server: Option<Arc<PeerServer>>,
    /// Further processes of the generator, while there are any.
    pub workers: Workers,
}

/// Where identities come from.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Tokens {
    /// Made as needed.
    Minter(Minter),
    /// Given; agent n takes the nth.
    Given(Vec<Identity>),
}

impl Bench {
    /// Relays of whose processes nothing is known.
    pub fn anonymous(plan: Plan, targets: Vec<Target>, tokens: Tokens) -> Bench {
        Bench {
            plan,
            targets,
            tokens,
            relays: Vec::new(),
            redis: None,
            cluster: None,
            peer: None,
            peer_server: None,
            workers: Workers::default(),
        }
    }

    /// What every process concerned has used.
    pub fn cpu(&self) -> anyhow::Result<Cpu> {
        let relay = if self.relays.is_empty() { None } else { Some(process::cpu_seconds(&self.relays)?) };
        let redis = self.redis.map(Process::cpu_seconds).transpose()?;
        let own = Cpu::of_generator()?;
        Ok(Cpu { relay, redis, generator: own.generator + self.workers.cpu_seconds(), ..own })
    }

    /// Resident bytes of the relays without disturbing them, where they are known.
    pub fn rss_bytes_about(&self) -> Option<u64> {
        let each = self.relays.iter().map(|relay| relay.rss_bytes_about().ok());
        each.sum::<Option<u64>>().filter(|_| !self.relays.is_empty())
    }

    /// Resident bytes of the relays, where they are known.
    pub fn rss_bytes(&self) -> anyhow::Result<Option<u64>> {
        if self.relays.is_empty() { Ok(None) } else { process::rss_bytes(&self.relays).map(Some) }
    }
}

/// The claims that name an agent.
#[derive(Debug, Deserialize)]
struct Subject {
    sub: String,
    tid: String,
}

impl Tokens {
    /// Tokens of a file, one a line.
    pub fn read(path: &Path) -> anyhow::Result<Tokens> {
        let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let identity = |token: &str| {
            // Whether it is genuine is for the relay to say; here it only tells who it is for.
            let claims =
                insecure_decode::<Subject>(token).context("a line is no token with `sub` and `tid`")?.claims;
            Ok(Identity { tenant: claims.tid, agent: claims.sub, token: token.to_owned() })
        };
        lines.map(identity).collect::<anyhow::Result<_>>().map(Tokens::Given)
    }

    /// What makes the identities of `count` agents from the `first` on.
    #[must_use]
    pub fn part(&self, first: u32, count: u32) -> Tokens {
        match self {
            Tokens::Minter(minter) => Tokens::Minter(minter.clone()),
            Tokens::Given(identities) => {
                let part = identities.iter().skip(first as usize).take(count as usize);
                Tokens::Given(part.cloned().collect())
            }
        }
    }

    /// The identity of the agent of that number: a minted one is of `tenant` and named for `slot`.
    pub fn identity(&self, number: u32, tenant: &str, slot: u32) -> anyhow::Result<Identity> {
        match self {
            Tokens::Minter(minter) => Ok(minter.identity(tenant, &format!("agent-{slot}"))?),
            Tokens::Given(identities) => match identities.get(number as usize) {
                Some(identity) => Ok(identity.clone()),
                None => bail!("agent {number} has no token: the file holds {}", identities.len()),
            },
        }
    }
}

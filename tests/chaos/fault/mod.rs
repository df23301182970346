//! What can go wrong, and what of it is at fault together.

pub(crate) mod clock;
pub(crate) mod link;
pub(crate) mod network;
pub(crate) mod relay;
pub(crate) mod store;

use std::fmt;

use relay_tests::history::{History, What};
use relay_tests::seed::Chance;

use crate::world::{RELAYS, World};
use link::{LinkFault, Way};
use network::PacketFault;
use relay::RelayFault;
use store::StoreFault;

/// One thing that goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// With a relay's process.
    Relay(RelayFault, usize),
    /// With Redis.
    Store(StoreFault),
    /// With the way to or from a relay, by a proxy.
    Link(LinkFault, Way, usize),
    /// With its packets, by the kernel.
    Packets(PacketFault, Way, usize),
    /// Each relay in turn leaves and is started again.
    Rolling,
}

/// What this machine and this run allow.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Means {
    /// Only what a proxy does, for a short test.
    pub(crate) links_only: bool,
    /// Clocks of processes can be moved.
    pub(crate) clocks: bool,
    /// The process has a network of its own.
    pub(crate) network: bool,
}

impl Fault {
    /// One by chance, of those that can befall a world with a single Redis, or with one under Sentinels.
    pub(crate) fn draw(chance: &mut Chance, means: Means, is_watched: bool) -> Fault {
        let node = chance.below(RELAYS) as usize;
        let roll = if means.links_only { 60 + chance.below(40) } else { chance.below(100) };
        match roll {
            0..30 => Fault::Relay(RelayFault::draw(chance), node),
            30..34 => Fault::Rolling,
            _ if is_watched => match chance.below(3) {
                0 => Fault::Store(StoreFault::FailOver),
                1 => Fault::Relay(RelayFault::draw(chance), node),
                _ => Fault::Link(LinkFault::draw(chance), Way::Entrance, node),
            },
            34..60 => Fault::Store(StoreFault::draw(chance)),
            60..85 => Fault::Link(LinkFault::draw(chance), Way::draw(chance), node),
            // Drawn whatever the machine allows, so that a seed is the same timeline on each.
            _ if means.links_only => Fault::Link(LinkFault::draw(chance), Way::draw(chance), node),
            _ => Fault::Packets(PacketFault::draw(chance), Way::draw(chance), node),
        }
    }

    /// Whether it can be done here; else why not.
    pub(crate) fn possible(self, means: Means) -> Result<(), &'static str> {
        match self {
            Fault::Relay(RelayFault::Clock(_), _) if !means.clocks => Err("libfaketime is not installed"),
            Fault::Packets(..) if !means.network => Err("no network of its own: needs root, unshare and nft"),
            _ => Ok(()),
        }
    }

    /// Whether relays need clocks that can be moved.
    pub(crate) fn needs_clocks(self) -> bool {
        matches!(self, Fault::Relay(RelayFault::Clock(_), _))
    }

    /// Whether both must not be at one time.
    pub(crate) fn meets(self, other: Fault) -> bool {
        match (self, other) {
            (Fault::Relay(_, one), Fault::Relay(_, other)) => one == other,
            (Fault::Rolling, Fault::Relay(..) | Fault::Rolling)
            | (Fault::Relay(..), Fault::Rolling)
            | (Fault::Store(_), Fault::Store(_)) => true,
            (Fault::Link(_, way, one), Fault::Link(_, other_way, other))
            | (Fault::Packets(_, way, one), Fault::Packets(_, other_way, other)) => {
                way == other_way && one == other
            }
            _ => false,
        }
    }

    /// Lets it happen.
    pub(crate) async fn begin(self, world: &mut World, history: &History) -> anyhow::Result<()> {
        history.record(What::Fault(self.to_string()));
        match self {
            Fault::Relay(fault, node) => fault.begin(world, node).await,
            Fault::Store(fault) => fault.begin(world, history).await,
            Fault::Link(fault, way, node) => fault.begin(world, way, node),
            Fault::Packets(fault, way, node) => fault.begin(world, way, node).await,
            Fault::Rolling => {
                for node in 0..RELAYS as usize {
                    RelayFault::Left.begin(world, node).await?;
                    RelayFault::Left.end(world, node)?;
                }
                Ok(())
            }
        }
    }

    /// Ends it.
    pub(crate) async fn end(self, world: &mut World, history: &History) -> anyhow::Result<()> {
        history.record(What::Fault(format!("over: {self}")));
        match self {
            Fault::Relay(fault, node) => fault.end(world, node),
            Fault::Store(fault) => fault.end(world, history).await,
            Fault::Link(_, way, node) => link::clear(world, way, node),
            Fault::Packets(_, way, node) => network::clear(world, way, node).await,
            Fault::Rolling => Ok(()),
        }
    }

    /// What it is called, whichever relay it befalls.
    pub(crate) fn kind(self) -> String {
        match self {
            Fault::Relay(fault, _) => format!("relay {fault}"),
            Fault::Store(fault) => format!("Redis {fault}"),
            Fault::Link(fault, way, _) => format!("{way} {fault}"),
            Fault::Packets(fault, way, _) => format!("{way} {fault} (packets)"),
            Fault::Rolling => "rolling restart".to_owned(),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.kind())?;
        match self {
            Fault::Relay(_, node) | Fault::Link(_, _, node) | Fault::Packets(_, _, node) => {
                write!(f, ", relay {node}")
            }
            Fault::Store(_) | Fault::Rolling => Ok(()),
        }
    }
}

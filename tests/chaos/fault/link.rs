//! What befalls the way to or from a relay, by a proxy in user space.

use std::fmt;
use std::time::Duration;

use anyhow::Context;
use relay_tests::proxy::{CLEAR, Conduct, Proxy};
use relay_tests::seed::Chance;

use crate::world::World;

/// A delay that hurts and does not kill: questions to Redis may take a second.
const DELAY: Duration = Duration::from_millis(100);
/// Too little for the traffic of a relay.
const BYTES_PER_S: u32 = 8 * 1024;

/// Which way of a relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// From clients to the relay.
    Entrance,
    /// From the relay to Redis.
    ToRedis,
}

/// Something that befalls a way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LinkFault {
    /// It takes long.
    Delayed,
    /// It carries little.
    Throttled,
    /// Nothing passes, and nobody hears of it.
    Blackhole,
    /// Nothing passes from who connected.
    Deaf,
    /// Nothing passes to who connected.
    Mute,
    /// All connections are reset.
    Reset,
    /// All connections end one way.
    HalfClosed,
    /// Every second connection is half open, for good.
    HalfOpen,
}

impl Way {
    pub(super) fn draw(chance: &mut Chance) -> Way {
        if chance.below(3) == 0 { Way::Entrance } else { Way::ToRedis }
    }

    pub(super) fn proxy(self, world: &World, node: usize) -> anyhow::Result<&Proxy> {
        let node = &world.nodes[node];
        match self {
            Way::Entrance => Ok(&node.entrance),
            Way::ToRedis => node.to_redis.as_ref().context("no proxy before Redis"),
        }
    }
}

impl LinkFault {
    pub(super) fn draw(chance: &mut Chance) -> LinkFault {
        match chance.below(8) {
            0 => LinkFault::Delayed,
            1 => LinkFault::Throttled,
            2 => LinkFault::Blackhole,
            3 => LinkFault::Deaf,
            4 => LinkFault::Mute,
            5 => LinkFault::Reset,
            6 => LinkFault::HalfClosed,
            _ => LinkFault::HalfOpen,
        }
    }

    pub(super) fn begin(self, world: &World, way: Way, node: usize) -> anyhow::Result<()> {
        let proxy = way.proxy(world, node)?;
        match self {
            LinkFault::Delayed => proxy.set(Conduct { delay: DELAY, ..CLEAR }),
            LinkFault::Throttled => proxy.set(Conduct { bytes_per_s: BYTES_PER_S, ..CLEAR }),
            LinkFault::Blackhole => proxy.set(Conduct { is_deaf: true, is_mute: true, ..CLEAR }),
            LinkFault::Deaf => proxy.set(Conduct { is_deaf: true, ..CLEAR }),
            LinkFault::Mute => proxy.set(Conduct { is_mute: true, ..CLEAR }),
            LinkFault::Reset => proxy.reset(),
            LinkFault::HalfClosed => proxy.half_close(),
            LinkFault::HalfOpen => proxy.abandon(),
        }
        Ok(())
    }
}

/// The way is a good one again.
pub(super) fn clear(world: &World, way: Way, node: usize) -> anyhow::Result<()> {
    way.proxy(world, node)?.set(CLEAR);
    Ok(())
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Way::Entrance => "clients to relay",
            Way::ToRedis => "relay to Redis",
        })
    }
}

impl fmt::Display for LinkFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            LinkFault::Delayed => "delayed",
            LinkFault::Throttled => "throttled",
            LinkFault::Blackhole => "black hole",
            LinkFault::Deaf => "one way, nothing goes there",
            LinkFault::Mute => "one way, nothing comes back",
            LinkFault::Reset => "reset",
            LinkFault::HalfClosed => "half closed",
            LinkFault::HalfOpen => "half open",
        })
    }
}

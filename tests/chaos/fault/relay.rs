//! What befalls the process of a relay.

use std::fmt;

use anyhow::Context;
use relay_tests::seed::Chance;
use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, prlimit};

use crate::fault::clock;
use crate::world::{Node, World};

/// How many descriptors more than it uses a relay that runs out of them may open.
const DESCRIPTORS_LEFT: u64 = 2;
/// How far clocks jump: further than any time-out, and within the age of tokens.
const JUMP_S: i64 = 1_800;

/// Something that befalls a relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RelayFault {
    /// SIGKILL, and later it is started again.
    Killed,
    /// SIGTERM, and when it has left it is started again.
    Left,
    /// SIGSTOP, and later SIGCONT.
    Stopped,
    /// It cannot open descriptors.
    NoDescriptors,
    /// Its clock jumps by so many seconds, and later back.
    Clock(i64),
}

impl RelayFault {
    pub(super) fn draw(chance: &mut Chance) -> RelayFault {
        match chance.below(10) {
            0..3 => RelayFault::Killed,
            3..5 => RelayFault::Left,
            5..8 => RelayFault::Stopped,
            8 => RelayFault::NoDescriptors,
            _ => RelayFault::Clock(if chance.below(2) == 0 { JUMP_S } else { -JUMP_S }),
        }
    }

    pub(super) async fn begin(self, world: &mut World, node: usize) -> anyhow::Result<()> {
        let node = &mut world.nodes[node];
        match self {
            RelayFault::Killed => {
                node.relay.take().context("the relay is dead")?.child.kill().await?;
            }
            RelayFault::Left => {
                // However it ends: it may have been left without Redis.
                node.relay.take().context("the relay is dead")?.child.stop().await?;
            }
            RelayFault::Stopped => node.alive()?.child.signal(Signal::STOP)?,
            RelayFault::NoDescriptors => {
                let open = std::fs::read_dir(format!("/proc/{}/fd", process(node)?))?.count() as u64;
                limit_descriptors(node, open + DESCRIPTORS_LEFT)?;
            }
            RelayFault::Clock(seconds) => clock::set(node, seconds)?,
        }
        Ok(())
    }

    pub(super) fn end(self, world: &mut World, number: usize) -> anyhow::Result<()> {
        let node = &world.nodes[number];
        match self {
            RelayFault::Killed | RelayFault::Left => world.revive(number),
            RelayFault::Stopped => node.alive()?.child.signal(Signal::CONT),
            RelayFault::NoDescriptors => {
                let most = getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX);
                limit_descriptors(node, most)
            }
            RelayFault::Clock(_) => clock::set(node, 0),
        }
    }
}

fn process(node: &Node) -> anyhow::Result<u32> {
    Ok(node.alive()?.child.process().0)
}

/// Lowers the soft limit alone, so that it can be raised again.
fn limit_descriptors(node: &Node, most: u64) -> anyhow::Result<()> {
    let pid = i32::try_from(process(node)?).ok().and_then(Pid::from_raw);
    let hard = getrlimit(Resource::Nofile).maximum;
    prlimit(pid, Resource::Nofile, Rlimit { current: Some(most), maximum: hard })?;
    Ok(())
}

impl fmt::Display for RelayFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            RelayFault::Killed => "killed (SIGKILL)",
            RelayFault::Left => "restarted (SIGTERM)",
            RelayFault::Stopped => "stopped (SIGSTOP)",
            RelayFault::NoDescriptors => "out of descriptors",
            RelayFault::Clock(seconds) if *seconds < 0 => "clock 30 min back",
            RelayFault::Clock(_) => "clock 30 min ahead",
        })
    }
}

//! What befalls packets, by the kernel: in a network namespace of this process alone, where all of loopback is ours.

use std::fmt;
use std::process::ExitStatus;

use anyhow::{Context, ensure};
use relay_tests::program;
use relay_tests::seed::Chance;
use tokio::process::Command;

use crate::fault::link::Way;
use crate::world::World;

/// Packets of a hundred that are lost.
const LOSSES: [u32; 3] = [1, 5, 20];

/// A megabit a second. It drops what is over instead of queueing it, as tbf cannot be told one way from another without a
/// classful qdisc, which not every kernel has.
const SLOW: &str = "limit rate over 128 kbytes/second burst 16 kbytes drop";

/// Something that befalls the packets of a way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PacketFault {
    /// So many of a hundred are lost.
    Lossy(u32),
    /// All are.
    Cut,
    /// A megabit a second.
    Slow,
}

/// What a network of one's own needs.
pub(crate) fn tools() -> Result<(), String> {
    if !rustix::process::geteuid().is_root() {
        return Err("not root".to_owned());
    }
    ["unshare", "ip", "nft"].into_iter().try_for_each(|name| match program::tool(name) {
        Ok(_) => Ok(()),
        Err(_) => Err(format!("{name} is not installed")),
    })
}

/// Makes the network of this process usable, in a namespace of its own.
pub(crate) async fn prepare() -> anyhow::Result<()> {
    run("ip link set lo up").await
}

impl PacketFault {
    pub(super) fn draw(chance: &mut Chance) -> PacketFault {
        match chance.below(5) {
            0 => PacketFault::Cut,
            1 => PacketFault::Slow,
            other => PacketFault::Lossy(LOSSES[other as usize - 2]),
        }
    }

    pub(super) async fn begin(self, world: &World, way: Way, node: usize) -> anyhow::Result<()> {
        let port = way.proxy(world, node)?.port();
        let drops = match self {
            PacketFault::Lossy(percent) => format!("numgen random mod 100 < {percent} drop"),
            PacketFault::Cut => "drop".to_owned(),
            PacketFault::Slow => SLOW.to_owned(),
        };
        run(&format!("nft add table ip chaos{port}")).await?;
        run(&format!("nft add chain ip chaos{port} input {{ type filter hook input priority 0 ; }}")).await?;
        for side in ["sport", "dport"] {
            run(&format!("nft add rule ip chaos{port} input tcp {side} {port} {drops}")).await?;
        }
        Ok(())
    }
}

/// The way is a good one again.
pub(super) async fn clear(world: &World, way: Way, node: usize) -> anyhow::Result<()> {
    run(&format!("nft delete table ip chaos{}", way.proxy(world, node)?.port())).await
}

async fn run(command: &str) -> anyhow::Result<()> {
    let mut words = command.split(' ');
    let name = words.next().context("an empty command")?;
    let status: ExitStatus = Command::new(program::tool(name)?).args(words).status().await?;
    ensure!(status.success(), "{command}: {status}");
    Ok(())
}

impl fmt::Display for PacketFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PacketFault::Lossy(percent) => write!(f, "{percent} % lost"),
            PacketFault::Cut => f.write_str("partition"),
            PacketFault::Slow => f.write_str("1 Mbit/s"),
        }
    }
}

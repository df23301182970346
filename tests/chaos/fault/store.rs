//! What befalls Redis.

use std::fmt;

use anyhow::{Context, ensure};
use relay_tests::history::{History, What};
use relay_tests::redis::Redis;
use relay_tests::seed::Chance;

use crate::world::{Store, World};

/// The most that may wait for a subscriber while its buffer is small, and what is more than that at once.
const BUFFER: &str = "32kb";
const FLOOD_BYTES: usize = 60_000;
/// What Redis begins with.
const BUFFER_BEFORE: &str = "32mb 8mb 60";

/// Something that befalls Redis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StoreFault {
    /// SIGKILL, and later it is started again, empty.
    Killed,
    /// SIGSTOP, and later SIGCONT.
    Stopped,
    /// FLUSHALL.
    Flushed,
    /// It takes no writes.
    OutOfMemory,
    /// Its subscribers are thrown out.
    SubscribersKilled,
    /// What waits for its subscribers is too much for it.
    Overflow,
    /// The primary is killed with a replica that is behind, which is put in its place.
    FailOver,
}

impl StoreFault {
    pub(super) fn draw(chance: &mut Chance) -> StoreFault {
        match chance.below(7) {
            0 => StoreFault::Killed,
            1 | 2 => StoreFault::Stopped,
            3 => StoreFault::Flushed,
            4 => StoreFault::OutOfMemory,
            5 => StoreFault::SubscribersKilled,
            _ => StoreFault::Overflow,
        }
    }

    pub(super) async fn begin(self, world: &mut World, history: &History) -> anyhow::Result<()> {
        world.note_fail_overs(history).await?;
        let redis = match (&mut world.store, self) {
            (Store::Watched(watched), _) => {
                watched.hold_replica()?;
                watched.kill_primary().await?;
                history.record(What::Forgotten);
                return watched.release_replica();
            }
            (Store::Single(redis), _) => redis,
        };
        match self {
            StoreFault::Killed => {
                redis.kill().await?;
                history.record(What::Forgotten);
            }
            StoreFault::Stopped => redis.freeze()?,
            StoreFault::Flushed => {
                say(redis, "FLUSHALL").await?;
                history.record(What::Forgotten);
            }
            StoreFault::OutOfMemory => drop(say(redis, "CONFIG SET maxmemory 1").await?),
            StoreFault::SubscribersKilled => drop(say(redis, "CLIENT KILL TYPE pubsub").await?),
            StoreFault::Overflow => {
                limit_buffer(redis, &format!("{BUFFER} 0 0")).await?;
                flood(redis).await?;
            }
            StoreFault::FailOver => {}
        }
        Ok(())
    }

    pub(super) async fn end(self, world: &mut World, history: &History) -> anyhow::Result<()> {
        let redis = match &mut world.store {
            Store::Watched(watched) => {
                // Before that the one that is empty would be the primary still.
                watched.taken_over().await?;
                watched.rejoin().await?;
                return world.note_fail_overs(history).await;
            }
            Store::Single(redis) => redis,
        };
        match self {
            StoreFault::Killed => redis.begin().await?,
            StoreFault::Stopped => redis.thaw()?,
            StoreFault::OutOfMemory => drop(say(redis, "CONFIG SET maxmemory 0").await?),
            StoreFault::Overflow => limit_buffer(redis, BUFFER_BEFORE).await?,
            StoreFault::Flushed | StoreFault::SubscribersKilled | StoreFault::FailOver => {}
        }
        Ok(())
    }
}

async fn say(redis: &Redis, command: &str) -> anyhow::Result<String> {
    let said = redis.say(command).await.with_context(|| command.to_owned())?;
    ensure!(!said.starts_with('-'), "{command}: {said}");
    Ok(said)
}

async fn limit_buffer(redis: &Redis, limit: &str) -> anyhow::Result<()> {
    say(redis, &format!("CONFIG SET client-output-buffer-limit \"pubsub {limit}\"")).await.map(drop)
}

/// Publishes what nobody can read where relays listen.
async fn flood(redis: &Redis) -> anyhow::Result<()> {
    let channels = say(redis, "PUBSUB CHANNELS *").await?;
    let junk = "x".repeat(FLOOD_BYTES);
    for channel in channels.lines().map(str::trim).filter(|line| line.starts_with("r1:")) {
        redis.say(&format!("PUBLISH {channel} {junk}")).await?;
    }
    Ok(())
}

impl fmt::Display for StoreFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            StoreFault::Killed => "killed, back empty",
            StoreFault::Stopped => "stopped (SIGSTOP)",
            StoreFault::Flushed => "FLUSHALL",
            StoreFault::OutOfMemory => "out of memory",
            StoreFault::SubscribersKilled => "subscribers killed",
            StoreFault::Overflow => "output buffer overflow",
            StoreFault::FailOver => "fail-over, the replica behind",
        })
    }
}

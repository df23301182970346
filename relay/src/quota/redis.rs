//! Quotas over all instances: the level of each tenant stands in Redis, whose clock fills it.

use std::sync::Arc;

use fred::error::Error;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use crate::quota::memory::MemoryQuota;
use crate::quota::{BURST_S, Quota, QuotaStore, Slice};
use crate::redis::{Commands, Redis, Script};
use crate::telemetry::metrics::Metrics;

/// How long a level is kept, in milliseconds: longer than it takes to fill, and a fresh one is full.
const MEMORY_MS: &str = "60000";

/// Fills the levels for the time that passed, and takes up to half of each, or puts back. Answers what it granted.
static LEASE: Script = Script::new(
    r"
    local time = redis.call('TIME')
    local now = time[1] * 1000 + math.floor(time[2] / 1000)
    local known = redis.call('HMGET', KEYS[1], 'at', 'messages', 'bytes')
    local passed = math.max(now - (tonumber(known[1]) or now), 0) / 1000
    local function draw(level, rate, wanted)
        local full = rate * ARGV[5]
        level = math.min((tonumber(level) or full) + rate * passed, full)
        local granted = wanted
        if rate == 0 then granted = 0
        elseif wanted > 0 then granted = math.min(wanted, math.ceil(level / 2), math.floor(level)) end
        return math.min(level - granted, full), granted
    end
    local messages, some = draw(known[2], tonumber(ARGV[1]), tonumber(ARGV[3]))
    local bytes, more = draw(known[3], tonumber(ARGV[2]), tonumber(ARGV[4]))
    redis.call('HSET', KEYS[1], 'at', string.format('%.0f', now),
        'messages', string.format('%.3f', messages), 'bytes', string.format('%.3f', bytes))
    redis.call('PEXPIRE', KEYS[1], ARGV[6])
    return { some, more }
    ",
);

/// Quotas over all instances that share a Redis.
#[derive(Debug)]
pub struct RedisQuota {
    commands: Commands,
    local: MemoryQuota,
    local_percent: u32,
    metrics: Arc<Metrics>,
}

impl RedisQuota {
    /// Leases from `redis`; while it is away, from `local_percent` of each quota.
    pub fn new(redis: &Redis, local_percent: u32, metrics: &Arc<Metrics>) -> RedisQuota {
        let (commands, metrics) = (redis.commands().clone(), Arc::clone(metrics));
        RedisQuota { commands, local: MemoryQuota::default(), local_percent, metrics }
    }

    fn local_share(&self, quota: Quota) -> Quota {
        let share = |a_second: u32| {
            let share = (u64::from(a_second) * u64::from(self.local_percent)).div_ceil(100);
            u32::try_from(share).unwrap_or(u32::MAX)
        };
        Quota { messages: share(quota.messages), bytes: share(quota.bytes) }
    }
}

async fn ask(commands: &Commands, tenant: &str, quota: Quota, wanted: Slice) -> Option<Slice> {
    let question = commands.begin(0).ok()?;
    let (messages, bytes) = (quota.messages.to_string(), quota.bytes.to_string());
    let (some, more, burst) = (wanted.messages.to_string(), wanted.bytes.to_string(), BURST_S.to_string());
    let arguments = [messages.as_str(), &bytes, &some, &more, &burst, MEMORY_MS];
    let key = format!("r1:q:{tenant}");
    let granted: Result<(i64, i64), Error> = LEASE.run(&question, &key, &arguments).await;
    granted.ok().map(|(messages, bytes)| Slice { messages, bytes })
}

impl QuotaStore for RedisQuota {
    fn lease(&self, tenant: &Arc<str>, quota: Quota, wanted: Slice) -> BoxFuture<'static, Slice> {
        let (commands, local, share) = (self.commands.clone(), self.local.clone(), self.local_share(quota));
        let (tenant, metrics) = (Arc::clone(tenant), Arc::clone(&self.metrics));
        async move {
            if let Some(granted) = ask(&commands, &tenant, quota, wanted).await {
                metrics.quota_leases.increment(1);
                return granted;
            }
            // One that timed out may have been granted too: then less is left of the quota, never more.
            metrics.quota_leases_local.increment(1);
            local.lease_now(&tenant, share, wanted)
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests {

    use super::*;
    use crate::bus::conformance::eventually;
    use crate::quota::conformance;
    use crate::redis::test_cluster::TestCluster;
    use crate::redis::test_server::TestServer;

    async fn join(server: &TestServer) -> (Arc<RedisQuota>, Arc<Metrics>) {
        let redis = server.open().await;
        let metrics = Metrics::new().unwrap();
        (Arc::new(RedisQuota::new(&redis, 20, &metrics)), metrics)
    }

    #[tokio::test]
    async fn redis_conforms_and_keeps_no_key_for_good() {
        let server = TestServer::start().await;
        let instances = [join(&server).await.0, join(&server).await.0];
        let turn = std::sync::atomic::AtomicUsize::new(0);
        let next = || turn.fetch_add(1, std::sync::atomic::Ordering::Relaxed) % 2;
        conformance::check(|| instances[next()].clone()).await;
        let kept = server.say("PTTL r1:q:shared").await;
        let kept: i64 = kept.trim().trim_start_matches(':').parse().unwrap();
        assert!((1..=60_000).contains(&kept), "{kept}");
    }

    #[tokio::test]
    async fn a_cluster_conforms() {
        let cluster = TestCluster::start().await;
        let (redis, metrics) = (cluster.open().await, Metrics::new().unwrap());
        let store = Arc::new(RedisQuota::new(&redis, 20, &metrics));
        conformance::check(|| store.clone()).await;
        assert_eq!(cluster.keys_for_good().await, 0, "no key without an expiry");
    }

    #[tokio::test]
    async fn while_redis_is_away_an_instance_gives_its_local_share() {
        let mut server = TestServer::start().await;
        let (store, _metrics) = join(&server).await;
        let (tenant, quota) = (Arc::from("acme"), Quota { messages: 100, bytes: 0 });
        let lease = |messages| store.lease(&tenant, quota, Slice { messages, bytes: 0 });
        assert_eq!(lease(1_000).await.messages, 250, "half of a burst of 500");
        server.kill();
        eventually("leases are local", async || !store.commands.link().reachable()).await;
        let mut granted = 0;
        for _ in 0..20 {
            granted += lease(1_000).await.messages;
        }
        assert!((90..=110).contains(&granted), "a burst at a fifth of the quota, not {granted}");
    }
}

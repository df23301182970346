//! Standings in Redis.
//!
//! ```text
//! r1:tenants  hash of tenants to when|s or when|a, and # to the version   a year after it was read last
//! ```

use std::sync::Arc;

use futures_util::future::{BoxFuture, FutureExt as _};

use crate::redis::{Commands, Redis, Script};
use crate::tenants::{Snapshot, Standing, TENANTS_MAX, TenantError, TenantStore};

const KEY: &str = "r1:tenants";
/// A year, in milliseconds. Every reading instance keeps it up.
const LIFE_MS: &str = "31536000000";
/// A day, in microseconds: longer than any instance is cut off and lives on.
const LIFTED_US: &str = "86400000000";

/// Keeps what is later, if there is room. Answers whether there was. `#` is no tenant's name.
static PUT: Script = Script::new(
    r"
    local time = redis.call('TIME')
    local now = time[1] * 1000000 + time[2]
    local all = redis.call('HGETALL', KEYS[1])
    local count, version, held = 0, 0, -1
    for i = 1, #all, 2 do
        local at, standing = string.match(all[i + 1], '^(%d+)|(.)')
        if all[i] == '#' then
            version = tonumber(all[i + 1])
        elseif all[i] == ARGV[1] then
            held = tonumber(at)
        elseif standing == 'a' and tonumber(at) + ARGV[4] < now then
            redis.call('HDEL', KEYS[1], all[i])
        else
            count = count + 1
        end
    end
    if held >= tonumber(string.match(ARGV[2], '^(%d+)')) then
        return 1
    end
    if held < 0 and count >= tonumber(ARGV[5]) then
        return 0
    end
    redis.call('HSET', KEYS[1], ARGV[1], ARGV[2], '#', string.format('%.0f', math.max(now, version + 1)))
    redis.call('PEXPIRE', KEYS[1], ARGV[3])
    return 1
    ",
);

/// Answers the version, and all else unless it is the one that is known.
static READ: Script = Script::new(
    r"
    redis.call('PEXPIRE', KEYS[1], ARGV[2])
    local version = redis.call('HGET', KEYS[1], '#') or '0'
    if version == ARGV[1] then
        return { version }
    end
    local answer = redis.call('HGETALL', KEYS[1])
    table.insert(answer, 1, version)
    return answer
    ",
);

/// Standings in Redis.
#[derive(Debug)]
pub struct RedisTenants(Commands);

impl RedisTenants {
    /// The store on `redis`.
    pub fn join(redis: &Redis) -> Arc<RedisTenants> {
        Arc::new(RedisTenants(redis.commands().clone()))
    }
}

fn written(standing: Standing) -> String {
    format!("{}|{}", standing.said_at_us, if standing.suspended { 's' } else { 'a' })
}

/// What a later release writes and this one cannot read is left out.
fn parse(text: &str) -> Option<Standing> {
    let (said_at_us, standing) = text.split_once('|')?;
    let suspended = match standing {
        "s" => true,
        "a" => false,
        _ => return None,
    };
    Some(Standing { suspended, said_at_us: said_at_us.parse().ok()? })
}

impl TenantStore for RedisTenants {
    fn put(&self, tenant: &Arc<str>, standing: Standing) -> BoxFuture<'static, Result<(), TenantError>> {
        let (commands, tenant) = (self.0.clone(), Arc::clone(tenant));
        async move {
            let question = commands.begin(0).map_err(|_| TenantError::Away)?;
            let arguments = [&*tenant, &written(standing), LIFE_MS, LIFTED_US, &TENANTS_MAX.to_string()];
            let fitted: u64 = PUT.run(&question, KEY, &arguments).await.map_err(|_| TenantError::Away)?;
            if fitted == 1 { Ok(()) } else { Err(TenantError::Full) }
        }
        .boxed()
    }

    fn read(&self, version: u64) -> BoxFuture<'static, Result<Option<Snapshot>, TenantError>> {
        let commands = self.0.clone();
        async move {
            // Reading is what tells who may be here: not refused by how much else is under way.
            let question = commands.begin_beat().map_err(|_| TenantError::Away)?;
            let known = version.to_string();
            let read: Result<Vec<String>, _> = READ.run(&question, KEY, &[&known, LIFE_MS]).await;
            let read = read.map_err(|_| TenantError::Away)?;
            let Some((told, fields)) = read.split_first() else { return Err(TenantError::Away) };
            if *told == known {
                return Ok(None);
            }
            let tenants = fields
                .chunks_exact(2)
                .filter_map(|field| Some((Arc::from(field[0].as_str()), parse(&field[1])?)));
            Ok(Some(Snapshot { version: told.parse().unwrap_or(0), tenants: tenants.collect() }))
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redis::test_cluster::TestCluster;
    use crate::redis::test_server::TestServer;
    use crate::tenants::conformance;

    #[tokio::test]
    async fn redis_conforms() {
        let server = TestServer::start().await;
        let redis = server.open().await;
        conformance::check(async || RedisTenants::join(&redis) as Arc<dyn TenantStore>).await;
        server.say("FLUSHALL").await;
        conformance::check_bound(RedisTenants::join(&redis)).await;
        assert_ne!(server.say("PTTL r1:tenants").await, ":-1\r\n", "no key without an expiry");
    }

    #[tokio::test]
    async fn a_cluster_conforms() {
        let cluster = TestCluster::start().await;
        let redis = cluster.open().await;
        conformance::check(async || RedisTenants::join(&redis) as Arc<dyn TenantStore>).await;
        assert_eq!(cluster.keys_for_good().await, 0, "no key without an expiry");
    }

    #[test]
    fn what_is_written_is_read() {
        for suspended in [true, false] {
            let standing = Standing { suspended, said_at_us: 7 };
            assert_eq!(parse(&written(standing)), Some(standing));
        }
        for unreadable in ["", "7", "7|x", "x|s", "|s", "7|ss"] {
            assert_eq!(parse(unreadable), None, "{unreadable}");
        }
    }
}

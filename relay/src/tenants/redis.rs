//! Standings in Redis.
//!
//! ```text
//! r1:tenants  hash   TENANT    to when|s (suspended) or when|a
//!                    TENANT|l  to when|l|LIMITS (- as configured, with commas between) or when|a
//!                    #         to the version                     a year after it was read last
//! ```
//!
//! A release that does not know of limits takes their fields for those of a tenant that is not suspended.

use std::sync::Arc;

use ahash::HashMap;
use futures_util::future::{BoxFuture, FutureExt as _};

use crate::config::tenant_limits::TenantLimits;
use crate::redis::{Commands, Redis, Script};
use crate::tenants::{Said, Snapshot, Standing, TENANTS_MAX, TenantError, TenantStore};

const KEY: &str = "r1:tenants";
/// A year, in milliseconds. Every reading instance keeps it up.
const LIFE_MS: &str = "31536000000";
/// A day, in microseconds: longer than any instance is cut off and lives on.
const LIFTED_US: &str = "86400000000";

/// Keeps what is later, if there is room. Answers whether there was. Neither `#` nor `|` is in a tenant's name.
static PUT: Script = Script::new(
    r"
    local time = redis.call('TIME')
    local now = time[1] * 1000000 + time[2]
    local known = redis.call('HMGET', KEYS[1], '#', ARGV[1], ARGV[1] .. '|l')
    local function at(said)
        return said and tonumber(string.match(said, '^(%d+)'))
    end
    local version, held = tonumber(known[1] or 0), { at(known[2]), at(known[3]) }
    -- No more tenants than fields: only a store that may be full is looked through.
    local fits = known[2] or known[3] or redis.call('HLEN', KEYS[1]) < tonumber(ARGV[6])
    if not fits then
        local counted, count, all = {}, 0, redis.call('HGETALL', KEYS[1])
        for i = 1, #all, 2 do
            local tenant, said = string.match(all[i], '^[^|#]+'), string.match(all[i + 1], '|(.)')
            if said == 'a' and at(all[i + 1]) + ARGV[5] < now then
                redis.call('HDEL', KEYS[1], all[i])
            elseif tenant and not counted[tenant] then
                counted[tenant] = true
                count = count + 1
            end
        end
        fits = count < tonumber(ARGV[6])
    end
    local changed = false
    for i, field in ipairs({ ARGV[1], ARGV[1] .. '|l' }) do
        local value = ARGV[i + 1]
        if value ~= '' and at(value) > (held[i] or -1) then
            if not fits then
                return 0
            end
            redis.call('HSET', KEYS[1], field, value)
            changed = true
        end
    end
    if changed then
        redis.call('HSET', KEYS[1], '#', string.format('%.0f', math.max(now, version + 1)))
        redis.call('PEXPIRE', KEYS[1], ARGV[4])
    end
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

/// The field of a tenant's limits.
const LIMITS: &str = "|l";

/// What is put, and empty where nothing was said.
fn written<T: Copy + Default + PartialEq>(said: Said<T>, text: impl FnOnce(T) -> String) -> String {
    match said {
        Said { at_us: 0, .. } => String::new(),
        Said { at_us, .. } if said.is_rule() => format!("{at_us}|a"),
        Said { what, at_us } => format!("{at_us}|{}", text(what)),
    }
}

fn written_limits(limits: TenantLimits) -> String {
    let each = limits.each().map(|limit| limit.map_or_else(|| "-".to_owned(), |limit| limit.to_string()));
    format!("l|{}", each.join(","))
}

/// What a later release writes and this one cannot read is left out.
fn read_said<T: Default>(text: &str, read: impl FnOnce(&str) -> Option<T>) -> Option<Said<T>> {
    let (at_us, said) = text.split_once('|')?;
    let what = if said == "a" { T::default() } else { read(said)? };
    Some(Said { what, at_us: at_us.parse().ok()? })
}

fn read_limits(said: &str) -> Option<TenantLimits> {
    let mut parts = said.strip_prefix("l|")?.split(',');
    let mut each = [None; 6];
    for limit in &mut each {
        *limit = match parts.next()? {
            "-" => None,
            number => Some(number.parse().ok()?),
        };
    }
    parts.next().is_none().then(|| TenantLimits::from_each(each))
}

/// What a field says, and of whom.
fn read_field<'a>(field: &'a str, value: &str) -> Option<(&'a str, Standing)> {
    let nothing = Standing::default();
    if let Some(tenant) = field.strip_suffix(LIMITS) {
        return Some((tenant, Standing { limits: read_said(value, read_limits)?, ..nothing }));
    }
    let suspended = read_said(value, |said| (said == "s").then_some(true))?;
    Some((field, Standing { suspended, ..nothing }))
}

impl TenantStore for RedisTenants {
    fn put(&self, tenant: &Arc<str>, standing: Standing) -> BoxFuture<'static, Result<(), TenantError>> {
        let (commands, tenant) = (self.0.clone(), Arc::clone(tenant));
        async move {
            let question = commands.begin(0).map_err(|_| TenantError::Away)?;
            let suspended = written(standing.suspended, |_| "s".to_owned());
            let limits = written(standing.limits, written_limits);
            let arguments = [&*tenant, &suspended, &limits, LIFE_MS, LIFTED_US, &TENANTS_MAX.to_string()];
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
            let mut tenants: HashMap<&str, Standing> = HashMap::default();
            for field in fields.chunks_exact(2) {
                if let Some((tenant, standing)) = read_field(&field[0], &field[1]) {
                    tenants.entry(tenant).or_default().take(&standing);
                }
            }
            let tenants = tenants.into_iter().map(|(tenant, standing)| (Arc::from(tenant), standing));
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
        let nothing = Standing::default();
        for what in [true, false] {
            let suspended = Said { what, at_us: 7 };
            let text = written(suspended, |_| "s".to_owned());
            assert_eq!(read_field("acme", &text), Some(("acme", Standing { suspended, ..nothing })));
        }
        for each in [[Some(1), None, Some(3), Some(0), None, Some(u32::MAX)], [None; 6]] {
            let limits = Said { what: TenantLimits::from_each(each), at_us: 7 };
            let text = written(limits, written_limits);
            assert_eq!(read_field("acme|l", &text), Some(("acme", Standing { limits, ..nothing })));
        }
        for unreadable in ["", "7", "7|x", "x|s", "|s", "7|ss", "7|l|1,2"] {
            assert_eq!(read_field("acme", unreadable), None, "{unreadable}");
        }
        for unreadable in ["", "7|s", "7|l|1,2,3,4,5", "7|l|1,2,3,4,5,6,7", "7|l|1,2,3,4,5,-1", "7|l"] {
            assert_eq!(read_field("acme|l", unreadable), None, "{unreadable}");
        }
    }
}

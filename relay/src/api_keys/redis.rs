//! API keys in Redis.
//!
//! ```text
//! r1:k:{id}        hash: record, used            until the key expires
//! r1:kt:{tenant}   sorted set of ids by expiry   until the last of them expires
//! ```

use std::sync::Arc;

use futures_util::future::{BoxFuture, FutureExt as _};
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

use crate::api_keys::{ApiKey, ApiKeyError, ApiKeyStore, KEYS_PER_TENANT_MAX, KeyId, StoredKey};
use crate::redis::{Commands, Redis, Script};

/// Keys asked for at a time when they are listed.
const UNDER_WAY_MAX: usize = 64;

/// Enters an id unless there are too many. Answers whether it did.
static ENTER: Script = Script::new(
    r"
    redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', redis.call('TIME')[1])
    if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[3]) then
        return 0
    end
    redis.call('ZADD', KEYS[1], ARGV[2], ARGV[1])
    local last = redis.call('ZREVRANGE', KEYS[1], 0, 0, 'WITHSCORES')
    redis.call('EXPIREAT', KEYS[1], string.format('%.0f', last[2]))
    return 1
    ",
);
static LEAVE: Script = Script::new("return redis.call('ZREM', KEYS[1], ARGV[1])");
static IDS: Script = Script::new("return redis.call('ZRANGE', KEYS[1], 0, -1)");

static WRITE: Script = Script::new(
    r"
    redis.call('HSET', KEYS[1], 'record', ARGV[1])
    return redis.call('EXPIREAT', KEYS[1], ARGV[2])
    ",
);
/// Answers the record, and when it was used last where that is known.
static READ: Script = Script::new(
    r"
    local read = redis.call('HMGET', KEYS[1], 'record', 'used')
    return { read[1] or '', read[2] or '' }
    ",
);
static USE: Script = Script::new(
    r"
    if redis.call('EXISTS', KEYS[1]) == 1 then
        redis.call('HSET', KEYS[1], 'used', ARGV[1])
    end
    return 0
    ",
);
static DELETE: Script = Script::new("return redis.call('DEL', KEYS[1])");

/// Keys in Redis.
#[derive(Debug)]
pub struct RedisApiKeys(Commands);

impl RedisApiKeys {
    /// The store on `redis`.
    pub fn join(redis: &Redis) -> Arc<RedisApiKeys> {
        Arc::new(RedisApiKeys(redis.commands().clone()))
    }
}

fn record(id: &KeyId) -> String {
    format!("r1:k:{id}")
}

/// `tenant` need not be one: a name that is none has no keys.
fn index(tenant: &str) -> String {
    format!("r1:kt:{tenant}")
}

/// Asks one question.
async fn ask<R: fred::types::FromValue>(
    commands: &Commands,
    script: &Script,
    key: &str,
    arguments: &[&str],
) -> Result<R, ApiKeyError> {
    let bytes = arguments.iter().map(|argument| argument.len()).sum();
    let question = commands.begin(bytes).map_err(|_| ApiKeyError::Away)?;
    script.run(&question, key, arguments).await.map_err(|_| ApiKeyError::Away)
}

async fn find(commands: &Commands, id: KeyId) -> Result<Option<StoredKey>, ApiKeyError> {
    let (written, used): (String, String) = ask(commands, &READ, &record(&id), &[]).await?;
    Ok(StoredKey::read(id, &written, used.parse().ok()))
}

impl ApiKeyStore for RedisApiKeys {
    fn put(&self, key: StoredKey) -> BoxFuture<'static, Result<(), ApiKeyError>> {
        let commands = self.0.clone();
        async move {
            let StoredKey { key: ApiKey { id, tenant, expires_at_s, .. }, .. } = &key;
            let (until, max) = (expires_at_s.to_string(), KEYS_PER_TENANT_MAX.to_string());
            // The index first: an id without a record is passed over, a key that no list shows could not be revoked.
            let entered: u64 = ask(&commands, &ENTER, &index(tenant), &[id.as_str(), &until, &max]).await?;
            if entered == 0 {
                return Err(ApiKeyError::Full);
            }
            ask::<u64>(&commands, &WRITE, &record(id), &[&key.write(), &until]).await.map(drop)
        }
        .boxed()
    }

    fn find(&self, id: &KeyId) -> BoxFuture<'static, Result<Option<StoredKey>, ApiKeyError>> {
        let (commands, id) = (self.0.clone(), id.clone());
        async move { find(&commands, id).await }.boxed()
    }

    fn note_use(&self, id: &KeyId, at_s: u64) -> BoxFuture<'static, Result<(), ApiKeyError>> {
        let (commands, id) = (self.0.clone(), id.clone());
        async move { ask::<u64>(&commands, &USE, &record(&id), &[&at_s.to_string()]).await.map(drop) }.boxed()
    }

    fn remove(&self, tenant: &str, id: &KeyId) -> BoxFuture<'static, Result<(), ApiKeyError>> {
        let (commands, tenant, id) = (self.0.clone(), tenant.to_owned(), id.clone());
        async move {
            let found = find(&commands, id.clone()).await?;
            if found.is_some_and(|found| found.key.tenant == tenant) {
                ask::<u64>(&commands, &DELETE, &record(&id), &[]).await?;
            }
            ask::<u64>(&commands, &LEAVE, &index(&tenant), &[id.as_str()]).await.map(drop)
        }
        .boxed()
    }

    fn list(&self, tenant: &str) -> BoxFuture<'static, Result<Vec<ApiKey>, ApiKeyError>> {
        let (commands, tenant) = (self.0.clone(), tenant.to_owned());
        async move {
            let ids: Vec<String> = ask(&commands, &IDS, &index(&tenant), &[]).await?;
            let ids: Vec<KeyId> = ids.iter().filter_map(|id| KeyId::parse(id)).collect();
            let found: Vec<Option<StoredKey>> = stream::iter(ids.into_iter().map(|id| find(&commands, id)))
                .buffer_unordered(UNDER_WAY_MAX)
                .try_collect()
                .await?;
            let found = found.into_iter().flatten().map(|stored| stored.key);
            Ok(found.filter(|key| key.tenant == tenant).collect())
        }
        .boxed()
    }
}

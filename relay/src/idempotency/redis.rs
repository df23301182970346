//! Answers in Redis: `r1:i:{key}`, what was said and what was answered, for two minutes. How many there are is bounded by
//! the rate at which a caller may call.

use std::fmt::Write as _;
use std::sync::Arc;

use futures_util::future::{BoxFuture, FutureExt as _};

use crate::auth::Digest;
use crate::idempotency::{Call, IdempotencyError, IdempotencyStore, Known, REMEMBERED_FOR};
use crate::redis::{Commands, Redis, Script};

/// Answers `first`, or what was said and what was answered.
static BEGIN: Script = Script::new(
    r"
    local held = redis.call('HMGET', KEYS[1], 'said', 'answer')
    if held[1] then
        return { held[1], held[2] or '' }
    end
    redis.call('HSET', KEYS[1], 'said', ARGV[1])
    redis.call('PEXPIRE', KEYS[1], ARGV[2])
    return { 'first', '' }
    ",
);
/// What has expired meanwhile is not brought back: it would never expire.
static FINISH: Script = Script::new(
    r"
    if redis.call('EXISTS', KEYS[1]) == 1 then
        redis.call('HSET', KEYS[1], 'answer', ARGV[1])
    end
    return 0
    ",
);
static FORGET: Script = Script::new("return redis.call('DEL', KEYS[1])");

/// Answers in Redis.
#[derive(Debug)]
pub struct RedisIdempotency(Commands);

impl RedisIdempotency {
    /// The store on `redis`.
    pub fn join(redis: &Redis) -> Arc<RedisIdempotency> {
        Arc::new(RedisIdempotency(redis.commands().clone()))
    }
}

fn hex(digest: &Digest) -> String {
    let mut text = String::with_capacity(2 * digest.len());
    for byte in digest {
        // Writing into a string meets no error.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

async fn ask<R: fred::types::FromValue>(
    commands: &Commands,
    script: &Script,
    call: Call,
    arguments: &[&str],
) -> Result<R, IdempotencyError> {
    let bytes = arguments.iter().map(|argument| argument.len()).sum();
    let question = commands.begin(bytes).map_err(|_| IdempotencyError::Away)?;
    let key = format!("r1:i:{}", hex(&call.key));
    let answer = script.run(&question, &key, arguments).await.map_err(|_| IdempotencyError::Away)?;
    Ok(answer)
}

impl IdempotencyStore for RedisIdempotency {
    fn begin(&self, call: Call) -> BoxFuture<'static, Result<Known, IdempotencyError>> {
        let commands = self.0.clone();
        async move {
            let (said, life) = (hex(&call.said), REMEMBERED_FOR.as_millis().to_string());
            let (held, answer): (String, String) = ask(&commands, &BEGIN, call, &[&said, &life]).await?;
            Ok(match (held == said, answer.is_empty()) {
                _ if held == "first" => Known::First,
                (false, _) => Known::Other,
                (true, true) => Known::UnderWay,
                (true, false) => Known::Answered(answer),
            })
        }
        .boxed()
    }

    fn finish(&self, call: Call, answer: String) -> BoxFuture<'static, Result<(), IdempotencyError>> {
        let commands = self.0.clone();
        async move { ask::<u64>(&commands, &FINISH, call, &[&answer]).await.map(drop) }.boxed()
    }

    fn forget(&self, call: Call) -> BoxFuture<'static, Result<(), IdempotencyError>> {
        let commands = self.0.clone();
        async move { ask::<u64>(&commands, &FORGET, call, &[]).await.map(drop) }.boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::idempotency::conformance;
    use crate::redis::test_cluster::TestCluster;
    use crate::redis::test_server::TestServer;

    #[tokio::test]
    async fn redis_conforms() {
        let server = TestServer::start().await;
        let redis = server.open().await;
        conformance::check(async || RedisIdempotency::join(&redis) as Arc<dyn IdempotencyStore>).await;
        assert_eq!(server.keys_for_good().await, 0, "no key without an expiry");
    }

    #[tokio::test]
    async fn a_cluster_conforms() {
        let cluster = TestCluster::start().await;
        let redis = cluster.open().await;
        conformance::check(async || RedisIdempotency::join(&redis) as Arc<dyn IdempotencyStore>).await;
        assert_eq!(cluster.keys_for_good().await, 0, "no key without an expiry");
    }
}

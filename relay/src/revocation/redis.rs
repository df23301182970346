//! Revocations in Redis.
//!
//! ```text
//! r1:revocations  sorted set of revocations by the microsecond they were added   as long as any token lives
//! r1:revoked      channel: something was added
//! ```
//!
//! A reader knows by the last entry it read, which must still be there, whether Redis has lost any.

use std::sync::Arc;
use std::time::Duration;

use fred::clients::{Client, WithOptions};
use fred::interfaces::{EventInterface as _, PubsubInterface as _};
use fred::types::Message;
use fred::types::config::Server;
use futures_util::future::{BoxFuture, FutureExt as _};
use tokio::sync::Notify;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use crate::redis::{Commands, Redis, Script};
use crate::revocation::{
    MARGIN, Page, Position, REVOCATIONS_MAX, Revocation, RevocationStore, StoreError, text,
};

const KEY: &str = "r1:revocations";
const CHANNEL: &str = "r1:revoked";
/// Revocations read at a time: some 100 KB.
const PAGE: usize = 1_000;

/// Adds what is not there, each later than all before it, as long as there is room. Answers whether there was.
static ADD: Script = Script::new(
    r"
    local time = redis.call('TIME')
    local now = time[1] * 1000000 + time[2]
    redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now - ARGV[1] * 1000))
    local newest = redis.call('ZREVRANGE', KEYS[1], 0, 0, 'WITHSCORES')
    local at = math.max(now, tonumber(newest[2] or 0) + 1)
    local room = ARGV[2] - redis.call('ZCARD', KEYS[1])
    local fitted = 1
    for i = 3, #ARGV do
        if room <= 0 and not redis.call('ZSCORE', KEYS[1], ARGV[i]) then
            fitted = 0
        elseif redis.call('ZADD', KEYS[1], 'NX', string.format('%.0f', at), ARGV[i]) == 1 then
            at = at + 1
            room = room - 1
        end
    end
    redis.call('PEXPIRE', KEYS[1], ARGV[1])
    return fitted
    ",
);

/// Answers entries and their times from a time on, that one included.
static READ: Script = Script::new(
    "return redis.call('ZRANGEBYSCORE', KEYS[1], ARGV[1], '+inf', 'WITHSCORES', 'LIMIT', 0, ARGV[2])",
);

/// The store of one instance.
#[derive(Debug)]
pub struct RedisRevocations {
    commands: Commands,
    life_ms: String,
    news: Arc<Notify>,
}

impl RedisRevocations {
    /// The store on `redis`, which keeps revocations for at least so long.
    pub fn join(redis: &Redis, life: Duration) -> Arc<RedisRevocations> {
        let (commands, news) = (redis.commands().clone(), Arc::new(Notify::new()));
        let subscriber = redis.connections().subscriber(None);
        let token = redis.token().clone();
        // Both listen before the client connects, so that nothing it says is missed.
        let (messages, connects) = (subscriber.message_rx(), subscriber.reconnect_rx());
        let listening = listen(subscriber.clone(), messages, connects, Arc::clone(&news));
        // Boxed, as connecting over TLS makes it large.
        let listening = Box::pin(listening);
        redis.tracker().spawn(async move { _ = token.run_until_cancelled(listening).await });
        redis.connections().keep(Client::clone(&subscriber), redis.token().clone());
        Arc::new(RedisRevocations { commands, life_ms: (life + MARGIN).as_millis().to_string(), news })
    }
}

/// Notes what is published; after each connect the channel is subscribed to again, and something may have been missed.
async fn listen(
    client: WithOptions<Client>,
    mut messages: Receiver<Message>,
    mut connects: Receiver<Server>,
    news: Arc<Notify>,
) {
    loop {
        let ended = tokio::select! {
            message = messages.recv() => matches!(message, Err(RecvError::Closed)),
            connect = connects.recv() => {
                // Without it the store is still read twice a second.
                drop(client.subscribe(CHANNEL).await);
                matches!(connect, Err(RecvError::Closed))
            }
        };
        if ended {
            return;
        }
        news.notify_one();
    }
}

impl RevocationStore for RedisRevocations {
    fn add(&self, revocations: Vec<Revocation>) -> BoxFuture<'static, Result<(), StoreError>> {
        let (commands, life_ms) = (self.commands.clone(), self.life_ms.clone());
        async move {
            let written: Vec<String> = revocations.iter().map(text::write).collect();
            let max = REVOCATIONS_MAX.to_string();
            let mut arguments = vec![life_ms.as_str(), max.as_str()];
            arguments.extend(written.iter().map(String::as_str));
            let bytes = written.iter().map(String::len).sum();
            let question = commands.begin(bytes).map_err(|_| StoreError::Away)?;
            let fitted: u64 = ADD.run(&question, KEY, &arguments).await.map_err(|_| StoreError::Away)?;
            // Lost, it is read half a second later.
            drop(question.publish::<u64, _, _>(CHANNEL, "").await);
            if fitted == 1 { Ok(()) } else { Err(StoreError::Full) }
        }
        .boxed()
    }

    fn read(&self, after: Position) -> BoxFuture<'static, Result<Page, StoreError>> {
        let commands = self.commands.clone();
        async move {
            // Reading is what tells whether a token is good: not refused by how much else is under way.
            let question = commands.begin_beat().map_err(|_| StoreError::Away)?;
            let (from, limit) = (after.0.to_string(), (PAGE + 1).to_string());
            let read: Result<Vec<String>, _> = READ.run(&question, KEY, &[&from, &limit]).await;
            let read = read.map_err(|_| StoreError::Away)?;
            Ok(page(after, &read))
        }
        .boxed()
    }

    fn news(&self) -> BoxFuture<'static, ()> {
        let news = Arc::clone(&self.news);
        async move { news.notified().await }.boxed()
    }
}

fn page(after: Position, read: &[String]) -> Page {
    let mut entries: Vec<(Position, &str)> = read
        .chunks_exact(2)
        .filter_map(|entry| Some((Position(entry[1].parse().ok()?), entry[0].as_str())))
        .collect();
    let more = entries.len() > PAGE;
    let known = after == Position::default() || entries.first().is_some_and(|(at, _)| *at == after);
    entries.retain(|(at, _)| *at > after);
    Page {
        position: entries.last().map_or(after, |(at, _)| *at),
        revocations: entries.iter().filter_map(|(_, written)| text::read(written)).collect(),
        more,
        lost: !known,
    }
}

//! What Redis alone carries between two clients that pipeline: PUBLISH and SUBSCRIBE, with as many messages in each as the
//! relay puts together, and nothing done with them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use fred::clients::Client;
use fred::interfaces::{ClientLike as _, EventInterface as _, PubsubInterface as _};
use fred::types::config::{Config, PerformanceConfig};
use fred::types::{Builder, Message, RespVersion};
use tokio::sync::{Semaphore, broadcast};
use tokio::task::JoinSet;

use crate::clock;
use crate::floor::client::FloorFigures;
use crate::launch::RedisServer;
use crate::plan::Plan;
use crate::trial::Trial;
use crate::trial::live::add;
use crate::trial::stage::Window;

pub(super) const CHANNEL: &str = "floor";
/// What goes between instances beside a payload: addresses, number, time.
const ENVELOPE_BYTES: usize = 128;
/// Batches under way, those that were published and not received among them: Redis is never without work, and no buffer fills up.
const UNDER_WAY: usize = 256;
const PUBLISHERS: usize = 64;
/// As the relay has it: with less, batches are lost when the receiver is late.
const RECEIVED_MAX: usize = 8_192;
/// A batch that was not received by then is lost, and the floor with it.
const PATIENCE: Duration = Duration::from_secs(5);

/// Carries batches of `batch` messages through a Redis of its own; figures are by its CPU time.
#[expect(clippy::cast_precision_loss, reason = "exact up to 2^53")]
pub async fn carry(trial: &Trial<'_>, batch: u32) -> anyhow::Result<FloorFigures> {
    let plan = trial.plan();
    let folder = tempfile::tempdir()?;
    let server = RedisServer::start(folder.path(), &[]).await?;
    let process = server.child.process();
    let (publisher, subscriber) = (connect(&server.url()).await?, connect(&server.url()).await?);
    let mut received = subscribe(&subscriber).await?;
    let room = Arc::new(Semaphore::new(UNDER_WAY));
    let carried = Arc::new(AtomicU64::new(0));
    let window = Window::soon(plan.warm_up(), plan.duration());
    let mut tasks: JoinSet<anyhow::Result<()>> = JoinSet::new();
    let body = Bytes::from(vec![b'x'; batch_bytes(plan, batch)]);
    for _ in 0..PUBLISHERS {
        tasks.spawn(publish(publisher.clone(), body.clone(), Arc::clone(&room), window));
    }
    let (made, counted) = (Arc::clone(&room), Arc::clone(&carried));
    let receiving = async move {
        loop {
            received.recv().await?;
            made.add_permits(1);
            if window.counts(clock::now_ns()) {
                add(&counted, u64::from(batch));
            }
        }
    };
    tasks.spawn(receiving);
    tokio::time::sleep_until(clock::instant(window.measure_ns)).await;
    let before = process.cpu_seconds()?;
    tokio::time::sleep_until(clock::instant(window.end_ns)).await;
    let cpu_seconds = process.cpu_seconds()? - before;
    // The receiver goes on for as long as somebody publishes.
    for _ in 0..PUBLISHERS {
        if let Some(ended) = tasks.join_next().await {
            ended??;
        }
    }
    publisher.quit().await?;
    server.child.stop().await?;
    let carried = carried.load(Ordering::Relaxed) as f64;
    Ok(FloorFigures {
        throughput: carried / plan.duration,
        per_cpu_second: carried / cpu_seconds,
        latency: None,
    })
}

/// Of a PUBLISH with so many messages.
pub(super) fn batch_bytes(plan: &Plan, batch: u32) -> usize {
    (plan.payload + ENVELOPE_BYTES) * batch as usize
}

pub(super) async fn connect(url: &str) -> anyhow::Result<Client> {
    let performance =
        PerformanceConfig { broadcast_channel_capacity: RECEIVED_MAX, ..PerformanceConfig::default() };
    let mut config = Config::from_url(url)?;
    // As the relay has it. By RESP2 a subscribed connection could not be asked anything.
    config.version = RespVersion::RESP3;
    let client = Builder::from_config(config).set_performance_config(performance).build()?;
    client.init().await?;
    Ok(client)
}

/// Redis knows of it on return: fred says that a client has subscribed before it has written the command.
pub(super) async fn subscribe(client: &Client) -> anyhow::Result<broadcast::Receiver<Message>> {
    let received = client.message_rx();
    client.subscribe(CHANNEL).await?;
    // Answered after what was written before it.
    let _: String = client.ping(None).await?;
    Ok(received)
}

async fn publish(client: Client, body: Bytes, room: Arc<Semaphore>, window: Window) -> anyhow::Result<()> {
    while clock::now_ns() < window.end_ns {
        tokio::time::timeout(PATIENCE, room.acquire()).await??.forget();
        let receivers: u64 = client.publish(CHANNEL, body.clone()).await?;
        anyhow::ensure!(receivers == 1, "{receivers} clients listened");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy};
    use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::sync::Notify;

    use super::*;

    /// What stands between a client and its Redis, and lets SUBSCRIBE pass only when it is told to.
    #[derive(Default)]
    struct Gate {
        reached: Notify,
        opened: Notify,
    }

    impl Gate {
        async fn stand(self: Arc<Self>, listener: TcpListener, redis: String) -> std::io::Result<u64> {
            let (client, _) = listener.accept().await?;
            let (asked, mut answered) = client.into_split();
            let (mut answers, asks) = TcpStream::connect(redis).await?.into_split();
            tokio::select! {
                passed = self.pass(asked, asks) => passed,
                answered = copy(&mut answers, &mut answered) => answered,
            }
        }

        async fn pass(&self, mut asked: OwnedReadHalf, mut asks: OwnedWriteHalf) -> std::io::Result<u64> {
            let mut chunk = [0; 4_096];
            loop {
                let read = asked.read(&mut chunk).await?;
                if read == 0 {
                    return Ok(0);
                }
                if chunk[..read].windows(9).any(|word| word == b"SUBSCRIBE") {
                    self.reached.notify_one();
                    self.opened.notified().await;
                }
                asks.write_all(&chunk[..read]).await?;
            }
        }
    }

    #[tokio::test]
    async fn who_has_subscribed_hears_the_next_that_is_published() {
        let folder = tempfile::tempdir().unwrap();
        let server = RedisServer::start(folder.path(), &[]).await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let gated = format!("redis://{}", listener.local_addr().unwrap());
        let gate = Arc::new(Gate::default());
        let mut tasks = JoinSet::new();
        tasks.spawn(Arc::clone(&gate).stand(listener, format!("127.0.0.1:{}", server.port())));
        let (publisher, subscriber) = (connect(&server.url()).await.unwrap(), connect(&gated).await.unwrap());
        let mut subscribing = Box::pin(subscribe(&subscriber));
        tokio::select! {
            biased;
            _ = &mut subscribing => panic!("Redis was not asked yet"),
            () = gate.reached.notified() => {}
        }
        assert!((&mut subscribing).now_or_never().is_none(), "Redis was not asked yet");
        gate.opened.notify_one();
        let mut received = subscribing.await.unwrap();
        let receivers: u64 = publisher.publish(CHANNEL, "the next").await.unwrap();
        assert_eq!(receivers, 1);
        assert_eq!(received.recv().await.unwrap().value.as_str().unwrap(), "the next");
    }
}

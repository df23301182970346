//! What Redis alone carries between two clients that pipeline: PUBLISH and SUBSCRIBE, with as many messages in each as the
//! relay puts together, and nothing done with them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use fred::clients::Client;
use fred::interfaces::{ClientLike as _, EventInterface as _, PubsubInterface as _};
use fred::types::Builder;
use fred::types::config::{Config, PerformanceConfig};
use tokio::sync::Semaphore;
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
    let (publisher, subscriber) = (connect(&server).await?, connect(&server).await?);
    let mut received = subscriber.message_rx();
    subscriber.subscribe(CHANNEL).await?;
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

pub(super) async fn connect(server: &RedisServer) -> anyhow::Result<Client> {
    let performance =
        PerformanceConfig { broadcast_channel_capacity: RECEIVED_MAX, ..PerformanceConfig::default() };
    let client =
        Builder::from_config(Config::from_url(&server.url())?).set_performance_config(performance).build()?;
    client.init().await?;
    Ok(client)
}

async fn publish(client: Client, body: Bytes, room: Arc<Semaphore>, window: Window) -> anyhow::Result<()> {
    while clock::now_ns() < window.end_ns {
        tokio::time::timeout(PATIENCE, room.acquire()).await??.forget();
        let receivers: u64 = client.publish(CHANNEL, body.clone()).await?;
        anyhow::ensure!(receivers == 1, "{receivers} clients listened");
    }
    Ok(())
}

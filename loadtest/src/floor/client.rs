//! The sockets that load a floor.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context;
use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use crate::agent::{ConnectError, Ended, Socket};
use crate::clock;
use crate::floor::process::FloorProcess;
use crate::plan::{EncodingChoice, Plan};
use crate::report::figures::Milliseconds;
use crate::trial::Trial;
use crate::trial::stage::{Stage, Window};

/// Connections being made at a time.
const CONNECTING_MAX: usize = 128;
/// The kernel and the allocator settle before memory is looked at.
const SETTLE: Duration = Duration::from_secs(1);

/// What a floor showed.
#[derive(Debug, Clone, Copy)]
pub struct FloorFigures {
    /// Echoes a second.
    pub throughput: f64,
    /// Echoes, or deliveries, for each second of its CPU time.
    pub per_cpu_second: f64,
    /// How long they took, at a rate.
    pub latency: Option<Milliseconds>,
}

/// What a floor holds in memory.
#[derive(Debug, Clone, Copy)]
pub struct FloorMemory {
    /// Resident bytes for each connection that has carried nothing.
    pub rss_bytes_per_connection: f64,
    /// The same after each has carried a message.
    pub rss_bytes_after_message: Option<f64>,
}

/// Keeps `depth` messages in flight on each of as many sockets as the trial has agents.
#[expect(clippy::cast_precision_loss, reason = "exact up to 2^53")]
pub async fn echo(trial: &Trial<'_>, floor: &FloorProcess) -> anyhow::Result<FloorFigures> {
    let plan = trial.plan();
    let (stage, follow) = watch::channel(Stage::Gather);
    let counted = Arc::new(AtomicU64::new(0));
    let mut tasks = JoinSet::new();
    for socket in connect(trial, floor).await? {
        let load =
            Load { message: message(plan), depth: plan.depth.unwrap_or(1), counted: Arc::clone(&counted) };
        tasks.spawn(load.run(socket, follow.clone()));
    }
    let window = Window::soon(plan.warm_up(), plan.duration());
    stage.send_replace(Stage::Go(window));
    tokio::time::sleep_until(clock::instant(window.measure_ns)).await;
    let before = floor.process.cpu_seconds()?;
    tokio::time::sleep_until(clock::instant(window.end_ns)).await;
    let cpu_seconds = floor.process.cpu_seconds()? - before;
    while let Some(ended) = tasks.join_next().await {
        ended?.context("the floor closed a connection")?;
    }
    let counted = counted.load(Ordering::Relaxed) as f64;
    Ok(FloorFigures {
        throughput: counted / plan.duration,
        per_cpu_second: counted / cpu_seconds,
        latency: None,
    })
}

/// Holds as many sockets as the trial has agents.
#[expect(clippy::cast_precision_loss, reason = "exact up to 2^53")]
pub async fn idle(trial: &Trial<'_>, floor: &FloorProcess) -> anyhow::Result<FloorMemory> {
    let plan = trial.plan();
    let before = floor.process.rss_bytes()?;
    let mut sockets = connect(trial, floor).await?;
    let each = |now: u64| (now as f64 - before as f64) / f64::from(plan.agents);
    tokio::time::sleep(SETTLE).await;
    let rss_bytes_per_connection = each(floor.process.rss_bytes()?);
    let mut rss_bytes_after_message = None;
    if let Some(bytes) = plan.after_message {
        for socket in &mut sockets {
            socket.push(Message::Text("x".repeat(bytes).into()));
            socket.receive(|| {}).await?;
        }
        tokio::time::sleep(SETTLE).await;
        rss_bytes_after_message = Some(each(floor.process.rss_bytes()?));
    }
    Ok(FloorMemory { rss_bytes_per_connection, rss_bytes_after_message })
}

pub(super) async fn connect(trial: &Trial<'_>, floor: &FloorProcess) -> Result<Vec<Socket>, ConnectError> {
    let one = |number| async move {
        let request = floor.target.uri.clone().into_client_request().map_err(ConnectError::Upgrade)?;
        let source = trial.connect_options(number).source;
        Socket::open(floor.target.address, source, None, request).await.map(|(socket, _)| socket)
    };
    stream::iter((0..trial.plan().agents).map(one)).buffered(CONNECTING_MAX).try_collect().await
}

pub(super) fn message(plan: &Plan) -> Message {
    let text = "x".repeat(plan.payload);
    match plan.encoding {
        EncodingChoice::Json | EncodingChoice::Mixed => Message::Text(text.into()),
        EncodingChoice::Msgpack => Message::Binary(text.into()),
    }
}

/// What one socket does.
struct Load {
    message: Message,
    depth: u32,
    counted: Arc<AtomicU64>,
}

impl Load {
    async fn run(self, mut socket: Socket, mut follow: watch::Receiver<Stage>) -> Result<(), Ended> {
        let window = loop {
            match *follow.borrow_and_update() {
                Stage::Gather => {}
                Stage::Go(window) => break window,
                Stage::Stop => return Ok(()),
            }
            if follow.changed().await.is_err() {
                return Ok(());
            }
        };
        let mut in_flight = u64::from(self.depth);
        (0..in_flight).for_each(|_| socket.push(self.message.clone()));
        while in_flight > 0 {
            let mut echoes = 0;
            socket.receive(|| echoes += 1).await?;
            let now_ns = clock::now_ns();
            if window.counts(now_ns) {
                self.counted.fetch_add(echoes, Ordering::Relaxed);
            }
            if now_ns < window.end_ns {
                (0..echoes).for_each(|_| socket.push(self.message.clone()));
            } else {
                in_flight -= echoes;
            }
        }
        Ok(())
    }
}

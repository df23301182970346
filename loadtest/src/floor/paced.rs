//! A floor at a rate: what latency is at least, open loop, from the intended time of sending.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use bytes::Bytes;
use fred::interfaces::{ClientLike as _, PubsubInterface as _};
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use hdrhistogram::Histogram;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::Message;

use crate::agent::{Ended, Socket};
use crate::clock;
use crate::floor::bus;
use crate::floor::client::{FloorFigures, connect, message};
use crate::floor::process::FloorProcess;
use crate::launch::RedisServer;
use crate::report::figures::Milliseconds;
use crate::trial::Trial;
use crate::trial::live::empty;
use crate::trial::pace::{Metronome, Schedule};
use crate::trial::stage::Window;

/// What has not come back so long after the last send is missing, and the figures with it.
const PATIENCE: Duration = Duration::from_secs(5);

/// Latencies of what was sent within the window.
struct Latencies(Histogram<u64>);

impl Latencies {
    fn new() -> anyhow::Result<Latencies> {
        Ok(Latencies(empty()?))
    }

    fn came(&mut self, window: &Window, at_ns: u64) {
        if window.counts(at_ns) {
            self.0.saturating_record(clock::now_ns().saturating_sub(at_ns));
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "exact up to 2^53")]
    fn figures(&self, duration: f64, cpu_seconds: f64) -> FloorFigures {
        let counted = self.0.len() as f64;
        FloorFigures {
            throughput: counted / duration,
            per_cpu_second: counted / cpu_seconds,
            latency: Some(Milliseconds::of(&self.0)),
        }
    }
}

/// The sockets take turns to send, `rate` messages a second together, which the floor echoes.
pub async fn echo(trial: &Trial<'_>, floor: &FloorProcess, rate: u32) -> anyhow::Result<FloorFigures> {
    let plan = trial.plan();
    let sockets = connect(trial, floor).await?;
    let wakes: Vec<Arc<Notify>> = sockets.iter().map(|_| Arc::default()).collect();
    let window = Window::soon(plan.warm_up(), plan.duration());
    let _metronome = Metronome::start(window, rate, wakes.clone())?;
    let mut tasks = JoinSet::new();
    for ((socket, wake), turn) in sockets.into_iter().zip(wakes).zip(0..) {
        let pace = Pace { schedule: Schedule::new(turn, plan.agents, rate), wake, window };
        tasks.spawn(pace.echo(socket, message(plan)));
    }
    tokio::time::sleep_until(clock::instant(window.measure_ns)).await;
    let before = floor.process.cpu_seconds()?;
    tokio::time::sleep_until(clock::instant(window.end_ns)).await;
    let cpu_seconds = floor.process.cpu_seconds()? - before;
    let mut all = Latencies::new()?;
    while let Some(ended) =
        tokio::time::timeout(PATIENCE, tasks.join_next()).await.context("an echo did not come")?
    {
        all.0.add(ended??.0)?;
    }
    Ok(all.figures(plan.duration, cpu_seconds))
}

/// Publishes `batch` messages at a time through a Redis of its own to a client that is subscribed, `rate` messages a second.
pub async fn carry(trial: &Trial<'_>, batch: u32, rate: u32) -> anyhow::Result<FloorFigures> {
    let plan = trial.plan();
    let folder = tempfile::tempdir()?;
    let server = RedisServer::start(folder.path(), &[]).await?;
    let process = server.child.process();
    let (publisher, subscriber) = (bus::connect(&server.url()).await?, bus::connect(&server.url()).await?);
    let mut received = bus::subscribe(&subscriber).await?;
    let body = Bytes::from(vec![b'x'; bus::batch_bytes(plan, batch)]);
    let window = Window::soon(plan.warm_up(), plan.duration());
    let (wake, batches) = (Arc::new(Notify::new()), (rate / batch).max(1));
    let _metronome = Metronome::start(window, batches, vec![Arc::clone(&wake)])?;
    let mut schedule = Schedule::new(0, 1, batches);
    let (mut sent, mut answers) = (VecDeque::new(), FuturesUnordered::new());
    let (mut all, mut cpu_before) = (Latencies::new()?, None);
    let end = tokio::time::sleep_until(clock::instant(window.end_ns));
    tokio::pin!(end);
    while !end.is_elapsed() || !sent.is_empty() {
        tokio::select! {
            () = &mut end, if !end.is_elapsed() => {}
            message = tokio::time::timeout(PATIENCE, received.recv()), if !sent.is_empty() => {
                message.context("a batch did not come")??;
                let at_ns = sent.pop_front().context("a batch that nobody sent")?;
                (0..batch).for_each(|_| all.came(&window, at_ns));
            }
            Some(receivers) = answers.next(), if !answers.is_empty() => {
                let receivers: u64 = receivers?;
                ensure!(receivers == 1, "{receivers} clients listened");
            }
            () = wake.notified() => {
                let now_ns = clock::now_ns();
                if now_ns >= window.measure_ns && cpu_before.is_none() {
                    cpu_before = Some(process.cpu_seconds()?);
                }
                while let Some(at_ns) = schedule.due(&window, now_ns) {
                    sent.push_back(at_ns);
                    answers.push(publisher.publish::<u64, _, _>(bus::CHANNEL, body.clone()));
                }
            }
        }
    }
    let cpu_seconds = process.cpu_seconds()? - cpu_before.unwrap_or(0.0);
    publisher.quit().await?;
    server.child.stop().await?;
    Ok(all.figures(plan.duration, cpu_seconds))
}

/// When one socket sends.
struct Pace {
    schedule: Schedule,
    wake: Arc<Notify>,
    window: Window,
}

impl Pace {
    async fn echo(mut self, mut socket: Socket, message: Message) -> anyhow::Result<Latencies> {
        let (mut sent, mut latencies) = (VecDeque::new(), Latencies::new()?);
        let end = tokio::time::sleep_until(clock::instant(self.window.end_ns));
        tokio::pin!(end);
        loop {
            let mut echoes = 0;
            tokio::select! {
                received = socket.receive(|| echoes += 1) => ended(received)?,
                () = self.wake.notified() => {
                    let now_ns = clock::now_ns();
                    while let Some(at_ns) = self.schedule.due(&self.window, now_ns) {
                        sent.push_back(at_ns);
                        socket.push(message.clone());
                    }
                }
                () = &mut end, if !end.is_elapsed() => {}
            }
            for _ in 0..echoes {
                latencies.came(&self.window, sent.pop_front().context("an echo of nothing")?);
            }
            if end.is_elapsed() && sent.is_empty() {
                return Ok(latencies);
            }
        }
    }
}

fn ended(received: Result<(), Ended>) -> anyhow::Result<()> {
    received.context("the floor closed a connection")
}

//! The sockets that load the floor of fan-out: one publishes, the others listen, as in the scenario.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, ensure};
use relay_protocol::client::Lane;
use relay_protocol::server::Message;
use relay_protocol::{Address, Encoding, Payload, ServerFrame};
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::Uri;

use crate::agent::{Ended, Socket};
use crate::clock;
use crate::floor::broadcast::PUBLISH_PATH;
use crate::floor::client::{FloorFigures, connect};
use crate::floor::process::FloorProcess;
use crate::floor::spec::{ServerSpec, Upgrade};
use crate::plan::Plan;
use crate::scenario::fan_out::AHEAD;
use crate::scenario::fan_out::track::{SAMPLED, Track};
use crate::target::Target;
use crate::trial::Trial;
use crate::trial::live::add;
use crate::trial::stage::Window;

/// Publishes to as many sockets as the trial has agents, as far ahead of the slowest as in the scenario.
#[expect(clippy::cast_precision_loss, reason = "exact up to 2^53")]
pub async fn broadcast(trial: &Trial<'_>) -> anyhow::Result<FloorFigures> {
    let plan = trial.plan();
    ensure!(
        plan.rate.is_none() && plan.publishers == 1,
        "the floor of fan-out has one publisher and no --rate"
    );
    let spec = ServerSpec { upgrade: Upgrade::Raw, read_buffer: None, naive: false, broadcasts: true };
    let floor = FloorProcess::start(spec).await?;
    let track = Arc::new(Track::new(plan.agents.min(SAMPLED)));
    let counted = Arc::new(AtomicU64::new(0));
    let listeners = connect(trial, &floor).await?;
    let publisher = publisher(&floor.target).await?;
    let window = Window::soon(plan.warm_up(), plan.duration());
    let mut tasks = JoinSet::new();
    for (socket, seat) in listeners.into_iter().zip(0..) {
        let track = (seat < SAMPLED).then(|| (seat as usize, Arc::clone(&track)));
        tasks.spawn(listen(socket, track, window, Arc::clone(&counted)));
    }
    let ahead = u64::from(plan.depth.unwrap_or(AHEAD));
    tasks.spawn(publish(publisher, message(plan)?, ahead, track, window));
    tokio::time::sleep_until(clock::instant(window.measure_ns)).await;
    let before = floor.process.cpu_seconds()?;
    tokio::time::sleep_until(clock::instant(window.end_ns)).await;
    let cpu_seconds = floor.process.cpu_seconds()? - before;
    while let Some(ended) = tasks.try_join_next() {
        ended?.context("the floor closed a connection")?;
    }
    let counted = counted.load(Ordering::Relaxed) as f64;
    Ok(FloorFigures {
        throughput: counted / plan.duration,
        per_cpu_second: counted / cpu_seconds,
        latency: None,
    })
}

async fn publisher(target: &Target) -> anyhow::Result<Socket> {
    let mut parts = target.uri.clone().into_parts();
    parts.path_and_query = Some(PUBLISH_PATH.parse()?);
    let request = Uri::from_parts(parts)?.into_client_request()?;
    Ok(Socket::open(target.address, None, None, request).await?.0)
}

/// What the relay would write for a message of that size.
fn message(plan: &Plan) -> anyhow::Result<tungstenite::Message> {
    let address = |text: &'static str| Address::parse(text.into()).context(text);
    let frame = ServerFrame::Message(Message {
        from: address("agent/agent-1000")?,
        session: address("session/agent-1000~ssssssssssssssssssssss")?,
        to: address("topic/load.fan-out")?,
        ts: 1_800_000_000_000,
        payload: Payload::Json(format!("\"{}\"", "x".repeat(plan.payload - 2)).into()),
        mid: None,
        reply_to: None,
        correlation_id: None,
        deadline_ms: None,
        lane: Lane::Normal,
        key: None,
        headers: Vec::new(),
        position: None,
        redelivered: false,
    });
    let mut text = Vec::new();
    frame.encode(Encoding::Json, &mut text);
    Ok(tungstenite::Message::Text(String::from_utf8(text)?.into()))
}

async fn publish(
    mut socket: Socket,
    message: tungstenite::Message,
    ahead: u64,
    track: Arc<Track>,
    window: Window,
) -> Result<(), Ended> {
    let mut published = 0;
    tokio::time::sleep_until(clock::instant(window.start_ns)).await;
    loop {
        while published < track.slowest().saturating_add(ahead) {
            socket.push(message.clone());
            published += 1;
        }
        poll_fn(|cx| socket.poll_write(cx)).await?;
        track.wake.notified().await;
    }
}

async fn listen(
    mut socket: Socket,
    track: Option<(usize, Arc<Track>)>,
    window: Window,
    counted: Arc<AtomicU64>,
) -> Result<(), Ended> {
    let mut heard = 0;
    loop {
        let before = heard;
        socket.receive(|| heard += 1).await?;
        if window.counts(clock::now_ns()) {
            add(&counted, heard - before);
        }
        if let Some((seat, track)) = &track {
            track.passed(*seat, heard);
        }
    }
}

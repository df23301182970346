//! What Redis alone stores, asked by one connection that pipelines: the script that the relay stores with, as many messages in
//! each, one question at a time for each stream.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use fred::clients::Client;
use fred::interfaces::{ClientLike as _, LuaInterface as _};
use fred::types::config::Config;
use fred::types::{Builder, Key, Value};
use tokio::task::JoinSet;

use crate::clock;
use crate::floor::client::FloorFigures;
use crate::launch::RedisServer;
use crate::trial::Trial;
use crate::trial::stage::Window;

/// The scripts of the relay, word for word.
const OPEN: &str = concat!(
    include_str!("../../../relay/src/streams/redis/prelude.lua"),
    include_str!("../../../relay/src/streams/redis/open.lua")
);
const APPEND: &str = concat!(
    include_str!("../../../relay/src/streams/redis/prelude.lua"),
    include_str!("../../../relay/src/streams/redis/append.lua")
);
/// What the relay stores beside a payload: who sent it, when and under which name.
const ENVELOPE_BYTES: usize = 128;
/// The relay's defaults, in milliseconds, but for the bounds of a stream: here nobody takes anything out.
const AGE_MS: &str = "86400000";
const GRACE_MS: &str = "120000";
const MID_MEMORY_MS: &str = "120000";
const MIDS_MAX: &str = "10000";
const COUNTER_MEMORY_MS: &str = "600000";
const UNBOUNDED: &str = "1000000000000";

/// Stores in a Redis of its own, in as many streams as the trial has agents, `batch` messages with each script.
#[expect(clippy::cast_precision_loss, reason = "exact up to 2^53")]
pub async fn append(trial: &Trial<'_>, batch: u32) -> anyhow::Result<FloorFigures> {
    let plan = trial.plan();
    let folder = tempfile::tempdir()?;
    let server = RedisServer::start(folder.path(), &[]).await?;
    let process = server.child.process();
    let client = Builder::from_config(Config::from_url(&server.url())?).build()?;
    client.init().await?;
    let open: String = client.script_load(OPEN).await?;
    let append: Arc<str> = client.script_load::<String, _>(APPEND).await?.into();
    let stored_in_window = Arc::new(AtomicU64::new(0));
    let window = Window::soon(plan.warm_up(), plan.duration());
    let mut streams = JoinSet::new();
    for number in 0..plan.agents {
        let stream = Stream { number, batch, body: vec![b'x'; plan.payload + ENVELOPE_BYTES].into() };
        stream.open(&client, &open).await?;
        streams.spawn(stream.fill(
            client.clone(),
            Arc::clone(&append),
            window,
            Arc::clone(&stored_in_window),
        ));
    }
    tokio::time::sleep_until(clock::instant(window.measure_ns)).await;
    let before = process.cpu_seconds()?;
    tokio::time::sleep_until(clock::instant(window.end_ns)).await;
    let cpu_seconds = process.cpu_seconds()? - before;
    while let Some(filled) = streams.join_next().await {
        filled??;
    }
    client.quit().await?;
    server.child.stop().await?;
    let stored_in_window = stored_in_window.load(Ordering::Relaxed) as f64;
    Ok(FloorFigures {
        throughput: stored_in_window / plan.duration,
        per_cpu_second: stored_in_window / cpu_seconds,
        latency: None,
    })
}

/// The stream of one agent, to which another sends.
struct Stream {
    number: u32,
    batch: u32,
    body: bytes::Bytes,
}

impl Stream {
    fn key(&self, part: &str) -> Key {
        format!("r1:s:{{floor:agent/{}}}:{part}", self.number).into()
    }

    async fn open(&self, client: &Client, script: &str) -> anyhow::Result<()> {
        let keys = ["m", "l", "r", "t:s", "t:s"].map(|part| self.key(part));
        let arguments = ["epoch", AGE_MS, GRACE_MS, "s", "ticket", "", "", "instance", "64", "1"];
        let _: Value = client.evalsha(script, keys.to_vec(), arguments.map(Value::from).to_vec()).await?;
        Ok(())
    }

    async fn fill(
        self,
        client: Client,
        script: Arc<str>,
        window: Window,
        stored_in_window: Arc<AtomicU64>,
    ) -> anyhow::Result<()> {
        let settings =
            ["0", "epoch", UNBOUNDED, UNBOUNDED, AGE_MS, MID_MEMORY_MS, MIDS_MAX, COUNTER_MEMORY_MS];
        let settings = settings.map(Value::from);
        let mut sent = 0_u64;
        while clock::now_ns() < window.end_ns {
            let mut keys = ["m", "l", "r"].map(|part| self.key(part)).to_vec();
            let mut arguments = settings.to_vec();
            for _ in 0..self.batch {
                sent += 1;
                keys.extend(["d:sender", "e:sender", "c:session"].map(|part| self.key(part)));
                let (mid, counter) = (format!("1a2b3c:{}:{sent}", self.number), sent.to_string());
                let (generation, settled, life, return_to, hears) = ("1", "", "", "", "0");
                arguments.extend([mid.into(), generation.into(), counter.into(), settled.into()]);
                arguments.extend([life, return_to, hears].map(Value::from));
                arguments.push(Value::Bytes(self.body.clone()));
            }
            let told: Vec<String> = client.evalsha(&*script, keys, arguments).await?;
            let stored = told.iter().filter(|word| word.starts_with("stored ")).count();
            anyhow::ensure!(stored == self.batch as usize, "stored {stored} of {}: {told:?}", self.batch);
            if window.counts(clock::now_ns()) {
                stored_in_window.fetch_add(u64::from(self.batch), Ordering::Relaxed);
            }
        }
        Ok(())
    }
}

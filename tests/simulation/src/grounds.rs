//! What all instances and clients of a run stand on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use clap::{Args as _, Command, FromArgMatches as _};
use parking_lot::Mutex;
use relay::bus::memory::MemoryHub;
use relay::config::Config;
use relay::directory::memory::MemoryDirectoryHub;
use relay::streams::StreamSettings;
use relay::streams::faulty::Shelf;
use relay::streams::memory::MemoryStreams;
use relay_tests::history::{History, What};
use relay_tests::seed::Chance;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::instance::Instance;
use crate::plan::{Plan, Weather};
use crate::spoiled_bus::Spoiling;
use crate::spoiled_store::SpoiledStore;

/// How many instances there are.
const INSTANCES: usize = 3;
/// What is kept of a stream, longer than any run takes.
const AGE: Duration = Duration::from_hours(1);

/// What clients are to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Send and read, leave and come back.
    Disturbed,
    /// Read, and send again what has no outcome.
    Settle,
    /// Send and read.
    Talk,
    /// Be gone.
    Leave,
}

/// The grounds of a run.
#[derive(Debug)]
pub(crate) struct Grounds {
    pub(crate) plan: Plan,
    pub(crate) weather: Weather,
    pub(crate) history: History,
    pub(crate) config: Config,
    pub(crate) hub: Arc<MemoryHub>,
    pub(crate) directories: Arc<MemoryDirectoryHub>,
    pub(crate) shelf: Arc<Shelf>,
    pub(crate) spoiling: Option<Arc<Spoiling>>,
    /// Looked at, not waited for: tokio wakes those who wait for a watch in an order of its own.
    pub(crate) stage: watch::Sender<Stage>,
    pub(crate) tracker: TaskTracker,
    pub(crate) stop: CancellationToken,
    /// Nothing goes wrong any more.
    pub(crate) calm: AtomicBool,
    slots: Mutex<Vec<Option<Arc<Instance>>>>,
    started: AtomicU64,
}

impl Grounds {
    /// With all instances.
    pub(crate) async fn new(plan: Plan) -> anyhow::Result<Arc<Grounds>> {
        let weather = Weather::of(&plan);
        let config = config(&weather)?;
        let (tracker, stop) = (TaskTracker::new(), CancellationToken::new());
        let settings = StreamSettings {
            messages: config.streams.stream_messages,
            bytes: config.streams.stream_bytes,
            age: AGE,
            grace: weather.grace,
            topics: config.streams.stream_topics,
        };
        let shelf = match plan.spoiled_store {
            Some((spoil, nth)) => {
                Shelf::over(SpoiledStore::new(MemoryStreams::new(settings), spoil, nth), settings)
            }
            None => Shelf::new(settings),
        };
        let history = History::default();
        let grounds = Arc::new(Grounds {
            plan,
            weather,
            history: if plan.aloud { history.aloud() } else { history },
            config,
            hub: MemoryHub::new(tracker.clone(), stop.clone()),
            directories: MemoryDirectoryHub::new(),
            shelf,
            spoiling: plan.spoiled_bus.map(|(spoil, way, nth)| Spoiling::new(spoil, way, nth)),
            stage: watch::Sender::new(Stage::Disturbed),
            tracker,
            stop,
            calm: AtomicBool::new(false),
            slots: Mutex::new(vec![None; INSTANCES]),
            started: AtomicU64::new(0),
        });
        for slot in 0..INSTANCES {
            grounds.start(slot).await?;
        }
        Ok(grounds)
    }

    /// Starts an instance where none is.
    pub(crate) async fn start(self: &Arc<Self>, slot: usize) -> anyhow::Result<()> {
        if self.slots.lock()[slot].is_some() {
            return Ok(());
        }
        let number = self.started.fetch_add(1, Ordering::Relaxed);
        let instance = Instance::start(self, number).await?;
        self.history.record(What::Fault(format!("instance {number} starts")));
        self.slots.lock()[slot] = Some(Arc::new(instance));
        Ok(())
    }

    /// Takes an instance away: no client finds it from here on.
    pub(crate) fn take(&self, slot: usize) -> Option<Arc<Instance>> {
        self.slots.lock()[slot].take()
    }

    /// One of those there are.
    pub(crate) fn any(&self, chance: &mut Chance) -> Option<Arc<Instance>> {
        let living = self.living();
        let which = chance.below(u32::try_from(living.len()).unwrap_or(0));
        living.get(which as usize).cloned()
    }

    /// All that there are.
    pub(crate) fn living(&self) -> Vec<Arc<Instance>> {
        self.slots.lock().iter().flatten().cloned().collect()
    }

    /// A place that an instance is in or may be.
    pub(crate) fn slot(chance: &mut Chance) -> usize {
        chance.below(u32::try_from(INSTANCES).unwrap_or(1)) as usize
    }

    /// Ends all trouble: everything works from here on.
    pub(crate) async fn calm_down(self: &Arc<Self>) -> anyhow::Result<()> {
        self.calm.store(true, Ordering::Relaxed);
        for instance in self.living() {
            instance.calm_down();
        }
        for slot in 0..INSTANCES {
            self.start(slot).await?;
        }
        Ok(())
    }
}

/// The relays' configuration: no rate is met, and heartbeats go their way.
fn config(weather: &Weather) -> anyhow::Result<Config> {
    let command = Config::augment_args(Command::new("relay").no_binary_name(true));
    // The same whatever the environment is.
    let command = command.mut_args(|argument| argument.env(None::<&str>));
    let (messages, grace) = (weather.stream_messages.to_string(), weather.grace.as_millis().to_string());
    let arguments = [
        "--dev",
        "--rate-messages=1000000",
        "--rate-burst=1000000",
        "--rate-bytes=1000000000",
        "--stream-messages",
        &messages,
        "--resume-grace-ms",
        &grace,
    ];
    let config = Config::from_arg_matches(&command.try_get_matches_from(arguments)?)?;
    config.validate().map_err(|wrong| anyhow::anyhow!("{wrong:?}")).context("configuration")?;
    Ok(config)
}

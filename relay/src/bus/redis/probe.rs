//! Notices a subscribed connection that is alive and delivers nothing: the instance publishes to itself each second, and
//! when that is answered but not heard for [`SILENCE_MAX`] it is deaf, and the connection is given up.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::bus::Channel;
use crate::bus::redis::counters::BusCounters;
use crate::redis::Commands;

/// How often.
const INTERVAL: Duration = Duration::from_secs(1);

/// Three probes that were answered and not heard.
const SILENCE_MAX: Duration = Duration::from_secs(3);

/// What the read loop hears, and what is made of it.
pub(super) struct Hearing {
    channel: Channel,
    messages: AtomicU64,
    probes: AtomicU64,
    deaf: AtomicBool,
    given_up: Notify,
}

impl Hearing {
    pub(super) fn new(channel: Channel) -> Hearing {
        let (messages, probes, deaf, given_up) = Default::default();
        Hearing { channel, messages, probes, deaf, given_up }
    }

    /// Where this instance says something to itself.
    pub(super) fn channel(&self) -> &Channel {
        &self.channel
    }

    /// Something came.
    pub(super) fn hear(&self) {
        self.messages.fetch_add(1, Ordering::Relaxed);
    }

    /// A probe came.
    pub(super) fn hear_probe(&self) {
        self.probes.fetch_add(1, Ordering::Relaxed);
        self.deaf.store(false, Ordering::Release);
    }

    /// How many messages came so far.
    pub(super) fn messages(&self) -> u64 {
        self.messages.load(Ordering::Relaxed)
    }

    /// Whether what is published does not come back.
    pub(super) fn deaf(&self) -> bool {
        self.deaf.load(Ordering::Acquire)
    }

    /// Resolves when the connection is to be given up.
    pub(super) async fn given_up(&self) {
        self.given_up.notified().await;
    }

    fn give_up(&self) {
        self.deaf.store(true, Ordering::Release);
        self.given_up.notify_one();
    }
}

impl fmt::Debug for Hearing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hearing").field("messages", &self.messages()).field("deaf", &self.deaf()).finish()
    }
}

/// Says something each second.
pub(super) struct Probe {
    commands: Commands,
    hearing: Arc<Hearing>,
    counters: Arc<BusCounters>,
}

impl Probe {
    pub(super) fn new(commands: Commands, hearing: Arc<Hearing>, counters: Arc<BusCounters>) -> Probe {
        Probe { commands, hearing, counters }
    }

    /// Goes on and on.
    pub(super) async fn run(self) {
        let mut heard = 0;
        // Since when probes are answered and not heard.
        let mut silent_since = None;
        loop {
            tokio::time::sleep(INTERVAL).await;
            let probes = self.hearing.probes.load(Ordering::Relaxed);
            if std::mem::replace(&mut heard, probes) != probes {
                silent_since = None;
            }
            if silent_since.is_some_and(|since: Instant| since.elapsed() >= SILENCE_MAX) {
                tracing::warn!("what is published does not come back");
                BusCounters::raise(&self.counters.probe_failures);
                self.hearing.give_up();
                silent_since = None;
            }
            if !self.probe().await {
                // Redis is away: silence says nothing about the subscribed connection.
                silent_since = None;
            } else if silent_since.is_none() {
                silent_since = Some(Instant::now());
            }
        }
    }

    async fn probe(&self) -> bool {
        let Ok(question) = self.commands.begin_beat() else { return false };
        question.publish_once(self.hearing.channel.name(), Bytes::new()).await.is_ok()
    }
}

//! Keys that a server publishes as a JWKS document, asked for again before they are out of date.
//!
//! One task asks, so that questions never overlap; sessions read what it found last. A `kid` that is not known makes it
//! ask sooner, at most once in [`KeyServerSettings::ask_every`], however many tokens name it. While the server fails, the
//! keys it published last stay good for [`KeyServerSettings::stale_for`].

mod client;
mod freshness;
mod held;
#[cfg(test)]
mod tests;
mod unknown;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::RwLock;
use rand::RngExt as _;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::auth::keyset::{Fingerprint, VerifyingKey};
use crate::resilience::Health;
use crate::telemetry::metrics::Metrics;

pub use client::KeyServerError;

use client::{FetchError, KeyClient};
use held::Held;
use unknown::UnknownNames;

/// How long the opening of a session waits for a key: less than a client waits for its `welcome`.
const PATIENCE: Duration = Duration::from_secs(2);
/// The first attempt after a failure; then doubling.
const RETRY_MIN: Duration = Duration::from_secs(1);
/// An outage of minutes is found over within one more.
const RETRY_MAX: Duration = Duration::from_mins(1);

/// Failures in a row after which it counts as down: some seven seconds of them.
const FAILURES_DOWN: u32 = 3;

/// What an operator chose for a key server.
#[derive(Debug, Clone)]
pub struct KeyServerSettings {
    /// Where the document is.
    pub url: String,
    /// Certificates, in PEM, that the server's own may lead to besides the public ones.
    pub authorities: Option<Vec<u8>>,
    /// The least time between two answers asked for by their age.
    pub age_min: Duration,
    /// The most, whatever the server says.
    pub age_max: Duration,
    /// How long keys stay good while the server fails.
    pub stale_for: Duration,
    /// The least time between two questions for the sake of an unknown `kid` or a missing key.
    pub ask_every: Duration,
}

/// The keys of a key server.
#[derive(Debug)]
pub struct KeyServer {
    client: KeyClient,
    settings: KeyServerSettings,
    state: RwLock<State>,
    unknown: UnknownNames,
    wanted: Notify,
    /// Questions begun.
    begun: AtomicU64,
    /// Questions in a row that were not answered well.
    failures: AtomicU32,
    /// The number of the last question that was answered well.
    answered: watch::Sender<u64>,
    /// Raised when a key is withdrawn.
    withdrawals: watch::Sender<u64>,
    metrics: Arc<Metrics>,
}

#[derive(Debug, Default)]
struct State {
    held: Held,
    answered_at: Option<Instant>,
}

/// What became of looking for a key.
#[derive(Debug)]
pub(in crate::auth) enum Sought {
    /// Here it is.
    Found(Arc<VerifyingKey>),
    /// The key server has no such key.
    Unknown,
    /// The key server could not be asked in time.
    Unavailable,
}

impl KeyServer {
    /// A key server that nobody has asked yet; [`KeyServer::run`] does.
    pub fn new(settings: KeyServerSettings, metrics: Arc<Metrics>) -> Result<Arc<KeyServer>, KeyServerError> {
        let authorities = settings.authorities.as_deref();
        let client = KeyClient::new(&settings.url, authorities, settings.age_min, settings.age_max)?;
        Ok(Arc::new(KeyServer {
            client,
            settings,
            state: RwLock::default(),
            unknown: UnknownNames::default(),
            wanted: Notify::new(),
            begun: AtomicU64::new(0),
            failures: AtomicU32::new(0),
            answered: watch::Sender::new(0),
            withdrawals: watch::Sender::new(0),
            metrics,
        }))
    }

    /// Changes each time keys are withdrawn: what they signed is good no longer.
    pub fn withdrawals(&self) -> watch::Receiver<u64> {
        self.withdrawals.subscribe()
    }

    /// How it does: its keys stay good for a while, so that a failure or two is nothing to act on.
    pub fn health(&self) -> Health {
        match self.failures.load(Ordering::Relaxed) {
            0 => Health::Well,
            1..FAILURES_DOWN => Health::Slow,
            _ => Health::Down,
        }
    }

    /// Waits for the first answer, or for as long as a session would.
    pub async fn first_answer(&self) -> bool {
        let mut answered = self.answered.subscribe();
        tokio::time::timeout(PATIENCE, answered.wait_for(|number| *number > 0)).await.is_ok()
    }

    /// The key of that name, if it is held and the server has confirmed it lately enough.
    pub(in crate::auth) fn find(&self, key_id: Option<&str>) -> Option<Arc<VerifyingKey>> {
        let state = self.state.read();
        let is_fresh = state.answered_at.is_some_and(|at| at.elapsed() <= self.settings.stale_for);
        state.held.keys().find(key_id).filter(|_| is_fresh).cloned()
    }

    /// Whether this very key is held.
    pub(in crate::auth) fn contains(&self, key: &Fingerprint) -> bool {
        self.state.read().held.keys().contains(key)
    }

    /// The key of that name, from the server if need be.
    pub(in crate::auth) async fn seek(&self, key_id: Option<&str>) -> Sought {
        if key_id.is_some_and(|name| self.unknown.contains(name)) {
            return Sought::Unknown;
        }
        let (before, mut answered) = (self.begun.load(Ordering::Acquire), self.answered.subscribe());
        answered.mark_unchanged();
        self.wanted.notify_one();
        let look = async {
            loop {
                if let Some(key) = self.find(key_id) {
                    return Sought::Found(key);
                }
                // An answer to a question that was under way before may be older than the key.
                if *answered.borrow() > before {
                    if let Some(name) = key_id {
                        self.unknown.remember(name);
                    }
                    return Sought::Unknown;
                }
                if answered.changed().await.is_err() {
                    return Sought::Unavailable;
                }
            }
        };
        tokio::time::timeout(PATIENCE, look).await.unwrap_or(Sought::Unavailable)
    }

    /// Asks, now and again, until `stop`.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        let (mut due, mut failures) = (Instant::now(), 0);
        let mut begun_at = None;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.wanted.notified() => {
                    let soonest = begun_at.map_or(due, |at: Instant| at + self.settings.ask_every);
                    due = due.min(soonest);
                    continue;
                }
                () = tokio::time::sleep_until(due) => {}
            }
            begun_at = Some(Instant::now());
            let number = self.begun.fetch_add(1, Ordering::AcqRel) + 1;
            let Some(answer) = stop.run_until_cancelled(self.client.fetch()).await else { return };
            let pause = match answer {
                Ok(published) => {
                    failures = 0;
                    self.metrics.key_fetches.increment(1);
                    if published.passed_over > 0 {
                        let keys = published.passed_over;
                        tracing::debug!(keys, "the key server publishes keys that are not used");
                    }
                    let fresh_for = published.fresh_for;
                    let is_unsure = self.take(published.keys, number);
                    if is_unsure { fresh_for.min(self.settings.ask_every) } else { fresh_for }
                }
                Err(error) => {
                    failures += 1;
                    self.fail(error, failures)
                }
            };
            self.failures.store(failures, Ordering::Relaxed);
            due = Instant::now() + pause;
        }
    }

    /// Takes in what was published; says whether it is to be confirmed soon.
    fn take(&self, published: crate::auth::KeySet, number: u64) -> bool {
        let mut state = self.state.write();
        let (held, withdrawn) = state.held.after(published);
        let is_unsure = held.is_unsure();
        *state = State { held, answered_at: Some(Instant::now()) };
        drop(state);
        if withdrawn > 0 {
            tracing::info!(keys = withdrawn, "keys were withdrawn");
            self.metrics.keys_withdrawn.increment(withdrawn);
            self.withdrawals.send_modify(|count| *count += withdrawn);
        }
        self.answered.send_replace(number);
        is_unsure
    }

    /// How long to leave a server alone that has failed so many times.
    fn fail(&self, error: FetchError, failures: u32) -> Duration {
        self.metrics.key_fetches_failed.increment(1);
        tracing::warn!(%error, failures, "the key server gave no keys");
        let pause = RETRY_MIN.saturating_mul(1 << failures.min(10).saturating_sub(1)).min(RETRY_MAX);
        pause.mul_f64(rand::rng().random_range(0.75..=1.0))
    }
}

//! Whether Redis answers commands, all of it where it is a Cluster. Found out by asking it each second, and believed at once when the connection breaks.
//!
//! fred alone does not say: its state stays "connected" from the loss of a connection to the first attempt at a new one,
//! and while a server hangs.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use fred::clients::{Client, WithOptions};
use fred::interfaces::{ClientLike as _, EventInterface as _};
use futures_util::future::join_all;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::redis::options;
use crate::redis::{RedisSettings, Topology};
use crate::resilience::{Breaker, Circuit, Health};

/// How often Redis is asked.
const BEAT: Duration = Duration::from_secs(1);

/// After so many unanswered questions the connection itself is not trusted: three, so that a slow command of somebody
/// else's does not cost a reconnection.
const SILENCES_MAX: u32 = 3;

/// The state of the connection for commands.
pub(crate) struct Link {
    client: WithOptions<Client>,
    topology: Topology,
    reachable: AtomicBool,
    connects: AtomicU64,
    /// How many connections there were at the first answer: one for each server.
    first_connects: AtomicU64,
    /// Answers to whatever else is asked.
    answers: AtomicU64,
    silences: AtomicU32,
    /// Raised each time Redis answers on a connection that is new.
    up: watch::Sender<u64>,
    /// Before publishing, and before everything that is stored: a Redis without memory still publishes.
    publishing: Arc<Breaker>,
    storing: Arc<Breaker>,
    slow: Duration,
    /// Whether the last answer took longer than that.
    is_slow: AtomicBool,
}

impl Link {
    /// The link of a client whose commands wait for a connection, so that a question asked while it reconnects is
    /// answered on the next one.
    pub(crate) fn new(client: WithOptions<Client>, topology: Topology, settings: &RedisSettings) -> Link {
        let (reachable, connects, answers, silences, is_slow) = Default::default();
        let first_connects = AtomicU64::new(1);
        let (up, slow) = (watch::Sender::new(0), settings.slow);
        let (publishing, storing) = (Breaker::new(settings.breaker), Breaker::new(settings.breaker));
        Link {
            client,
            topology,
            reachable,
            connects,
            first_connects,
            answers,
            silences,
            up,
            publishing,
            storing,
            slow,
            is_slow,
        }
    }

    /// Which servers it leads to.
    pub(crate) fn topology(&self) -> &Topology {
        &self.topology
    }

    /// What stands before publishing.
    pub(crate) fn publishing(&self) -> &Arc<Breaker> {
        &self.publishing
    }

    /// What stands before everything else but signs of life.
    pub(crate) fn storing(&self) -> &Arc<Breaker> {
        &self.storing
    }

    /// How Redis does.
    pub(crate) fn health(&self) -> Health {
        let circuits = [self.publishing.circuit(), self.storing.circuit()];
        if !self.reachable() || circuits.contains(&Circuit::Open) {
            Health::Down
        } else if circuits.contains(&Circuit::HalfOpen) || self.is_slow.load(Ordering::Relaxed) {
            Health::Slow
        } else {
            Health::Well
        }
    }

    /// Whether Redis answered the last question.
    pub(crate) fn reachable(&self) -> bool {
        self.reachable.load(Ordering::Acquire)
    }

    /// Redis answered something.
    pub(crate) fn hear(&self) {
        self.answers.fetch_add(1, Ordering::Relaxed);
    }

    /// How often a connection was made, of a Cluster to any of its nodes.
    fn connects(&self) -> u64 {
        self.connects.load(Ordering::Relaxed)
    }

    /// How often one was made after those of the beginning.
    pub(crate) fn reconnects(&self) -> u64 {
        self.connects().saturating_sub(self.first_connects.load(Ordering::Relaxed))
    }

    /// Changes each time Redis answers on a new connection.
    pub(crate) fn connections(&self) -> watch::Receiver<u64> {
        self.up.subscribe()
    }

    /// Waits for a first answer.
    pub(crate) async fn up(&self) {
        // The sender lives as long as `self`.
        drop(self.up.subscribe().wait_for(|connection| *connection > 0).await);
    }

    /// Keeps asking. To be called before the client connects; listens from the call on.
    pub(crate) fn watch(self: Arc<Self>) -> impl Future<Output = ()> + Send {
        let (mut errors, mut connects) = (self.client.error_rx(), self.client.reconnect_rx());
        async move {
            let (mut pause, mut told) = (Duration::ZERO, String::new());
            loop {
                tokio::select! {
                    // Errors before connections: an error that waits is older than the connection that followed it.
                    biased;
                    error = errors.recv() => match error {
                        Err(RecvError::Closed) => return,
                        Err(RecvError::Lagged(_)) => self.down("connection lost"),
                        Ok((error, _)) => {
                            self.down("connection lost");
                            // Each attempt fails with one; a wrong password is to be seen, once.
                            if told != error.details() {
                                error.details().clone_into(&mut told);
                                tracing::warn!(%error, "no connection to Redis");
                            }
                        }
                    },
                    connect = connects.recv() => {
                        if matches!(connect, Err(RecvError::Closed)) { return }
                        self.connects.fetch_add(1, Ordering::Relaxed);
                        pause = Duration::ZERO;
                    }
                    answered = self.ask(pause) => {
                        pause = BEAT;
                        if answered { told.clear(); }
                        self.judge(answered).await;
                    }
                }
            }
        }
    }

    async fn ask(&self, pause: Duration) -> bool {
        tokio::time::sleep(pause).await;
        let answers = self.answers.load(Ordering::Relaxed);
        let asked = Instant::now();
        let servers = self.topology.each();
        let pings = join_all(servers.iter().map(|server| server.ping::<()>(None))).await;
        let answered = pings.iter().filter(|ping| ping.is_ok()).count();
        self.is_slow.store(asked.elapsed() >= self.slow, Ordering::Relaxed);
        // In a flood the question may wait longer than it may take, while others are answered. All nodes of a Cluster are
        // asked by one client, so if some answered and one did not it is not the flood.
        let is_flooded = answered == 0 && self.reachable() && self.answers.load(Ordering::Relaxed) != answers;
        answered == pings.len() || is_flooded
    }

    async fn judge(&self, answered: bool) {
        if answered {
            self.silences.store(0, Ordering::Relaxed);
            self.publishing.sign_of_life();
            self.storing.sign_of_life();
            let connects = self.connects();
            if *self.up.borrow() == 0 {
                self.first_connects.store(connects, Ordering::Relaxed);
            }
            if !self.reachable.swap(true, Ordering::AcqRel) {
                tracing::info!("Redis answers");
            }
            self.up.send_if_modified(|connection| std::mem::replace(connection, connects) != connects);
            return;
        }
        self.down("no answer");
        if self.client.is_connected() && self.silences.fetch_add(1, Ordering::Relaxed) + 1 >= SILENCES_MAX {
            self.silences.store(0, Ordering::Relaxed);
            tracing::warn!("Redis is silent on a connection; making another");
            // Answered when it is made, which may be never: whether it is shows in the next questions.
            let remade = self.client.force_reconnection();
            drop(tokio::time::timeout(options::COMMAND_TIMEOUT, remade).await);
        }
    }

    fn down(&self, reason: &'static str) {
        if self.reachable.swap(false, Ordering::AcqRel) {
            tracing::warn!(reason, "Redis is away");
        }
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link")
            .field("reachable", &self.reachable())
            .field("connects", &self.connects())
            .finish_non_exhaustive()
    }
}

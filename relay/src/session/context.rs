//! What every session of an instance shares.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use relay_protocol::CloseCode;
use relay_protocol::server::Limits;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::auth::Authenticator;
use crate::config::Config;
use crate::config::limits::LimitsConfig;
use crate::config::session::DuplicateAgents;
use crate::entropy;
use crate::limits::AddressPlace;
use crate::limits::Limits as SharedLimits;
use crate::outbound::{Bounds, CloseSignal};
use crate::presence::Presence;
use crate::resilience::{Overload, Standing};
use crate::router::Router;
use crate::telemetry::metrics::Metrics;

/// What every session shares.
#[derive(Debug)]
pub struct SessionContext {
    /// Decides who gets a message.
    pub router: Arc<Router>,
    /// Tells who presents a token.
    pub authenticator: Arc<dyn Authenticator>,
    /// Who is present.
    pub presence: Arc<Presence>,
    /// What an agent, a source address and a tenant may do over all connections.
    pub limits: Arc<SharedLimits>,
    /// Refuses a part of sends while the processor does not keep up.
    pub overload: Arc<Overload>,
    /// Counts.
    pub metrics: Arc<Metrics>,
    /// Carries the tasks of subscriptions.
    pub tracker: TaskTracker,
    /// How far the relay is from normal.
    pub standing: watch::Receiver<Standing>,
    /// Cancelled when the instance leaves.
    pub drain: CancellationToken,
    /// When those who are told to leave come back.
    pub returns: Returns,
    /// What an operator chose.
    pub settings: SessionSettings,
}

impl SessionContext {
    /// What each session is told when the instance leaves: its own moment to come back, so that they do not all come at
    /// once.
    pub fn leave_signal(&self) -> CloseSignal {
        CloseSignal {
            code: CloseCode::Drain,
            message: "this instance leaves",
            reconnect_after_ms: Some(self.returns.next_ms(self.settings.drain_spread)),
        }
    }
}

/// Moments evenly over a time, however many are taken: multiples of the golden ratio's fraction, from a random one on. Drawn
/// each by chance a thousand would have seconds with a tenth more than others.
#[derive(Debug)]
pub struct Returns(AtomicU64);

impl Default for Returns {
    fn default() -> Returns {
        Returns(AtomicU64::new(entropy::random()))
    }
}

impl Returns {
    /// The golden ratio's fraction, of 2^64.
    const STEP: u64 = 0x9E37_79B9_7F4A_7C15;

    fn next_ms(&self, spread: Duration) -> u64 {
        let fraction = self.0.fetch_add(Returns::STEP, Ordering::Relaxed);
        u64::try_from((spread.as_millis() * u128::from(fraction)) >> 64).unwrap_or(u64::MAX)
    }
}

/// What an operator chose for sessions.
#[derive(Debug, Clone)]
pub struct SessionSettings {
    /// The longest silence towards a client.
    pub heartbeat: Duration,
    /// After how long a client is asked to move, if ever; jittered.
    pub lease: Option<Duration>,
    /// What becomes of an agent's sessions when another one comes.
    pub duplicate_agents: DuplicateAgents,
    /// How long a queue may stay full, or a socket refuse to be written to.
    pub slow: Duration,
    /// What may wait for a session.
    pub queue: Bounds,
    /// Buffer for reading from a socket.
    pub read_buffer_bytes: usize,
    /// How long a connection lives on after its token.
    pub token_grace: Duration,
    /// How long before its end a client is told that its token expires.
    pub token_warning: Duration,
    /// Over how long the clients of a leaving instance are told to come back.
    pub drain_spread: Duration,
    /// What one connection may do.
    pub limits: LimitsConfig,
}

impl SessionSettings {
    /// The part of a configuration that concerns sessions.
    pub fn new(config: &Config) -> SessionSettings {
        let (session, auth) = (&config.session, &config.auth);
        SessionSettings {
            heartbeat: Duration::from_millis(session.heartbeat_ms),
            lease: (session.lease_ms > 0).then(|| Duration::from_millis(session.lease_ms)),
            duplicate_agents: session.duplicate_agents,
            slow: Duration::from_millis(session.slow_ms),
            queue: Bounds { messages: session.queue_messages, bytes: session.queue_bytes },
            read_buffer_bytes: session.read_buffer_bytes,
            token_grace: Duration::from_secs(auth.auth_grace_s),
            token_warning: Duration::from_secs(auth.auth_warn_s),
            drain_spread: Duration::from_millis(config.server.drain_spread_ms),
            limits: config.limits.clone(),
        }
    }

    /// What a client is told in `welcome`.
    pub fn announced(&self) -> Limits {
        Limits {
            payload: self.limits.payload_bytes as u64,
            message: self.limits.message_bytes() as u64,
            frames: self.limits.frames_per_message as u64,
            subscriptions: self.limits.subscriptions as u64,
            in_flight: u64::from(self.limits.in_flight),
            rate_messages: u64::from(self.limits.rate_messages),
            rate_burst: u64::from(self.limits.rate_burst),
            rate_bytes: u64::from(self.limits.rate_bytes),
            queue_messages: self.queue.messages as u64,
            queue_bytes: self.queue.bytes as u64,
        }
    }
}

/// A connection whose upgrade is done.
#[derive(Debug)]
pub struct Upgraded<S, P> {
    /// The socket.
    pub socket: S,
    /// What the client speaks.
    pub encoding: relay_protocol::Encoding,
    /// The token, if it came with the upgrade.
    pub token: Option<String>,
    /// Its place among those of its source address.
    pub place: AddressPlace,
    /// Held while no token has been shown.
    pub unauthenticated: P,
    /// When the upgrade was done.
    pub since: Instant,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_second_has_as_many_who_come_back() {
        const SECONDS: usize = 5;
        for clients in [20, 100, 1_000, 20_000] {
            let (returns, mut seconds) = (Returns::default(), [0_usize; SECONDS]);
            for _ in 0..clients {
                let second = returns.next_ms(Duration::from_secs(SECONDS as u64)) / 1_000;
                seconds[usize::try_from(second).unwrap()] += 1;
            }
            let share = clients / SECONDS;
            assert!(seconds.iter().all(|second| second.abs_diff(share) <= 3), "{clients}: {seconds:?}");
        }
    }
}

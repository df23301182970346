//! When something has to happen on a connection though nothing came: heartbeats, a token's end, a stall. Pure; the time
//! is passed in.

use std::time::Duration;

use relay_protocol::limit;
use tokio::time::Instant;

use crate::entropy;
use crate::session::context::SessionSettings;

/// How long a heartbeat may be unanswered.
const PONG_TIMEOUT: Duration = Duration::from_millis(limit::PONG_TIMEOUT_MS);

/// How long a client whose lease is over may take to move: it has to fetch a token and open a socket. The platform
/// that leases are made for leaves 5 minutes.
const MOVE_PATIENCE: Duration = Duration::from_mins(1);

/// How long a connection may live.
#[derive(Debug, Clone, Copy)]
enum Lease {
    /// For ever.
    Unbounded,
    /// Until then, when the client is asked to move; it has so long for it.
    Until(Instant, Duration),
    /// The client was asked to, and the connection ends then.
    Over(Instant),
}

/// The clocks of a connection.
#[derive(Debug)]
pub(super) struct Pulse {
    heartbeat: Duration,
    slow: Duration,
    heard_at: Instant,
    beat_at: Instant,
    /// A heartbeat went out then and nothing came since.
    unanswered: Option<Instant>,
    warn_at: Option<Instant>,
    expires_at: Instant,
    lease: Lease,
    blocked_since: Option<Instant>,
    full_since: Option<Instant>,
}

/// What is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    /// A heartbeat.
    Beat,
    /// Nothing came after one.
    Dead,
    /// The token ends so soon.
    TokenExpiring(Duration),
    /// The token ended, and so did its grace.
    TokenExpired,
    /// The client is to move within this time.
    Move(Duration),
    /// It did not.
    LeaseOver,
    /// The queue stayed full, or the socket refused to be written to.
    Slow,
}

impl Pulse {
    /// `token_left` is the life left to the token.
    pub(super) fn new(settings: &SessionSettings, token_left: Duration, now: Instant) -> Pulse {
        // A fifth of jitter, so that sessions that came together do not beat together.
        let heartbeat = settings.heartbeat.mul_f64(entropy::random_range(0.8..=1.0));
        let lease = settings.lease.map_or(Lease::Unbounded, |lease| {
            let jittered = lease.mul_f64(entropy::random_range(0.9..=1.1));
            Lease::Until(now + jittered, MOVE_PATIENCE.min(jittered / 2))
        });
        let mut pulse = Pulse {
            heartbeat,
            slow: settings.slow,
            heard_at: now,
            beat_at: now + heartbeat,
            unanswered: None,
            warn_at: None,
            expires_at: now,
            lease,
            blocked_since: None,
            full_since: None,
        };
        pulse.renew(settings, token_left, now);
        pulse
    }

    /// How long the connection is kept, counted from `now`.
    pub(super) fn lease_left(&self, now: Instant) -> Option<Duration> {
        match self.lease {
            Lease::Unbounded => None,
            Lease::Until(at, _) | Lease::Over(at) => Some(at.saturating_duration_since(now)),
        }
    }

    /// Another token, with so much life left to it.
    pub(super) fn renew(&mut self, settings: &SessionSettings, token_left: Duration, now: Instant) {
        self.expires_at = now + token_left + settings.token_grace;
        let warn_in = token_left.checked_sub(settings.token_warning).unwrap_or(token_left / 2);
        self.warn_at = Some(now + warn_in);
    }

    /// Something came.
    pub(super) fn heard(&mut self, now: Instant) {
        self.heard_at = now;
        self.unanswered = None;
    }

    /// Something was written: for the client that is as good as a heartbeat, if it shows life itself.
    pub(super) fn wrote(&mut self, now: Instant) {
        if self.unanswered.is_none() && now - self.heard_at < self.heartbeat {
            self.beat_at = now + self.heartbeat;
        }
    }

    /// Whether the socket takes what is written.
    pub(super) fn blocked(&mut self, blocked: bool, now: Instant) {
        match (blocked, self.blocked_since) {
            (true, None) => self.blocked_since = Some(now),
            (true, Some(_)) => {}
            (false, _) => self.blocked_since = None,
        }
    }

    /// Since when the queue has been full.
    pub(super) fn full(&mut self, since: Option<Instant>) {
        self.full_since = since;
    }

    /// Whether the connection has not moved for too long.
    pub(super) fn is_stalled(&self, now: Instant) -> bool {
        [self.blocked_since, self.full_since].into_iter().flatten().any(|since| now - since >= self.slow)
    }

    /// What is due now, each thing once.
    pub(super) fn due(&mut self, now: Instant) -> Option<Due> {
        if self.is_stalled(now) {
            return Some(Due::Slow);
        }
        if self.unanswered.is_some_and(|sent| now - sent >= PONG_TIMEOUT) {
            return Some(Due::Dead);
        }
        if now >= self.expires_at {
            return Some(Due::TokenExpired);
        }
        if self.warn_at.is_some_and(|at| now >= at) {
            self.warn_at = None;
            return Some(Due::TokenExpiring(self.expires_at - now));
        }
        match self.lease {
            Lease::Until(at, patience) if now >= at => {
                self.lease = Lease::Over(now + patience);
                return Some(Due::Move(patience));
            }
            Lease::Over(at) if now >= at => return Some(Due::LeaseOver),
            Lease::Unbounded | Lease::Until(..) | Lease::Over(_) => {}
        }
        if now >= self.beat_at {
            self.beat_at = now + self.heartbeat;
            self.unanswered.get_or_insert(now);
            return Some(Due::Beat);
        }
        None
    }

    /// When to look again.
    pub(super) fn next(&self) -> Instant {
        let stall =
            [self.blocked_since, self.full_since].into_iter().flatten().map(|since| since + self.slow);
        let dead = self.unanswered.map(|sent| sent + PONG_TIMEOUT);
        let lease = match self.lease {
            Lease::Unbounded => None,
            Lease::Until(at, _) | Lease::Over(at) => Some(at),
        };
        stall
            .chain(dead)
            .chain(lease)
            .chain(self.warn_at)
            .chain([self.expires_at, self.beat_at])
            .min()
            .unwrap_or(self.beat_at)
    }
}

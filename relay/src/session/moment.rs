//! The time of a turn, read once, and what a turn counts, added up before it goes to the counters all sessions share.

use tokio::time::Instant;

use crate::clock;
use crate::session::send::SHED;
use crate::telemetry::limit::Limit;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::outcome::Outcome;

/// When a turn began.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    pub(super) at: Instant,
    pub(super) unix_ms: u64,
}

impl Moment {
    /// Now.
    pub(super) fn now() -> Moment {
        Moment { at: Instant::now(), unix_ms: clock::unix_ms() }
    }
}

/// What a turn counts.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) reads: u64,
    pub(super) bytes: u64,
    pub(super) frames: u64,
    pub(super) sends: u64,
    /// Sends that were queued at once.
    pub(super) queued: u64,
    /// Sends that were refused for the processor's sake.
    pub(super) shed: u64,
}

impl Tally {
    /// Adds up.
    pub(super) fn flush(&mut self, metrics: &Metrics) {
        let Tally { reads, bytes, frames, sends, queued, shed } = std::mem::take(self);
        if reads == 0 {
            return;
        }
        metrics.socket_reads.increment(reads);
        metrics.bytes_received.increment(bytes);
        metrics.frames_received.increment(frames);
        metrics.sends.increment(sends);
        metrics.outcomes(Outcome::Queued, queued);
        if shed > 0 {
            metrics.outcomes(SHED, shed);
            metrics.limited(Limit::Processor, false, shed);
        }
    }
}

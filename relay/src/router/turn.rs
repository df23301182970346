//! What one turn of a session, or one batch of the bus, hands to other sessions: they are woken when it is over, once
//! each, so that what it brought them is written in one go and not message by message.

use std::sync::Arc;

use smallvec::SmallVec;

use crate::outbound::Outbound;
use crate::telemetry::metrics::Metrics;

/// Sessions woken at the latest after so many: a turn that reaches more is long.
const WAKES_MAX: usize = 64;

/// What a turn hands to others.
#[derive(Debug, Default)]
pub struct Turn {
    touched: SmallVec<[Arc<Outbound>; 4]>,
    queued: u64,
    queued_bytes: usize,
}

impl Turn {
    /// So many messages and bytes were pushed, or none as they did not fit.
    pub(super) fn touch(&mut self, outbound: &Arc<Outbound>, queued: u64, bytes: usize) {
        self.queued += queued;
        self.queued_bytes += bytes;
        if self.touched.iter().any(|known| Arc::ptr_eq(known, outbound)) {
            return;
        }
        if self.touched.len() == WAKES_MAX {
            self.wake();
        }
        self.touched.push(Arc::clone(outbound));
    }

    /// The turn is over: everybody concerned learns of it.
    pub fn end(&mut self, metrics: &Metrics) {
        if self.queued > 0 {
            metrics
                .queue_deliveries(std::mem::take(&mut self.queued), std::mem::take(&mut self.queued_bytes));
        }
        self.wake();
    }

    fn wake(&mut self) {
        for outbound in self.touched.drain(..) {
            outbound.wake();
        }
    }
}

//! May one more come in? Permits are held by what they let in, so they return whatever happens to it.

use std::sync::Arc;

use metrics::Gauge;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::server::pressure::Pressure;
use crate::telemetry::metrics::{Metrics, Refused};

/// How many may come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AdmissionBounds {
    /// Connections.
    pub connections: usize,
    /// Connections without a token yet.
    pub unauthenticated: usize,
}

impl AdmissionBounds {
    /// The bounds an operator chose, below what `descriptors` allow. Of these `reserve`, and half at most, are kept for
    /// other things than clients.
    pub fn new(
        connections: usize,
        unauthenticated: usize,
        descriptors: u64,
        reserve: usize,
    ) -> AdmissionBounds {
        let descriptors = usize::try_from(descriptors).unwrap_or(usize::MAX);
        let possible = descriptors.saturating_sub(reserve.min(descriptors / 2)).min(Semaphore::MAX_PERMITS);
        let connections = if connections == 0 { possible } else { connections.min(possible) };
        let unauthenticated = if unauthenticated == 0 { connections.div_ceil(2) } else { unauthenticated };
        AdmissionBounds { connections, unauthenticated: unauthenticated.min(connections) }
    }
}

/// Lets in or not.
#[derive(Debug)]
pub struct Admission {
    connections: Arc<Semaphore>,
    unauthenticated: Arc<Semaphore>,
    pressure: Arc<Pressure>,
    metrics: Arc<Metrics>,
}

/// A place for one connection.
#[derive(Debug)]
pub struct ConnectionPermit {
    _place: OwnedSemaphorePermit,
    open: Gauge,
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        self.open.decrement(1.0);
    }
}

impl Admission {
    /// Lets in up to `bounds`, while there is no `pressure`.
    pub fn new(bounds: AdmissionBounds, pressure: Arc<Pressure>, metrics: &Arc<Metrics>) -> Admission {
        metrics.connections_max.set(u32::try_from(bounds.connections).map_or(f64::MAX, f64::from));
        Admission {
            connections: Arc::new(Semaphore::new(bounds.connections)),
            unauthenticated: Arc::new(Semaphore::new(bounds.unauthenticated)),
            pressure,
            metrics: Arc::clone(metrics),
        }
    }

    /// A place for one more connection.
    pub fn connection(&self) -> Option<ConnectionPermit> {
        if let Ok(place) = Arc::clone(&self.connections).try_acquire_owned() {
            self.metrics.accepted.increment(1);
            self.metrics.connections.increment(1.0);
            Some(ConnectionPermit { _place: place, open: self.metrics.connections.clone() })
        } else {
            self.metrics.refuse(Refused::Connections);
            None
        }
    }

    /// Places left.
    pub fn connections_left(&self) -> usize {
        self.connections.available_permits()
    }

    /// Why every upgrade is refused for now, if they are.
    pub fn shedding(&self) -> Option<Refused> {
        self.pressure.shedding()
    }

    /// An upgrade: a place for one more connection without a token, where nothing speaks against it. Asked once the
    /// request has been read, so that health and metrics are answered under pressure.
    pub fn upgrade(&self) -> Option<OwnedSemaphorePermit> {
        if let Some(why) = self.pressure.refusal() {
            self.metrics.refuse(why);
            return None;
        }
        let place = Arc::clone(&self.unauthenticated).try_acquire_owned().ok();
        if place.is_none() {
            self.metrics.refuse(Refused::Unauthenticated);
        }
        place
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_stay_below_the_descriptors() {
        assert_eq!(
            AdmissionBounds::new(0, 0, 20_000, 256),
            AdmissionBounds { connections: 19_744, unauthenticated: 9_872 }
        );
        assert_eq!(AdmissionBounds::new(50_000, 0, 20_000, 256).connections, 19_744);
        assert_eq!(
            AdmissionBounds::new(10, 50, 20_000, 256),
            AdmissionBounds { connections: 10, unauthenticated: 10 }
        );
        assert_eq!(AdmissionBounds::new(0, 0, 64, 256).connections, 32);
    }
}

//! Housekeeping: what waits for a report too long becomes `unknown`, what is not used is forgotten.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::bus::BusHealth;
use crate::router::Router;

/// How often: a tenth of the shortest outcome time-out that may be configured, and room.
const PERIOD: Duration = Duration::from_millis(100);
/// Of so many sweeps one tells other instances about the groups: one a second.
const TELL_EVERY: u32 = 10;
/// A link not used for so long is forgotten.
const LINK_IDLE: Duration = Duration::from_mins(10);

impl Router {
    /// Sweeps until `stop`.
    pub async fn sweep(self: Arc<Self>, stop: CancellationToken) {
        let mut ticks = tokio::time::interval(PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut count: u32 = 0;
        while stop.run_until_cancelled(ticks.tick()).await.is_some() {
            count = count.wrapping_add(1);
            if count.is_multiple_of(TELL_EVERY) {
                self.tell_loads();
                self.vouch();
            }
            self.see_to_boards();
            for link in &self.links {
                // Dropped, their settlements say `unknown`.
                drop(link.expire(self.settings.outcome_timeout));
            }
            self.links.retain(|_, link| !link.is_idle_for(LINK_IDLE));
            self.metrics.bus_up.set(match self.bus.health() {
                BusHealth::Up => 1.0,
                BusHealth::Deaf => 0.5,
                BusHealth::Down => 0.0,
            });
        }
    }
}

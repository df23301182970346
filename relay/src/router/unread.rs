//! Messages for agents that do not return: when they have had their time their senders hear of it, though no session reads
//! the stream. Each instance looks for the tenants of its sessions, as somebody who is to hear has one; of several that look
//! the store answers one.

use std::sync::Arc;

use futures_util::StreamExt as _;
use futures_util::stream;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::router::Router;
use crate::router::tenant::Tenant;
use crate::streams::UNREAD_EVERY;

/// Tenants looked at at a time: few, as nothing of it is urgent.
const AT_ONCE: usize = 4;

impl Router {
    /// Tells the senders of what nobody presented in its time, until `stop`.
    pub async fn tell_of_unread(self: Arc<Self>, stop: CancellationToken) {
        let mut ticks = tokio::time::interval(UNREAD_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while stop.run_until_cancelled(ticks.tick()).await.is_some() {
            let tenants: Vec<Arc<Tenant>> = self.tenants.iter().map(|tenant| Arc::clone(&tenant)).collect();
            let looks = tenants.into_iter().map(|tenant| {
                let told = self.streams.expire_unread(Arc::clone(&tenant.name));
                async move { (told.await, tenant) }
            });
            let mut looks = stream::iter(looks).buffer_unordered(AT_ONCE);
            while let Some((told, tenant)) = looks.next().await {
                // Away: looked at again in its turn.
                if let Ok(told) = told {
                    self.tell_all_senders(&tenant, &told);
                }
            }
        }
    }
}

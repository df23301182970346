//! How much work the members of groups can take. Each instance tells all others once a second of its own, and with every
//! message that a member took or refused its sender; in between a sender counts what it gives.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::router::Router;
use crate::router::envelope;
use crate::router::tenant::Tenant;

/// What was not heard again for so long is forgotten: several news may be lost in a row.
const FORGOTTEN: Duration = Duration::from_secs(5);
/// Members in one item of a batch.
const TOGETHER_MAX: usize = 64;

/// What a member elsewhere can take, when last heard, less what it was given since.
#[derive(Debug, Clone, Copy)]
pub(super) struct Load {
    room: i64,
    heard_at: Instant,
}

impl Tenant {
    /// What a member elsewhere can take.
    pub(super) fn load(&self, session: &str) -> Option<i64> {
        self.loads.get(session).map(|load| load.room)
    }

    /// A member elsewhere was given a message.
    pub(super) fn spend_load(&self, session: &str) {
        if let Some(mut load) = self.loads.get_mut(session) {
            load.room -= 1;
        }
    }

    /// What was heard of a member elsewhere.
    pub(super) fn hear_load(&self, session: &str, room: u32) {
        let load = Load { room: i64::from(room), heard_at: Instant::now() };
        if let Some(mut known) = self.loads.get_mut(session) {
            *known = load;
            return;
        }
        self.loads.insert(session.into(), load);
    }
}

impl Router {
    /// Tells all others what the members here can take.
    pub(super) fn tell_loads(self: &Arc<Self>) {
        for tenant in &self.tenants {
            tenant.loads.retain(|_, load| load.heard_at.elapsed() < FORGOTTEN);
            let mut loads: Vec<(Arc<str>, u32)> = Vec::new();
            for group in &tenant.groups {
                loads.extend(
                    group
                        .members
                        .iter()
                        .map(|member| (Arc::clone(&member.session), told(member.outbound.room()))),
                );
            }
            loads.sort_unstable();
            loads.dedup_by(|one, other| one.0 == other.0);
            for some in loads.chunks(TOGETHER_MAX) {
                // What does not fit is told the next second.
                let _ = self.announce(|batch| envelope::append_loads(batch, &tenant.name, some));
            }
        }
    }

    /// Another instance told what members there can take.
    pub(super) fn take_loads(&self, tenant: &str, loads: &[(&str, u32)]) {
        let Some(tenant) = self.tenants.get(tenant).map(|tenant| Arc::clone(&tenant)) else { return };
        for (session, room) in loads {
            tenant.hear_load(session, *room);
        }
    }
}

/// Room as other instances are told.
pub(super) fn told(room: u64) -> u32 {
    u32::try_from(room).unwrap_or(u32::MAX)
}

//! Work that waits on another instance. The instance it was given to says so at once, then each second that it still has
//! it, then what became of it; of what it says nothing any more, nobody knows.

use std::sync::Arc;
use std::time::Duration;

use relay_protocol::ErrorCode;
use tokio::time::Instant;

use crate::bus::InstanceId;
use crate::outbound::Settlement;
use crate::router::Router;
use crate::router::delivery::SATURATED_RETRY_MS;
use crate::router::envelope::{self, Direct, Fate, Nack, Settled};
use crate::router::link::Given;
use crate::router::load::told;
use crate::router::turn::Turn;
use crate::telemetry::outcome::Outcome;

/// What nothing was heard of for so long is given up: several news may be lost in a row.
pub(super) const SILENCE: Duration = Duration::from_secs(5);

impl Router {
    /// Puts work in line for a member here, and sees to it that its sender's instance hears what became of it.
    pub(super) fn take_work(
        self: &Arc<Self>,
        sender: &InstanceId,
        seq: u64,
        direct: &Direct<&str>,
        turn: &mut Turn,
        times: (Instant, Option<Instant>),
    ) -> Nack {
        let tenant = self.tenants.get(direct.tenant).map(|tenant| Arc::clone(&tenant));
        let Some(tenant) = tenant else { return Nack::NotHere };
        let link = self.link(sender);
        link.owe(seq);
        let (router, place) = (Arc::clone(self), Arc::clone(&tenant));
        let (group, session): (Arc<str>, Arc<str>) =
            (direct.agent.into(), direct.session.unwrap_or_default().into());
        let settlement = Settlement::elsewhere(move |outcome| {
            link.owe_no_longer(seq);
            let room = told(place.room_here(&group, &session));
            let settled = Settled { seq, fate: fate(outcome), room };
            let pushed = link
                .outbox
                .push(&router.instance, None, None, |batch| envelope::append_settled(batch, settled));
            // A report that does not fit is one that got lost: its sender hears `unknown`.
            if let Ok(pump) = pushed {
                router.pump_link(pump, &link);
            }
        });
        if let Err((outcome, settlement)) = tenant.give_work(direct, times, settlement, turn) {
            settlement.settle(outcome);
        }
        Nack::Held
    }

    /// Another instance says what became of work it was given.
    pub(super) fn take_settled(self: &Arc<Self>, sender: &InstanceId, settled: Settled) {
        let Some(link) = self.links.get(sender).map(|link| Arc::clone(&link)) else { return };
        let outcome = outcome(settled.fate);
        match link.settled(settled.seq) {
            Some(Given::Pending(pending)) => {
                let session = pending.direct.session.as_deref();
                self.hear_room(&pending.direct.tenant, session, settled.room);
                match settled.fate {
                    Fate::NotHere | Fate::Saturated => self.send_to_another(sender, pending, outcome),
                    Fate::Queued | Fate::Expired | Fate::Unknown => pending.settlement.settle(outcome),
                }
            }
            Some(Given::Held(held)) => {
                self.hear_room(&held.tenant, held.session.as_deref(), settled.room);
                held.settlement.settle(outcome);
            }
            None => {}
        }
    }

    fn hear_room(&self, tenant: &str, session: Option<&str>, room: u32) {
        let tenant = self.tenants.get(tenant).map(|tenant| Arc::clone(&tenant));
        if let (Some(tenant), Some(session)) = (tenant, session) {
            tenant.hear_load(session, room);
        }
    }

    /// Tells every instance which of the work it gave waits here still.
    pub(super) fn vouch(self: &Arc<Self>) {
        for link in &self.links {
            for ranges in link.owed().chunks(envelope::RANGES_MAX) {
                let pushed = link
                    .outbox
                    .push(&self.instance, None, None, |batch| envelope::append_held(batch, ranges));
                if let Ok(pump) = pushed {
                    self.pump_link(pump, &link);
                }
            }
        }
    }
}

fn fate(outcome: Outcome) -> Fate {
    match outcome {
        Outcome::Queued | Outcome::Accepted | Outcome::Delivered => Fate::Queued,
        Outcome::Unknown => Fate::Unknown,
        Outcome::Failed { reason: ErrorCode::Saturated, .. } => Fate::Saturated,
        Outcome::Failed { reason: ErrorCode::Expired, .. } => Fate::Expired,
        Outcome::Failed { .. } => Fate::NotHere,
    }
}

fn outcome(fate: Fate) -> Outcome {
    match fate {
        Fate::Queued => Outcome::Queued,
        Fate::NotHere => Outcome::failed(ErrorCode::NoRecipient),
        Fate::Saturated => Outcome::failed_for(ErrorCode::Saturated, SATURATED_RETRY_MS),
        Fate::Expired => Outcome::failed(ErrorCode::Expired),
        Fate::Unknown => Outcome::Unknown,
    }
}

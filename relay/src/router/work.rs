//! A message to a group goes to one member: of two drawn at random the one with more room, and to another one if that has
//! none or is gone. It has its outcome when it is written to the member's socket. What a member leaves unwritten goes to
//! another member, from the instance on which it waited.

use std::sync::Arc;
use std::time::Duration;

use relay_protocol::{Chunk, ErrorCode, SharedFrame};
use smallvec::SmallVec;
use tokio::time::Instant;

use crate::bus::InstanceId;
use crate::directory::Entry;
use crate::entropy;
use crate::outbound::{Item, Job, PushError, Settlement};
use crate::router::Router;
use crate::router::delivery::{Delivery, Frames, SATURATED_RETRY_MS};
use crate::router::envelope::Direct;
use crate::router::link::{Pending, Tried};
use crate::router::parcel::Parcel;
use crate::router::registration::Registration;
use crate::router::route::Route;
use crate::router::tenant::{Member, Tenant};
use crate::router::turn::Turn;
use crate::telemetry::outcome::Outcome;

/// A member as it is drawn.
struct Drawn {
    session: Arc<str>,
    /// The instance it is on, if that is another one.
    elsewhere: Option<InstanceId>,
    /// What it can take, where that is known.
    room: Option<i64>,
}

impl Router {
    /// Gives a message to one member, and to another if that one refuses at once. Takes no lock of a route.
    pub(super) fn forward_to_member(
        self: &Arc<Self>,
        tenant: &Arc<Tenant>,
        entries: &[Entry],
        parcel: Parcel,
    ) {
        let Parcel { direct, mut settlement, taken_at, expires_at, returned, .. } = parcel;
        let now = Instant::now();
        if expires_at.is_some_and(|at| at <= now) {
            return settlement.settle(Outcome::failed(ErrorCode::Expired));
        }
        let tries = if returned.is_some() { 1 } else { 2 };
        let mut outcome = returned.map_or(Outcome::failed(ErrorCode::NoRecipient), |(_, outcome)| outcome);
        let mut refused: SmallVec<[Arc<str>; 2]> = direct.session.clone().into_iter().collect();
        for left in (0..tries).rev() {
            let Some(drawn) = self.draw(tenant, &direct.agent, entries, &refused) else { break };
            if !refused.is_empty() {
                self.metrics.group_retries.increment(1);
            }
            let direct = Direct { session: Some(Arc::clone(&drawn.session)), ..Direct::clone(&direct) };
            (outcome, settlement) = if let Some(instance) = drawn.elsewhere {
                let link = self.link(&instance);
                let before = if left == 0 { Tried::Again } else { Tried::Nowhere };
                match link.push(&self.instance, Arc::new(direct), settlement, before, now) {
                    Ok(pump) => {
                        tenant.spend_load(&drawn.session);
                        return self.pump_link(pump, &link);
                    }
                    Err(back) => (Outcome::failed_for(ErrorCode::Saturated, SATURATED_RETRY_MS), back),
                }
            } else {
                let mut turn = Turn::default();
                let given = tenant.give_work(&direct, (taken_at, expires_at), settlement, &mut turn);
                turn.end(&self.metrics);
                match given {
                    Ok(()) => return,
                    Err(back) => back,
                }
            };
            refused.push(drawn.session);
        }
        settlement.settle(outcome);
    }

    /// A member elsewhere was full or gone: one more try with another.
    pub(super) fn send_to_another(self: &Arc<Self>, peer: &InstanceId, pending: Pending, otherwise: Outcome) {
        let tenant = self.tenants.get(&pending.direct.tenant).map(|tenant| Arc::clone(&tenant));
        let Some(tenant) = tenant.filter(|_| !matches!(pending.tried, Tried::Again)) else {
            return pending.settlement.settle(otherwise);
        };
        let entries = match tenant.routes.get(&pending.direct.agent).as_deref() {
            Some(Route::Known { entries, .. }) => entries.clone(),
            Some(Route::Resolving(_)) | None => SmallVec::new(),
        };
        let parcel = Parcel {
            taken_at: Instant::now(),
            expires_at: pending.expires_at(),
            direct: pending.direct,
            settlement: pending.settlement,
            returned: Some((peer.clone(), otherwise)),
            seq: 0,
            tried: pending.tried,
        };
        self.forward_to_member(&tenant, &entries, parcel);
    }

    /// The better of two members drawn at random, by their room where that is known of both.
    fn draw(&self, tenant: &Tenant, group: &str, entries: &[Entry], refused: &[Arc<str>]) -> Option<Drawn> {
        let local = tenant.groups.get(group);
        let is_open = |session: &Arc<str>| !refused.contains(session);
        let here = local.as_ref().map_or(&[][..], |local| &local.members);
        let here: SmallVec<[&Member; 16]> = here.iter().filter(|member| is_open(&member.session)).collect();
        let there: SmallVec<[&Entry; 16]> = entries
            .iter()
            .filter(|entry| entry.instance != self.instance && is_open(&entry.session))
            .collect();
        let drawn = |at: usize| {
            if let Some(member) = here.get(at) {
                let room = Some(i64::try_from(member.outbound.room()).unwrap_or(i64::MAX));
                return Drawn { session: Arc::clone(&member.session), elsewhere: None, room };
            }
            let Entry { session, instance, .. } = there[at - here.len()];
            let room = tenant.load(session);
            Drawn { session: Arc::clone(session), elsewhere: Some(instance.clone()), room }
        };
        let count = here.len() + there.len();
        better_of_two(count, |at| drawn(at).room).map(drawn)
    }
}

/// Of two drawn at random the one with more room, where that is known of both.
pub(super) fn better_of_two(count: usize, room: impl Fn(usize) -> Option<i64>) -> Option<usize> {
    if count < 2 {
        return count.checked_sub(1);
    }
    let first = entropy::random_range(0..count);
    let other = (first + entropy::random_range(1..count)) % count;
    let other_is_better = room(first).zip(room(other)).is_some_and(|(one, other)| other > one);
    Some(if other_is_better { other } else { first })
}

impl Tenant {
    /// Puts a message in line for the member it names, or says why not and gives the duty back.
    pub(super) fn give_work<T: AsRef<str>>(
        &self,
        direct: &Direct<T>,
        (taken_at, expires_at): (Instant, Option<Instant>),
        settlement: Settlement,
        turn: &mut Turn,
    ) -> Result<(), (Outcome, Settlement)> {
        let session = direct.session.as_ref().map(AsRef::as_ref);
        let found = self.groups.get(direct.agent.as_ref());
        let found = found
            .as_ref()
            .and_then(|local| Some((Arc::clone(local.key()), &local.member(session?)?.outbound)));
        let Some((group, outbound)) = found else {
            return Err((Outcome::failed(ErrorCode::NoRecipient), settlement));
        };
        // Copied, as a message that waits would keep the batch it came in.
        let frame = Chunk::one(bytes::Bytes::copy_from_slice(&direct.frame));
        let shared = SharedFrame::new(direct.encoding, frame);
        let chunk = shared.get(outbound.encoding()).clone();
        let delivery = Delivery {
            frames: Frames::Written(&shared),
            lane: direct.lane,
            key: None,
            taken_at,
            expires_at,
            reply_to: direct.reply_to.as_ref().map(AsRef::as_ref),
        };
        let (frames, bytes) = (u64::from(chunk.frames), chunk.bytes.len());
        match outbound.push_job(delivery.item(chunk), Job { group, settlement, stored: false }) {
            Ok(()) => {
                turn.touch(outbound, frames, bytes);
                Ok(())
            }
            Err((error, job)) => {
                let outcome = match error {
                    PushError::Full => Outcome::failed_for(ErrorCode::Saturated, SATURATED_RETRY_MS),
                    PushError::Closed => Outcome::failed(ErrorCode::NoRecipient),
                };
                turn.touch(outbound, 0, 0);
                Err((outcome, job.settlement))
            }
        }
    }
}

impl Registration {
    /// Gives the work that the session leaves unwritten to other members, or fails it to its senders.
    pub fn hand_on(&self, left: Vec<Item>) {
        for item in left {
            // What is stored goes back to the store with all that the session has in hand.
            let Some(job) = item.job.filter(|job| !job.stored) else { continue };
            self.router.metrics.group_handed_on.increment(1);
            let now = Instant::now();
            let left_to_it = item.expires_at.map(|at| at.saturating_duration_since(now));
            let direct = Direct {
                tenant: Arc::clone(&self.tenant.name),
                agent: job.group,
                session: Some(Arc::clone(&self.entry.session)),
                lane: item.lane,
                key: None,
                expires_in_ms: left_to_it.map_or(0, in_ms),
                reply_to: item.reply_right.map(|right| right.reply_to.into()),
                encoding: self.outbound.encoding(),
                frame: item.chunk.bytes,
            };
            let nobody = Outcome::failed(ErrorCode::NoRecipient);
            let parcel = Parcel {
                direct: Arc::new(direct),
                settlement: job.settlement,
                taken_at: now,
                expires_at: item.expires_at,
                returned: Some((self.router.instance.clone(), nobody)),
                seq: 0,
                tried: Tried::Again,
            };
            self.router.dispatch_parcel(&self.tenant, parcel);
        }
    }
}

/// 0 would mean no end.
fn in_ms(life: Duration) -> u32 {
    u32::try_from(life.as_millis()).unwrap_or(u32::MAX).max(1)
}

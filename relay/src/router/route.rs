//! Where an agent's sessions are, as far as this instance knows, and the messages that wait to learn it.
//!
//! Order: everything for an agent goes through its entry here, under the entry's lock. While the entry is being
//! resolved later messages are held behind earlier ones, and those that an instance sent back go before all.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use dashmap::Entry as MapEntry;
use futures_util::FutureExt as _;
use parking_lot::Mutex;
use relay_protocol::{Chunk, ErrorCode, SharedFrame};
use smallvec::SmallVec;
use tokio::time::Instant;

use crate::bus::InstanceId;
use crate::directory::{DirectoryError, Entry};
use crate::router::Router;
use crate::router::barrier::{Barrier, Barriers};
use crate::router::delivery::{Delivery, Frames, SATURATED_RETRY_MS};
use crate::router::envelope::Direct;
use crate::router::groups;
use crate::router::link::{Link, Tried};
use crate::router::parcel::{Held, Parcel};
use crate::router::tenant::Tenant;
use crate::router::turn::Turn;
use crate::streams::StreamKey;
use crate::telemetry::outcome::Outcome;

/// When to try again while a part of the path is away, in milliseconds: about as long as a reconnect takes.
pub(super) const UNAVAILABLE_RETRY_MS: u64 = 1_000;
/// When to try again where a session may come back, in milliseconds: as long as a client that lost its connection takes.
const RETURN_RETRY_MS: u64 = 2_000;
/// Messages that may wait for one route.
const HELD_MAX: usize = 4_096;
/// Routes kept for one tenant; above it those out of date are swept at the next miss.
const ROUTES_MAX: usize = 65_536;

/// Where an agent is.
#[derive(Debug)]
pub(super) enum Route {
    /// Its sessions when last asked.
    Known { entries: SmallVec<[Entry; 1]>, until: Instant },
    /// Somebody asks.
    Resolving(Box<Held>),
}

impl Route {
    fn outdate(&mut self) {
        if let Route::Known { until, .. } = self {
            *until = Instant::now();
        }
    }
}

/// What is found out of an agent.
#[derive(Debug, Default)]
struct Whereabouts {
    entries: Vec<Entry>,
    /// It is nowhere, and one of its sessions is within its grace.
    may_return: bool,
}

type Found = Result<Whereabouts, DirectoryError>;

impl Tenant {
    /// Asks again before the next message to `agent`. Where it was is kept, as messages may still be under way there.
    pub(super) fn forget_route(&self, agent: &str) {
        if let Some(mut route) = self.routes.get_mut(agent) {
            route.outdate();
        }
    }

    /// Asks again before the next message to anybody.
    pub(super) fn forget_routes(&self) {
        self.routes.iter_mut().for_each(|mut route| route.outdate());
    }

    /// Whether messages to `agent` went, or may go, to other instances than `own`.
    pub(super) fn may_be_under_way(&self, agent: &str, own: &InstanceId) -> bool {
        self.routes.get(agent).is_some_and(|route| match &*route {
            Route::Known { entries, .. } => entries.iter().any(|entry| entry.instance != *own),
            Route::Resolving(_) => true,
        })
    }

    /// Takes on the duty to ask. To be called with the entry's lock, under which it was seen that nobody has it.
    fn begin_resolving(&self, held: Held) -> Route {
        self.resolving.fetch_add(1, Ordering::AcqRel);
        Route::Resolving(Box::new(held))
    }
}

impl Router {
    /// Sends a message where its agent is, as soon as that is known.
    pub(super) fn dispatch_parcel(self: &Arc<Self>, tenant: &Arc<Tenant>, parcel: Parcel) {
        let agent = Arc::clone(&parcel.direct.agent);
        let mut before = SmallVec::new();
        // Looked up and taken under one lock: of two that find no route, one asks and the other waits behind it.
        match tenant.routes.entry(Arc::clone(&agent)) {
            MapEntry::Vacant(vacant) => {
                vacant.insert(tenant.begin_resolving(Held::fresh(parcel)));
            }
            MapEntry::Occupied(mut occupied) => match occupied.get_mut() {
                Route::Known { entries, until } if *until > parcel.taken_at => {
                    let entries = entries.clone();
                    return self.forward(tenant, &entries, false, parcel);
                }
                Route::Resolving(held) if held.fresh.len() >= HELD_MAX => {
                    let outcome = Outcome::failed_for(ErrorCode::Saturated, SATURATED_RETRY_MS);
                    return parcel.settlement.settle(outcome);
                }
                Route::Resolving(held) => return held.fresh.push_back(parcel),
                outdated @ Route::Known { .. } => {
                    let fresh = tenant.begin_resolving(Held::fresh(parcel));
                    if let Route::Known { entries, .. } = std::mem::replace(outdated, fresh) {
                        before = entries;
                    }
                }
            },
        }
        let barriers = self.barriers(&before);
        self.resolve(tenant, &agent, before, barriers);
    }

    /// Asks again for a message that an instance sent back; later ones wait behind it.
    pub(super) fn dispatch_returned(
        self: &Arc<Self>,
        tenant: &Arc<Tenant>,
        link: &Arc<Link>,
        parcel: Parcel,
    ) {
        let agent = Arc::clone(&parcel.direct.agent);
        match tenant.routes.entry(Arc::clone(&agent)) {
            MapEntry::Vacant(vacant) => {
                vacant.insert(tenant.begin_resolving(Held::returned(parcel)));
            }
            MapEntry::Occupied(mut occupied) => match occupied.get_mut() {
                Route::Resolving(held) => return held.take_back(parcel),
                outdated @ Route::Known { .. } => *outdated = tenant.begin_resolving(Held::returned(parcel)),
            },
        }
        // What is still under way to that instance will come back too, and belongs before anything later.
        let barrier = Barrier { seq: link.next_seq(), link: Arc::clone(link), sent_back: true };
        self.resolve(tenant, &agent, SmallVec::new(), Barriers::from_iter([barrier]));
    }

    /// Asks for a route whose entry was just taken. What is under way to where the agent was `before` comes first, if the agent
    /// is there no more or also where it was not: what comes back goes there, whatever the directory said meanwhile.
    fn resolve(
        self: &Arc<Self>,
        tenant: &Arc<Tenant>,
        agent: &Arc<str>,
        before: SmallVec<[Entry; 1]>,
        barriers: Barriers,
    ) {
        let mut lookup = Arc::clone(self).look_up(Arc::clone(tenant), Arc::clone(agent)).boxed();
        // A directory in this process answers at once, and most tenants never need a task for it.
        if barriers.is_empty()
            && let Some(found) = (&mut lookup).now_or_never()
        {
            return self.resolved(tenant, agent, &found);
        }
        if tenant.routes.len() > ROUTES_MAX {
            let now = Instant::now();
            tenant.routes.retain(|_, route| {
                matches!(route, Route::Known { until, .. } if *until > now)
                    || matches!(route, Route::Resolving(_))
            });
        }
        let (router, tenant, agent) = (Arc::clone(self), Arc::clone(tenant), Arc::clone(agent));
        self.tracker.spawn(async move {
            let mut found = lookup.await;
            let was_there = |entry: &Entry| before.iter().any(|before| before.instance == entry.instance);
            for Barrier { link, seq, sent_back } in barriers {
                let stays = |Whereabouts { entries, .. }: &Whereabouts| {
                    entries.iter().any(|entry| entry.instance == link.peer) && entries.iter().all(was_there)
                };
                if sent_back || !found.as_ref().is_ok_and(stays) {
                    router.pass(&link, seq).await;
                    found = Arc::clone(&router).look_up(Arc::clone(&tenant), Arc::clone(&agent)).await;
                }
            }
            router.resolved(&tenant, &agent, &found);
        });
    }

    /// Asks where an agent is; of one that is nowhere, whether a session of it may come back.
    async fn look_up(self: Arc<Self>, tenant: Arc<Tenant>, agent: Arc<str>) -> Found {
        let entries = self.directory.lookup(&tenant.name, &agent).await?;
        let may_return = entries.is_empty() && {
            // The store knows the sessions that live or may return; none is in the directory.
            let inbox = StreamKey::agent(&tenant.name, &agent);
            let known = self.streams.append(inbox, Vec::new()).await;
            known.is_ok_and(|known| !known.readers.is_empty())
        };
        Ok(Whereabouts { entries, may_return })
    }

    fn resolved(self: &Arc<Self>, tenant: &Arc<Tenant>, agent: &Arc<str>, found: &Found) {
        let Some(mut route) = tenant.routes.get_mut(agent) else { return };
        let known: SmallVec<[Entry; 1]> = match found {
            // A session that has left here may still stand in the directory; nobody knows better than we.
            Ok(Whereabouts { entries, .. }) => entries
                .iter()
                .filter(|entry| entry.instance != self.instance || tenant.is_here(agent, &entry.session))
                .cloned()
                .collect(),
            Err(DirectoryError) => SmallVec::new(),
        };
        match found {
            Err(DirectoryError) => self.metrics.lookups_failed.increment(1),
            Ok(Whereabouts { entries, .. }) if entries.is_empty() => self.metrics.lookups_empty.increment(1),
            Ok(_) => self.metrics.lookups.increment(1),
        }
        // Nobody found is not remembered: the agent may come the next moment.
        let ttl = match agent {
            _ if known.is_empty() => Duration::ZERO,
            group if groups::is_group(group) => self.settings.route_ttl.min(groups::MEMBERS_TTL),
            _ => self.settings.route_ttl,
        };
        let until = Instant::now() + ttl;
        let only_here = found.is_ok() && known.iter().all(|entry| entry.instance == self.instance);
        let before = std::mem::replace(&mut *route, Route::Known { entries: known.clone(), until });
        if only_here && let Some(mut local) = tenant.agents.get_mut(agent) {
            local.elsewhere = false;
        }
        if let Route::Resolving(held) = before {
            for parcel in held.into_order() {
                match found {
                    Ok(found) => self.forward(tenant, &known, found.may_return, parcel),
                    Err(DirectoryError) => self.forward_blind(tenant, parcel),
                }
            }
        }
        drop(route);
        tenant.resolving.fetch_sub(1, Ordering::AcqRel);
        tenant
            .routes
            .remove_if(agent, |_, route| matches!(route, Route::Known { entries, .. } if entries.is_empty()));
    }

    /// Sends a message to the instances of `entries` that it is meant for.
    fn forward(self: &Arc<Self>, tenant: &Arc<Tenant>, entries: &[Entry], may_return: bool, parcel: Parcel) {
        if groups::is_group(&parcel.direct.agent) {
            return self.forward_to_member(tenant, entries, parcel);
        }
        let now = Instant::now();
        if parcel.expires_at.is_some_and(|at| at <= now) {
            return parcel.settlement.settle(Outcome::failed(ErrorCode::Expired));
        }
        let mut targets: SmallVec<[&InstanceId; 2]> = SmallVec::new();
        let wanted = entries.iter().filter(|entry| {
            parcel.direct.session.as_ref().is_none_or(|session| *session == entry.session)
                && parcel.returned.as_ref().is_none_or(|(by, _)| *by != entry.instance)
        });
        for entry in wanted {
            if !targets.contains(&&entry.instance) && parcel.tried.begin(&entry.instance) {
                targets.push(&entry.instance);
            }
        }
        if targets.is_empty() {
            let nobody = if may_return {
                Outcome::failed_for(ErrorCode::NoRecipient, RETURN_RETRY_MS)
            } else {
                Outcome::failed(ErrorCode::NoRecipient)
            };
            let outcome = parcel.returned.map_or(nobody, |(_, outcome)| outcome);
            return parcel.settlement.settle(outcome);
        }
        let tried = match targets.len() {
            _ if parcel.returned.is_some() => Tried::Again,
            1 => Tried::Nowhere,
            _ => {
                let others = targets.iter().map(|target| (*target).clone());
                Tried::Beside(Arc::new(Mutex::new(others.collect())))
            }
        };
        let parts = parcel.settlement.split(targets.len());
        for (target, part) in targets.into_iter().zip(parts) {
            if *target == self.instance {
                part.settle(self.deliver_here(tenant, &parcel.direct, parcel.taken_at, parcel.expires_at));
                continue;
            }
            let link = self.link(target);
            match link.push(&self.instance, Arc::clone(&parcel.direct), part, tried.clone(), now) {
                Ok(pump) => self.pump_link(pump, &link),
                Err(part) => part.settle(Outcome::failed_for(ErrorCode::Saturated, SATURATED_RETRY_MS)),
            }
        }
    }

    /// The directory is away: sessions here are served, for others nothing can be promised.
    fn forward_blind(self: &Arc<Self>, tenant: &Arc<Tenant>, mut parcel: Parcel) {
        if groups::is_group(&parcel.direct.agent) {
            let outcome = Outcome::failed_for(ErrorCode::Unavailable, UNAVAILABLE_RETRY_MS);
            parcel.returned = Some((self.instance.clone(), outcome));
            return self.forward_to_member(tenant, &[], parcel);
        }
        let unavailable = Outcome::failed_for(ErrorCode::Unavailable, UNAVAILABLE_RETRY_MS);
        let deliver = || self.deliver_here(tenant, &parcel.direct, parcel.taken_at, parcel.expires_at);
        let outcome = match parcel.tried.begin(&self.instance).then(deliver) {
            None | Some(Outcome::Failed { reason: ErrorCode::NoRecipient, .. }) => unavailable,
            Some(outcome) => outcome,
        };
        parcel.settlement.settle(outcome);
    }

    fn deliver_here(
        &self,
        tenant: &Tenant,
        direct: &Direct<Arc<str>>,
        taken_at: Instant,
        expires_at: Option<Instant>,
    ) -> Outcome {
        let shared = SharedFrame::new(direct.encoding, Chunk::one(direct.frame.clone()));
        let delivery = Delivery {
            frames: Frames::Written(&shared),
            lane: direct.lane,
            key: direct.key.clone(),
            taken_at,
            expires_at,
            reply_to: direct.reply_to.as_deref(),
        };
        let mut turn = Turn::default();
        let outcome = tenant.deliver(&direct.agent, direct.session.as_deref(), &delivery, &mut turn);
        turn.end(&self.metrics);
        outcome
    }
}

//! Sessions that read streams: what wakes them, what they acknowledge, and that they live.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use parking_lot::Mutex;
use relay_protocol::address::agent_of_session;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use crate::bus::InstanceId;
use crate::outbound::{CloseSignal, InboxNews};
use crate::router::Router;
use crate::router::envelope::{self, Wake};
use crate::router::tenant::Tenant;
use crate::streams::{Ack, StreamKey};

/// How long a session may go unspoken for: a hint that was lost to one with nothing to read is then found.
const RENEWED_IN_MAX: u64 = 30;
/// How often at most all are spoken for at once because the store had forgotten one, and so perhaps all.
const ALL_RENEWED_IN: Duration = Duration::from_secs(10);
/// Questions under way at a time for that.
const RENEWALS: usize = 32;
/// How often sessions are spoken for, and heads looked at.
const PERIOD: Duration = Duration::from_secs(1);
/// When an acknowledgement is stored again of which nothing was heard: it is not urgent, and Redis may have trouble.
const ACK_RETRY: Duration = Duration::from_secs(1);
/// Acknowledged messages of one session that had expired; more are told as presented.
const EXPIRED_MAX: usize = 1_024;

/// What a session acknowledges and the store was not told yet. While one question is under way the next collects.
#[derive(Debug, Default)]
pub struct Acks(Mutex<Owed>);

#[derive(Debug, Default)]
struct Owed {
    ack: Option<Ack>,
    /// The session ends with it.
    closing: Option<(Arc<str>, u64)>,
    busy: bool,
}

impl Owed {
    /// Adds an acknowledgement, the later of two of one epoch; of two epochs the one that is here is the later.
    fn owe(&mut self, ack: Ack) {
        match &mut self.ack {
            Some(waiting) if waiting.epoch == ack.epoch => {
                waiting.seq = waiting.seq.max(ack.seq);
                let room = EXPIRED_MAX.saturating_sub(waiting.expired.len());
                waiting.expired.extend(ack.expired.into_iter().take(room));
            }
            Some(_) => {}
            waiting @ None => *waiting = Some(ack),
        }
    }
}

/// An agent with sessions here.
struct Here {
    tenant: Arc<Tenant>,
    agent: Arc<str>,
    sessions: Vec<Arc<str>>,
}

impl Acks {
    fn push(&self, change: impl FnOnce(&mut Owed)) -> bool {
        let mut owed = self.0.lock();
        change(&mut owed);
        !std::mem::replace(&mut owed.busy, true)
    }

    /// What is to be asked next; nothing ends the duty of the one who asks.
    fn next(&self) -> Option<Owed> {
        let mut owed = self.0.lock();
        let next = std::mem::take(&mut *owed);
        owed.busy = next.ack.is_some() || next.closing.is_some();
        owed.busy.then_some(next)
    }
}

impl Router {
    /// Stores that a session has presented so much, and tells the senders.
    pub(super) fn acknowledge(
        self: &Arc<Self>,
        tenant: &Arc<Tenant>,
        inbox: &StreamKey,
        acks: &Arc<Acks>,
        ack: Ack,
    ) {
        let start = acks.push(|owed| match &mut owed.ack {
            Some(waiting) if waiting.epoch != ack.epoch => *waiting = ack,
            _ => owed.owe(ack),
        });
        self.settle_acks(start, tenant, inbox, acks);
    }

    /// Ends a session for good, once what it acknowledged is stored.
    pub(super) fn end_session(
        self: &Arc<Self>,
        tenant: &Arc<Tenant>,
        inbox: &StreamKey,
        acks: &Arc<Acks>,
        session: (Arc<str>, u64),
    ) {
        let start = acks.push(|owed| owed.closing = Some(session));
        self.settle_acks(start, tenant, inbox, acks);
    }

    fn settle_acks(self: &Arc<Self>, start: bool, tenant: &Arc<Tenant>, inbox: &StreamKey, acks: &Arc<Acks>) {
        if !start {
            return;
        }
        let (router, tenant, inbox, acks) =
            (Arc::clone(self), Arc::clone(tenant), inbox.clone(), Arc::clone(acks));
        self.tracker.spawn(async move {
            while let Some(Owed { ack, closing, .. }) = acks.next() {
                if let Some(ack) = ack {
                    let counted = match router.streams.acknowledge(inbox.clone(), ack.clone()).await {
                        Ok(Some(told)) => {
                            for told in &told {
                                router.tell_sender(&tenant, told);
                            }
                            true
                        }
                        Ok(None) => !router.open_again(&tenant, &ack).await,
                        Err(_) => false,
                    };
                    // Nothing else may come that is acknowledged: a full stream takes nothing before it is told. If the
                    // session is gone and comes back it is presented that again, and acknowledges it again.
                    if !counted && Arc::strong_count(&acks) > 1 {
                        acks.0.lock().owe(ack);
                        tokio::time::sleep(ACK_RETRY).await;
                    }
                }
                if let Some((session, generation)) = closing {
                    // If it cannot be told it ends with its grace.
                    let _ = router.streams.close(inbox.clone(), session, generation).await;
                }
            }
        });
    }

    /// The store knows a later connection of a session. It may be nobody's: a question of one that its client gave up
    /// long ago, carried out late. The directory knows who is there: if that is the one here, the session is opened for
    /// it again, and what it acknowledges counts again. Says whether that may be so.
    async fn open_again(&self, tenant: &Tenant, ack: &Ack) -> bool {
        let Some(agent) = agent_of_session(&ack.session) else { return false };
        let Ok(entries) = self.directory.lookup(&tenant.name, agent).await else { return true };
        let of_session = entries.iter().filter(|entry| entry.session == ack.session);
        let Some(latest) = of_session.max_by_key(|entry| entry.generation) else { return true };
        if latest.instance != self.instance || latest.generation != ack.generation {
            return false;
        }
        let Some(local) = tenant.agents.get(agent) else { return false };
        let is_it = |session: &str, generation| *session == *ack.session && generation == ack.generation;
        for member in local.members.iter().filter(|member| is_it(&member.session, member.generation)) {
            member.outbound.push_news(InboxNews::Forgotten);
        }
        true
    }

    /// A stream may have more than is known here.
    pub(super) fn take_wake(self: &Arc<Self>, wake: &Wake<&str>) {
        let Some(tenant) = self.tenants.get(wake.tenant).map(|tenant| Arc::clone(&tenant)) else { return };
        if let Some(feed) = tenant.feeds.get(wake.stream).map(|feed| Arc::clone(&feed))
            && !feed.append(wake)
        {
            self.hint(&tenant, &feed, Some((wake.epoch, wake.head)));
        }
        // Those among them who had nothing to read so far have no feed.
        if let Some(agent) = wake.stream.strip_prefix("agent/")
            && let Some(local) = tenant.agents.get(agent)
        {
            local.members.iter().for_each(|member| member.outbound.push_news(InboxNews::Look));
        }
    }

    /// Tells the instance that had a session's connection before.
    pub(super) fn tell_replaced(
        self: &Arc<Self>,
        peer: &InstanceId,
        tenant: &str,
        session: &str,
        generation: u64,
    ) {
        if *peer == self.instance {
            return self.take_replaced(tenant, session, generation);
        }
        let link = self.link(peer);
        let write = |batch: &mut Vec<u8>| envelope::append_replaced(batch, tenant, session, generation);
        // One that is not told finds out by its silence; what it acknowledges counts no more.
        if let Ok(pump) = link.outbox.push(&self.instance, None, None, write) {
            self.pump_link(pump, &link);
        }
    }

    /// Closes connections here that a later one of their session replaced.
    pub(super) fn take_replaced(&self, tenant: &str, session: &str, generation: u64) {
        let Some(agent) = agent_of_session(session) else { return };
        let Some(tenant) = self.tenants.get(tenant).map(|tenant| Arc::clone(&tenant)) else { return };
        let Some(local) = tenant.agents.get(agent) else { return };
        for member in &local.members {
            if *member.session == *session && member.generation < generation {
                member.outbound.close(CloseSignal::REPLACED);
            }
        }
    }

    /// Speaks for the sessions here, so that they are not forgotten, and looks at heads, until `stop`.
    pub async fn speak(self: Arc<Self>, stop: CancellationToken) {
        let mut ticks = tokio::time::interval(PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // Four times within the grace, so that two that fail do not cost a session.
        let parts = (self.settings.grace.as_secs() / 4).clamp(1, RENEWED_IN_MAX);
        let (mut part, mut turn) = (0, 0);
        let (mut is_forgotten, mut all_again_at) = (false, Instant::now());
        while stop.run_until_cancelled(ticks.tick()).await.is_some() {
            part = (part + 1) % parts;
            self.look_at_feeds(false);
            let is_all = is_forgotten && all_again_at <= Instant::now();
            let due = if is_all {
                (is_forgotten, all_again_at) = (false, Instant::now() + ALL_RENEWED_IN);
                self.sessions(0, 1)
            } else {
                self.sessions(part, parts)
            };
            // One in each period: a store that has forgotten everything is found by any.
            let due = if due.is_empty() { self.some_session(&mut turn) } else { due };
            let renewals = due.into_iter().map(|Here { tenant, agent, sessions }| {
                let inbox = StreamKey::agent(&tenant.name, &agent);
                let renewed = self.streams.renew(inbox, sessions);
                async move { (renewed.await, tenant, agent) }
            });
            let mut renewals = futures_util::stream::iter(renewals).buffer_unordered(RENEWALS);
            while let Some((renewed, tenant, agent)) = renewals.next().await {
                let Some(local) = tenant.agents.get(&agent) else { continue };
                let each = local.members.iter().map(|member| &member.outbound);
                match renewed {
                    Ok(Some(marks)) => each.for_each(|outbound| outbound.push_head(&marks.epoch, marks.head)),
                    Ok(None) => {
                        is_forgotten = true;
                        each.for_each(|outbound| outbound.push_news(InboxNews::Forgotten));
                    }
                    // Away: tried again in its turn, or with all the others.
                    Err(_) => is_forgotten |= is_all,
                }
            }
        }
    }

    /// One agent with its sessions here, another one each time. For few agents: it looks at all.
    fn some_session(&self, turn: &mut usize) -> Vec<Here> {
        let mut all = self.sessions(0, 1);
        if all.is_empty() {
            return all;
        }
        *turn = turn.wrapping_add(1);
        vec![all.swap_remove(*turn % all.len())]
    }

    /// The agents of this part, each with its sessions here.
    fn sessions(&self, part: u64, parts: u64) -> Vec<Here> {
        let mut found = Vec::new();
        for tenant in &self.tenants {
            for agent in &tenant.agents {
                let mixed = agent.members.iter().map(|member| member.connection).min().unwrap_or_default();
                if mixed % parts == part {
                    let sessions = agent.members.iter().map(|member| Arc::clone(&member.session)).collect();
                    let (tenant, agent) = (Arc::clone(&tenant), Arc::clone(agent.key()));
                    found.push(Here { tenant, agent, sessions });
                }
            }
        }
        found
    }
}

//! What became of a message at `qos` 1 after it was accepted, to its sender: to the connection that sent it, while that
//! lives; else it is kept in the store, for the next connection of its session. A message whose sender stays costs nothing
//! for it.
//!
//! Bound: [`KEEPING_MAX`] outcomes that wait to be kept; of what does not fit its sender hears by sending it again.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;
use relay_protocol::ErrorCode;
use relay_protocol::address::agent_of_session;

use crate::outbound::Settlement;
use crate::router::Router;
use crate::router::envelope::{self, Delivered};
use crate::router::registration::Registration;
use crate::router::tenant::Tenant;
use crate::streams::{LateOutcome, StreamKey};
use crate::telemetry::outcome::Outcome;

/// Outcomes that wait to be kept.
const KEEPING_MAX: usize = 1 << 16;
/// Outcomes of one session that are kept at a time.
const TOGETHER_MAX: usize = 256;

/// Outcomes that wait to be kept. While one question is under way the next collects.
#[derive(Debug, Default)]
pub(super) struct Keeping(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    late: VecDeque<Late>,
    busy: bool,
}

#[derive(Debug)]
struct Late {
    tenant: Arc<str>,
    session: Arc<str>,
    outcome: LateOutcome,
}

impl Keeping {
    /// Says whether somebody has to begin.
    fn push(&self, late: Late) -> bool {
        let mut waiting = self.0.lock();
        if waiting.late.len() >= KEEPING_MAX {
            return false;
        }
        waiting.late.push_back(late);
        !std::mem::replace(&mut waiting.busy, true)
    }

    /// What comes next of one session; nothing ends the duty.
    fn next(&self) -> Option<(Arc<str>, Arc<str>, Vec<LateOutcome>)> {
        let mut waiting = self.0.lock();
        let Some(Late { tenant, session, outcome }) = waiting.late.pop_front() else {
            waiting.busy = false;
            return None;
        };
        let mut outcomes = vec![outcome];
        while outcomes.len() < TOGETHER_MAX
            && let Some(late) =
                waiting.late.pop_front_if(|late| late.tenant == tenant && late.session == session)
        {
            outcomes.push(late.outcome);
        }
        Some((tenant, session, outcomes))
    }
}

impl Router {
    /// Tells the sender of a message what became of it.
    pub(super) fn tell_sender(self: &Arc<Self>, tenant: &Tenant, told: &crate::streams::Delivered) {
        let to = &told.to;
        if to.failure_only && !told.expired {
            return;
        }
        let delivered = Delivered {
            tenant: &*tenant.name,
            session: &*to.session,
            generation: to.generation,
            id: to.id,
            expired: told.expired,
            mid: &*to.mid,
        };
        if to.instance == self.instance {
            return self.take_delivered(&delivered);
        }
        let link = self.link(&to.instance);
        let write = |batch: &mut Vec<u8>| envelope::append_delivered(batch, &delivered);
        let late = late(&delivered);
        let router = Arc::clone(self);
        // Nobody listens there, or nothing is known: the session may be elsewhere, or come back.
        let undelivered = Settlement::elsewhere(move |outcome| {
            if outcome != Outcome::Accepted {
                router.keep_outcome(late);
            }
        });
        // One that does not fit is kept.
        if let Ok(pump) = link.outbox.push(&self.instance, None, Some(undelivered), write) {
            self.pump_link(pump, &link);
        }
    }

    /// Tells a session here of its message, if it has the connection that sent it.
    pub(super) fn take_delivered(self: &Arc<Self>, delivered: &Delivered<&str>) {
        let Some(agent) = agent_of_session(delivered.session) else { return };
        let tenant = self.tenants.get(delivered.tenant).map(|tenant| Arc::clone(&tenant));
        let local = tenant.as_ref().and_then(|tenant| tenant.agents.get(agent));
        let sender = local.as_ref().and_then(|local| {
            local.members.iter().find(|member| {
                *member.session == *delivered.session && member.generation == delivered.generation
            })
        });
        match sender {
            Some(sender) => sender.outbound.tell_later(delivered.id, outcome(delivered.expired)),
            None => self.keep_outcome(late(delivered)),
        }
    }

    fn keep_outcome(self: &Arc<Self>, late: Late) {
        // An earlier release does not say which message it was.
        if late.outcome.mid.is_empty() || !self.keeping.push(late) {
            return;
        }
        let router = Arc::clone(self);
        self.tracker.spawn(async move {
            while let Some((tenant, session, outcomes)) = router.keeping.next() {
                let Some(agent) = agent_of_session(&session) else { continue };
                router.metrics.outcomes_kept.increment(outcomes.len() as u64);
                let inbox = StreamKey::agent(&tenant, agent);
                // What cannot be kept its sender hears by sending it again.
                let kept = router.streams.keep(inbox, Arc::clone(&session), outcomes).await;
                let Ok(Some(instance)) = kept else { continue };
                if instance == router.instance {
                    router.tell_kept(&tenant, &session);
                    continue;
                }
                let link = router.link(&instance);
                let write = |batch: &mut Vec<u8>| envelope::append_kept(batch, &tenant, &session);
                if let Ok(pump) = link.outbox.push(&router.instance, None, None, write) {
                    router.pump_link(pump, &link);
                }
            }
        });
    }

    /// Outcomes are kept for a session, which may have a connection here.
    pub(super) fn tell_kept(self: &Arc<Self>, tenant: &str, session: &str) {
        let Some(agent) = agent_of_session(session) else { return };
        let Some(tenant) = self.tenants.get(tenant).map(|tenant| Arc::clone(&tenant)) else { return };
        let Some(local) = tenant.agents.get(agent) else { return };
        let Some(member) = local.members.iter().find(|member| *member.session == *session) else { return };
        let (inbox, outbound) = (StreamKey::agent(&tenant.name, agent), Arc::clone(&member.outbound));
        let kept = self.streams.kept(inbox, Arc::clone(&member.session));
        drop(local);
        self.tracker.spawn(async move {
            if let Ok(outcomes) = kept.await {
                let told = outcomes.into_iter().map(|late| (late.mid, outcome(late.expired)));
                outbound.tell_earlier(told);
            }
        });
    }
}

impl Registration {
    /// The session goes on: it hears what became of what it sent before.
    pub fn hear_kept(&self) {
        self.router.tell_kept(&self.entry.tenant, &self.entry.session);
    }
}

fn late(delivered: &Delivered<&str>) -> Late {
    let outcome = LateOutcome { mid: delivered.mid.into(), expired: delivered.expired };
    Late { tenant: delivered.tenant.into(), session: delivered.session.into(), outcome }
}

fn outcome(expired: bool) -> Outcome {
    if expired { Outcome::failed(ErrorCode::Expired) } else { Outcome::Delivered }
}

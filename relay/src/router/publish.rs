//! From the outboxes onto the bus. One task a destination while something waits for it, none otherwise.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use relay_protocol::{ErrorCode, topic};
use tokio::time::Instant;

use crate::bus::{Channel, PublishError};
use crate::outbound::Settlement;
use crate::router::Router;
use crate::router::delivery::SATURATED_RETRY_MS;
use crate::router::envelope::{self, Topic};
use crate::router::groups;
use crate::router::link::{Link, Reported, Tried};
use crate::router::outbox::{Outbox, Pump};
use crate::router::parcel::Parcel;
use crate::router::route::UNAVAILABLE_RETRY_MS;
use crate::router::tenant::Tenant;
use crate::telemetry::outcome::Outcome;

/// The least time between two batches to one instance while more than one is needed: a publish costs far more than a message
/// in it does, here, in Redis and there, and eight instances have 56 links to fill.
const GATHER: Duration = Duration::from_millis(1);

impl Router {
    /// Puts a message to a topic in line for the bus.
    pub(super) fn publish(
        self: &Arc<Self>,
        tenant: &Arc<Tenant>,
        topic: &Topic<&str>,
        settlement: Settlement,
    ) {
        self.post(tenant, topic.name, Some(settlement), |batch| envelope::append_topic(batch, topic));
    }

    /// Puts something in line for a topic's channel.
    pub(super) fn post(
        self: &Arc<Self>,
        tenant: &Arc<Tenant>,
        name: &str,
        settlement: Option<Settlement>,
        write: impl FnOnce(&mut Vec<u8>),
    ) {
        let outbox = match tenant.outboxes.get(name) {
            Some(outbox) => outbox,
            None => tenant.outboxes.entry(name.into()).or_default().downgrade(),
        };
        // Pushed under the entry's lock, so that the outbox cannot be forgotten between being found and being filled.
        let pushed = outbox.push(&self.instance, None, settlement, write);
        match pushed {
            Ok(Pump::Running) => {}
            Ok(Pump::Start) => {
                let (name, waiting) = (Arc::clone(outbox.key()), Arc::clone(outbox.value()));
                drop(outbox);
                self.tracker.spawn(Arc::clone(self).pump_topic(Arc::clone(tenant), name, waiting));
            }
            Err((_, settlement)) => {
                if let Some(settlement) = settlement {
                    settlement.settle(Outcome::failed_for(ErrorCode::Saturated, SATURATED_RETRY_MS));
                }
            }
        }
    }

    async fn pump_topic(self: Arc<Self>, tenant: Arc<Tenant>, name: Arc<str>, outbox: Arc<Outbox>) {
        let exact = Channel::topic(&tenant.name, &name);
        while let Some(mut batch) = outbox.next() {
            let payload = batch.payload();
            let mut outcome = published(self.publish_batch(&exact, payload.clone(), batch.items).await);
            if outcome == Outcome::Accepted && self.directory.may_have_wildcards(&tenant.name) {
                for pattern in topic::wildcards(&name) {
                    let channel = Channel::topic(&tenant.name, &pattern);
                    let wide = self.publish_batch(&channel, payload.clone(), batch.items).await;
                    // The exact subscribers have it, so what others missed can only be called unknown.
                    if wide.is_err() {
                        outcome = Outcome::Unknown;
                    }
                }
            }
            for settlement in batch.settlements {
                settlement.settle(outcome);
            }
        }
        tenant.outboxes.remove_if(&name, |_, outbox| outbox.is_idle());
    }

    /// Starts publishing to a link if nobody does.
    pub(super) fn pump_link(self: &Arc<Self>, pump: Pump, link: &Arc<Link>) {
        if pump == Pump::Start {
            self.tracker.spawn(Arc::clone(self).run_link(Arc::clone(link)));
        }
    }

    async fn run_link(self: Arc<Self>, link: Arc<Link>) {
        let inbox = Channel::inbox(&link.peer);
        while let Some(mut batch) = link.outbox.next() {
            let begun = Instant::now();
            let result = self.publish_batch(&inbox, batch.payload(), batch.items).await;
            let receipts = match result {
                Ok(0) => Outcome::failed(ErrorCode::Unavailable),
                result => published(result),
            };
            for settlement in batch.settlements {
                settlement.settle(receipts);
            }
            if let Some(seqs) = batch.seqs {
                self.carried(&link, seqs, result);
            }
            if link.outbox.is_short() {
                tokio::time::sleep_until(begun + GATHER).await;
            }
        }
    }

    /// What became of the publish that these messages of a link were in.
    fn carried(self: &Arc<Self>, link: &Arc<Link>, seqs: (u64, u64), result: Result<u64, PublishError>) {
        match result {
            // Nobody listens there: the instance is gone, and its agents may be elsewhere by now.
            Ok(0) => link.withdraw(seqs).for_each(|reported| {
                let away = Outcome::failed_for(ErrorCode::Unavailable, UNAVAILABLE_RETRY_MS);
                self.send_again(link, reported, away);
            }),
            Err(PublishError::NotSent) => {
                for Reported { pending, .. } in link.withdraw(seqs) {
                    pending.settlement.settle(published(result));
                }
            }
            // It will be reported, or may be; if it is not, the time-out says `unknown`.
            Ok(_) | Err(PublishError::Unknown) => {}
        }
    }

    /// A message did not reach its agent at `link`: it goes where the agent is now, once, or has `otherwise` for outcome.
    pub(super) fn send_again(self: &Arc<Self>, link: &Arc<Link>, reported: Reported, otherwise: Outcome) {
        let pending = reported.pending;
        if groups::is_group(&pending.direct.agent) {
            return self.send_to_another(&link.peer, pending, otherwise);
        }
        let tenant = self.tenants.get(&pending.direct.tenant).map(|tenant| Arc::clone(&tenant));
        match tenant {
            Some(tenant) if !matches!(pending.tried, Tried::Again) => {
                let now = Instant::now();
                let parcel = Parcel {
                    taken_at: now,
                    expires_at: pending.expires_at(),
                    direct: pending.direct,
                    settlement: pending.settlement,
                    returned: Some((link.peer.clone(), otherwise)),
                    seq: pending.seq,
                    tried: pending.tried,
                };
                self.dispatch_returned(&tenant, link, parcel);
            }
            _ => pending.settlement.settle(otherwise),
        }
    }

    /// Tells every instance that an agent has sessions elsewhere than before.
    pub(super) fn announce_moved(self: &Arc<Self>, tenant: &str, agent: &str) {
        // What does not fit is not missed for long: routes end by themselves.
        let _ = self.announce(|batch| envelope::append_moved(batch, tenant, agent));
    }

    /// Tells every instance something; says whether there was room to.
    pub(super) fn announce(self: &Arc<Self>, write: impl FnOnce(&mut Vec<u8>)) -> bool {
        let pushed = self.fleet.push(&self.instance, None, None, write);
        if matches!(pushed, Ok(Pump::Start)) {
            let router = Arc::clone(self);
            self.tracker.spawn(async move {
                let channel = Channel::fleet();
                while let Some(mut batch) = router.fleet.next() {
                    let _ = router.publish_batch(&channel, batch.payload(), batch.items).await;
                }
            });
        }
        pushed.is_ok()
    }

    pub(super) async fn publish_batch(
        &self,
        channel: &Channel,
        payload: Bytes,
        items: usize,
    ) -> Result<u64, PublishError> {
        let begun = Instant::now();
        let result = self.bus.publish(channel, payload).await;
        self.metrics.bus_publish_seconds.record(begun.elapsed().as_secs_f64());
        match result {
            Ok(_) => {
                self.metrics.bus_published.increment(1);
                self.metrics.bus_published_envelopes.increment(items as u64);
            }
            Err(PublishError::NotSent) => self.metrics.bus_publish_failed.increment(1),
            Err(PublishError::Unknown) => self.metrics.bus_publish_unknown.increment(1),
        }
        result
    }
}

/// What a publish means to those whose messages it carried.
fn published(result: Result<u64, PublishError>) -> Outcome {
    match result {
        Ok(_) => Outcome::Accepted,
        Err(PublishError::NotSent) => Outcome::failed_for(ErrorCode::Unavailable, UNAVAILABLE_RETRY_MS),
        Err(PublishError::Unknown) => Outcome::Unknown,
    }
}
